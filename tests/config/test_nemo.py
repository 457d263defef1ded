"""Policies of NeMo Evaluator become gates, and what they cannot say is named."""

from __future__ import annotations

import json

import pytest

from evalkit.cli.app import run_command
from evalkit.config.nemo import read_nemo
from evalkit.errors import ConfigError, ExitCode

POLICY = """\
version: 1
defaults: {tier: supporting, metric: mean_reward, max_drop: 0.02}
benchmarks:
  knowledge: {tier: critical, max_drop: 0.01}
  olympiad: {max_relative_drop: 0.02, relative_guard_below: 0.2}
  code: {metric: pass@1}
  perplexity: {direction: lower_is_better, metric: ppl.mean, max_drop: 0.5, tier: advisory}
  strict: {max_drop: 0}
  plain:
"""


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / "gate_policy.yaml"
    path.write_text(POLICY)
    return path


def test_every_benchmark_becomes_a_gate(policy):
    gates = {name: gate for name, (gate,) in read_nemo(policy).gates.items()}
    assert gates["knowledge"] == {
        "id": "knowledge",
        "metric": "pass.rate",
        "max_drop": "1%",
        "mode": "prove",
    }
    assert (gates["olympiad"]["max_drop"], gates["olympiad"]["mode"]) == ("2%", "guard")
    assert gates["perplexity"]["max_rise"] == 0.5
    assert gates["perplexity"]["mode"] == "advisory"
    assert gates["plain"]["max_drop"] == "2%"
    assert gates["strict"]["max_drop"] == "0.5%"


def test_what_is_not_taken_over_is_named(policy):
    unsaid = "\n".join(read_nemo(policy).unsaid)
    assert "olympiad: max_relative_drop 2% below a baseline of 20% is not judged" in unsaid
    assert "perplexity: the metric 'ppl.mean' must be one of the suite's" in unsaid
    assert "strict: a drop of 0 can never be ruled out" in unsaid
    assert "decides by the point estimate" in unsaid


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 2\n", "version in the policy must be 1"),
        ("benchmarks: {a: {teir: critical}}\n", "unknown key 'teir'"),
        ("benchmarks: {a: {tier: vital}}\n", "must be one of critical, supporting, advisory"),
        ("benchmarks: {a: {max_drop: -1}}\n", "must be at least 0"),
    ],
)
def test_what_is_wrong_has_its_place(tmp_path, text, said):
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_nemo(path)
    assert said in str(caught.value)
    assert f"{path.name}:1:" in str(caught.value)


def test_what_is_printed_is_a_part_of_a_suite(policy, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["init", "."]) == ExitCode.PASS
    capsys.readouterr()
    assert run_command(["policy", "import", str(policy)]) == ExitCode.PASS
    shown = capsys.readouterr()
    assert "not taken over: olympiad" in shown.err
    gates = shown.out.partition("# suites/knowledge.yaml\n")[2].partition("\n\n")[0]
    suite = tmp_path / "suites/example.yaml"
    suite.write_text(suite.read_text().partition("gates:")[0] + gates + "\n")
    assert run_command(["doctor", "--json"]) == ExitCode.PASS, capsys.readouterr().out
    capsys.readouterr()
    assert run_command(["policy", "import", str(policy), "--json"]) == ExitCode.PASS
    assert set(json.loads(capsys.readouterr().out)) == {"gates", "unsaid"}
