"""A target that never answers is given up; one in an outage is tried until it answers again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.errors import ErrorClass, TargetError
from evalkit.runner.breaker import FIRST_REST_S, LEAST_PROBES, LONGEST_REST_S, Breaker
from evalkit.runner.health import (
    FIRST_FAILURES,
    FIRST_PATIENCE_S,
    FIRST_PROBES,
    FIRST_TIMEOUTS,
    FIRST_UNREACHABLE,
    Health,
)

TIMEOUT = TargetError(ErrorClass.TIMEOUT, "why")


def fail(health: Health, error_class: ErrorClass, times: int, now: float = 1.0) -> None:
    """Trials of one attempt each."""
    for _ in range(times):
        error = TargetError(error_class, "why")
        health.attempt_failed(error, now, now)
        health.failed(error)


def test_an_unreachable_target_is_given_up_after_a_few_trials() -> None:
    health = Health(16)
    fail(health, ErrorClass.CONNECTION, FIRST_UNREACHABLE - 1)
    assert not health.given_up
    fail(health, ErrorClass.CONNECTION, 1)
    assert health.given_up
    assert not health.in_outage, "it has never answered: there is nothing to wait for"
    assert health.reason == "5 trials failed and none was answered; the last: connection: why"


def test_other_failures_need_more_of_them() -> None:
    health = Health(16)
    fail(health, ErrorClass.SERVER, FIRST_FAILURES - 1)
    assert not health.given_up
    fail(health, ErrorClass.SERVER, 1)
    assert health.given_up


def test_refusals_and_prompts_say_nothing_of_the_target() -> None:
    health = Health(16)
    fail(health, ErrorClass.REFUSED, 1_000)
    fail(health, ErrorClass.PROMPT, 1_000)
    assert not health.given_up


@pytest.mark.parametrize("passing", [ErrorClass.SERVER, ErrorClass.CONNECTION, ErrorClass.TIMEOUT])
def test_a_target_that_has_answered_is_left_alone_in_an_outage(passing: ErrorClass) -> None:
    health = Health(16, patience_s=30.0)
    health.answered()
    fail(health, passing, 15)
    assert not health.in_outage
    fail(health, passing, 1, now=10.0)
    assert health.in_outage
    assert health.rests(10.5)
    assert not health.rests(11.0), "then one may try"
    assert "why" in health.error().message
    assert health.answered(), "and its answer ends the outage"
    assert not health.in_outage


def test_in_the_end_of_its_patience_it_is_given_up() -> None:
    health = Health(2, patience_s=30.0)
    health.answered()
    fail(health, ErrorClass.CONNECTION, 10, now=10.0)
    while not health.given_up:
        now = health.breaker.due
        assert now <= 40.0
        assert health.breaker.begin(now)
        fail(health, ErrorClass.CONNECTION, 1, now=now)
    assert health.reason == "no answer for 30 s, tried 5 times; the last: connection: why"


def test_one_whose_first_calls_run_out_of_time_is_tried_a_call_at_a_time() -> None:
    health = Health(16, patience_s=120.0)
    for _ in range(FIRST_TIMEOUTS - 1):
        health.attempt_failed(TIMEOUT, 0.0, 60.0)
    assert not health.in_outage
    for _ in range(14):
        health.attempt_failed(TIMEOUT, 0.0, 60.0)
    assert health.in_outage
    assert not health.rests(60.0), "it may be slow at first: a route waits for it"
    tries = 0
    now = 60.0
    while not health.given_up:
        now = health.breaker.due
        assert health.breaker.begin(now)
        assert not health.breaker.begin(now)
        now, sent = now + 60.0, now
        health.attempt_failed(TIMEOUT, sent, now)
        tries += 1
    assert (tries, now) == (FIRST_PROBES, 60 + 1 + 60 + 60)
    assert health.reason == (
        "the first calls were not answered, nor 2 tries in 121 s after them; the last: timeout: why"
    )


@pytest.mark.parametrize("patience_s", [2.0, 120.0])
def test_short_calls_are_tried_for_half_a_minute_or_as_long_as_its_patience(
    patience_s: float,
) -> None:
    health = Health(16, patience_s=patience_s)
    for _ in range(FIRST_TIMEOUTS):
        health.attempt_failed(TIMEOUT, 0.0, 0.0)
    now = 0.0
    while not health.given_up:
        sent = health.breaker.due
        assert health.breaker.begin(sent)
        now = sent + 1.0
        health.attempt_failed(TIMEOUT, sent, now)
    limit = min(patience_s, FIRST_PATIENCE_S)
    assert limit <= now <= max(limit, FIRST_PROBES * 2.0) + 1.0


def test_its_first_answer_ends_that_and_then_it_has_all_its_patience() -> None:
    health = Health(16, patience_s=120.0)
    for _ in range(FIRST_TIMEOUTS):
        health.attempt_failed(TIMEOUT, 0.0, 60.0)
    assert health.breaker.begin(61.0)
    assert health.answered()
    assert not health.in_outage
    assert health.breaker.patience_s == 120.0
    fail(health, ErrorClass.TIMEOUT, FIRST_TIMEOUTS, now=70.0)
    assert not health.in_outage, "three in a row are no outage of one that answers"


@pytest.mark.parametrize("busy", [ErrorClass.RATE_LIMIT, ErrorClass.SERVER])
def test_one_that_turns_first_calls_away_is_not_taken_for_one_that_hangs(busy: ErrorClass) -> None:
    health = Health(16)
    for _ in range(20):
        for _ in range(FIRST_TIMEOUTS - 1):
            health.attempt_failed(TIMEOUT, 0.0, 5.0)
        health.attempt_failed(TargetError(busy, "later"), 0.0, 5.0)
    assert not health.in_outage
    for _ in range(FIRST_TIMEOUTS):
        health.attempt_failed(TIMEOUT, 0.0, 5.0)
    assert health.in_outage
    assert health.attempt_failed(TargetError(busy, "later"), 6.0, 6.0), "it is there after all"


def test_a_try_that_cannot_connect_is_a_try() -> None:
    health = Health(16, patience_s=5.0)
    for _ in range(FIRST_TIMEOUTS):
        health.attempt_failed(TIMEOUT, 0.0, 5.0)
    while not health.given_up:
        now = health.breaker.due
        assert health.breaker.begin(now)
        health.attempt_failed(TargetError(ErrorClass.CONNECTION, "gone"), now, now)
    assert health.breaker.probes >= FIRST_PROBES


def test_whoever_turns_a_call_away_is_there() -> None:
    health = Health(2)
    health.answered()
    fail(health, ErrorClass.CONNECTION, 10, now=10.0)
    assert health.breaker.begin(11.0)
    assert health.attempt_failed(TargetError(ErrorClass.RATE_LIMIT, "slow down"), 11.0, 11.1)
    assert not health.in_outage


def test_what_does_not_pass_by_itself_is_not_waited_for() -> None:
    health = Health(16)
    health.answered()
    fail(health, ErrorClass.AUTH, 63)
    assert not health.given_up
    assert not health.in_outage
    fail(health, ErrorClass.AUTH, 1)
    assert health.given_up
    assert "64 trials in a row failed" in health.reason


# ---- the breaker alone -------------------------------------------------------------------------


@given(
    threshold=st.integers(1, 20),
    patience_s=st.floats(0.001, 600),
    attempts=st.lists(st.tuples(st.booleans(), st.floats(0.001, 30)), max_size=120),
)
def test_a_breaker_lets_one_probe_in_at_a_time_and_never_for_ever_none(
    threshold: int, patience_s: float, attempts: list[tuple[bool, float]]
) -> None:
    breaker, now, in_a_row = Breaker(threshold, patience_s=patience_s), 0.0, 0
    for answered, seconds in attempts:
        if breaker.gave_up:
            assert not breaker.begin(now)
            return
        if breaker.open:
            assert breaker.due - now <= LONGEST_REST_S + 1e-6, "it is never far away"
            now = max(now, breaker.due)
        assert breaker.begin(now)
        was_open = breaker.open
        if was_open:
            assert not breaker.begin(now), "one probe at a time"
        sent, now = now, now + seconds
        in_a_row = 0 if answered else in_a_row + 1
        if answered:
            assert breaker.answered() == was_open
            assert not breaker.open
        else:
            breaker.failed(sent, now)
            assert breaker.open == (in_a_row >= threshold)
        if breaker.gave_up:
            assert breaker.probes >= LEAST_PROBES
            assert now >= breaker.opened_at + patience_s


def test_calls_that_were_sent_before_the_outage_are_no_probes() -> None:
    breaker = Breaker(2, patience_s=60.0)
    breaker.failed(1.0, 5.0)
    breaker.failed(1.0, 5.0)
    assert breaker.open
    for _ in range(50):
        breaker.failed(1.0, 6.5)
    assert breaker.due == 5.0 + FIRST_REST_S
    assert breaker.begin(6.5)
    breaker.cut_off(6.5)
    assert breaker.begin(6.6), "a probe that was cancelled leaves room for another"
