"""What a load test measured, step by step, and what follows: saturation, and its own limits.

Latency counts from the instant a request was due, not from when the client got round to sending it:
otherwise a stalled server is asked less while it stalls, and the stall is measured once instead of
by everyone who would have waited (coordinated omission; Tene 2013). Times are seconds.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from evalkit.stats.histogram import Histogram

Arrivals: TypeAlias = Literal["open", "closed"]

KEPT_UP = 0.95
"""A step that answers less than this share of the requests a second it was offered is saturated."""
STARVED = 0.05
"""The share of time waited for a core that is worth saying."""
PAID_OFF = 0.5
"""A closed step is saturated whose users bring less than this share of the answers they should."""
SLOWED = 3.0
"""So is one whose p95 is more than this many times that of the lowest step."""
RESOLUTION_S = 0.005
"""Differences below this are the client's own: an event loop wakes up within milliseconds."""
OWN_SHARE = 0.10
"""The client's own delay may be this share of a figure before the figure is not the target's."""
BUSY = 0.90
"""The share of one core from which the client's event loop is taken to be its own bottleneck."""
FEWEST_MORE = 0.05
"""Steps of a ramp that differ by less are not compared."""
OF_LOAD = frozenset({"rate_limit", "timeout", "connection", "server", "crash", "cancelled"})
"""Classes of errors that too much load makes; no other says anything about it."""
FEWEST = 20
"""Requests below which no rate is estimated from the instants of the answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The state at one instant: seconds since the start, requests in flight, ended so far."""

    at_s: float
    in_flight: int
    answered: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadStep:
    """One step of a load test: the requests that were due within it.

    ``arrivals`` is ``open`` where requests come at ``offered`` a second whatever the target does,
    and ``closed`` where ``users`` at the end of the step each wait for their answer. ``rate`` is
    answers a second. ``latency`` and ``ttft`` count from the intended start, ``attempt`` from the
    first byte sent; ``gap`` has the mean gap between the tokens of each answer. The client's own
    part is ``delay`` (actual minus intended start), ``lag`` of its event loop, ``cpu``, the share
    of one core its event loop took, and ``starved``, the share of time it waited for a core that
    others had (``None`` where the system does not tell). ``worth`` is the number of independent
    requests these are worth: neighbours in a queue resemble each other. ``unfinished`` ones were
    given up by the client when the test ended early; ``stopped`` says why it ended in this step.
    """

    position: int
    arrivals: Arrivals
    offered: float | None = None
    users: int | None = None
    begins_s: float
    ends_s: float
    sent: int
    answered: int
    unfinished: int = 0
    error_classes: Mapping[str, int] = field(default_factory=dict)
    rate: float | None = None
    asked: float | None = None
    worth: float = math.inf
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unpriced: int = 0
    latency: Histogram
    ttft: Histogram
    attempt: Histogram
    gap: Histogram
    delay: Histogram
    lag: Histogram
    cpu: float
    starved: float | None = None
    in_flight_mean: float
    in_flight_max: int
    timeline: tuple[Moment, ...] = ()
    stopped: str = ""

    @property
    def failed(self) -> int:
        """Requests that ended in an error."""
        return sum(self.error_classes.values())

    @property
    def level(self) -> float:
        """What was turned up from step to step: requests a second, or requests at once."""
        return self.in_flight_mean if self.offered is None else self.offered

    @property
    def tokens_per_s(self) -> float | None:
        """Output tokens a second over all requests; ``None`` when the target counts none."""
        if self.rate is None or self.output_tokens is None or not self.answered:
            return None
        return self.rate * self.output_tokens / self.answered

    def to_json(self) -> dict[str, Any]:
        """The step as plain JSON; histograms as they write themselves."""
        plain: dict[str, Any] = {}
        for one in dataclasses.fields(self):
            value = getattr(self, one.name)
            if isinstance(value, Histogram):
                value = value.to_json()
            elif one.name == "timeline":
                value = [dataclasses.astuple(moment) for moment in value]
            elif isinstance(value, float) and not math.isfinite(value):
                value = None
            plain[one.name] = dict(value) if isinstance(value, Mapping) else value
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LoadStep:
        """The step that ``to_json`` wrote."""
        fields = dict(value)
        for name in ("latency", "ttft", "attempt", "gap", "delay", "lag"):
            fields[name] = Histogram.from_json(fields[name])
        names = [one.name for one in dataclasses.fields(Moment)]
        fields["timeline"] = tuple(
            Moment(**dict(zip(names, one, strict=True))) for one in fields["timeline"]
        )
        if fields["worth"] is None:
            fields["worth"] = math.inf
        return cls(**fields)


