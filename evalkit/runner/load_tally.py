"""Counts of one step while a load test runs, and the step they become."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Output
from evalkit.runner.load_profile import PlannedStep, Profile
from evalkit.stats.histogram import Histogram
from evalkit.stats.load import LoadStep, Moment, answer_rate

GROUPS = 20
"""Stretches of a step within which requests are taken to resemble each other."""


def _numbers() -> array[float]:
    return array("d")


@dataclass(slots=True, kw_only=True)
class StepTally:
    """One step so far; instants are seconds from the start of the test."""

    plan: PlannedStep
    due: array[float] = field(default_factory=_numbers)
    answered: array[float] = field(default_factory=_numbers)
    answered_due: array[float] = field(default_factory=_numbers)
    waits: array[float] = field(default_factory=_numbers)
    errors: Counter[ErrorClass] = field(default_factory=Counter)
    unfinished: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unpriced: int = 0
    latency: Histogram = field(default_factory=Histogram)
    ttft: Histogram = field(default_factory=Histogram)
    attempt: Histogram = field(default_factory=Histogram)
    gap: Histogram = field(default_factory=Histogram)
    delay: Histogram = field(default_factory=Histogram)
    lag: Histogram = field(default_factory=Histogram)
    cpu_s: float = 0.0
    starved_s: float | None = None
    watched_s: float = 0.0
    looks: int = 0
    looked: int = 0
    most: int = 0
    moments: list[Moment] = field(default_factory=list)

    def started(self, due_s: float, started_s: float) -> None:
        """A request was sent."""
        self.due.append(due_s)
        self.delay.add(max(0.0, started_s - due_s))

    def ended(
        self, due_s: float, ended_s: float, output: Output | None, error: TargetError | None
    ) -> None:
        """A request was answered, or not."""
        if output is None:
            assert error is not None
            if error.error_class is ErrorClass.CANCELLED:
                self.unfinished += 1
            else:
                self.errors[error.error_class] += 1
            return
        latency = max(0.0, ended_s - due_s)
        self.answered.append(ended_s)
        self.answered_due.append(due_s)
        self.waits.append(latency)
        self.latency.add(latency)
        if output.latency_s is not None:
            self.attempt.add(max(0.0, output.latency_s))
        first = ttft_from_due(latency, output)
        if first is not None:
            self.ttft.add(first)
        if output.inter_token is not None:
            self.gap.add(max(0.0, output.inter_token.mean_s))
        usage = output.usage
        if usage.input_tokens is not None:
            self.input_tokens = (self.input_tokens or 0) + usage.input_tokens
        if usage.output_tokens is not None:
            self.output_tokens = (self.output_tokens or 0) + usage.output_tokens
        if output.cost_usd is None:
            self.unpriced += 1
        else:
            self.cost_usd = (self.cost_usd or 0.0) + output.cost_usd

    def look(self, in_flight: int) -> None:
        """How many requests are under way now."""
        self.looks += 1
        self.looked += in_flight
        self.most = max(self.most, in_flight)


def ttft_from_due(latency: float, output: Output) -> float | None:
    """Time from the intended start to the first piece; ``None`` for an answer that came whole.

    What followed the first piece is taken off: the target's own clock starts only when a connection
    stands, and the wait for that belongs to the user.
    """
    if output.ttft_s is None or output.latency_s is None:
        return None
    return max(0.0, latency - (output.latency_s - output.ttft_s))


def load_steps(
    tallies: Sequence[StepTally], profile: Profile, ended_s: float
) -> tuple[LoadStep, ...]:
    """The steps that had a request; the one the test ended in ends there."""
    every = sorted(at for one in tallies for at in one.answered)
    found = []
    for one in tallies:
        if not one.due:
            continue
        ends = max(min(one.plan.ends_s, ended_s), one.due[-1])
        found.append(_step(one, profile, every, ends))
    return tuple(found)


def _step(tally: StepTally, profile: Profile, every: Sequence[float], ends_s: float) -> LoadStep:
    begins = tally.plan.begins_s
    asked = rate = None
    if profile.arrivals == "closed":
        length = ends_s - begins
        came = sum(begins <= at < ends_s for at in every)
        rate = came / length if length > 0 else None
    else:
        rates = answer_rate(tally.due, tally.answered, every, begins_s=begins, ends_s=ends_s)
        if rates is not None:
            asked, rate = rates
    return LoadStep(
        position=tally.plan.position,
        arrivals=profile.arrivals,
        offered=tally.plan.offered,
        users=tally.plan.users,
        begins_s=begins,
        ends_s=ends_s,
        sent=len(tally.due),
        answered=len(tally.answered),
        unfinished=tally.unfinished,
        error_classes={str(name): times for name, times in tally.errors.items()},
        rate=rate,
        asked=asked,
        worth=_worth(tally, begins, ends_s),
        input_tokens=tally.input_tokens,
        output_tokens=tally.output_tokens,
        cost_usd=tally.cost_usd,
        unpriced=tally.unpriced,
        latency=tally.latency,
        ttft=tally.ttft,
        attempt=tally.attempt,
        gap=tally.gap,
        delay=tally.delay,
        lag=tally.lag,
        cpu=tally.cpu_s / tally.watched_s if tally.watched_s > 0 else 0.0,
        starved=tally.starved_s / tally.watched_s
        if tally.starved_s is not None and tally.watched_s > 0
        else None,
        in_flight_mean=tally.looked / tally.looks if tally.looks else 0.0,
        in_flight_max=tally.most,
        timeline=tuple(tally.moments),
    )


def _worth(tally: StepTally, begins_s: float, ends_s: float) -> float:
    """Independent requests the answered ones are worth: those due close together are alike."""
    from evalkit.stats.intervals import effective_size

    if len(tally.waits) < 2 or ends_s <= begins_s:
        return float(len(tally.waits))
    groups: dict[int, list[float]] = {}
    width = (ends_s - begins_s) / GROUPS
    for due, wait in zip(tally.answered_due, tally.waits, strict=True):
        groups.setdefault(int((due - begins_s) / width), []).append(wait)
    return effective_size(list(groups.values()))
