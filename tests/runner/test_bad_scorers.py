"""Runs whose scorers raise, hang or lie: the answers are kept, the run goes on, and it is said."""

from __future__ import annotations

from evalkit.errors import ExitCode
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import ModelServer

CODE = """
import time

def raises(case, output):
    raise KeyError("boom")

def sometimes(case, output):
    if case.inputs["question"].startswith("What is 1 "):
        raise ValueError("not this one")
    return 1.0

def lies(case, output):
    return float("nan")

def hangs(case, output):
    time.sleep(60)
"""


def scorer(name, **options):
    return {"python": {"function": f"mine.py:{name}", **options}, "as": name}


def test_a_scorer_that_fails_on_every_answer_is_not_passed_over(small: SmallProject) -> None:
    (small.folder / "mine.py").write_text(CODE)
    scorers = [
        "exact_match",
        scorer("raises"),
        scorer("lies"),
        scorer("hangs", deadline=0.1),
        scorer("sometimes"),
    ]
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(6), scorers=scorers)
        outcome = small.run(allow_code=True)
        with small.start("--allow-code") as process:
            said, told = process.communicate(timeout=60)
    assert outcome.answered == 6
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert outcome.made_code is ExitCode.PASS
    lines = "\n".join(outcome.lines())
    assert (
        "scorer 'raises' of 's' failed on every answer (6): KeyError: 'boom', at mine.py" in lines
    )
    assert "scorer 'lies' of 's' failed on every answer (6)" in lines
    assert "scorer 'hangs' of 's' failed on every answer (6): no score within 0.1 s" in lines
    assert "scorer 'sometimes' of 's' failed on 1 of 6 answers: ValueError" in lines
    assert process.returncode == ExitCode.INFRASTRUCTURE
    assert "ok DONE" not in said
    assert "scorers failed: raises on 6, lies on 6 and 2 more" in said
    assert "scorer 'raises'" in told
    counts = small.sql(
        "SELECT scorer, count(*) FILTER (status = 'scored') AS ok FROM results"
        f" WHERE run_id = '{outcome.run_id}' GROUP BY 1"
    )
    assert {one["scorer"]: one["ok"] for one in counts} == {
        "exact_match": 6,
        "raises": 0,
        "lies": 0,
        "hangs": 0,
        "sometimes": 5,
    }


def test_a_gate_on_a_scorer_that_failed_cannot_be_decided(small: SmallProject) -> None:
    (small.folder / "mine.py").write_text(CODE)
    gates = [{"metric": "raises.mean", "min": 0.5}]
    with ModelServer() as server:
        small.write(
            {"t": wire(server.openai)},
            rows(4),
            scorers=["exact_match", scorer("raises")],
            suite={"gates": gates},
        )
        with small.start("--allow-code", "--gate") as process:
            said, _ = process.communicate(timeout=60)
    assert process.returncode in {ExitCode.UNDECIDED, ExitCode.FAIL}, said
    assert "PASS" not in said
