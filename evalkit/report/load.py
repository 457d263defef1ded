"""A load test as a plain value: everything shown of it, computed once from its stored steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evalkit.model import Run
from evalkit.stats.histogram import Histogram
from evalkit.stats.load import LoadStep, Moment, Saturation, own_limits, saturation
from evalkit.stats.slo import Held, Objective, judge

QUANTILES = (0.50, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile in seconds with its 95 % interval, of answered requests."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """One step; times are seconds from the intended start unless they say otherwise.

    ``attempt`` counts from the first byte sent, ``itl`` is the mean gap between tokens of an
    answer. ``why_not`` says why the figures are the client's and not the target's.
    """

    position: int
    offered: float | None
    users: int | None
    seconds: float
    sent: int
    answered: int
    failed: int
    unfinished: int
    error_classes: dict[str, int]
    rate: float | None
    tokens_per_s: float | None
    latency: dict[str, Percentile]
    ttft: dict[str, Percentile]
    attempt: dict[str, Percentile]
    itl: dict[str, Percentile]
    slowest: float | None
    in_flight_mean: float
    in_flight_max: int
    delay_p95: float | None
    lag_p95: float | None
    cpu: float
    starved: float | None
    cost_usd: float | None
    valid: bool
    why_not: tuple[str, ...]
    histograms: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveView:
    """One objective over all steps: its verdict, and up to which level it held."""

    metric: str
    limit: float
    verdict: str
    held_to: float | None
    decided_by: Held


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadView:
    """A load test, ready to be rendered or written as JSON."""

    run_id: str
    project: str
    status: str
    stopped: str
    started_at: str
    elapsed_s: float | None
    suite: str
    target: str
    model: str | None
    arrivals: str
    process: str
    sent: int
    answered: int
    failed: int
    unfinished: int
    error_classes: dict[str, int]
    cost_usd: float | None
    unpriced: int
    steps: tuple[StepView, ...]
    saturation: Saturation
    objectives: tuple[ObjectiveView, ...]
    timeline: tuple[Moment, ...]
    next: tuple[str, ...]
    kind: str = "load"
    format: int = 1

    def to_json(self) -> dict[str, Any]:
        """The view as JSON values; an infinite time, of an answer that never came, is a text."""
        plain: dict[str, Any] = _plain(dataclasses.asdict(self))
        plain["saturation"]["definition"] = self.saturation.definition
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and math.isinf(value):
        return "infinite"
    return value


def load_view(run: Run, steps: Sequence[LoadStep]) -> LoadView:
    """The view of a stored load test."""
    classes: dict[str, int] = {}
    for one in steps:
        for name, times in one.error_classes.items():
            classes[name] = classes.get(name, 0) + times
    costs = [one.cost_usd for one in steps if one.cost_usd is not None]
    target = run.targets[-1]
    named = run.settings.get("targets")
    if isinstance(named, list) and named:
        target = next((one for one in run.targets if one.name == named[0]), target)
    given = run.settings.get("objectives")
    pairs: Any = given if isinstance(given, list) else []
    elapsed = None
    if run.finished_at is not None:
        elapsed = (run.finished_at - run.started_at).total_seconds()
    return LoadView(
        run_id=run.id,
        project=run.project,
        status=str(run.status),
        stopped=next((one.stopped for one in steps if one.stopped), ""),
        started_at=run.started_at.isoformat(),
        elapsed_s=elapsed,
        suite=run.suites[0],
        target=target.name,
        model=target.model,
        arrivals=str(run.settings.get("arrivals", "open")),
        process=str(run.settings.get("process", "constant")),
        sent=sum(one.sent for one in steps),
        answered=sum(one.answered for one in steps),
        failed=sum(one.failed for one in steps),
        unfinished=sum(one.unfinished for one in steps),
        error_classes=classes,
        cost_usd=math.fsum(costs) if costs else None,
        unpriced=sum(one.unpriced for one in steps),
        steps=tuple(_step(one) for one in steps),
        saturation=saturation(steps),
        objectives=tuple(_objective(Objective(name, limit), steps) for name, limit in pairs),
        timeline=tuple(moment for one in steps for moment in one.timeline),
        next=(f"evalkit show {run.id} --json", 'evalkit sql "describe load_trials"'),
    )


def _step(step: LoadStep) -> StepView:
    why = own_limits(step)
    histograms = {"latency": step.latency, "ttft": step.ttft, "attempt": step.attempt}
    return StepView(
        position=step.position,
        offered=step.offered,
        users=step.users,
        seconds=step.ends_s - step.begins_s,
        sent=step.sent,
        answered=step.answered,
        failed=step.failed,
        unfinished=step.unfinished,
        error_classes=dict(step.error_classes),
        rate=step.rate,
        tokens_per_s=step.tokens_per_s,
        latency=_percentiles(step.latency, step.worth),
        ttft=_percentiles(step.ttft, step.worth),
        attempt=_percentiles(step.attempt, step.worth),
        itl=_percentiles(step.gap, step.worth),
        slowest=step.latency.greatest if step.latency.n else None,
        in_flight_mean=step.in_flight_mean,
        in_flight_max=step.in_flight_max,
        delay_p95=step.delay.quantile(0.95).value,
        lag_p95=step.lag.quantile(0.95).value,
        cpu=step.cpu,
        starved=step.starved,
        cost_usd=step.cost_usd,
        valid=not why,
        why_not=why,
        histograms={name: one.to_json() for name, one in histograms.items()},
    )


def _percentiles(histogram: Histogram, worth: float) -> dict[str, Percentile]:
    found = {}
    for q in QUANTILES:
        one = histogram.quantile(q, worth=worth)
        found[f"p{q * 100:g}"] = Percentile(value=one.value, low=one.low, high=one.high)
    return found


def _objective(objective: Objective, steps: Sequence[LoadStep]) -> ObjectiveView:
    """The worst verdict of any step decides; the level held is the highest before the first."""
    ordered = sorted(steps, key=lambda one: one.level)
    found = [judge(objective, one) for one in ordered]
    worst = next((one for one in found if one.verdict == "FAIL"), None)
    worst = worst or next((one for one in found if one.verdict != "PASS"), found[-1])
    held: float | None = None
    for step, one in zip(ordered, found, strict=True):
        if one.verdict != "PASS":
            break
        held = step.level
    return ObjectiveView(
        metric=objective.metric,
        limit=objective.limit,
        verdict=worst.verdict,
        held_to=held,
        decided_by=worst,
    )
