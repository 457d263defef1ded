"""Gated runs that end as soon as their verdict is certain."""

from __future__ import annotations

import json

import pytest

from evalkit.cli.app import run_command
from evalkit.config.spec import GatePolicy
from evalkit.errors import ExitCode
from evalkit.model import Case
from evalkit.runner.looks import _apart
from tests.runner.projects import asked, rows, wire
from tests.servers import Reply

WRONG, RIGHT = Reply(text="It is 41.", latency_s=0.002), Reply(latency_s=0.002)
QUALITY = {"id": "quality", "metric": "pass.rate", "max_drop": "5%", "mode": "prove"}
LOOKS = {"sequential": {"looks": 10}}


def gated(capsys, *flags, command="run"):
    capsys.readouterr()
    given = ["--gate", "--no-progress"] if command == "run" else []
    code = run_command([command, *given, "--json", *flags])
    shown = capsys.readouterr()
    return code, json.loads(shown.out), shown.err


def with_baseline(project, server, *, cases=240, gates=(QUALITY,), policy=LOOKS, **suite):
    target = wire(server.openai, api_key="none", limits={"concurrency": 8})
    written = {"gates": list(gates), "gate": policy, **suite}
    project.write({"t": target}, rows(cases), suite=written)
    assert project.run().exit_code == ExitCode.PASS
    server.seen.clear()


def test_an_unchanged_candidate_passes_early(project, server, capsys):
    server.answer = lambda seen: RIGHT if asked(seen) % 10 else WRONG
    with_baseline(project, server)
    code, verdict, said = gated(capsys, "--baseline", "latest")
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS"), said
    decided = verdict["decided"]
    assert decided["early"]
    assert decided["of"] == 240
    assert decided["cases"] < 200
    assert len(server.seen) == 240 - decided["saved_calls"] < 240
    assert decided["sentence"].startswith(f"Decided after {decided['cases']} of 240 cases; saved")
    # what was not asked was neither taken out of the data nor lost
    assert [verdict["compared"][0][one] for one in ("removed", "lost")] == [[], []]
    (quality,) = verdict["results"]
    assert quality["n"] == decided["cases"]
    assert quality["looks"][-1] == decided["cases"] / 240
    again, stored, _ = gated(capsys, "--baseline", "latest~1", command="gate")
    assert (again, stored["results"]) == (code, verdict["results"])


