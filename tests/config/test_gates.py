"""Gates in a suite: what they mean, and what is said about wrong ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import jsonschema_rs
import pytest
from config_examples import SUITE

from evalkit.config import json_schema, load_project, load_suite
from evalkit.config.tree import parse_yaml
from evalkit.errors import ConfigError

Write = Callable[[str, str], Path]

GOOD = (
    SUITE
    + """\
gate:
  alpha: 0.05
  baseline: latest~1
  max_missing: 2%
gates:
  - {id: quality, metric: overlap.mean, max_drop: 3%, mode: prove}
  - {metric: overlap.mean, min: 0.8}
  - {id: groups, metric: pass.rate, max_drop: 10%, by: [lang, route], min_cases: 40}
  - {id: gap, metric: pass.rate, max_gap: 5%, by: dialect}
  - {id: ttft, metric: latency.ttft.p95, max: 200ms, max_rise: 10%}
  - {id: cost, metric: cost.mean, max_rise: 5%, total: $5.00, target: support}
  - {id: errors, metric: error.rate, max: 0.5%, mode: advisory}
  - {id: critical, cases: "tag:must_not_fail", must: pass, confirm: 2}
  - id: pii
    sql: gates/no_pii.sql
    max: 0
    waiver: {owner: ana, reason: the provider is being changed, until: "2026-12-31"}
