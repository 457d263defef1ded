from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from example_runs import START, example_run, example_trials
from stored_project import FIRST, SECOND, make_project, make_runs

from evalkit.cli.app import run_command
from evalkit.model import RunStatus
from evalkit.report import words
from evalkit.store import Store


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path))
    make_runs(tmp_path)
    return tmp_path


def test_the_latest_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("! DONE  11 of 48 trials answered, 1 failed (timeout 1)\n")
    assert f"run {SECOND}" in text
    assert text.isascii()


def test_a_run_by_part_of_its_id_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "4e77", "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert (view["kind"], view["run_id"], view["done"]) == ("run", FIRST, 12)


def test_one_suite(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "latest", "--json"]) == 0
    (suite, *_) = json.loads(capsys.readouterr().out)["suites"]
    assert run_command(["show", "latest", "--suite", suite["name"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["suites"] == [suite]
    assert run_command(["show", "latest", "--suite", suite["name"] + "x"]) == 2
    assert f"did you mean '{suite['name']}'?" in capsys.readouterr().err
    assert run_command(["show", "latest", "refund-002", "--suite", suite["name"]]) == 2


def test_a_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "latest~1", "refund-002"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"refund-002  run {FIRST}\n")
    for expected in ("refund rule 2", "2 days", "latency", "tokens", "cost", "rouge_l|stemmer:no"):
        assert expected in text


def test_a_case_given_in_the_place_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "refund-002"]) == 2
    assert "evalkit show latest refund-002" in capsys.readouterr().err


def test_a_case_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "latest", "refund-002", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert [one["target"] for one in value["trials"]] == ["large", "small"]
    assert value["case"]["expected"] == ["2 days", "a while"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "nothing-like-it"], "unknown run 'nothing-like-it'"),
        (["show", "2026"], "could be 2 runs"),
        (["show", ""], "unknown run ''"),
        (["show", "latest", ""], "unknown case ''"),
        (["show", "latest", "refnd-002"], "did you mean 'refund-002'?"),
        (["show", "latest", "refund"], "could be 6 cases"),
        (["show", "latest~7"], "no run 'latest~7'"),
    ],
)
def test_names_that_are_wrong(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""


def test_an_unknown_run_is_told_the_nearest_and_the_newest(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(project / ".evalkit" / "evalkit.duckdb")
    for day in range(1, 15):
        old = START - timedelta(days=day)
        store.create_run(example_run(f"{old:%Y%m%d}-101112-beef", started_at=old))
    assert run_command(["show", f"{SECOND[:-1]}_"]) == 2
    assert f"did you mean '{SECOND}'" in capsys.readouterr().err
    assert run_command(["show", "zzz"]) == 2
    said = capsys.readouterr().err
    assert f"the newest: {SECOND}, {FIRST}, " in said
    assert "beef" in said
    assert f"{START - timedelta(days=14):%Y%m%d}" not in said, "the oldest is the last one wanted"
    assert "all: evalkit runs" in said


def test_what_is_assumed_of_calls_that_nobody_counted_is_told_apart(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(project / ".evalkit" / "evalkit.duckdb")
    start = START + timedelta(hours=9)
    name = "20261121-183000-dead"
    store.create_run(example_run(name, started_at=start))
    trials = list(example_trials(name, cases=3))
    for place in (0, 1):
        spend = replace(trials[place].spend, assumed_usd=0.033)
        trials[place] = replace(trials[place], spend=spend, after_kill=True)
    # an answer of a server that counts no tokens
    output = trials[1].output
    assert output is not None
    spend = replace(trials[1].spend, usd=None)
    trials[1] = replace(trials[1], output=replace(output, cost_usd=None), spend=spend)
    known = sum(one.spend.usd or 0.0 for one in trials)
    store.append(trials)
    store.finish_run(name, RunStatus.COMPLETE, start + timedelta(seconds=9))
    assert run_command(["show", name]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    lost = "of which $0.0660 assumed for calls of 2 trials whose tokens nobody told"
    assert f"cost {words.money(known + 0.066)}, {lost}" in shown
    assert run_command(["show", name, "--json"]) == 0
    view = json.loads(capsys.readouterr().out)
    assert (view["assumed_usd"], view["assumed"]) == (pytest.approx(0.066), 2)
    bare = [one for one in trials if one.output is not None and one.output.cost_usd is None]
    assert view["unpriced"] == len(bare) - 1, "one is counted with what it may have cost"
    assert run_command(["show", "latest~1"]) == 0
    assert "assumed" not in capsys.readouterr().out
    assert run_command(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["assumed_usd"] == pytest.approx(0.066)
