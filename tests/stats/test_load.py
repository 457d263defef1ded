"""What follows from the steps of a load test: rates, saturation, the client's own limits, SLOs."""

import heapq
import json
import math
import random
from dataclasses import replace

import pytest

from evalkit.stats.histogram import Histogram
from evalkit.stats.load import (
    LoadStep,
    Moment,
    answer_rate,
    own_limits,
    saturation,
    steady_rate,
)
from evalkit.stats.slo import Objective, judge


def step(position=0, *, offered=100.0, rate=None, latency=0.05, n=1000, **fields):
    times = [latency] * n if isinstance(latency, float) else latency
    failed = sum(fields.get("error_classes", {}).values())
    values = {
        "position": position,
        "arrivals": "open",
        "offered": offered,
        "begins_s": 0.0,
        "ends_s": 10.0,
        "sent": len(times) + failed,
        "answered": len(times),
        "rate": offered if rate is None else rate,
        "asked": offered,
        "latency": Histogram(times),
        "ttft": Histogram(),
        "attempt": Histogram(times),
        "gap": Histogram(),
        "delay": Histogram([0.001] * 10),
        "lag": Histogram([0.001] * 10),
        "cpu": 0.2,
        "in_flight_mean": 5.0,
        "in_flight_max": 9,
    }
    return LoadStep(**(values | fields))


def closed(position, users, rate, latency):
    return step(
        position,
        offered=None,
        asked=None,
        rate=float(rate),
        latency=latency,
        users=users,
        in_flight_mean=float(users),
        arrivals="closed",
    )


def queue(arrivals, workers, service):
    """When each request is answered by so many workers in the order they came."""
    free = [0.0] * workers
    done = []
    for at in arrivals:
        start = max(at, heapq.heappop(free))
        heapq.heappush(free, start + service)
        done.append(start + service)
    return done


# ---- rates ---------------------------------------------------------------------------------------


def evenly(rate, seconds):
    return [number / rate for number in range(round(rate * seconds))]


@pytest.mark.parametrize("latency", [0.001, 0.5, 5.0])
def test_at_a_constant_latency_answers_come_as_fast_as_asked(latency):
    due = evenly(50, 4)
    asked, rate = answer_rate(
        due, [at + latency for at in due], [at + latency for at in due], begins_s=0, ends_s=4
    )
    assert asked == pytest.approx(50)
    assert rate == pytest.approx(50)


@pytest.mark.parametrize("mean", [0.2, 1.0])
def test_a_wide_spread_of_latencies_is_no_saturation(mean):
    dice = random.Random(3)
    due = evenly(100, 5)
    done = [at + dice.expovariate(1 / mean) for at in due]
    _, rate = answer_rate(due, done, done, begins_s=0, ends_s=5)
    assert rate >= 95


def test_behind_a_queue_the_rate_is_the_capacity():
    due = evenly(200, 5)
    done = queue(due, workers=4, service=0.04)
    _, rate = answer_rate(due, done, done, begins_s=0, ends_s=5)
    assert rate == pytest.approx(100, rel=0.02)


def test_a_target_that_dies_half_way_answered_half():
    due = evenly(100, 4)
    done = [at + 0.01 for at in due if at < 2]
    _, rate = answer_rate(due, done, done, begins_s=0, ends_s=4)
    assert rate == pytest.approx(50)


def test_few_requests_have_no_rate():
    assert steady_rate(evenly(10, 1)) is None
    assert steady_rate([1.0] * 40) is None


# ---- saturation ----------------------------------------------------------------------------------


def test_it_is_where_the_target_no_longer_keeps_up():
    found = saturation([step(0, offered=50), step(1, offered=90), step(2, offered=200, rate=100.0)])
    assert (found.status, found.held, found.broken, found.peak) == ("found", 90, 200, 100)
    assert "answered 100 of 200" in found.reason
    assert "95 %" in found.definition


def test_it_is_also_where_latency_grew_threefold():
    found = saturation([step(0, offered=50), step(1, offered=90, latency=0.2)])
    assert (found.status, found.held, found.broken) == ("found", 50, 90)
    assert "4 times" in found.reason
    within = saturation([step(0, offered=50, latency=0.001), step(1, latency=0.004)])
    assert within.status == "not reached", "milliseconds are the client's own"