def own_limits(step: LoadStep) -> tuple[str, ...]:
    """Why the figures of a step are the client's and not the target's; empty when they are not.

    The 95th percentiles of the delay of starts and of the lag of the event loop may each be a tenth
    of the 95th percentile of latency, or 5 ms; the event loop may be busy 90 % of a core.
    """
    said = []
    p95 = step.latency.quantile(0.95).value
    allowed = max(RESOLUTION_S, OWN_SHARE * (0.0 if p95 is None else p95))
    for what, seen in (("requests started", step.delay), ("its event loop woke up", step.lag)):
        late = seen.quantile(0.95).value
        if late is not None and late > allowed:
            said.append(
                f"{what} {_ms(late)} late (p95), more than the {_ms(allowed)} that would not matter"
            )
    if step.cpu >= BUSY:
        said.append(f"its event loop took {_percent(step.cpu)} of a core")
    if said and step.starved is not None and step.starved >= STARVED:
        said.append(f"other programs had the cores: it waited {_percent(step.starved)} of the time")
    return tuple(said)


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _ms(value: float) -> str:
    return f"{value * 1e3:,.0f} ms" if value < 1 else f"{value:,.1f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """Where a target stopped keeping up, among the steps where the client was not the limit.

    ``held`` is the highest level that was kept up with before the first that was not, ``broken``;
    levels are requests a second of an open test and requests at once of a closed one. ``peak`` is
    the highest number of answers a second in any step, ``knee`` for a closed test the number at
    once at which the asymptotes of throughput meet: peak times the latency of the lowest step
    (Denning and Buzen 1978). ``client`` says that the client became the limit first, ``errors``
    that requests failed for a reason that load does not make.
    """

    status: Literal["found", "lowest", "not reached", "client", "errors", "unknown"]
    arrivals: Arrivals
    held: float | None = None
    broken: float | None = None
    peak: float | None = None
    knee: float | None = None
    reason: str = ""

    @property
    def definition(self) -> str:
        """The rule, in words."""
        slow = f"p95 latency is above {SLOWED:g} times that of the lowest step"
        if self.arrivals == "open":
            return (
                f"fewer than {_percent(KEPT_UP)} of requests answered as fast as asked, or {slow}"
            )
        return f"more at once brings less than {_percent(PAID_OFF)} as many more answers, or {slow}"


def saturation(steps: Sequence[LoadStep]) -> Saturation:
    """The saturation point of a test: its usable capacity (Jain 1991, 3.3).

    An open step is saturated when it answered fewer than 95 % of the requests a second that it was
    asked; a closed one when it and all above it brought less than half as many more answers a
    second as there were more requests at once, beside the step before; either when its p95 latency
    is more than three times that of the lowest step and 5 ms above it. A test of one step has
    nothing to compare latency with. Where more than 5 % of a step failed for another reason, as a
    wrong key, nothing is said of load.
    """
    arrivals: Arrivals = steps[0].arrivals if steps else "open"
    ordered = sorted((one for one in steps if one.sent), key=lambda one: one.level)
    usable = [one for one in ordered if not own_limits(one)]
    if not usable:
        status: Literal["client", "unknown"] = "client" if ordered else "unknown"
        return Saturation(status=status, arrivals=arrivals)
    rates = [rate for rate in map(sustained, usable) if rate is not None]
    peak = max(rates, default=None)
    lowest = usable[0]
    knee = None
    if arrivals == "closed" and peak is not None and lowest.latency.mean is not None:
        knee = peak * lowest.latency.mean
    held: float | None = None
    for place, one in enumerate(ordered):
        if own_limits(one):
            return Saturation(
                status="client",
                arrivals=arrivals,
                held=held,
                broken=one.level,
                peak=peak,
                knee=knee,
            )
        failing = _failing(one)
        if failing:
            return Saturation(
                status="errors",
                arrivals=arrivals,
                held=held,
                broken=one.level,
                peak=peak,
                reason=failing,
            )
        reason = _saturated(one, lowest) or _unrewarded(ordered[max(0, place - 1) :])
        if reason:
            return Saturation(
                status="found" if held is not None else "lowest",
                arrivals=arrivals,
                held=held,
                broken=one.level,
                peak=peak,
                knee=knee,
                reason=reason,
            )
        held = one.level
    return Saturation(status="not reached", arrivals=arrivals, held=held, peak=peak)


def _failing(step: LoadStep) -> str:
    """Whether more requests failed than a step may, for reasons that fewer would not change."""
    found = {name: n for name, n in step.error_classes.items() if name not in OF_LOAD}
    failed = sum(found.values())
    if failed <= (1 - KEPT_UP) * step.sent:
        return ""
    commonest = max(found, key=lambda name: found[name])
    return f"{failed:,} of {step.sent:,} requests failed ({commonest})"


def _saturated(step: LoadStep, lowest: LoadStep) -> str:
    share = kept_up(step)
    if share is not None and share < KEPT_UP:
        assert step.rate is not None
        return (
            f"answered {step.rate:,.3g} of {step.level:,.3g} requests a second ({_percent(share)})"
        )
    here, base = (one.latency.quantile(0.95).value for one in (step, lowest))
    if step is lowest or here is None or base is None:
        return ""
    if here > SLOWED * base and here > base + RESOLUTION_S:
        return f"p95 latency {_ms(here)}, {here / base:,.3g} times that of the lowest step"
    return ""


def _unrewarded(steps: Sequence[LoadStep]) -> str:
    """Whether the second of these closed steps, and all after, gained too little on the first."""
    if len(steps) < 2 or steps[0].arrivals == "open":
        return ""
    before, here = steps[:2]
    base = sustained(before)
    if not base or before.level <= 0:
        return ""
    more = here.level / before.level - 1
    best = max(sustained(one) or 0.0 for one in steps[1:]) / base - 1
    if more < FEWEST_MORE or best >= PAID_OFF * more:
        return ""
    return f"{_percent(more)} more at once brought {_percent(max(0.0, best))} more answers a second"


def sustained(step: LoadStep) -> float | None:
    """Answers a second that a step stands for.

    Of a closed one that is requests at once by their latency (Little 1961), less those that failed:
    while users join, answers a second are those of a latency ago.
    """
    if step.arrivals == "open":
        return step.rate
    mean = step.latency.mean
    return step.in_flight_mean / mean * step.answered / step.sent if mean else None


def kept_up(step: LoadStep) -> float | None:
    """Answers a second as a share of requests a second; ``None`` where a step has no such rate."""
    if step.arrivals == "closed" or step.rate is None or not step.asked:
        return None
    return step.rate / step.asked


def steady_rate(instants: Sequence[float]) -> float | None:
    """Events a second from their instants, by the middle nine tenths of them.

    Neither the first answers, which come a latency later, nor stragglers at the end bend it: at a
    constant latency it is the rate of arrivals, behind a queue the capacity. ``None`` below 20.
    """
    n = len(instants)
    if n < FEWEST:
        return None
    ordered = sorted(instants)
    first = n // FEWEST
    last = n - 1 - first
    span = ordered[last] - ordered[first]
    return (last - first) / span if span > 0 else None


def answer_rate(
    due: Sequence[float],
    answered: Sequence[float],
    around: Sequence[float],
    *,
    begins_s: float,
    ends_s: float,
) -> tuple[float, float] | None:
    """Requests and answers a second of one open step; ``None`` below 20 requests.

    ``due`` and ``answered`` are the instants of the step's own requests, ``around`` those of all
    answers, to requests of earlier steps too. The rate of answers is the larger of two estimates:
    the spacing of the step's own answers, which a wide spread of latencies makes too small, and the
    share of answers to requests in the second half of the step, which latencies as long as the step
    make too small. Behind a growing queue both are the capacity. Never more than the share that was
    answered at all: a target that dies half way answered fast until then.
    """
    asked = steady_rate(due)
    if asked is None:
        return None
    most = asked * len(answered) / len(due)
    half = (begins_s + ends_s) / 2
    came = sum(half <= one < ends_s for one in around)
    wanted = sum(half <= one < ends_s for one in due)
    found = max(steady_rate(answered) or 0.0, asked * came / wanted if wanted else 0.0)
    return asked, min(found, most)
