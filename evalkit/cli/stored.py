"""What the commands that read the store share: finding it, and printing a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from evalkit.errors import EvalkitError, UnknownName

if TYPE_CHECKING:
    from evalkit.report.view import RunView
    from evalkit.runner.gating import Differs
    from evalkit.store import Store


def open_store(project: Path | None, *, allow_code: bool = False) -> Store:
    """The project's store, with what runs that died had left in their journals taken in.

    A place that can only be read is read as it is, with a warning.
    """
    from evalkit.config import find_project, load_project
    from evalkit.store import Store

    found = load_project(find_project(file=project), allow_code=allow_code)
    store = Store(found.store, note=partial(typer.echo, err=True))
    try:
        recovered = store.recover()
    except EvalkitError as error:
        typer.echo(f"warning: answers left in {store.journal_directory} are not in yet", err=True)
        for line in error.lines():
            typer.echo(f"  {line}", err=True)
        return store
    if recovered.trials or recovered.dropped:
        torn = f", {recovered.dropped:,} torn lines dropped" if recovered.dropped else ""
        typer.echo(
            f"took in {recovered.trials:,} finished trials of {', '.join(recovered.runs)},"
            f" which ended without storing them{torn}",
            err=True,
        )
    return store


def print_run(
    store: Store,
    run_id: str,
    *,
    suite: str | None = None,
    as_json: bool = False,
    busy: Callable[[str], AbstractContextManager[None]] = lambda _: nullcontext(),
) -> None:
    """Print the summary of a stored run on standard output, as text or as JSON.

    Of one ``suite`` only, if it is named; ``busy`` shows what is done meanwhile.
    """
    from evalkit.report.formats.json import dumps, json
    from evalkit.report.formats.terminal import terminal
    from evalkit.report.screen import Screen
    from evalkit.report.view_build import run_view

    together = store.together(frugal=True)
    with busy("adding up"), together, store.samples(run_id) as (run, samples):
        view = run_view(run, samples)
        sorts = store.has_sorts(run_id)
    screen = Screen.of(sys.stdout)
    if run.kind == "load" and (steps := store.load_steps(run_id)):
        from evalkit.report.load import load_view
        from evalkit.report.load_text import load_text

        load = load_view(run, steps)
        emit(dumps(load.to_json()) if as_json else load_text(load, screen))
        return
    if sorts:
        from evalkit.gate.decide import attacked
        from evalkit.gate.fairness import fair
        from evalkit.gate.stored import Stored
        from evalkit.report.attacks import first_new, named

        stored = Stored(run=run, sides=store.sides(run_id))
        attacks = attacked(run.suites, stored, None)
        view = replace(view, attacks=attacks, fairness=fair(run.suites, stored, None))
        if {one.name for one in view.suites} == {one.suite for one in attacks}:
            first = first_new(attacks)
            shown = "" if first is None else f" {named(first)}"
            view = replace(view, next=(*view.next[:-1], f"evalkit show {run_id}{shown}"))
    if suite is not None:
        view = _of_suite(view, suite)
    if as_json:
        emit(json(view))
        return
    emit(terminal(view, width=screen.width, colour=screen.colour, unicode=screen.unicode))


def print_difference(
    store: Store, differs: Differs, *, as_json: bool, limit: int, outcome: str = ""
) -> None:
    """Print what differs between two runs on standard output, as text or as JSON.

    Of cases that moved at most ``limit``, and those of one ``outcome`` only if it is named.
    """
    import json

    from evalkit.report.screen import Screen
    from evalkit.report.verdict import diff_text
    from evalkit.secrets import redact

    if as_json:
        emit(json.dumps(differs.to_json(), indent=2, ensure_ascii=False) + "\n")
        return
    compared, attacks, runs = differs
    text = diff_text(
        compared,
        Screen.of(sys.stdout),
        attacks=attacks,
        runs=runs,
        outcome=outcome,
        limit=limit,
        texts=partial(store.cases, runs[1].id),
    )
    emit(redact(text))


def _of_suite(view: RunView, suite: str) -> RunView:
    known = [one.name for one in view.suites]
    if suite not in known:
        raise UnknownName("suite of this run", suite, known)
    return replace(
        view,
        suites=tuple(one for one in view.suites if one.name == suite),
        attacks=tuple(one for one in view.attacks if one.suite == suite),
        fairness=tuple(one for one in view.fairness if one.suite == suite),
    )


def emit(text: str) -> None:
    """Write to standard output; what its encoding lacks is written as an escape."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
    sys.stdout.flush()


def shown_path(path: Path) -> str:
    """A path as short as it can be typed from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)
