"""Runs whose budget of judges ended: resumed with more, every answer is judged once, none asked."""

from __future__ import annotations

import pytest

from evalkit.errors import ExitCode
from evalkit.model import RunStatus
from tests.runner.projects import SmallProject
from tests.runner.test_judges import CRITERIA, EACH, SCORES, judge, reserved, write
from tests.scorers.judging import verdict
from tests.servers import ModelServer, Reply, Seen

ONE = {"limits": {"concurrency": 1}}
TWO = [
    "exact_match",
    {"judge": {"judges": "g", "criteria": CRITERIA}},
    {"judge": {"judges": "g", "criteria": "Is it polite?"}, "as": "polite"},
]


def stored(small: SmallProject, run: str) -> list[dict[str, object]]:
    return small.sql(f"SELECT * FROM trials WHERE run_id = '{run}' ORDER BY case_id, trial")


def asked_of(grader: ModelServer) -> list[str]:
    return [one.text for one in grader.seen]


def test_resumed_with_more_money_every_verdict_is_made_once_and_no_target_is_asked(
    small: SmallProject,
) -> None:
    numbers = iter(range(1_000))

    def answer(seen: Seen) -> Reply:
        return Reply(text=f"answer {next(numbers)}", pieces=None)

    with ModelServer(answer) as server, ModelServer(verdict("pass")) as grader:
        grade = judge(grader.openai, **ONE)
        write(small, server.openai, grade)
        cap = round(reserved(small, grader) + 11 * EACH, 2)
        write(small, server.openai, grade, scorers=TWO, budget={"judges": {"max_usd": cap}})
        server.seen.clear()
        outcome = small.run()
        run = outcome.run_id
        mine = f"FROM scores WHERE run_id = '{run}'"
        first = len(grader.seen)
        assert 0 < first < 40
        assert (outcome.exit_code, outcome.unpaid) == (ExitCode.BUDGET, 40 - first)
        assert len(server.seen) == 20
        before = stored(small, run)
        kept = small.sql(f"SELECT * {mine} AND status = 'scored' ORDER BY ALL")

        # the same budget again: nothing is asked, and it can still be resumed
        again = small.resume(run)
        assert (again.exit_code, again.unpaid) == (ExitCode.BUDGET, 40 - first)
        assert (len(server.seen), len(grader.seen)) == (20, first)
        assert stored(small, run) == before

        write(small, server.openai, grade, scorers=TWO, budget={"judges": {"max_usd": 50}})
        guess = small.estimate(run)
        assert guess.usd is not None
        assert guess.usd.likely > 0, "what is missing is estimated"
        rest = small.resume(run)
        assert (rest.exit_code, rest.status, rest.lines()) == (
            ExitCode.PASS,
            RunStatus.COMPLETE,
            (),
        )
        assert rest.kept + rest.answered == 20
        assert len(server.seen) == 20, "no target is asked again"
        assert len(set(asked_of(grader))) == len(grader.seen) == 40, "and no judge twice the same"
        assert stored(small, run) == before, "an answer stays as it was, with all it took"

        after = small.sql(f"SELECT * {mine} ORDER BY ALL")
        assert len(after) == 60, "a new score stands in the place of the one that was missing"
        assert {one["status"] for one in after} == {"scored"}
        assert [one for one in after if one in kept] == kept
        spent = small.store.spending(run)
        assert (spent.judges_usd, spent.usd) == pytest.approx((40 * EACH, 60 * EACH))
        (left,) = small.sql(f"SELECT unrecorded_usd AS usd FROM runs WHERE run_id = '{run}'")
        assert left["usd"] == pytest.approx(0.0)
        told = [one.details for one in small.store.events("run.resumed", run_id=run)]
        lacked = {one["judged_again"] for one in told}
        assert len(told) == 2
        assert len(lacked) == 1
        assert "judges are asked again, targets are not" in small.said.getvalue()

        assert small.resume(run).exit_code is ExitCode.PASS
        assert (len(server.seen), len(grader.seen)) == (20, 40), "nothing is missing any more"


def test_what_half_a_panel_cost_is_not_forgotten(small: SmallProject) -> None:
    panel = [{"judge": {"judges": "g", "criteria": CRITERIA, "trials": 3}}]
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        grade = judge(grader.openai, **ONE)
        write(small, server.openai, grade, 1)
        cap = reserved(small, grader) + 1.5 * EACH
        write(small, server.openai, grade, 1, scorers=panel, budget={"judges": {"max_usd": cap}})
        outcome = small.run()
        paid = len(grader.seen)
        assert paid == 2
        assert (outcome.exit_code, outcome.unpaid) == (ExitCode.BUDGET, 1)
        write(small, server.openai, grade, 1, scorers=panel, budget={"judges": {"max_usd": 50}})
        assert small.resume(outcome.run_id).exit_code is ExitCode.PASS
        (row,) = small.sql(f"{SCORES} AND run_id = '{outcome.run_id}'")
        assert row["status"] == "scored"
        assert row["cost_usd"] == pytest.approx(len(grader.seen) * EACH)
        assert small.store.spending(outcome.run_id).judges_usd == pytest.approx(row["cost_usd"])
