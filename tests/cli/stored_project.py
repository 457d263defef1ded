"""A project on disk with two stored runs, for tests of the commands that read them."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from functools import cache
from pathlib import Path

from example_runs import START, example_run, example_trials

from evalkit.model import RunStatus
from evalkit.store import Store

FIRST = "20261121-093000-4e77"
SECOND = "20261121-103000-9f2c"


def make_project(folder: Path) -> Path:
    (folder / "prompts").mkdir()
    (folder / "prompts" / "answer.j2").write_text("{{ question }}\n")
    (folder / "evalkit.yaml").write_text(
        "project: support-bot\n"
        "targets:\n"
        "  small: {kind: builtin:extractive, prompt: prompts/answer.j2}\n"
    )
    return folder


def make_runs(folder: Path) -> Store:
    store = Store(folder / ".evalkit" / "evalkit.duckdb")
    store.path.parent.mkdir()
    store.path.write_bytes(_two_runs())
    return store


@cache
def _two_runs() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "evalkit.duckdb")
        _fill(store)
        return store.path.read_bytes()


def _fill(store: Store) -> None:
    for hours, run_id in enumerate((FIRST, SECOND)):
        start = START + timedelta(hours=hours)
        store.create_run(example_run(run_id, started_at=start))
        store.append(example_trials(run_id, cases=6, seed=hours))
        store.finish_run(run_id, RunStatus.COMPLETE, start + timedelta(seconds=94))
