"""From the names of runs to a written report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit.cli.stored import open_store, shown_path

if TYPE_CHECKING:
    from evalkit.model import Run
    from evalkit.report.page import ReportView
    from evalkit.report.view import RunView
    from evalkit.runner.gating import Pair
    from evalkit.store import Store

PAST = 30
"""Earlier runs in a trend."""


def load_view(
    runs: Sequence[str], source: Path | None, project: Path | None, *, allow_code: bool
) -> ReportView:
    """The view of one or two runs, or of a file."""
    if source is not None:
        from evalkit.report.page_json import read_report

        return read_report(source)
    from evalkit.config import find_project, load_project
    from evalkit.runner.gating import pair_of

    found = load_project(find_project(file=project), allow_code=allow_code)
    store = open_store(project, allow_code=allow_code)
    with store.together():
        return _view(store, found.root, pair_of(found, store, runs))


def _view(store: Store, root: Path, pair: Pair) -> ReportView:
    from evalkit.gate.decide import attacked
    from evalkit.gate.fairness import fair
    from evalkit.gate.table import case_tables
    from evalkit.report.page_build import Context, Past, report_view
    from evalkit.report.view_build import run_view
    from evalkit.runner.ancestry import tagged_commits

    run, old = pair.candidate.run, pair.baseline
    past = {
        suite: [
            Past(
                run_id=one.run_id,
                started_at=one.started_at,
                commit=one.git_commit,
                scorer=one.scorer,
                scores=dict(one.scores),
            )
            for one in store.runs(limit=PAST, suite=suite)
            if one.started_at <= run.started_at and one.kind == run.kind
        ]
        for suite in run.suites
    }
    with store.samples(run.id) as (_, samples):
        view = run_view(run, samples)
    return report_view(
        candidate=pair.candidate,
        baseline=old,
        verdict=pair.verdict,
        compared=pair.compared,
        run=replace(
            view,
            attacks=attacked(run.suites, pair.candidate, old)
            if pair.verdict is None
            else pair.verdict.attacks,
            fairness=fair(run.suites, pair.candidate, old)
            if pair.verdict is None
            else pair.verdict.fairness,
        ),
        before=None if old is None else _view_of(store, old.run),
        policies=pair.policies,
        tables=case_tables(run.suites, pair.candidate, old),
        context=Context(past=past, releases=tagged_commits(root)),
        texts=lambda ids: store.cases(run.id, ids),
        texts_before=None if old is None else lambda ids: store.cases(old.run.id, ids),
    )


def _view_of(store: Store, run: Run) -> RunView | None:
    """A baseline as a run of its own; one that came from a file has no trials here."""
    from evalkit.errors import UnknownName
    from evalkit.report.view_build import run_view

    try:
        with store.samples(run.id) as (_, samples):
            # of a baseline the page shows metrics alone
            return run_view(replace(run, slices=()), samples)
    except UnknownName:
        return None


def written(view: ReportView, path: Path, *, split: bool, budget: int) -> Mapping[Path, int]:
    """Write the report; its files with their sizes in bytes, the page first."""
    from evalkit.report.html import page_files, page_html

    if split:
        files = page_files(view, path.name, budget=budget)
    else:
        files = {path.name: page_html(view, budget=budget).encode()}
    sizes = {}
    for name, content in files.items():
        place = path.parent / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        sizes[place] = len(content)
    return sizes


def summary(view: ReportView, files: Mapping[Path, int]) -> str:
    """What was written, in a line."""
    first, size = next(iter(files)), sum(files.values())
    more = f" and {len(files) - 1} files beside it" if len(files) > 1 else ""
    cases = len(view.rows.id)
    return (
        f"{shown_path(first)}{more}  {size / 1_000_000:.2f} MB"
        f"  {cases:,} {'case' if cases == 1 else 'cases'}"
    )