def test_the_client_may_be_the_limit_first():
    busy = step(1, offered=5000, rate=3000.0, cpu=0.99)
    found = saturation([step(0, offered=50), busy])
    assert (found.status, found.held, found.broken) == ("client", 50, 5000)
    assert saturation([busy]).status == "client"
    assert saturation([]).status == "unknown"
    assert saturation([step(0, offered=50, rate=20.0)]).status == "lowest"


def test_a_wrong_key_is_no_saturation():
    wrong = step(0, offered=50, rate=0.0, n=0, latency=[], error_classes={"auth": 100})
    found = saturation([wrong, replace(wrong, position=1, offered=90.0)])
    assert (found.status, found.held) == ("errors", None)
    assert found.reason == "100 of 100 requests failed (auth)"
    # a server that turns requests away has too many of them
    full = step(1, offered=90, rate=40.0, n=400, error_classes={"rate_limit": 500})
    assert saturation([step(0, offered=50), full]).status == "found"


def test_more_users_that_bring_no_more_answers_are_saturation():
    # ten workers of 50 ms: 200 a second from ten users on
    steps = [
        closed(place, users, min(users / 0.05, 200.0), max(0.05, users / 200))
        for place, users in enumerate([2, 6, 10, 14, 18])
    ]
    found = saturation(steps)
    assert (found.status, found.held, found.broken) == ("found", 10, 14)
    assert found.peak == pytest.approx(200)
    assert found.knee == pytest.approx(10, rel=0.01)
    growing = [closed(place, users, users / 0.05, 0.05) for place, users in enumerate([2, 6, 10])]
    assert saturation(growing).status == "not reached"


def test_answers_that_are_still_to_come_are_no_saturation():
    # users joined within one latency: none was answered yet when the first steps ended
    joining = [closed(place, users, 0.0, 10.0) for place, users in enumerate([500, 1500, 2500])]
    assert saturation(joining).status == "not reached"


# ---- the client itself ---------------------------------------------------------------------------


def test_the_client_says_when_it_was_late_or_busy():
    assert own_limits(step()) == ()
    assert "90 %" in own_limits(step(cpu=0.9))[0]
    late = step(delay=Histogram([0.05] * 100))
    assert "started 50 ms late" in own_limits(late)[0]
    assert "woke up 50 ms late" in own_limits(step(lag=Histogram([0.05] * 100)))[0]
    busy = own_limits(step(delay=Histogram([0.05] * 100), starved=0.4))
    assert "waited 40 % of the time" in busy[-1]
    slow = step(latency=2.0, delay=Histogram([0.05] * 100))
    assert own_limits(slow) == (), "a fortieth of the latency does not matter"


# ---- objectives ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "found", "verdict"),
    [
        (0.1, step(), "PASS"),
        (0.01, step(), "FAIL"),
        (0.1, step(n=30), "INCONCLUSIVE"),
        (0.1, step(cpu=1.0), "INCONCLUSIVE"),
        # a request that is not answered is slower than any that is
        (0.1, step(error_classes={"timeout": 100}), "FAIL"),
        (0.1, step(error_classes={"timeout": 10}), "PASS"),
        (0.1, step(worth=10.0), "INCONCLUSIVE"),
    ],
)
def test_an_objective_on_latency(limit, found, verdict):
    assert judge(Objective("latency.p95", limit), found).verdict == verdict


def test_an_objective_on_errors_and_on_what_was_not_measured():
    errors = Objective("error.rate", 0.01)
    assert judge(errors, step(n=2000)).verdict == "PASS"
    assert judge(errors, step(n=100)).verdict == "INCONCLUSIVE"
    assert judge(errors, step(error_classes={"server": 200})).verdict == "FAIL"
    whole = judge(Objective("ttft.p95", 1.0), step())
    assert (whole.verdict, whole.value) == ("INCONCLUSIVE", None)
    assert "streamed" in whole.reason


@pytest.mark.parametrize("name", ["latency", "latency.p0", "latency.p100", "speed.p95", ""])
def test_only_what_is_measured_can_be_an_objective(name):
    with pytest.raises(ValueError, match="unknown metric"):
        Objective(name, 1.0)
    with pytest.raises(ValueError, match="at least 0"):
        Objective("latency.p50", math.nan)


def test_a_step_comes_back_from_json_as_it_was():
    whole = step(
        timeline=(Moment(at_s=0.1, in_flight=3, answered=1, failed=0),),
        error_classes={"server": 2},
        stopped="errors",
        output_tokens=700,
    )
    back = LoadStep.from_json(json.loads(json.dumps(whole.to_json())))
    assert back == whole
    assert back.tokens_per_s == pytest.approx(70.0)
