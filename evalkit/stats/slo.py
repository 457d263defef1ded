"""Service level objectives on a load test: a ceiling on a percentile or on the share of errors.

A request that was not answered is slower than every one that was. An objective holds when its whole
interval lies at or below the ceiling, is broken when all of it lies above, and is undecided when
the requests do not tell.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.stats.histogram import Histogram
from evalkit.stats.load import LoadStep, own_limits

Verdict: TypeAlias = Literal["PASS", "FAIL", "INCONCLUSIVE"]

METRICS = ("latency", "ttft", "itl")
_NAME = re.compile(r"(latency|ttft|itl)\.p(\d{1,2}(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Objective:
    """A ceiling: seconds for ``latency.pNN``, ``ttft.pNN`` and ``itl.pNN``, a share for errors."""

    metric: str
    limit: float

    def __post_init__(self) -> None:
        if self.metric != "error.rate" and not (_NAME.fullmatch(self.metric) and self.q > 0):
            raise ValueError(
                f"unknown metric {self.metric!r}: write latency.p95, ttft.p95,"
                " itl.p95 or error.rate"
            )
        if not (math.isfinite(self.limit) and self.limit >= 0):
            raise ValueError(f"{self.metric}: a ceiling is a number of at least 0")

    @property
    def q(self) -> float:
        """The quantile that is bounded; 0 for the share of errors."""
        found = _NAME.fullmatch(self.metric)
        return 0.0 if found is None else float(found[2]) / 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What an objective says of one step; infinity stands for requests that were not answered."""

    objective: Objective
    step: int
    verdict: Verdict
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""


def judge(objective: Objective, step: LoadStep) -> Held:
    """Whether a step kept to an objective."""
    own = own_limits(step)
    if objective.metric == "error.rate":
        value, low, high = _errors(step)
    else:
        histogram, missing = _values(objective, step)
        found = histogram.quantile(objective.q, missing=missing, worth=step.worth)
        value, low, high = found.value, found.low, found.high
    verdict: Verdict = "INCONCLUSIVE"
    reason = ""
    if own:
        reason = f"the client was the bottleneck: {own[0]}"
    elif value is None:
        reason = "nothing was measured; only streamed answers have it"
    elif high is not None and high <= objective.limit:
        verdict = "PASS"
    elif low is not None and low > objective.limit:
        verdict = "FAIL"
    elif high is None:
        reason = "too few requests, or too alike, to bound it from above"
    else:
        reason = "the interval holds the limit; more requests would tell"
    return Held(
        objective=objective,
        step=step.position,
        verdict=verdict,
        value=value,
        low=low,
        high=high,
        reason=reason,
    )


def _values(objective: Objective, step: LoadStep) -> tuple[Histogram, int]:
    missing = step.failed + step.unfinished
    kind = objective.metric.partition(".")[0]
    if kind == "latency":
        return step.latency, missing
    histogram = step.ttft if kind == "ttft" else step.gap
    # a target that streams nothing has no such times, and its failures are no sign of them
    return histogram, missing if histogram.n or not step.answered else 0


def _errors(step: LoadStep) -> tuple[float | None, float | None, float | None]:
    from evalkit.stats.intervals import wilson

    ended = step.answered + step.failed
    if not ended:
        return None, None, None
    interval = wilson(step.failed, ended)
    return step.failed / ended, interval.low, interval.high
