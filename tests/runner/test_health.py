"""A target that never answers is given up; one that fails now and then is not."""

from __future__ import annotations

from evalkit.errors import ErrorClass, TargetError
from evalkit.runner.health import FIRST_FAILURES, FIRST_UNREACHABLE, Health


def fail(health: Health, error_class: ErrorClass, times: int) -> None:
    for _ in range(times):
        health.failed(TargetError(error_class, "why"))


def test_an_unreachable_target_is_given_up_after_a_few_trials() -> None:
    health = Health(16)
    fail(health, ErrorClass.CONNECTION, FIRST_UNREACHABLE - 1)
    assert not health.given_up
    fail(health, ErrorClass.CONNECTION, 1)
    assert health.given_up
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


def test_a_target_that_has_answered_gets_more_patience_in_an_outage() -> None:
    health = Health(16)
    health.answered()
    fail(health, ErrorClass.SERVER, 10_000)
    assert not health.given_up, "a server that answers with errors is there"
    fail(health, ErrorClass.CONNECTION, 63)
    health.answered()
    fail(health, ErrorClass.CONNECTION, 63)
    assert not health.given_up
    fail(health, ErrorClass.CONNECTION, 1)
    assert health.given_up
    assert "64 trials in a row failed" in health.reason
