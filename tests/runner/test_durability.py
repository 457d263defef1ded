"""Small versions of ``benchmarks/bench_durability.py``: kills, runs together, storms of faults."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.durability import kill_and_resume, run_in_storm, run_together


@pytest.mark.parametrize("share", [0.05, 0.6])
def test_a_kill_loses_nothing_and_only_what_was_under_way_is_asked_twice(
    tmp_path: Path, share: float
) -> None:
    killed = kill_and_resume(tmp_path, cases=200, concurrency=8, share=share)
    assert killed.resumed == 0
    assert killed.stored == 200
    assert killed.late == frozenset()
    assert killed.asked_twice <= killed.marked
    assert len(killed.marked - killed.asked_twice) <= 8, "or were just about to be asked"


def test_runs_together_lose_no_row_while_the_store_is_read(tmp_path: Path) -> None:
    found = run_together(tmp_path, runs=3, cases=40, concurrency=4)
    assert set(found.exits) == {0}, found.said
    assert (found.runs, found.rows) == (3, 120)
    assert found.reads > 0
    assert found.read_errors == ()


def test_a_storm_of_faults_costs_retries_and_nothing_else(tmp_path: Path) -> None:
    storm = run_in_storm(tmp_path, cases=150, concurrency=16, share=0.3, seed=5)
    assert (storm.answered, storm.errors, storm.answered_twice) == (150, 0, 0)
    assert storm.asked == storm.attempts == 150 + storm.failed