"""
)


def load(project: Path, write: Write, text: str):
    write("suites/support.yaml", text)
    write("gates/no_pii.sql", "SELECT 1")
    return load_suite(load_project(project / "evalkit.yaml"), "support")


def test_gates_of_every_kind(project: Path, write: Write) -> None:
    suite = load(project, write, GOOD)
    gates = {one.id: one for one in suite.gates}
    assert list(gates) == [
        "quality",
        "overlap.mean",
        "groups",
        "gap",
        "ttft",
        "cost",
        "errors",
        "critical",
        "pii",
    ]
    assert gates["quality"].mode == "prove"
    assert gates["groups"].mode == "guard"
    assert gates["groups"].by == ("lang", "route")
    assert gates["groups"].min_cases == 40
    assert [(one.kind, one.value, one.relative) for one in gates["ttft"].limits] == [
        ("max_rise", 0.1, True),
        ("max", 0.2, False),
    ]
    assert gates["ttft"].metric == "ttft.p95"
    assert [(one.kind, one.value, one.relative) for one in gates["cost"].limits] == [
        ("max_rise", 0.05, True),
        ("total", 5.0, False),
    ]
    assert gates["errors"].limits[0].value == 0.005
    assert gates["critical"].cases == ("tag:must_not_fail",)
    assert gates["critical"].mode == "prove"
    assert gates["critical"].limits[0].value == 2
    assert gates["pii"].sql == project / "gates/no_pii.sql"
    assert gates["pii"].waiver is not None
    assert gates["pii"].waiver.until == date(2026, 12, 31)
    assert suite.policy.baseline == "latest~1"
    assert suite.policy.max_missing == 0.02


def test_the_schema_accepts_gates(project: Path, write: Write) -> None:
    load(project, write, GOOD)
    plain = parse_yaml(GOOD, Path("suite.yaml")).root.plain()
    jsonschema_rs.validator_for(json_schema("suite")).validate(json.loads(json.dumps(plain)))


def test_gates_change_the_policy_and_not_what_is_measured(project: Path, write: Write) -> None:
    plain = load(project, write, SUITE)
    gated = load(project, write, GOOD)
    looser = load(project, write, GOOD.replace("max_drop: 3%", "max_drop: 4%"))
    assert plain.content_hash == gated.content_hash
    assert gated.policy.content_hash != looser.policy.content_hash
    assert plain.gates == ()


WRONG = [
    ("{metric: overlpa.mean, min: 0.5}", "unknown metric 'overlpa.mean' in gate 1",
     "did you mean 'overlap.mean'?"),
    ("{metric: pass.rate}", "gate 1 has no limit",
     "add one of: max_drop, max_rise, min, max, total, max_gap, must"),
    ("{max: 3}", "gate 1 lacks the key 'metric'",
     "add one, or 'must: pass', or 'sql: FILE'"),
    ("{metric: pass.rate, max_dorp: 3%}", "unknown key 'max_dorp' in gate 1",
     "did you mean 'max_drop'?"),
    ("{metric: pass.rate, min: 90%, max: 80%}",
     "gate 1 wants at least more than at most: no value can meet it",
     "make min smaller than max"),
    ("{metric: pass.rate, max_drop: 0%}", "max_drop in gate 1 of 0 can never be ruled out",
     "allow a little, as 2%"),
    ("{metric: pass.rate, min: 100%}", "min in gate 1 of 100 % can never be proved",
     "a little less, or cases with 'must: pass'"),
    ("{metric: error.rate, max: 0%}", "max in gate 1 of 0 % can never be proved",
     "a little more, or cases with 'must: pass'"),
    ("{metric: pass.rate, min: 140%}", "min in gate 1 is outside the scale", "it goes from 0 to 1"),
    ("{metric: latency.p95, max: 200}", "max in gate 1 must be as 200ms", ""),
    ("{metric: latency.p95, max_rise: 20ms}",
     "max_rise in gate 1 must be as 10% of the baseline", "a rise is a share of the baseline"),
    ("{metric: latency.p95, max_drop: 10%}",
     "max_drop in gate 1 limits a drop of latency.p95, which is an improvement", "write max_rise"),
    ("{metric: pass.rate, total: $4}", "total in gate 1 limits a bill, and this metric is none",
     "use it with cost.mean"),
    ("{metric: pass.rate, max_gap: 5%}", "max_gap in gate 1 compares groups, and it names none",
     "add the tags of the groups: by: [lang]"),
    ("{must: pass}", "must in gate 1 names no cases",
     "add them: cases: [refund-eu-14], or cases: tag:must_not_fail"),
    ("{metric: pass.rate, min: 3%, mode: proof}",
     "mode in gate 1 must be one of prove, guard, advisory, not the text 'proof'",
     "did you mean 'prove'?"),
    ("{metric: pass.rate, min: 3%, target: suport}", "unknown target 'suport' in gate 1",
     "did you mean 'support'?"),
    ("{metric: pass.rate, min: 3%, waiver: {owner: a, reason: b, until: soon}}",
     "until in waiver in gate 1 must be a day", "as in 2026-01-31"),
    ("{sql: gates/no_pi.sql}", "no file 'gates/no_pi.sql'", "did you mean 'gates/no_pii.sql'?"),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "what", "hint"), WRONG)
def test_a_wrong_gate_says_what_and_where(
    project: Path, write: Write, gate: str, what: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(project, write, f"{SUITE}gates:\n  - {gate}\n")
    assert caught.value.what == what
    assert caught.value.hint.partition("\n")[0] == hint
    assert str(caught.value.where).startswith("suites/support.yaml:6:")


def test_gates_that_contradict_each_other(project: Path, write: Write) -> None:
    gates = "gates:\n  - {metric: overlap.mean, min: 0.8}\n"
    gates += "  - {id: b, metric: overlap.mean, max: 0.7}\n"
    with pytest.raises(ConfigError, match="gate 'b' contradicts") as caught:
        load(project, write, SUITE + gates)
    assert "at least 0.8 and at most 0.7" in caught.value.hint


def test_two_gates_of_one_name(project: Path, write: Write) -> None:
    gate = "  - {metric: pass.rate, max_drop: 3%}\n"
    with pytest.raises(ConfigError, match="two gates are called"):
        load(project, write, f"{SUITE}gates:\n{gate}{gate}")


@pytest.mark.parametrize(
    ("policy", "what"),
    [
        ("{alpha: 0}", "alpha in gate must be more than 0, not 0"),
        ("{max_missing: most}", "max_missing in gate must be a share of at most 50%"),
        ("{baseline: yesterday}", "baseline in gate must be merge-base"),
        ("{sequental: off}", "unknown key 'sequental' in gate"),
        ("[]", "gate must be a mapping"),
    ],
)
def test_a_wrong_policy(project: Path, write: Write, policy: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(project, write, f"{SUITE}gate: {policy}\n")
    assert caught.value.what.startswith(what)


@pytest.mark.parametrize(
    ("kind", "scorers", "metric", "what", "hint"),
    [
        ("golden", "[length, refusal]", "attack.rate", "is a metric of attack suites", "kind: adv"),
        ("adversarial", "[length]", "overrefusal.rate", "a scorer that tells", "add 'refusal'"),
        ("adversarial", "[length]", "atack.rate", "unknown metric", "did you mean 'attack.rate'?"),
    ],
)
def test_metrics_of_attacks_belong_to_attack_suites(
    write, project, kind, scorers, metric, what, hint
):
    text = (
        f"kind: {kind}\ndataset: golden/cases.lines\ntargets: [support]\nscorers: {scorers}\n"
        f"gates: [{{metric: {metric}, max: 10%}}]\n"
    )
    write("suites/attacks.yaml", text)
    loaded = load_project(project / "evalkit.yaml")
    with pytest.raises(ConfigError) as caught:
        load_suite(loaded, "attacks")
    assert what in caught.value.what
    assert hint in caught.value.hint
    write(
        "suites/attacks.yaml",
        text.replace("golden\n", "adversarial\n")
        .replace("[length]", "[length, refusal]")
        .replace("atack", "attack"),
    )
    assert load_suite(loaded, "attacks").gates[0].metric == metric.replace("atack", "attack")


@pytest.mark.parametrize(
    ("waivers", "what"),
    [
        ("[{owner: a, reason: b, until: 2027-01-31}]", "lacks the key 'cases'"),
        ("[{owner: a, reason: b, until: soon, cases: [x]}]", "must be a day"),
        ("[{owner: a, reason: b, until: 2027-01-31, cases: []}]", "must not be empty"),
    ],
)
def test_waivers_name_cases_and_a_day(write, project, waivers, what):
    text = (
        "dataset: golden/cases.lines\ntargets: [support]\nscorers: [length]\n"
        f"gates: [{{metric: error.rate, max: 10%, waivers: {waivers}}}]\n"
    )
    write("suites/waived.yaml", text)
    with pytest.raises(ConfigError, match=what):
        load_suite(load_project(project / "evalkit.yaml"), "waived")


def test_a_baseline_is_one_of_the_forms_that_are_named(project: Path, write: Write) -> None:
    with pytest.raises(ConfigError, match="must be merge-base, rolling, latest, latest~1, run:ID"):
        load(project, write, SUITE + "gate: {baseline: mergebase}\n")
    with pytest.raises(ConfigError, match="must be run:ID, file:PATH or tag:NAME"):
        load(project, write, SUITE + "gate: {anchor: {ref: v1, budget: 3%}}\n")
