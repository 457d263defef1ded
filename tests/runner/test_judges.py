"""Whole runs with judges against real local servers: limits, money, kept verdicts, and failures."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from evalkit.errors import ConfigError, ExitCode
from evalkit.hashing import canonical
from evalkit.model import RunStatus
from tests.runner.projects import SmallProject, rows, wire
from tests.scorers.judging import verdict
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

PRICE = {"input": 1_000.0, "output": 1_000.0}
EACH = 0.018  # 11 tokens in and 7 out
SHORT = {"max_completion_tokens": 20}
CRITERIA = "Is it right?"
SCORES = (
    "SELECT status, value, cost_usd, models, reason, signature FROM scores WHERE name = 'judge'"
)


def judge(url: str, **more: object) -> dict[str, object]:
    return {
        "kind": "openai_compatible",
        "model": "gpt-5-mini",
        "base_url": url,
        "params": SHORT,
        "price": PRICE,
        "judge": True,
        **more,
    }


def write(small: SmallProject, target: str, grader: dict[str, object], count: int = 20, **more):
    suite = {"targets": ["t"], **more.pop("suite", {})}
    scorers = more.pop("scorers", ["exact_match", {"judge": {"judges": "g", "criteria": CRITERIA}}])
    targets = {"t": wire(target, limits={"concurrency": 8}, price=PRICE, params=SHORT), "g": grader}
    small.write(targets, rows(count), suite=suite, scorers=scorers, **more)


def reserved(small: SmallProject, grader: ModelServer) -> float:
    """The most that one question to the judge may cost: what the budget reserves for it."""
    small.run(limit=1)
    body = grader.seen[-1].body
    messages, schema = body["messages"], body["response_format"]["json_schema"]["schema"]
    grader.seen.clear()
    sent = sum(len(one["content"].encode()) for one in messages) + 16 * (1 + len(messages))
    sent += len(canonical(schema))
    return (sent + SHORT["max_completion_tokens"]) * PRICE["input"] / 1e6


def test_every_answer_is_judged_and_its_cost_stands_on_the_score(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge(grader.openai))
        outcome = small.run()
        assert outcome.exit_code is ExitCode.PASS
        assert len(grader.seen) == 20
    found = small.sql(SCORES)
    assert [one["status"] for one in found] == ["scored"] * 20
    assert all(one["cost_usd"] == pytest.approx(EACH) for one in found)
    assert {tuple(one["models"]) for one in found} == {("judge-1",)}
    assert found[0]["signature"].startswith("judge|judges:gpt-5-mini#")
    prompts = {one.path: one for one in small.store.load_run(outcome.run_id).prompts}
    rubric = prompts["evalkit:judge_criteria.j2"]
    assert f"prompt:{rubric.version}" in found[0]["signature"]
    assert "{{ output }}" in rubric.text, "the run holds the very words the judge was asked with"
    (run,) = small.store.runs()
    assert run.cost_usd == pytest.approx(20 * EACH), "the target's own"
    (left,) = small.sql("SELECT unrecorded_usd AS usd FROM runs")
    assert left["usd"] == pytest.approx(0.0), "nothing is counted twice or lost"
    spent = small.store.spending(outcome.run_id)
    assert (spent.usd, spent.judges_usd) == pytest.approx((40 * EACH, 20 * EACH))


def test_a_judge_is_asked_as_often_at_once_as_its_own_limits_allow(small: SmallProject) -> None:
    slow = verdict("pass").__class__(text=verdict("pass").text, pieces=None, first_s=0.25)
    with ModelServer() as server, ModelServer(slow) as grader:
        write(small, server.openai, judge(grader.openai, limits={"concurrency": 24}), 96)
        small.run()
        assert grader.most_at_once == 24
        assert server.most_at_once <= 8
        write(small, server.openai, judge(grader.openai, limits={"concurrency": 2}), 12)
        grader.most_at_once = 0
        small.run(concurrency=8)
        assert grader.most_at_once == 2, "--concurrency is of the targets under test"


def test_a_slow_judge_holds_answers_back_and_memory_small(small: SmallProject) -> None:
    slow = Reply(text=verdict("pass").text, first_s=0.02)
    ahead = []
    with ModelServer() as server:

        def note(seen: Seen) -> Reply:
            ahead.append(len(server.seen) - len(ahead))
            return slow

        with ModelServer(note) as grader:
            write(small, server.openai, judge(grader.openai, limits={"concurrency": 1}), 120)
            assert small.run().answered == 120
        # two for each of the 16 that can be judged at once, and what the workers hold
        assert max(ahead) <= 32 + 8 + 1


def test_verdicts_are_kept_and_cost_nothing_again(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge(grader.openai), cache="write")
        small.run()
        first = len(grader.seen)
        second = small.run()
        assert (first, len(grader.seen)) == (20, 20)
        assert small.store.spending(second.run_id).usd == 0.0
        found = small.sql(f"{SCORES} AND run_id = '{second.run_id}'")
        assert {one["cost_usd"] for one in found} == {0.0}
        assert {tuple(one["models"]) for one in found} == {("judge-1",)}


def test_the_budget_of_judges_leaves_answers_unscored_and_the_run_goes_on(
    small: SmallProject,
) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        grade = judge(grader.openai, limits={"concurrency": 1})
        write(small, server.openai, grade)
        cap = round(reserved(small, grader) + 8 * EACH, 2)
        write(small, server.openai, grade, budget={"judges": {"max_usd": cap}})
        outcome = small.run()
        asked = len(grader.seen)
        assert 0 < asked < 20
    assert (outcome.answered, outcome.exit_code) == (20, ExitCode.BUDGET)
    assert outcome.status is RunStatus.STOPPED
    first, second = outcome.lines()
    assert f"20 of 20 answers are stored, {20 - asked} verdicts are missing" in first
    assert f"evalkit run --resume {outcome.run_id}" in second
    assert "a larger 'max_usd' in evalkit.yaml (budget of judges)" in second
    found = small.sql(f"{SCORES} AND run_id = '{outcome.run_id}'")
    by = {one: [row for row in found if row["status"] == one] for one in ("scored", "unscored")}
    assert (len(by["scored"]), len(by["unscored"])) == (asked, 20 - asked)
    assert "judge 'g' was not asked: " in by["unscored"][0]["reason"]
    assert f"of ${cap:g} (budget of judges: max_usd) are spent" in by["unscored"][0]["reason"]
    assert "no new calls to those it pays for" in small.said.getvalue()
    assert small.store.spending(outcome.run_id).judges_usd <= cap


def test_the_budget_of_the_run_stops_it_and_what_was_not_judged_is_made_again(
    small: SmallProject,
) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge(grader.openai, limits={"concurrency": 1}), 30)
        cap = reserved(small, grader) + 24 * EACH
        outcome = small.run(max_usd=cap)
        assert outcome.exit_code is ExitCode.BUDGET
        assert outcome.answered < 30
        assert small.store.spending(outcome.run_id).usd <= cap
        mine = f"{SCORES} AND run_id = '{outcome.run_id}'"
        assert outcome.answered > 0
        assert [one["status"] for one in small.sql(mine)] == ["scored"] * outcome.answered
        rest = small.resume(max_usd=1_000)
        assert rest.exit_code is ExitCode.PASS
    assert [one["status"] for one in small.sql(mine)] == ["scored"] * 30


def test_a_judge_without_a_price_under_a_cap_is_refused_before_any_call(
    small: SmallProject,
) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        unpriced = judge(grader.openai, model="my-own")
        del unpriced["price"]
        write(small, server.openai, unpriced, budget={"judges": {"max_usd": 1.0}})
        with pytest.raises(ConfigError, match="model 'my-own' of target 'g' has no price"):
            small.run()
        assert not server.seen
        assert not grader.seen


def test_a_judge_that_is_down_is_given_up_and_the_run_ends_with_errors_on_its_scores(
    small: SmallProject,
) -> None:
    down = Fault(trouble=Trouble.UNAUTHORIZED)
    with ModelServer() as server, ModelServer(down) as grader:
        write(small, server.openai, judge(grader.openai, limits={"max_retries": 0}), 40)
        outcome = small.run()
        assert (outcome.answered, outcome.errors) == (40, 0)
        assert len(grader.seen) < 40
    found = small.sql(SCORES)
    assert {one["status"] for one in found} == {"error"}
    assert all(one["reason"].startswith("judge 'g': auth: ") for one in found)
    assert any("given up" in one["reason"] for one in found)
    (exact,) = small.sql("SELECT count(*) AS n FROM scores WHERE name = 'exact_match'")
    assert exact["n"] == 40


def test_a_judge_may_be_of_any_kind_and_the_same_target_as_the_one_under_test(
    small: SmallProject,
) -> None:
    (small.folder / "grade.py").write_text(
        "import json\n"
        "def grade(request):\n"
        "    assert 'VERDICT' in request.case.inputs['prompt']\n"
        "    return json.dumps({'reason': 'r', 'verdict': 'fail'})\n"
    )

    def both(seen: Seen) -> Reply:
        return verdict("pass") if "VERDICT" in seen.text else Reply()

    with ModelServer(both) as server:
        scorers = [
            {"judge": {"judges": "p", "criteria": CRITERIA}, "as": "python"},
            {"judge": {"judges": "t", "criteria": CRITERIA}, "as": "itself"},
            {"judge": {"judges": "h", "criteria": CRITERIA}, "as": "http"},
        ]
        body = {"model": "m", "messages": [{"role": "user", "content": "{{ prompt }}"}]}
        targets = {
            "t": wire(server.openai),
            "p": {"kind": "python", "function": "grade.py:grade"},
            "h": {
                "kind": "http",
                "url": f"{server.openai}/chat/completions",
                "body": body,
                "answer": "$.choices[0].message.content",
            },
        }
        small.write(targets, rows(3), scorers=scorers)
        assert small.run(allow_code=True).exit_code is ExitCode.PASS
    found = small.sql(
        "SELECT name, avg(value) AS v, any_value(reason) AS r FROM scores GROUP BY ALL"
    )
    assert {one["name"]: one["v"] for one in found} == {"python": 0.0, "itself": 1.0, "http": 1.0}


def test_an_interrupt_keeps_what_was_judged_and_drops_what_was_not(small: SmallProject) -> None:
    release = threading.Event()

    def answer(seen: Seen) -> Reply | Fault:
        if release.is_set() or "What is 0 " in seen.text:
            return verdict("pass")
        return Fault(trouble=Trouble.SILENT)

    with ModelServer() as server, ModelServer(answer) as grader:
        write(small, server.openai, judge(grader.openai), 6)
        with small.start() as process:
            for _ in range(400):
                if len(grader.seen) == 6:
                    break
                time.sleep(0.05)
            time.sleep(0.3)
            process.send_signal(2)
            _, said = process.communicate(timeout=30)
        assert process.returncode == ExitCode.INTERRUPTED, said
        assert "1 of 6 answers are stored" in said
        release.set()
        rest = small.resume()
        assert (rest.kept, rest.answered, rest.status) == (1, 5, RunStatus.COMPLETE)
    assert [one["status"] for one in small.sql(SCORES)] == ["scored"] * 6


def test_an_estimate_counts_judges_and_then_uses_what_scoring_took(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge(grader.openai))
        guess = small.estimate()
        target, judged = guess.rows
        assert (target.judge, judged.judge, judged.target, judged.calls) == (False, True, "g", 20)
        assert judged.usd is not None
        assert judged.usd.low < judged.usd.likely < judged.usd.high
        assert guess.calls == 40
        assert any("judge g: 20 calls" in one for one in guess.lines())
        assert not grader.seen
        small.run()
        known = small.estimate()
        (row,) = known.rows
        assert row.usd is not None
        assert row.usd.likely == pytest.approx(40 * EACH, rel=0.05)


def test_a_judge_elsewhere_is_refused_offline_and_one_here_is_not(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge("https://models.example.com/v1"), 2)
        with pytest.raises(ConfigError, match="target 'g' is not of this machine"):
            small.run(offline=True)
        write(small, server.openai, judge(grader.openai), 2)
        assert small.run(offline=True).exit_code is ExitCode.PASS


@pytest.mark.parametrize(
    ("suite", "scorers", "said"),
    [
        ({"targets": ["g"]}, ["exact_match"], "target 'g' is a judge"),
        ({}, [{"judge": {"judges": ["gg"], "criteria": "c"}}], "unknown target 'gg'"),
        ({}, [{"judge": {"criteria": "c"}}], "'judges'"),
    ],
)
def test_mistakes_are_found_in_the_suite(small: SmallProject, suite, scorers, said) -> None:
    write(
        small,
        "http://127.0.0.1:9/v1",
        judge("http://127.0.0.1:9/v1"),
        2,
        suite=suite,
        scorers=scorers,
    )
    with pytest.raises(ConfigError, match=said) as caught:
        small.run()
    assert "suites/s.yaml" in str(caught.value.where)
    write(small, "http://127.0.0.1:9/v1", judge("http://127.0.0.1:9/v1"), 2)
    with pytest.raises(ConfigError, match="target 'g' is a judge"):
        small.run(targets=("g",))


def test_a_changed_rubric_or_judge_changes_the_signature_and_its_key_does_not(
    small: SmallProject,
) -> None:
    def signature(**more: object) -> str:
        write(small, "http://127.0.0.1:9/v1", judge("http://127.0.0.1:9/v1", **more), 2)
        plan = small.plan({"KEY": "sk-0123456789abcdef", "OTHER": "sk-fedcba9876543210"})
        return next(one.signature for one in plan.run.scorers if one.name == "judge")

    plain = signature()
    assert signature(api_key="${env:KEY}") == signature(api_key="${env:OTHER}") == plain
    assert signature(limits={"concurrency": 3}) == plain
    assert signature(model="gpt-5") != plain
    assert signature(params={"max_completion_tokens": 30}) != plain
    assert json.dumps(plain)


def test_a_judge_that_reports_another_model_is_no_regression_of_the_product(
    small: SmallProject,
) -> None:
    from evalkit.gate.comparability import differences
    from evalkit.gate.frozen import freeze, thaw
    from evalkit.gate.stored import Stored

    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge(grader.openai), 4)
        first = small.run().run_id
        same = small.run().run_id
        grader.answer = Reply(text=verdict("fail").text, model="judge-2")
        other = small.run().run_id
    store = small.store
    runs = {one: store.load_run(one) for one in (first, same, other)}
    sides = {one: store.sides(one)["s", "t"] for one in runs}

    def refused(before: str, after: str) -> list[str]:
        found = differences(runs[before], runs[after], sides[before], sides[after])
        return [one.text for one in found if one.weight == "refused"]

    assert refused(first, same) == []
    said = ["judge of 'judge' reported differs: judge-1 → judge-2"]
    assert refused(first, other) == said
    assert sides[first].scores["judge"].models == {"judge-1": 4}
    stored = Stored(run=runs[first], sides={("s", "t"): sides[first]}, runs=(first,))
    frozen = freeze(stored, by="me", reason="r", at=datetime.now(UTC))
    back = thaw(json.loads(json.dumps(frozen)), where="x")
    assert back.sides["s", "t"].scores["judge"].models == {"judge-1": 4}


def test_a_changed_rubric_scores_the_baseline_again_when_that_is_allowed(
    small: SmallProject,
) -> None:
    from evalkit.config import load_project
    from evalkit.runner.gating import judge as gate

    gates = {"gates": [{"metric": "judge.rate", "max_drop": 0.5}]}
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        write(small, server.openai, judge(grader.openai), 12, suite=gates)
        first = small.run().run_id
        other = [{"judge": {"judges": "g", "criteria": "Is it short?"}}]
        write(small, server.openai, judge(grader.openai), 12, scorers=other, suite=gates)
        small.run()
        asked = len(grader.seen)
        project = load_project(small.folder / "evalkit.yaml")

        def said(rescore: str) -> str:
            found = gate(project, small.store, baseline=f"run:{first}", rescore=rescore)
            return repr(found)

        assert "--rescore judges lets it" in said("auto")
        assert len(grader.seen) == asked
        grader.answer = Reply(text=verdict("pass").text, model="judge-1", first_s=0.05)
        assert "12 stored answers" in said("judges")
        assert len(grader.seen) == asked + 12
        assert grader.most_at_once > 1
