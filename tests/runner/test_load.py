"""Load tests against a real server whose capacity, stalls and errors are known."""

from __future__ import annotations

import heapq
import os
import signal
import statistics
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest

from evalkit.config import load_project
from evalkit.errors import ConfigError, InfrastructureError, UsageError
from evalkit.model import Trial
from evalkit.runner.load import LoadOutcome, _JournalSink, start_load
from evalkit.runner.load_options import LoadOptions
from evalkit.runner.load_profile import open_profile, ramp_profile
from evalkit.runner.progress import Silent
from evalkit.stats.load import own_limits, saturation
from evalkit.stats.slo import Objective
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Trouble
from tests.servers.capacity import known_server


def prepare(small: SmallProject, url: str, cases: int = 8, **options: Any) -> None:
    target = wire(url, model="known-1", **{"limits": {"timeout": "10s"}, **options})
    small.write({"t": target}, rows(cases))


def load(small: SmallProject, **flags: Any) -> LoadOutcome:
    return start_load(
        load_project(small.folder / "evalkit.yaml"),
        LoadOptions(**{"suite": "s", "seed": 5, **flags}),
        small.store,
        display=Silent(small.said),
        environ={},
    )


def trials(small: SmallProject) -> list[dict[str, Any]]:
    return small.sql(
        "SELECT *, epoch(intended_at) AS due, epoch(sent_at) AS sent FROM load_trials"
        " ORDER BY intended_at"
    )


# ---- profiles ------------------------------------------------------------------------------------


measures_time = pytest.mark.skipif(
    "EVALKIT_TIMING" not in os.environ,
    reason="compares measured times: set EVALKIT_TIMING=1 on a quiet machine",
)


