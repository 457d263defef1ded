from __future__ import annotations

import json
from pathlib import Path

import pytest
from example_runs import START, example_run, example_trials
from stored_project import FIRST, SECOND, make_project, make_runs

from evalkit.cli.app import run_command
from evalkit.model import RunStatus
from evalkit.store import Journal


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path))
    return tmp_path


def test_runs_are_listed_latest_first(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_runs(project)
    assert run_command(["runs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["run", "status"]
    assert [line.split()[0] for line in lines[1:]] == [SECOND, FIRST]
    assert "complete" in lines[1]
    assert ">= $0.0003" in lines[1]
    assert max(map(len, lines)) <= 100


def test_runs_as_json(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_runs(project)
    assert run_command(["runs", "--json", "--limit", "1", "--suite", "support"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["run_id"], row["trials"], row["errors"], row["status"]) == (
        SECOND, 12, 1, "complete",
    )  # fmt: skip
    assert row["scores"][0]["target"] == "small"
    assert row["started_at"] == "2026-11-21T10:30:00+00:00"
    assert run_command(["runs", "--json", "--suite", "other"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_no_store_yet(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["runs"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "no runs in .evalkit/evalkit.duckdb yet" in said.err
    assert "evalkit run" in said.err
    assert not (project / ".evalkit").exists()


def test_answers_of_a_run_that_died_are_taken_in(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_runs(project)
    store.create_run(example_run("dead", started_at=START))
    journal = Journal(store.journal_directory, "dead")
    journal.append(example_trials("dead", cases=4))
    journal.close()
    assert run_command(["runs", "--json"]) == 0
    said = capsys.readouterr()
    assert "took in 8 finished trials of dead" in said.err
    dead = next(row for row in json.loads(said.out) if row["run_id"] == "dead")
    assert (dead["trials"], dead["status"]) == (8, RunStatus.INTERRUPTED)


def test_a_broken_store_is_said_to_be_broken(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / ".evalkit").mkdir()
    (project / ".evalkit" / "evalkit.duckdb").write_text("not a database" * 1000)
    assert run_command(["runs"]) == 2
    assert "not a DuckDB database" in capsys.readouterr().err
