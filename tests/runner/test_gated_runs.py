"""Runs judged at once: failures confirmed, a baseline interleaved, answers scored again."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from evalkit.cli.app import run_command
from evalkit.config import load_project
from evalkit.errors import ExitCode
from evalkit.gate.beside import beside
from evalkit.model import CONFIRMING
from evalkit.runner.planning import planned
from tests.runner.projects import asked, rows, wire
from tests.servers import Fault, Reply, Trouble

MUST = {"id": "must", "cases": "tag:lang", "must": "pass", "confirm": 2}
RIGHT = Reply()


class Wrong:
    """Answers wrongly to these cases so often, then rightly."""

    def __init__(self, **times):
        self.left = {int(name.removeprefix("case")): count for name, count in times.items()}

    def __call__(self, seen):
        case = asked(seen)
        if self.left.get(case, 0) > 0:
            self.left[case] -= 1
            return Reply(text="It is 41.")
        return RIGHT


def gated(capsys, *flags):
    capsys.readouterr()
    code = run_command(["run", "--gate", "--json", "--no-progress", *flags])
    shown = capsys.readouterr()
    return code, json.loads(shown.out), shown.err


def test_a_failure_that_does_not_come_back_is_flaky(project, server, capsys):
    server.answer = Wrong(case3=1, case5=9)
    project.write({"t": wire(server.openai, api_key="none")}, rows(12), suite={"gates": [MUST]})
    code, verdict, said = gated(capsys, "--baseline", "rolling")
    assert code == ExitCode.FAIL
    (must,) = verdict["results"]
    assert (must["where"], must["worse"]) == ("case-5", 1)
    assert must["notes"] == ["flaky: case-3"]
    assert "2 cases that must pass failed once: asking again, 4 trials" in said
    assert len(server.seen) == 12 + 4
    (row,) = project.sql(
        f"SELECT count(*) AS n, min(trial) AS first FROM trials WHERE trial >= {CONFIRMING}"
    )
    assert (row["n"], row["first"]) == (4, CONFIRMING)
    # what was chosen for its failures says nothing about the rate
    sides = project.store.sides(project.store.resolve("latest"))
    assert sides["s", "t"].trials == 12
    assert project.store.load_run(project.store.resolve("latest")).status == "complete"
    # judged again, nothing is asked again, and the verdict is the same
    assert run_command(["gate", "--baseline", "rolling", "-q"]) == ExitCode.FAIL
    assert len(server.seen) == 16
    assert run_command(["run", "--resume", "latest", "-q"]) == ExitCode.PASS
    assert len(server.seen) == 16


def test_nothing_is_asked_again_where_all_pass(project, server, capsys):
    project.write({"t": wire(server.openai, api_key="none")}, rows(8), suite={"gates": [MUST]})
    code, verdict, _ = gated(capsys, "--baseline", "rolling")
    assert (code, verdict["status"]) == (ExitCode.PASS, "PASS")
    assert len(server.seen) == 8


SLOWER = {"id": "slower", "metric": "latency.p50", "max_rise": "20%", "mode": "guard"}


def test_a_slower_candidate_blocks_only_side_by_side(project, server, capsys):
    """The candidate's prompt makes the server slow; the baseline is asked at the same time."""

    def answer(seen):
        return Reply(latency_s=0.03 if "Explain" in json.dumps(seen.body) else 0.005)

    server.answer = answer
    target = wire(server.openai, api_key="none", stream=False, limits={"concurrency": 4})
    project.write({"t": target}, rows(60), suite={"gates": [SLOWER]})
    assert project.run().exit_code == ExitCode.PASS
    project.write_prompt("Explain it first.\n\nQuestion: {{ question }}\n")
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    assert (code, verdict["results"][0]["mode"]) == (ExitCode.UNDECIDED, "advisory")
    before = len(server.seen)
    code, verdict, _ = gated(capsys, "--baseline", "latest~1", "--interleave")
    (slower,) = verdict["results"]
    assert (code, slower["status"], slower["mode"]) == (ExitCode.FAIL, "FAIL", "guard")
    assert "asked side by side with the baseline" in slower["notes"]
    assert len(server.seen) - before == 120
    kinds = ["Explain" in json.dumps(one.body) for one in server.seen[before:]]
    ahead, most = 0, 0
    for one in kinds:
        ahead += 1 if one else -1
        most = max(most, abs(ahead))
    assert most <= 8
    run = project.store.load_run(project.store.resolve("latest"))
    assert [one.name for one in run.targets] == ["t", beside("t")]
    # the baseline's target is no target of the candidate: it is not judged
    assert {one["target"] for one in verdict["compared"]} == {"t"}
    assert run_command(["run", "--resume", "latest", "-q"]) == ExitCode.PASS


