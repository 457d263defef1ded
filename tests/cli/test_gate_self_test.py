"""``evalkit gate --self-test``: how often the gates fail runs that did not change."""

from __future__ import annotations

import json

import numpy as np
import pytest
from gate_repository import Repository

from evalkit.cli.app import run_command
from evalkit.errors import ExitCode
from evalkit.gate.result import Status, Verdict
from evalkit.gate.self_test import SelfTest
from evalkit.stats.intervals import clopper_pearson


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Repository(tmp_path)


def outcome(capsys, *flags):
    capsys.readouterr()
    code = run_command(["gate", "--self-test", "--json", *flags])
    return code, json.loads(capsys.readouterr().out)


def test_runs_that_did_not_change_are_judged_against_each_other(repository, capsys):
    rng = np.random.default_rng(5)
    for hour in range(4):
        flaky = np.flatnonzero(rng.random(90) < 0.02).tolist()
        repository.run(f"20261121-{hour}00000-aaaa", repository.main, worse=flaky)
    code, found = outcome(capsys)
    assert code == ExitCode.PASS
    assert len(found["runs"]) == sum(found["verdicts"].values()) == 4
    assert found["verdicts"]["FAIL"] == 0
    assert found["verdicts"]["PASS"] >= 1
    assert (found["rate"], found["low"]) == (0.0, 0.0)
    assert found["high"] == pytest.approx(clopper_pearson(0, 2, 0.95).high)
    assert found["meaning"] == "unknown"
    assert 0 < found["flips"] < 0.1
    assert run_command(["gate", "--self-test"]) == ExitCode.PASS
    shown = " ".join(capsys.readouterr().out.split())
    assert "0 false alarms in 4 verdicts: 0.0 % (95 % interval 0.0 % …" in shown
    assert "So few runs cannot tell" in shown


def test_one_run_and_flags_that_make_no_sense(repository, capsys):
    repository.run("20261121-100000-aaaa", repository.main)
    assert run_command(["gate", "--self-test"]) == ExitCode.UNDECIDED
    said = capsys.readouterr().err
    assert "only the run 20261121-100000-aaaa of this configuration is stored" in said
    assert "evalkit run support" in said
    assert run_command(["gate", "--self-test", "-b", "latest~1"]) == ExitCode.USAGE


def verdicts(failed, of):
    return SelfTest(
        runs=tuple(str(one) for one in range(of)),
        verdicts=tuple(
            Verdict(status=Status.FAIL if one < failed else Status.PASS) for one in range(of)
        ),
        promised=0.1,
    )


@pytest.mark.parametrize(
    ("failed", "of", "meaning"), [(0, 80, "kept"), (4, 12, "unknown"), (20, 40, "broken")]
)
def test_what_a_share_of_false_alarms_means(failed, of, meaning):
    found = verdicts(failed, of)
    assert found.meaning == meaning
    # half as many pairs share no run: the interval is that of so many
    exact = clopper_pearson(failed // 2, of // 2, 0.95)
    assert (found.interval.low, found.interval.high) == (exact.low, exact.high)
