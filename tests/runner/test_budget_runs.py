"""Whole runs with budgets against a real local server: never past a cap, nothing unaccounted."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from evalkit.errors import BudgetStop, ConfigError, ExitCode
from evalkit.model import RunStatus
from evalkit.runner.flight import SUFFIX
from evalkit.runner.funds import month_start
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

# a reply of the server takes 11 tokens in and 7 out
PRICE = {"input": 1_000.0, "output": 1_000.0}
EACH = 0.018
SHORT = {"max_completion_tokens": 20}
SPENT = (
    "SELECT coalesce(sum(spent_usd), 0) AS usd, coalesce(sum(assumed_usd), 0) AS assumed,"
    " coalesce(sum(spent_tokens), 0) AS tokens, count(*) AS n FROM trials"
)


def priced(url: str, **more: object) -> dict[str, object]:
    return wire(url, price=PRICE, params=SHORT, limits={"concurrency": 8}, **more)


def test_a_run_stops_at_its_budget_and_goes_on_with_a_larger_one(small: SmallProject) -> None:
    with ModelServer(Reply(latency_s=0.01, first_s=0.01)) as server:
        small.write({"t": priced(server.openai)}, rows(60))
        first = small.run(max_usd=0.5)
        asked = len(server.seen)
        assert first.exit_code is ExitCode.BUDGET
        assert first.status is RunStatus.STOPPED
        assert asked == first.answered, "what was under way was finished, and nothing else asked"
        (spent,) = small.sql(SPENT)
        assert spent["n"] == asked
        assert spent["usd"] == pytest.approx(asked * EACH)
        most = 0.5 - (120 + 200 + 20) * 1e-3  # one reservation: bytes of prompt and options
        assert most < spent["usd"] <= 0.5
        said = first.lines()
        assert f"of $0.5 (--max-usd) are spent; {asked} of 60 answers are stored" in said[0]
        assert said[-1] == f"continue with: evalkit run --resume {first.run_id} --max-usd 1"

        again = small.resume()
        assert again.exit_code is ExitCode.BUDGET
        assert again.answered == 0, "what was spent before counts"
        assert len(server.seen) == asked
        with pytest.raises(BudgetStop, match="nothing is left to spend") as caught:
            small.resume(max_usd=0.1)
        hint, _, more = (caught.value.hint or "").rpartition(" ")
        assert hint == f"allow more: evalkit run --resume {first.run_id} --max-usd"
        assert float(more) > spent["usd"], "twice the flag would still be spent already"
        rest = small.resume(max_usd=10)
        assert rest.exit_code is ExitCode.PASS
        assert (rest.kept, rest.answered) == (asked, 60 - asked)
        assert len(server.seen) == 60
    (spent,) = small.sql(SPENT)
    assert spent["usd"] == pytest.approx(60 * EACH)
    (run,) = small.store.runs()
    assert run.cost_usd == pytest.approx(60 * EACH)


def test_tokens_are_capped_without_any_price(small: SmallProject) -> None:
    with ModelServer() as server:
        target = wire(server.openai, params=SHORT, limits={"concurrency": 4})
        small.write({"t": target}, rows(60))
        outcome = small.run(max_tokens=900)
    assert outcome.exit_code is ExitCode.BUDGET
    (spent,) = small.sql(SPENT)
    assert 18 <= spent["tokens"] <= 900
    assert spent["tokens"] == 18 * spent["n"]


def test_a_money_cap_needs_a_price_before_the_first_call(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(3))
        with pytest.raises(ConfigError) as caught:
            small.run(max_usd=1.0)
        assert not server.seen
    what, where, hint = caught.value.lines()
    assert what == ("model 'gpt-5-mini' of target 't' has no price, so --max-usd cannot be kept")
    assert where.startswith(f"at {small.folder / 'evalkit.yaml'}:")
    assert "prices: {gpt-5-mini: ...}" in hint
    assert not small.store.exists or not small.store.runs()


def test_one_target_stops_at_its_own_cap_and_the_other_goes_on(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer() as other:
        targets = {"dear": priced(server.openai), "cheap": priced(other.openai)}
        small.write(
            targets,
            rows(30),
            suite={"targets": ["dear", "cheap"]},
            budget={"targets": {"dear": {"max_usd": "$0.60"}}},
        )
        outcome = small.run()
        assert len(other.seen) == 30
        assert 0 < len(server.seen) <= 0.6 / EACH
    assert outcome.exit_code is ExitCode.BUDGET
    assert "(budget of 'dear': max_usd)" in outcome.lines()[0]
    assert "evalkit.yaml" in outcome.lines()[-1]


def test_a_timeout_is_counted_at_its_reservation_and_a_refused_call_is_free(
    small: SmallProject,
) -> None:
    def answer(seen: Seen) -> Reply | Fault:
        if "What is 0 " in seen.text:
            return Fault(trouble=Trouble.SILENT)
        if "What is 1 " in seen.text:
            return Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": "0"})
        if "What is 2 " in seen.text:
            return Fault(trouble=Trouble.FILTERED)
        return Reply()

    with ModelServer(answer) as server:
        limits = {"concurrency": 4, "timeout": "200ms", "max_retries": 1}
        small.write(
            {"t": wire(server.openai, price=PRICE, params=SHORT, limits=limits, stream=False)},
            rows(4),
        )
        outcome = small.run(max_usd=100)
    assert outcome.errors == 3
    found = {
        one["case_name"]: one
        for one in small.sql(
            "SELECT case_name, error_class, spent_usd, spent_tokens, assumed_usd, attempts"
            " FROM trials"
        )
    }
    silent, limited, filtered, fine = (found[f"case-{n}"] for n in range(4))
    assert (silent["error_class"], silent["attempts"]) == ("timeout", 2)
    assert silent["spent_usd"] is None
    assert silent["assumed_usd"] > 2 * 20e-3, "two attempts, each at the most it can have taken"
    assert (limited["spent_usd"], limited["assumed_usd"], limited["attempts"]) == (0.0, 0.0, 2)
    assert filtered["error_class"] == "refused"
    assert filtered["spent_tokens"] == 18, "the provider counted a refusal"
    assert filtered["spent_usd"] == pytest.approx(EACH)
    assert fine["spent_usd"] == pytest.approx(EACH)
    spending = small.store.spending(outcome.run_id)
    assert spending.usd == pytest.approx(2 * EACH + silent["assumed_usd"])


def test_a_failed_trial_keeps_its_price_when_it_is_made_again(small: SmallProject) -> None:
    broken = True

    def answer(seen: Seen) -> Reply | Fault:
        return Fault(trouble=Trouble.FILTERED) if broken and "What is 1 " in seen.text else Reply()

    with ModelServer(answer) as server:
        small.write({"t": priced(server.openai, stream=False)}, rows(4))
        first = small.run()
        assert first.errors == 1
        broken = False
        assert small.resume().answered == 1
    (row,) = small.sql("SELECT * FROM trials WHERE case_name = 'case-1'")
    assert row["status"] == "ok"
    assert row["cost_usd"] == pytest.approx(EACH)
    assert row["spent_usd"] == pytest.approx(2 * EACH)
    assert small.store.spending(first.run_id).usd == pytest.approx(5 * EACH)


def test_a_failed_route_keeps_what_its_legs_cost(small: SmallProject) -> None:
    with (
        ModelServer(Fault(trouble=Trouble.FILTERED)) as server,
        ModelServer(Fault(trouble=Trouble.UNAUTHORIZED)) as closed,
    ):
        targets = {
            "route": {"kind": "fallback", "targets": ["one", "two"], "on": ["refused"]},
            "one": priced(server.openai, stream=False),
            "two": priced(closed.openai),
        }
        small.write(targets, rows(2))
        small.run(max_usd=100)
    trials = small.sql("SELECT status, legs, spent_usd, spent_tokens FROM trials")
    assert len(trials) == 2
    for one in trials:
        assert one["status"] == "error"
        assert one["spent_usd"] == pytest.approx(EACH)
        assert [(leg["target"], leg["error_class"]) for leg in one["legs"]] == [
            ("one", "refused"),
            ("two", "auth"),
        ]
        assert [leg["cost_usd"] for leg in one["legs"]] == pytest.approx([EACH, 0.0])
    (trial,) = small.store.trial(small.store.resolve("latest"), "case-0")
    assert [one.target for one in trial.failed_legs] == ["one", "two"]


def test_a_cap_cannot_stand_on_a_route(small: SmallProject) -> None:
    targets = {
        "route": {"kind": "fallback", "targets": ["one", "two"]},
        "one": priced("http://127.0.0.1:9/v1"),
        "two": priced("http://127.0.0.1:9/v1"),
    }
    small.write(targets, rows(2), budget={"targets": {"route": {"max_usd": 1}}})
    with pytest.raises(ConfigError, match="is a route"):
        small.run()


def test_a_month_is_counted_over_all_runs_of_the_store(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": priced(server.openai)}, rows(10), budget={"monthly_usd": 0.5})
        first = small.run()
        assert first.exit_code is ExitCode.PASS
        second = small.run(trials=5)
        assert second.exit_code is ExitCode.BUDGET
        assert len(server.seen) * EACH <= 0.5
        third = small.run(limit=1)
        assert third.exit_code is ExitCode.BUDGET
        assert third.answered == 0
    assert small.store.spent_since(month_start(datetime.now(UTC))) == pytest.approx(
        len(server.seen) * EACH
    )


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_calls_cut_off_by_an_interruption_are_counted(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(first_s=60) if "What is 7 " in seen.text else Reply()

    with ModelServer(answer) as server:
        small.write({"t": priced(server.openai)}, rows(8))
        with small.start("--max-usd", "50", "--no-progress") as process:
            wait_until(lambda: len(server.seen) == 8)
            time.sleep(0.6)
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.startswith("estimate: 8 calls, ")
    (run,) = small.sql("SELECT run_id, unrecorded_usd, unrecorded_tokens FROM runs")
    assert run["unrecorded_usd"] > 0.02
    spending = small.store.spending(run["run_id"])
    assert spending.usd == pytest.approx(7 * EACH + run["unrecorded_usd"])


def test_the_budget_ends_a_process_with_5(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": priced(server.openai)}, rows(40))
        with small.start("--max-usd", "0.4", "--no-progress") as process:
            out, said = process.communicate(timeout=30)
    assert process.returncode == 5
    assert "the budget is reached" in said
    assert "--max-usd 0.8" in said.strip().splitlines()[-1]
    assert "STOPPED" in out.upper()


@pytest.mark.parametrize(("flag", "cap"), [("max_usd", 0.001), ("max_tokens", 5)])
def test_a_cap_below_one_call_says_so_and_what_it_advises_is_enough(
    small: SmallProject, flag: str, cap: float
) -> None:
    with ModelServer() as server:
        small.write({"t": priced(server.openai)}, rows(12))
        first = small.run(**{flag: cap})
        assert (first.exit_code, len(server.seen)) == (ExitCode.BUDGET, 0)
        said, bound, advice = first.lines()
        assert "one call may take up to " in said
        assert f", more than all of {'$0.001' if flag == 'max_usd' else '5 tokens'} (--max" in said
        assert "are spent" not in said
        assert "max_completion_tokens" in bound
        name, _, value = advice.rpartition(" ")
        assert name.endswith(f"--resume {first.run_id} --{flag.replace('_', '-')}")
        rest = small.resume(**{flag: float(value) if flag == "max_usd" else int(value)})
        assert (rest.exit_code, rest.answered) == (ExitCode.PASS, 12)


def test_a_server_that_counts_more_than_was_reserved_is_said_with_what_it_took(
    small: SmallProject,
) -> None:
    with ModelServer(Reply(output_tokens=5_000_000)) as server:
        small.write({"t": priced(server.openai)}, rows(20))
        outcome = small.run(max_usd=2.0)
    assert outcome.exit_code is ExitCode.BUDGET
    said = " ".join(outcome.lines())
    assert re.search(r"\$[\d,]+\.\d\d of \$2 \(--max-usd\) are spent", said)


def test_calls_of_a_run_whose_store_is_gone_stop_no_other(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": priced(server.openai)}, rows(2), budget={"monthly_usd": 0.5})
        journal = small.store.journal_directory
        journal.mkdir(parents=True)
        (journal / f"20260101-000000-abcdef{SUFFIX}").write_bytes(bytes(4_096))
        assert small.run().answered == 2
