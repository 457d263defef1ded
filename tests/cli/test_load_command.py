"""``evalkit load`` from the command line, and what other commands make of its runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit.cli.app import run_command


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("load")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_command(["init", "."]) == 0
        flags = ["--target", "span", "--rate", "40", "--duration", "1s", "--no-progress"]
        assert run_command(["load", "example", *flags]) == 0
    return folder


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def test_a_load_test_is_shown_again_as_it_was(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_command(["show", "latest", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["kind"] == "load"
    assert (shown["sent"], shown["answered"]) == (40, 40)
    assert run_command(["show", "latest"]) == 0
    assert "40 of 40 requests answered" in capsys.readouterr().out


def test_it_is_listed_as_what_it_is(here: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_command(["runs"]) == 0
    assert "complete load" in capsys.readouterr().out
    assert run_command(["runs", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["kind"] == "load"


def test_its_requests_and_steps_can_be_asked_for(here: Path, capsys: pytest.CaptureFixture) -> None:
    query = (
        "SELECT count(*) AS n, min(latency_s - attempt_s) >= 0 AS later FROM load_trials"
        " JOIN load_steps USING (run_id, suite, target, step)"
    )
    assert run_command(["sql", query, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 40, "later": True}]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "has 2 targets"),
        (["-t", "span"], "one of --rate, --steps and --ramp"),
        (["-t", "spam", "--rate", "1"], "unknown target 'spam'"),
        (["-t", "span", "--rate", "1", "--duration", "30"], "--duration '30'"),
        (["-t", "span", "--steps", "1,x"], "not a list of numbers"),
        (["-t", "span", "--rate", "1", "--slo", "speed=1s"], "unknown metric 'speed'"),
        (["-t", "span", "--rate", "1", "--slo", "ttft.p95=5"], "--slo ttft.p95"),
        (["-t", "span", "--rate", "1", "--slo", "error.rate=x"], "not a share"),
        (["-t", "span", "--rate", "1", "--max-errors", "200%"], "not a share"),
        (["-t", "span", "--rate", "1", "--arrivals", "random"], "unknown --arrivals"),
        (["-t", "span", "--rate", "1e9"], "at most 1,000,000"),
        (["-t", "span", "--rate", "1e5"], "are allowed"),
        (["-t", "span", "--ramp", "5", "--duration", "4s"], "--duration is about --rate"),
        (["-t", "span", "--rate", "5", "--step-duration", "4s"], "--step-duration is about"),
        (["-t", "span", "--rate", "5", "--over", "4s"], "--over is about --ramp"),
    ],
)
def test_mistakes_are_refused_before_anything_is_sent(
    here: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture
) -> None:
    course = [] if flags else ["--rate", "1"]
    assert run_command(["load", "example", *flags, *course]) == 2
    assert said in capsys.readouterr().err
