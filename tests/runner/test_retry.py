"""Backoff: full jitter under its bound, Retry-After in full, nothing for what cannot succeed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from evalkit.errors import ErrorClass, TargetError
from evalkit.runner.retry import Backoff

DRAWS = st.floats(0, 1, exclude_max=True)


@given(draw=DRAWS, retry=st.integers(0, 500))
def test_full_jitter_stays_below_its_bound(draw: float, retry: int) -> None:
    wait = Backoff(draw=lambda: draw).wait(retry, TargetError(ErrorClass.SERVER, "500"))
    assert wait is not None
    assert 0 <= wait <= min(30.0, 0.5 * 2 ** min(retry, 30))


@given(draw=DRAWS, asked=st.floats(0, 300))
def test_the_wait_a_server_asks_for_is_kept_in_full(draw: float, asked: float) -> None:
    error = TargetError(ErrorClass.RATE_LIMIT, "429", retry_after_s=asked)
    wait = Backoff(draw=lambda: draw).wait(0, error)
    assert wait is not None
    assert asked <= wait <= asked + 1.0


def test_no_retry_of_what_will_fail_again() -> None:
    backoff = Backoff()
    assert backoff.wait(0, TargetError(ErrorClass.AUTH, "401")) is None
    assert backoff.wait(0, TargetError(ErrorClass.QUOTA, "429 insufficient_quota")) is None
    tomorrow = TargetError(ErrorClass.RATE_LIMIT, "429", retry_after_s=86_400)
    assert backoff.wait(0, tomorrow) is None
    assert backoff.wait(0, TargetError(ErrorClass.SERVER, "500", retryable=False)) is None


def test_a_date_that_has_passed_means_now() -> None:
    error = TargetError(ErrorClass.RATE_LIMIT, "429", retry_after_s=-5.0)
    wait = Backoff().wait(0, error)
    assert wait is not None
    assert 0 <= wait <= 0.1