def test_instants_of_a_profile() -> None:
    steady = open_profile((10, 20), 0.5, process="constant")
    due = list(steady.due(1))
    assert due[:5] == [(0, 0), (0.1, 0), (0.2, 0), (pytest.approx(0.3), 0), (0.4, 0)]
    assert due[5:7] == [(0.5, 1), (0.55, 1)]
    assert len(due) == steady.requests == 15
    random = open_profile((1000.0,), 20, process="poisson")
    dice = [at for at, _ in random.due(1)]
    assert dice == [at for at, _ in random.due(1)] != [at for at, _ in random.due(2)]
    gaps = [b - a for a, b in pairwise(dice)]
    assert statistics.mean(gaps) == pytest.approx(0.001, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(0.001, rel=0.05), "as of an exponential"
    ramp = ramp_profile(4, 2.0, 1.0)
    assert list(ramp.joins()) == [0, 0.5, 1, 1.5]
    assert [one.users for one in ramp.steps] == [1, 2, 3, 4, 4]
    assert ramp.length_s == 3


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"rate": 1, "ramp": 2},
        {"rate": 0},
        {"steps": (5, -1)},
        {"ramp": 0},
        {"ramp": 3, "arrivals": "poisson"},
        {"rate": 1, "duration_s": 0.0},
    ],
)
def test_exactly_one_course_that_can_be_run(flags: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        LoadOptions(suite="s", **flags).profile()


def test_a_slow_disk_loses_no_request(small: SmallProject, monkeypatch: pytest.MonkeyPatch) -> None:
    append, at_once = _JournalSink.append, [0, 0]

    def slow(sink: _JournalSink, given: Sequence[Trial]) -> None:
        at_once[0] += 1
        at_once[1] = max(at_once)
        time.sleep(0.4)
        append(sink, given)
        at_once[0] -= 1

    monkeypatch.setattr(_JournalSink, "append", slow)
    with ModelServer(Reply()) as server:
        prepare(small, server.openai)
        assert load(small, rate=40, duration_s=0.7).exit_code == 0
        sent = len(server.seen) - 1
    (row,) = small.sql("SELECT count(*) AS n FROM load_trials WHERE step IS NOT NULL")
    assert row["n"] == sent == 28
    assert at_once == [0, 1], "one write waits for the other"


# ---- what is measured ----------------------------------------------------------------------------


@measures_time
def test_requests_are_sent_when_due_and_stored(small: SmallProject) -> None:
    with known_server(service=0.05, gap=0.01) as url:
        prepare(small, url)
        outcome = load(small, rate=50, duration_s=1.0)
    assert outcome.exit_code == 0
    (step,) = outcome.steps
    assert (step.sent, step.answered, step.failed) == (50, 50, 0)
    assert step.rate == pytest.approx(50, rel=0.1)
    assert step.tokens_per_s == pytest.approx(350, rel=0.1)
    stored = trials(small)
    due = [one["due"] - stored[0]["due"] for one in stored]
    assert due == pytest.approx([number / 50 for number in range(50)], abs=2e-6)
    for one in stored:
        assert one["sent"] >= one["due"]
        assert one["latency_s"] >= one["attempt_s"] >= 0.05 + 6 * 0.01 - 0.003
        assert one["latency_s"] >= one["ttft_s"] >= 0.05 - 0.003
        assert one["itl_count"] == 6
    assert statistics.median(one["itl_mean_s"] for one in stored) == pytest.approx(0.01, abs=0.005)
    assert statistics.median(one["ttft_s"] for one in stored) < 0.09
    (row,) = small.sql("SELECT * FROM load_steps")
    assert row["latency_p50_s"] == pytest.approx(
        sorted(one["latency_s"] for one in stored)[24], rel=1e-3
    )
    assert small.store.load_steps(outcome.run.id) == outcome.steps
    run = small.store.load_run(outcome.run.id)
    assert (run.kind, run.status, run.scorers) == ("load", "complete", ())
    # every case equally often, each time as its next trial; one request came before the test
    asked = small.sql("SELECT case_id, list(trial ORDER BY trial) AS n FROM trials GROUP BY ALL")
    assert sorted(len(one["n"]) for one in asked) == [6, 6, 6, 6, 6, 7, 7, 7]
    assert all(one["n"] == list(range(len(one["n"]))) for one in asked)
    with pytest.raises(UsageError, match="load test"):
        small.resume()


@measures_time
def test_a_stall_of_the_server_is_felt_by_everyone_who_would_have_waited(
    small: SmallProject,
) -> None:
    with known_server(service=0.01, stall_at=51, stall=1.0) as url:
        prepare(small, url)
        outcome = load(small, rate=100, duration_s=2.0, objectives=(Objective("latency.p99", 0.5),))
    (step,) = outcome.steps
    assert step.latency.quantile(0.99).value >= 0.9
    # one request every 10 ms came into a second of silence, and waited for the rest of it
    waits = sorted(one["latency_s"] for one in trials(small))
    assert sum(one > 0.1 for one in waits) == pytest.approx(90, abs=10)
    assert sum(one > 0.5 for one in waits) == pytest.approx(50, abs=10)
    assert step.in_flight_max >= 80, "nobody waited for the stalled ones"


@measures_time
def test_a_stall_of_the_client_counts_and_is_confessed(small: SmallProject) -> None:
    (small.folder / "slow.py").write_text(
        "import time\n"
        "calls = 0\n"
        "async def answer(request):\n"
        "    global calls\n"
        "    calls += 1\n"
        "    if calls == 21:\n"
        "        time.sleep(0.5)\n"
        "    return 'ok'\n",
        "utf-8",
    )
    small.write(
        {"t": {"kind": "python", "function": "slow.py:answer", "prompt": "prompts/ask.j2"}}, rows(4)
    )
    project = load_project(small.folder / "evalkit.yaml", allow_code=True)
    outcome = start_load(
        project,
        LoadOptions(suite="s", rate=50, duration_s=1.0, allow_code=True),
        small.store,
        display=Silent(small.said),
        environ={},
    )
    (step,) = outcome.steps
    assert step.latency.quantile(0.95).value > 0.3, "those due in the meantime waited, too"
    assert any("started" in one for one in own_limits(step))
    assert saturation(outcome.steps).status == "client"


@measures_time
def test_saturation_is_found_where_it_is(small: SmallProject) -> None:
    # two workers, 20 ms each: 100 a second
    with known_server(workers=2, service=0.02) as url:
        prepare(small, url)
        outcome = load(small, steps=(40, 70, 180), step_s=0.6)
    last = outcome.steps[-1]
    assert last.rate == pytest.approx(100, rel=0.08)
    assert last.in_flight_max == pytest.approx(48, abs=10), "48 more came than were served"
    assert last.latency.quantile(0.99).value == pytest.approx(0.48, abs=0.15)
    if not any(map(own_limits, outcome.steps)):
        found = saturation(outcome.steps)
        assert (found.status, found.held, found.broken) == ("found", 70, 180)


@measures_time
def test_latency_is_that_of_the_queue(small: SmallProject) -> None:
    """One worker of 20 ms, random arrivals at 70 % of its capacity: an M/D/1 queue."""
    with known_server(workers=1, service=0.02) as url:
        prepare(small, url)
        outcome = load(small, rate=35, duration_s=2.0, arrivals="poisson")
    stored = trials(small)
    start = stored[0]["due"] - next(open_profile((35,), 2.0, process="poisson").due(5))[0]
    free = [0.0]
    off = []
    for one in stored:
        due = one["due"] - start
        done = max(due, heapq.heappop(free)) + 0.02
        heapq.heappush(free, done)
        off.append(one["latency_s"] - (done - due))
    assert len(stored) == sum(1 for _ in open_profile((35,), 2.0, process="poisson").due(5))
    assert abs(statistics.median(off)) < 0.01, "as computed request by request"
    assert outcome.steps[0].latency.mean > 0.025, "more than the service alone"


def test_the_queue_the_tests_compare_with_is_the_one_of_the_textbook() -> None:
    """M/D/1: the mean wait is ρ·S / 2(1 − ρ) (Pollaczek and Khinchine)."""
    free = waited = 0.0
    count = 0
    for due, _ in open_profile((35.0,), 6_000, process="poisson").due(1):
        begins = max(due, free)
        free = begins + 0.02
        waited += begins - due
        count += 1
    assert waited / count == pytest.approx(0.7 * 0.02 / (2 * 0.3), rel=0.03)


def test_errors_are_counted_by_class_and_the_rest_is_measured(small: SmallProject) -> None:
    def answer(seen: Any) -> Any:
        return Fault(trouble=Trouble.OVERLOADED) if len(server.seen) % 5 == 0 else Reply()

    with ModelServer(answer) as server:
        prepare(small, server.openai)
        outcome = load(small, rate=100, duration_s=1.0, objectives=(Objective("error.rate", 0.02),))
        assert len(server.seen) == 101, "each was sent once"
    (step,) = outcome.steps
    assert step.answered == 80
    assert dict(step.error_classes) == {"server": 20}
    assert small.sql("SELECT DISTINCT http_status FROM trials WHERE error_class = 'server'")


@measures_time
def test_users_of_a_ramp_wait_for_their_answers(small: SmallProject) -> None:
    with known_server(service=0.1) as url:
        prepare(small, url)
        outcome = load(small, ramp=20, over_s=1.0, hold_s=0.5)
    assert max(one.in_flight_max for one in outcome.steps) in {19, 20}
    assert outcome.steps[-1].rate == pytest.approx(200, rel=0.25)
    assert outcome.steps[-1].users == 20
    assert all(one["latency_s"] >= 0.09 for one in trials(small))
    assert outcome.exit_code == 0


# ---- caps ----------------------------------------------------------------------------------------


def test_a_storm_of_errors_ends_the_test(small: SmallProject) -> None:
    def answer(seen: Any) -> Any:
        return Reply() if len(server.seen) == 1 else Fault(trouble=Trouble.RATE_LIMIT)

    with ModelServer(answer) as server:
        prepare(small, server.openai)
        begun = time.monotonic()
        outcome = load(small, rate=100, duration_s=30)
        assert time.monotonic() - begun < 5
        assert len(server.seen) < 100
    assert (outcome.stopped, outcome.exit_code) == ("errors", 4)
    assert outcome.run.status == "stopped"
    assert outcome.steps[-1].stopped == "errors"


def test_the_test_does_not_begin_before_one_request_is_answered(small: SmallProject) -> None:
    with ModelServer(Fault(trouble=Trouble.UNAUTHORIZED)) as server:
        prepare(small, server.openai)
        with pytest.raises(InfrastructureError, match="first request failed \\(auth\\)"):
            load(small, rate=100, duration_s=30)
        assert len(server.seen) == 1
        server.answer = [Fault(trouble=Trouble.OVERLOADED), Reply()]
        assert load(small, rate=20, duration_s=0.5).exit_code == 0
    assert small.sql("SELECT status FROM runs ORDER BY started_at")[0] == {"status": "failed"}


def test_too_many_waiting_ends_the_test(small: SmallProject) -> None:
    with known_server(service=0.4) as url:
        prepare(small, url)
        outcome = load(small, rate=100, duration_s=5, max_in_flight=30)
    assert outcome.stopped == "in flight"
    assert sum(one.answered for one in outcome.steps) == 30, "those under way were waited for"


def test_money_is_never_overspent(small: SmallProject) -> None:
    price = {"input": 0.0, "output": 1000.0}  # 7 tokens: $0.007
    with known_server(service=0.05) as url:
        prepare(small, url, price=price, params={"max_completion_tokens": 7})
        with pytest.raises(UsageError, match=r"about \$0.70, and \$0.070 are allowed"):
            load(small, rate=100, duration_s=1.0, max_usd=0.07)
        with pytest.raises(UsageError, match=r"about \$\d.*, and \$0\.0020 are allowed"):
            load(small, rate=100, duration_s=5.0, max_usd=0.002)
        outcome = load(small, ramp=4, over_s=0.2, hold_s=5.0, max_usd=0.07)
    (paid,) = small.sql("SELECT sum(cost_usd) AS usd, count(*) AS n FROM trials")
    assert (outcome.stopped, outcome.exit_code) == ("money", 5)
    assert paid["usd"] <= 0.07 + 1e-9
    assert paid["n"] == 10


def test_what_is_not_covered_by_flags_is_refused(small: SmallProject) -> None:
    prepare(small, "http://127.0.0.1:9/v1")
    with pytest.raises(UsageError, match="3,000 requests, and 1,000 are allowed"):
        load(small, rate=100, duration_s=30, max_requests=1000)
    with pytest.raises(ConfigError, match="no price is known"):
        load(small, rate=1, max_usd=1.0)
    with pytest.raises(UsageError, match="open files"):
        load(small, ramp=10_000_000, max_requests=20_000_000, max_in_flight=20_000_000)
    prepare(small, "http://192.0.2.1/v1")
    with pytest.raises(
        UsageError, match=r"300 requests to 192\.0\.2\.1 at an unknown price"
    ) as caught:
        load(small, rate=10)
    assert "--yes" in caught.value.hint
    prepare(small, "http://192.0.2.1/v1", price={"input": 0.0, "output": 10.0})
    with pytest.raises(UsageError, match=r"for up to \$0.77"):
        load(small, rate=10)
    with pytest.raises(ConfigError, match="--offline"):
        load(small, rate=10, offline=True, yes=True)
    small.write_suite(
        {"dataset": "golden/cases.jsonl", "targets": ["t", "u"], "scorers": ["exact_match"]}
    )
    small.write_project({name: wire("http://127.0.0.1:9/v1") for name in ("t", "u")})
    with pytest.raises(UsageError, match="has 2 targets"):
        load(small, rate=1)
    assert not small.store.exists, "nothing was stored"


@measures_time
def test_control_c_keeps_and_shows_what_was_measured(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=0.2)) as server:
        prepare(small, server.openai)
        with small.start("s", "--rate", "50", "--duration", "30s", command="load") as process:
            deadline = time.monotonic() + 20
            while len(server.seen) < 30:
                assert time.monotonic() < deadline, "waited too long"
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            shown, said = process.communicate(timeout=20)
        asked = len(server.seen)
    assert process.returncode == 130
    assert "load: s on t, 50 requests a second for 30 s: 1,500 requests" in said
    assert "INTERRUPTED" in shown
    assert "ended early by hand" in shown
    assert asked < 200
    assert small.sql("SELECT status, kind FROM runs") == [{"status": "interrupted", "kind": "load"}]
    (row,) = small.sql("SELECT status, count(*) AS n FROM load_trials GROUP BY ALL")
    assert row == {"status": "ok", "n": asked - 1}, "what was under way had a second to arrive"
    assert small.sql("SELECT sum(sent) AS n FROM load_steps") == [{"n": asked - 1}]
