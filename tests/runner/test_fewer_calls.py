"""Gated runs that ask no more, and where needed more, than a verdict takes."""

from __future__ import annotations

import pytest

from evalkit.cli.app import run_command
from evalkit.errors import ExitCode
from tests.runner.projects import PROMPT, asked
from tests.runner.test_looks import QUALITY, RIGHT, WRONG, gated, with_baseline


def test_at_any_time_a_clear_drop_ends_the_run(project, server, capsys):
    with_baseline(project, server, cases=200, policy={"sequential": "anytime"})
    server.answer = lambda seen: RIGHT if asked(seen) % 2 else WRONG
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["status"]) == (ExitCode.FAIL, "FAIL")
    decided = verdict["decided"]
    assert decided["early"]
    assert decided["cases"] <= 60
    (quality,) = verdict["results"]
    assert quality["method"] == "bets"
    assert quality["p_harm"] <= 0.05
    assert quality["low"] <= quality["difference"] <= quality["high"]
    # judged again from the store, the bets are the same to the last digit
    _, again, _ = gated(capsys, "--baseline", "latest~1", command="gate")
    assert again["results"] == verdict["results"]


EXTEND = {"on_inconclusive": "extend", "max_calls": 360}


def flaky(share, before=0):
    """Answers that are wrong for a share of the times a case is asked, by turns."""
    times = {}

    def answer(seen):
        case = asked(seen)
        times[case] = times.get(case, 0) + 1
        wrong = case % 10 == 0 and (case // 10 + before + times[case]) % share == 0
        return WRONG if wrong else RIGHT

    return answer


def test_what_is_undecided_is_asked_on_as_far_as_allowed(project, server, capsys):
    server.answer = flaky(2)
    with_baseline(project, server, cases=120, policy=EXTEND)
    code, verdict, said = gated(capsys, "--baseline", "latest")
    assert "nothing is decided: asking 120 more calls, trial 2 of 3 of s" in said
    added = verdict["decided"]["added_calls"]
    assert added in {120, 240}
    assert len(server.seen) == 120 + added
    assert verdict["decided"]["sentence"] == f"Extended by {added} calls."
    (quality,) = verdict["results"]
    assert quality["looks"] == [1 / 3, 2 / 3, 1.0][: 1 + added // 120]
    again, stored, _ = gated(capsys, "--baseline", "latest~1", command="gate")
    assert (again, stored["results"]) == (code, verdict["results"])
    # it ended where it looked best: no baseline by itself, and none without a reason
    assert run_command(["baseline", "promote", "latest"]) == ExitCode.USAGE
    assert f"it was extended by {added} calls" in capsys.readouterr().err


def test_what_is_decided_or_cannot_be_is_not_asked_on(project, server, capsys):
    with_baseline(project, server, cases=120, policy=EXTEND)
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["decided"]["added_calls"]) == (ExitCode.PASS, 0)
    assert len(server.seen) == 120
    # 20 cases can never show it, however often they are asked
    few = [{**QUALITY, "mode": "guard"}]
    project.write_suite({
        "dataset": "golden/cases.jsonl", "targets": ["t"], "scorers": ["exact_match"],
        "gates": few, "gate": EXTEND,
    })  # fmt: skip
    server.seen.clear()
    assert project.run(limit=20).exit_code == ExitCode.PASS
    _, verdict, _ = gated(capsys, "--limit", "20", "--baseline", "latest")
    assert verdict["status"] == "INCONCLUSIVE"
    assert len(server.seen) == 40


def test_an_extension_that_was_ended_goes_on(project, server, capsys):
    server.answer = flaky(2)
    with_baseline(project, server, cases=120, policy=EXTEND)
    baseline = project.store.resolve("latest")
    project.write_project(
        {"t": {**project_target(project), "params": {"max_completion_tokens": 20}}}
    )
    server.answer = flaky(2, before=1)
    _, whole, _ = gated(capsys, "--baseline", baseline)
    (used,) = project.sql("SELECT sum(input_tokens + output_tokens) / count(*) AS a FROM trials")
    server.seen.clear()
    server.answer = flaky(2, before=1)
    # the budget is empty in the middle of the second trial
    cap = str(round(180 * used["a"]))
    code, cut, _ = gated(capsys, "--baseline", baseline, "--max-tokens", cap)
    # what was asked of the second trial counts when all of it is there
    assert (code, len(cut["results"][0]["looks"])) == (ExitCode.BUDGET, 1)
    before = len(server.seen)
    assert 120 < before < 240
    code, verdict, _ = gated(
        capsys, "--resume", "latest", "--baseline", baseline, "--max-tokens", "1000000"
    )
    assert len(server.seen) > before
    assert len(server.seen) == 120 + verdict["decided"]["added_calls"]
    assert verdict["results"][0]["looks"] == whole["results"][0]["looks"]


SKIP = {"unchanged": "skip"}
BY_LANG = "{% if question.startswith('What is 1') %}Short.\n{% endif %}" + PROMPT


def test_only_what_the_change_touches_is_asked(project, server, capsys):
    server.answer = lambda seen: RIGHT if asked(seen) % 7 else WRONG
    with_baseline(project, server, cases=200, policy=SKIP)
    baseline = project.store.resolve("latest")
    project.write_prompt(BY_LANG)
    code, verdict, said = gated(capsys, "--baseline", "latest")
    touched = {n for n in range(200) if str(n).startswith("1")}
    assert {asked(one) for one in server.seen} == touched
    left = 200 - len(touched)
    assert f"{left} of 200 cases ask what the run {baseline} asked" in said
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS")
    (quality,) = verdict["results"]
    assert (quality["n"], quality["difference"], quality["missing"]) == (200, 0.0, 0)
    decided = verdict["decided"]
    assert (decided["unchanged"], decided["saved_calls"]) == (left, left)
    assert f"{left} cases asked what the baseline's run asked" in decided["sentence"]
    (compared,) = verdict["compared"]
    assert (compared["paired"], compared["removed"], compared["lost"]) == (200, [], [])
    # judged again, shown and resumed it stays what it is; as a baseline it is not fit
    again, stored, _ = gated(capsys, "--baseline", baseline, command="gate")
    assert (again, stored["results"]) == (code, verdict["results"])
    server.seen.clear()
    assert run_command(["run", "--resume", "latest", "-q"]) == ExitCode.PASS
    assert not server.seen
    assert run_command(["baseline", "promote", "latest"]) == ExitCode.USAGE
    assert f"{left} of its cases have the answers of the run" in capsys.readouterr().err


def test_a_drop_on_what_the_change_touches_blocks(project, server, capsys):
    with_baseline(project, server, cases=200, policy={**SKIP, "sequential": {"looks": 5}})
    project.write_prompt(BY_LANG)
    server.answer = lambda seen: WRONG
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["status"]) == (ExitCode.FAIL, "FAIL")
    assert verdict["decided"]["early"]
    assert verdict["decided"]["unchanged"] < 100