@pytest.mark.parametrize("looks", [{"looks": 10}, "anytime"])
@pytest.mark.parametrize("cluster", ["base", "document"])
def test_what_hangs_together_is_counted_so_at_every_look(project, server, capsys, looks, cluster):
    """Of each of 40 documents 7 questions; two documents are lost, which is no more than chance."""
    tags = {"base": "case-{}", "sort": "attack"} if cluster == "base" else {"document": "d{}"}
    target = wire(server.openai, api_key="none", limits={"concurrency": 8})
    data = [
        {**one, "tags": {name: form.format(7 * (n // 7)) for name, form in tags.items()}}
        for n, one in enumerate(rows(280))
    ]
    policy = {"sequential": looks, **({} if cluster == "base" else {"cluster": cluster})}
    guard = {**QUALITY, "max_drop": "20%", "mode": "guard"}
    project.write({"t": target}, data, suite={"gates": [guard], "gate": policy})
    assert project.run().exit_code == ExitCode.PASS
    server.answer = lambda seen: WRONG if asked(seen) < 14 else RIGHT
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    (found,) = verdict["results"]
    assert found["method"] == "clustered t"
    assert (code, found["status"]) != (ExitCode.FAIL, "FAIL")
    again, stored, _ = gated(capsys, "--baseline", "latest~1", command="gate")
    assert (again, stored["results"]) == (code, verdict["results"])


def test_a_broken_candidate_fails_at_once(project, server, capsys):
    with_baseline(project, server)
    server.answer = lambda seen: RIGHT if asked(seen) % 3 else WRONG
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["status"]) == (ExitCode.FAIL, "FAIL")
    assert verdict["decided"]["cases"] <= 100
    assert len(server.seen) <= 200


MUST = {"id": "must", "cases": ["case-7", "case-9"], "must": "pass"}
CONFIRMED = {**MUST, "confirm": 2}


def test_the_cases_that_must_pass_are_asked_first_and_count_in_their_turn(project, server, capsys):
    with_baseline(project, server, cases=300, gates=(QUALITY, MUST))
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS")
    assert {asked(one) for one in server.seen[:2]} == {7, 9}
    quality, must = verdict["results"]
    assert quality["n"] == verdict["decided"]["cases"] < 300
    assert must["n"] == 2
    server.seen.clear()
    server.answer = lambda seen: WRONG if asked(seen) == 7 else RIGHT
    code, verdict, _ = gated(capsys, "--baseline", "latest~1")
    assert code == ExitCode.FAIL
    assert verdict["decided"]["cases"] == 30
    assert len(server.seen) < 100


def test_a_failure_that_is_to_be_confirmed_ends_nothing(project, server, capsys):
    server.answer = lambda seen: RIGHT
    with_baseline(project, server, cases=300, gates=(QUALITY, CONFIRMED))
    left = {7: 1}

    def once(seen):
        left[asked(seen)] = left.get(asked(seen), 0) - 1
        return WRONG if left[asked(seen)] == 0 else RIGHT

    server.answer = once
    code, verdict, said = gated(capsys, "--baseline", "latest")
    assert "asking again" in said
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS")
    assert verdict["results"][1]["notes"] == ["flaky: case-7"]


def test_a_pass_waits_for_the_cases_a_guard_needs(project, server, capsys):
    ceiling = {"id": "ceiling", "metric": "pass.rate", "min": "98%"}
    with_baseline(project, server, cases=200, gates=(QUALITY, ceiling))
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert code == ExitCode.PASS
    # 149 clean cases are the fewest that show 98 %
    assert verdict["decided"]["cases"] == 160


def test_a_pass_waits_for_the_clusters_a_guard_needs(project, server, capsys):
    """The floor needs 59 cases, or all of 25 documents where it is judged by these."""
    floor = {"id": "floor", "metric": "pass.rate", "min": "95%"}
    quality = {**QUALITY, "max_drop": "30%"}
    data = [{**one, "tags": {"doc": f"d{n % 25}"}} for n, one in enumerate(rows(200))]
    ended = []
    for cluster in ({}, {"cluster": "doc"}):
        target = wire(server.openai, api_key="none", limits={"concurrency": 8})
        suite = {"gates": [quality, floor], "gate": {**LOOKS, **cluster}}
        project.write({"t": target}, data, suite=suite)
        assert project.run().exit_code == ExitCode.PASS
        code, verdict, _ = gated(capsys, "--baseline", "latest")
        assert code == ExitCode.PASS
        ended.append(verdict["decided"]["cases"])
    assert ended[0] == 60 < ended[1] < 200


@pytest.mark.parametrize("gate", [{"sql": "all.sql"}, {"metric": "cost.mean", "total": "$9"}])
def test_a_pass_waits_for_what_is_about_all_cases(project, server, capsys, gate):
    (project.folder / "suites" / "all.sql").write_text("SELECT 1 WHERE false", encoding="utf-8")
    (project.folder / "all.sql").write_text("SELECT 1 WHERE false", encoding="utf-8")
    with_baseline(project, server, cases=120, gates=(QUALITY, {"id": "whole", **gate}))
    _, verdict, _ = gated(capsys, "--baseline", "latest")
    assert len(server.seen) == 120
    assert verdict["decided"] == {
        "cases": 120,
        "of": 120,
        "looks": 8,
        "early": False,
        "saved_calls": 0,
        "saved_usd": None,
        "unchanged": 0,
        "added_calls": 0,
        "sentence": "Looked at 8 times; the intervals hold over all looks.",
    }


def test_without_the_wish_there_are_no_looks(project, server, capsys):
    with_baseline(project, server, cases=120, policy={"sequential": "off"})
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["decided"], len(server.seen)) == (ExitCode.PASS, None, 120)
    # a run without a verdict is looked at neither
    project.write_suite(
        {
            "dataset": "golden/cases.jsonl",
            "targets": ["t"],
            "scorers": ["exact_match"],
            "gates": [QUALITY],
            "gate": LOOKS,
        }
    )
    server.seen.clear()
    assert project.run().exit_code == ExitCode.PASS
    assert len(server.seen) == 120


def test_a_run_that_ended_early_is_known_for_it(project, server, capsys):
    with_baseline(project, server, cases=300)
    assert gated(capsys, "--baseline", "latest")[0] == ExitCode.PASS
    calls = len(server.seen)
    run = project.store.load_run(project.store.resolve("latest"))
    assert run.status == "complete"
    assert run_command(["show", run.id]) == ExitCode.PASS
    shown = capsys.readouterr().out
    assert "decided early by its gates" in shown
    assert "--resume" not in shown
    assert run_command(["run", "--resume", "latest", "-q"]) == ExitCode.PASS
    assert len(server.seen) == calls
    assert run_command(["baseline", "promote", run.id]) == ExitCode.USAGE
    assert "it was decided after" in capsys.readouterr().err
    # nor is it found as a baseline by itself
    server.seen.clear()
    project.write_cases(rows(120))
    _, verdict, _said = gated(capsys, "--baseline", "rolling")
    assert run.id not in verdict["baseline"]
    # named, it is compared with on the cases it has
    code, verdict, _ = gated(capsys, run.id, "--baseline", "latest~2", command="gate")
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS")
    code, verdict, _ = gated(capsys, "latest~2", "--baseline", run.id, command="gate")
    assert verdict["compared"][0]["lost"] == []
    assert verdict["results"][0]["missing"] == 0


def test_a_killed_run_comes_to_the_verdict_it_would_have_come_to(project, server, capsys):
    server.answer = lambda seen: RIGHT if asked(seen) % 10 else WRONG
    with_baseline(project, server, cases=300)
    _, whole, _ = gated(capsys, "--baseline", "latest")
    baseline = project.store.resolve("latest~1")
    server.seen.clear()
    slow = Reply(latency_s=0.05)
    server.answer = lambda seen: slow if asked(seen) % 10 else WRONG
    with project.start("--gate", "--baseline", baseline, "-q") as process:
        _wait(server, 100)
        process.kill()
        process.wait()
    asked_before = len(server.seen)
    server.answer = lambda seen: RIGHT if asked(seen) % 10 else WRONG
    code, verdict, _ = gated(capsys, "--resume", "latest", "--baseline", baseline)
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS")
    for name in ("n", "difference", "low", "high", "p_pass", "looks"):
        assert verdict["results"][0][name] == whole["results"][0][name]
    assert asked_before < len(server.seen) < 300


def _wait(server, count):
    import time

    end = time.monotonic() + 60
    while len(server.seen) < count and time.monotonic() < end:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"sequential": {"look": 5}}, "looks"),
        ({"sequential": {"looks": 1}}, "looks"),
        ({"sequential": "on"}, "off"),
        ({"on_inconclusive": "extend"}, "max_calls"),
        ({"max_calls": 100}, "on_inconclusive: extend"),
        ({"then": "warn"}, "on_inconclusive: extend"),
        (
            {"on_inconclusive": "extend", "max_calls": 100, "sequential": "anytime"},
            "cannot be used with sequential: anytime",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_place(project, server, capsys, policy, said):
    project.write({"t": wire(server.openai)}, rows(3), suite={"gates": [QUALITY], "gate": policy})
    assert run_command(["run", "--gate"]) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert said in shown
    assert "suites/s.yaml:" in shown


def test_an_original_hangs_together_with_its_variants():
    cases = [
        Case.of({"q": f"{one}{sort}"}, name=f"{base}{sort}", tags={"sort": "attack", **made})
        for one in range(10)
        for base in [f"a{one}"]
        for sort, made in (("", {}), ("~x", {"base": base}), ("~y", {"base": base}))
    ]
    assert _apart(cases, GatePolicy()) == 10
    assert _apart(cases[::3], GatePolicy()) == 10
    assert _apart(cases, GatePolicy(cluster="sort")) == 1
