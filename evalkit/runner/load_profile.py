"""When the requests of a load test are due: a rate, steps of rates, or a ramp of users."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from evalkit.errors import UsageError
from evalkit.stats.load import Arrivals

WINDOWS = 10
"""Steps that a ramp is reported in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep:
    """A stretch of the test: ``offered`` requests a second, or ``users`` at its end."""

    position: int
    begins_s: float
    ends_s: float
    offered: float | None = None
    users: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The whole course of a test.

    An ``open`` test sends a request whenever one is due, whatever became of those before. In a
    ``closed`` one ``users`` join at a steady rate over ``over_s`` and each sends its next request
    when the last was answered, so a slow target is asked less: it shows what so many at once are
    served, and promises no rate.
    """

    arrivals: Arrivals
    steps: tuple[PlannedStep, ...]
    process: Literal["constant", "poisson"] = "constant"
    users: int = 0
    over_s: float = 0.0

    @property
    def length_s(self) -> float:
        """Seconds in which requests are due."""
        return self.steps[-1].ends_s

    @property
    def requests(self) -> float | None:
        """Requests that will be due, on average; unknown for a closed test."""
        if self.arrivals == "closed":
            return None
        if self.process == "constant":
            return float(sum(_count(one) for one in self.steps))
        return sum((one.offered or 0.0) * (one.ends_s - one.begins_s) for one in self.steps)

    def due(self, seed: int) -> Iterator[tuple[float, int]]:
        """The instants of an open test, seconds from its start, each with its step."""
        dice = random.Random(seed)  # noqa: S311 - a reproducible schedule, not a secret
        for one in self.steps:
            assert one.offered is not None
            if self.process == "constant":
                for number in range(_count(one)):
                    yield one.begins_s + number / one.offered, one.position
                continue
            at = one.begins_s + dice.expovariate(one.offered)
            while at < one.ends_s:
                yield at, one.position
                at += dice.expovariate(one.offered)

    def joins(self) -> Iterator[float]:
        """When each user of a closed test joins."""
        for number in range(self.users):
            yield number * self.over_s / self.users

    def step_at(self, at_s: float) -> int:
        """The step an instant lies in; the last one for all after."""
        for one in self.steps:
            if at_s < one.ends_s:
                return one.position
        return self.steps[-1].position


def _count(step: PlannedStep) -> int:
    assert step.offered is not None
    return max(1, math.ceil(step.offered * (step.ends_s - step.begins_s) - 1e-9))


def open_profile(
    rates: tuple[float, ...], step_s: float, *, process: Literal["constant", "poisson"]
) -> Profile:
    """The rates one after the other, each for ``step_s`` seconds; raises ``UsageError``."""
    if not rates or not all(0 < one <= 1e6 for one in rates):
        raise UsageError(
            "a rate must be more than 0 and at most 1,000,000 requests a second",
            hint="example: --rate 20, --steps 5,10",
        )
    _positive(step_s)
    return Profile(
        arrivals="open",
        process=process,
        steps=tuple(
            PlannedStep(
                position=place, begins_s=place * step_s, ends_s=(place + 1) * step_s, offered=rate
            )
            for place, rate in enumerate(rates)
        ),
    )


def ramp_profile(users: int, over_s: float, hold_s: float = 0.0) -> Profile:
    """Users joining at a steady rate, then staying for ``hold_s``; raises ``UsageError``."""
    if users < 1:
        raise UsageError("--ramp must be at least 1", hint="example: --ramp 100 --over 60s")
    _positive(over_s)
    windows = min(WINDOWS, users)
    ends = [over_s * (place + 1) / windows for place in range(windows)]
    counts = [math.ceil(users * (place + 1) / windows) for place in range(windows)]
    if hold_s:
        ends.append(over_s + hold_s)
        counts.append(users)
    return Profile(
        arrivals="closed",
        users=users,
        over_s=over_s,
        steps=tuple(
            PlannedStep(position=place, begins_s=begins, ends_s=end, users=count)
            for place, (begins, end, count) in enumerate(
                zip([0.0, *ends[:-1]], ends, counts, strict=True)
            )
        ),
    )


def _positive(seconds: float) -> None:
    if not 0 < seconds <= 86_400:
        raise UsageError(
            "a load test takes more than 0 s and at most 24 h", hint="example: --duration 30s"
        )