def test_a_side_that_ends_early_holds_nobody(project, server, capsys):
    """The baseline's prompt fails at every call: it is given up, and the candidate goes on."""

    def answer(seen):
        if "one word" in json.dumps(seen.body) and len(server.seen) > 40:
            return Fault(trouble=Trouble.UNAUTHORIZED)
        return RIGHT

    server.answer = answer
    limits = {"concurrency": 2, "max_retries": 0}
    target = wire(server.openai, api_key="none", limits=limits)
    project.write({"t": target}, rows(40), suite={"gates": [SLOWER, MUST]})
    assert project.run().exit_code == ExitCode.PASS
    project.write_prompt("Question: {{ question }}\n")
    assert run_command(["run", "--gate", "--baseline", "latest", "--interleave", "-q"]) == 4
    run = project.store.resolve("latest")
    (row,) = project.sql(
        f"SELECT count(*) AS n FROM trials WHERE run_id = '{run}' AND target = 't'"
        " AND status = 'ok'"
    )
    assert row["n"] == 40


def test_a_failure_is_confirmed_in_an_interleaved_run(project, server, capsys):
    target = wire(server.openai, api_key="none", limits={"concurrency": 1})
    project.write({"t": target}, rows(6), suite={"gates": [MUST]})
    assert project.run().exit_code == ExitCode.PASS
    server.answer = Wrong(case1=2, case2=2, case3=2)
    code, verdict, said = gated(capsys, "--baseline", "latest", "--interleave")
    assert "asking again" in said
    assert code in {ExitCode.PASS, ExitCode.FAIL}
    assert verdict["results"][0]["n"] == 6


def test_what_no_run_stores_cannot_be_interleaved(project, server, capsys):
    project.write({"t": {"kind": "command", "argv": ["cat"], "output": "text"}}, rows(3))
    arguments = ["run", "--gate", "--interleave", "--baseline", "rolling", "--allow-code"]
    assert run_command(arguments) == ExitCode.UNDECIDED
    assert "nothing to interleave with" in capsys.readouterr().err
    assert run_command(["run", "-q", "--allow-code"]) == ExitCode.PASS
    assert run_command(arguments) == ExitCode.USAGE
    assert "cannot be asked as it was" in capsys.readouterr().err
    assert run_command(["run", "--interleave"]) == ExitCode.USAGE


QUALITY = {"id": "quality", "metric": "exact_match.rate", "max_drop": "10%"}


def test_a_changed_scorer_is_no_regression(project, server, capsys):
    server.answer = Reply(text="THE ANSWER IS 42.")
    target = {"t": wire(server.openai, api_key="none")}
    gates = {"gates": [QUALITY]}
    project.write(target, rows(60), scorers=[{"exact_match": {"ignore_case": True}}], suite=gates)
    assert project.run().exit_code == ExitCode.PASS
    project.write(target, rows(60), scorers=[{"exact_match": {"ignore_case": False}}], suite=gates)
    code, verdict, _ = gated(capsys, "--baseline", "latest")
    (quality,) = verdict["results"]
    assert (code, quality["status"], quality["difference"]) == (ExitCode.PASS, "PASS", 0.0)
    assert any("60 stored answers of" in one for one in verdict["warnings"])
    # the stored scores are as they were
    assert run_command(["gate", "--baseline", "latest~1", "--rescore", "off"]) == ExitCode.UNDECIDED
    assert "scorer 'exact_match' differs" in capsys.readouterr().out


def test_of_a_baseline_without_the_suite_nothing_is_said_to_be_scored_again(
    project, server, capsys
):
    target = {"t": wire(server.openai, api_key="none")}
    project.write(target, rows(3), scorers=["exact_match"], suite={"gates": [QUALITY]})
    assert project.run().exit_code == ExitCode.PASS
    (suite,) = Path("suites").glob("*.yaml")
    suite.rename("suites/another.yaml")
    assert run_command(["run", "-q"]) == ExitCode.PASS
    capsys.readouterr()
    assert run_command(["gate", "--baseline", "latest~1"]) == ExitCode.UNDECIDED
    shown = capsys.readouterr().out
    assert "the baseline has no target" in shown
    assert "scored again" not in " ".join(shown.split())


JUDGE = '''
from evalkit import Case, Output, Score, mean, scorer
from pathlib import Path


@scorer(metrics=(mean,), examples=[])
async def asks(case: Case, output: Output, *, strict: bool = False) -> Score:
    """What a model thinks of it."""
    with Path("asked.txt").open("a") as file:
        file.write(f"{strict}\\n")
    return Score(value=0.0 if strict else 1.0)
'''


