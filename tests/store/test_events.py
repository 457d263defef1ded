"""The audit trail."""

from __future__ import annotations

import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from example_runs import example_run

from evalkit.store import Event, Store


def test_events_come_back_in_order_with_everything_they_said(store: Store) -> None:
    run = example_run()
    store.create_run(run)
    at = datetime(2090, 1, 2, 3, 4, 5, tzinfo=UTC)
    written = Event(
        kind="baseline.promoted",
        actor="Ada \ud800",
        run_id=run.id,
        git_commit="a" * 40,
        details={"file": "baselines/main.json", "forced": True, "odd": "x\ud800", "n": [1, None]},
        happened_at=at + timedelta(seconds=1),
    )
    store.record(Event(kind="gate.waived", happened_at=at, details={"gate": "quality"}))
    store.record(written)
    assert [one.kind for one in store.events()] == [
        "run.started", "gate.waived", "baseline.promoted",
    ]  # fmt: skip
    (back,) = store.events("baseline.promoted")
    assert back.actor == "Ada \N{REPLACEMENT CHARACTER}"  # no database holds half a character
    assert back.details == {**written.details, "odd": "x\N{REPLACEMENT CHARACTER}"}
    assert (back.run_id, back.git_commit, back.happened_at) == (
        run.id, "a" * 40, written.happened_at,
    )  # fmt: skip
    assert back.evalkit_version
    assert [one.kind for one in store.events("gate.", "baseline.")] == [
        "gate.waived", "baseline.promoted",
    ]  # fmt: skip
    assert [one.kind for one in store.events("run.", run_id=run.id)] == ["run.started"]
    assert store.events("run.", run_id="other") == ()


def test_no_events_without_a_store(store: Store) -> None:
    assert store.events() == ()


def _write(path: Path, number: int) -> None:
    for turn in range(5):
        Store(path).record(Event(kind="labels.given", actor=f"p{number}", details={"turn": turn}))


def test_processes_that_record_at_once_lose_none(store: Store) -> None:
    store.prepare()
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(store.path, one)) for one in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert len(store.events("labels.given")) == 15