def test_another_parameter_touches_every_case(project, server, capsys):
    with_baseline(project, server, cases=60, policy=SKIP)
    project.write_project(
        {"t": {**project_target(project), "params": {"max_completion_tokens": 900}}}
    )
    _, _, said = gated(capsys, "--baseline", "latest")
    assert len(server.seen) == 60
    assert "all cases are asked" in said


def project_target(project):
    import json

    return json.loads((project.folder / "evalkit.yaml").read_text())["targets"]["t"]


@pytest.mark.parametrize("gate", [{"cases": ["case-7"], "must": "pass"}])
def test_a_case_that_must_pass_is_always_asked(project, server, capsys, gate):
    gates = (QUALITY, {"id": "must", **gate})
    with_baseline(project, server, cases=100, gates=gates, policy=SKIP)
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert [asked(one) for one in server.seen] == [7]
    assert (code, verdict["decided"]["unchanged"]) == (ExitCode.PASS, 99)
    server.answer = lambda seen: WRONG
    code, verdict, _ = gated(capsys, "--baseline", "latest~1")
    assert (code, verdict["results"][1]["status"]) == (ExitCode.FAIL, "FAIL")


def test_a_run_that_changes_nothing_asks_nothing(project, server, capsys):
    with_baseline(project, server, cases=100, policy=SKIP)
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (server.seen, code, verdict["status"]) == ([], ExitCode.PASS, "PASS")
    assert verdict["decided"]["saved_calls"] == 100