def test_a_scorer_that_asks_a_model_scores_again_only_when_allowed(project, server, capsys):
    Path("judge.py").write_text(JUDGE)
    target = {"t": wire(server.openai, api_key="none")}
    gates = {"gates": [{"id": "quality", "metric": "asks.mean", "max_drop": "10%"}]}
    more = {"suite": gates, "plugins": ["judge.py"]}
    project.write(target, rows(40), scorers=["asks"], **more)
    assert run_command(["run", "-q", "--allow-code"]) == ExitCode.PASS
    project.write(target, rows(40), scorers=[{"asks": {"strict": True}}], **more)
    assert run_command(["run", "-q", "--allow-code"]) == ExitCode.PASS
    asked_so_far = len(Path("asked.txt").read_text().splitlines())
    arguments = ["gate", "--baseline", "latest~1", "--allow-code"]
    assert run_command(arguments) == ExitCode.UNDECIDED
    shown = capsys.readouterr().out
    assert "--rescore judges" in shown
    assert len(Path("asked.txt").read_text().splitlines()) == asked_so_far
    assert run_command([*arguments, "--rescore", "judges"]) == ExitCode.PASS
    assert len(Path("asked.txt").read_text().splitlines()) == asked_so_far + 40


def test_a_query_without_end_is_stopped(project, server):
    project.write({"t": wire(server.openai, api_key="none")}, rows(2))
    project.run()
    from evalkit.errors import UsageError

    run = project.store.resolve("latest")
    many = "range(1000000000)"
    endless = f"SELECT a.range FROM {many} a, {many} b WHERE hash(a.range + b.range) = 8"
    begun = time.monotonic()
    for sql, said in [
        (endless, "took longer than 0.3 s"),
        ("SELECT * FROM read_csv('/etc/passwd')", "disabled"),
        ("COPY trials TO '/tmp/x.csv'", "must be one SELECT"),
        ("SELECT 1; SELECT 2", "must be one SELECT"),
        ("INSTALL httpfs", "must be one SELECT"),
        ("SELECT * FROM 'https://example.org/x.parquet'", "does not exist|disabled"),
        ("ATTACH '/tmp/x.db'", "must be one SELECT"),
        ("SELECT getenv('HOME')", "does not exist"),
    ]:
        with pytest.raises(UsageError, match=said):
            project.store.offending(sql, run=run, baseline=None, limit_s=0.3)
    assert time.monotonic() - begun < 20
    sql = "SELECT case_id FROM trials WHERE run_id = $run -- all;\n;"
    assert project.store.offending(sql, run=run, baseline=None) == 2


@pytest.mark.parametrize(
    ("sql", "said", "place"),
    [
        ("SELECT case_id FROM trials\nWHERE nothing = 1\n", "nothing", "gates/rows.sql:2"),
        ("SELECT * FROM read_csv('/etc/hostname')", "disabled", "gates/rows.sql:1"),
        ("SELECT getenv('HOME')", "getenv", "gates/rows.sql:1"),
        ("SELEC", "syntax error", "gates/rows.sql:1"),
        ("DELETE FROM trials", "must be one SELECT", "gates/rows.sql"),
    ],
)
def test_a_query_that_cannot_be_run_is_refused_before_the_first_call(
    project, server, capsys, sql, said, place
):
    gates = project.folder / "gates"
    gates.mkdir()
    gate = {"id": "rows", "sql": "gates/rows.sql"}
    project.write({"t": wire(server.openai, api_key="none")}, rows(2), suite={"gates": [gate]})
    (gates / "rows.sql").write_text(sql)
    assert run_command(["run", "--gate", "--no-progress"]) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert "the query of gate 'rows' cannot be run: " in shown
    assert said in shown
    assert f"at {place}\n" in shown
    assert not server.seen
    (gates / "rows.sql").write_text("SELECT case_id FROM trials WHERE run_id = $run AND trial > 9")
    assert run_command(["run", "--gate", "--no-progress"]) == ExitCode.PASS
    assert len(server.seen) == 2
    # and later, of a run that is stored
    (gates / "rows.sql").write_text(sql)
    assert run_command(["gate"]) == ExitCode.USAGE
    shown = capsys.readouterr().err
    assert "the query of gate 'rows' cannot be run: " in shown
    assert f"at {place}\n" in shown


def test_the_plan_is_of_the_targets_that_the_suite_still_names(project, server):
    targets = {name: wire(server.openai, api_key="none") for name in ("t", "u")}
    suite = {"targets": ["t", "u"], "gates": [{"metric": "pass.rate", "max_drop": "5%"}]}
    project.write(targets, rows(6), suite=suite)
    project.run()

    def told():
        loaded = load_project(project.folder / "evalkit.yaml")
        found = planned(loaded, project.store, "latest", runs=10)
        return [one.target for one in found.forecasts], found.calls

    assert told() == (["t", "u"], 12)
    project.write(targets, rows(6), suite={**suite, "targets": ["t"]})
    assert told() == (["t"], 6)
