"""What a gate can be about: the metrics of a suite, their units, and which way each is better."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from evalkit.config.spec import LimitKind
from evalkit.model import Direction, Metric
from evalkit.registry import ScorerPlugin

MetricKind: TypeAlias = Literal["rate", "mean", "quantile", "corpus", "total"]
_QUANTILE = re.compile(r"^(latency|ttft)\.p([1-9][0-9]?)$")
_EXAMPLES = {
    "%": "3%",
    "number": "0.02",
    "time": "200ms",
    "money": "$0.01",
    "relative": "10% of the baseline",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a limit must look like, or why there can be none."""

    units: frozenset[str] = frozenset()
    problem: str = ""
    hint: str = ""

    @property
    def said(self) -> str:
        """The accepted forms, each by an example."""
        forms = [f"as {_EXAMPLES[one]}" for one in _EXAMPLES if one in self.units]
        return " or ".join(forms)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricInfo:
    """A metric a gate can name.

    ``source`` is a scorer's name or one of ``pass``, ``error``, ``latency``, ``ttft``, ``cost``,
    ``input_tokens``, ``output_tokens``, ``attack``, ``overrefusal``. ``unit`` is ``%`` for a share,
    ``s``, ``USD``, ``tokens``, another word, or empty for a plain score between ``bounds``.
    ``passing`` tells a rate of what passed from one of what did not. ``refusals`` are the suite's
    scorers of refusals by name, each with whether its pass means that the answer refused.
    """

    name: str
    source: str
    kind: MetricKind
    direction: Direction
    unit: str = ""
    bounds: tuple[float, float] = (0.0, 1.0)
    q: float | None = None
    passing: bool = True
    metric: Metric | None = None
    refusals: tuple[tuple[str, bool], ...] = ()

    @property
    def spread(self) -> float:
        """The largest difference the scale allows; infinite without bounds."""
        return self.bounds[1] - self.bounds[0]

    def wanted(self, kind: LimitKind) -> Wanted:
        """How a limit of this metric is written."""
        better = {"max_drop": "lower", "max_rise": "higher"}.get(kind)
        other = {"max_drop": "max_rise", "max_rise": "max_drop"}.get(kind, "")
        if better is not None and self.direction == better:
            change = "drop" if kind == "max_drop" else "rise"
            return Wanted(problem=f"limits a {change} of {self.name}, which is an improvement",
                          hint=f"write {other}")  # fmt: skip
        if kind == "total":
            if self.source != "cost":
                return Wanted(problem="limits a bill, and this metric is none",
                              hint="use it with cost.mean")  # fmt: skip
            return Wanted(units=frozenset({"money"}))
        if kind == "max_gap" and self.kind not in {"rate", "mean"}:
            return Wanted(problem=f"needs a rate or a mean, not a {self.kind}")
        if self.kind == "total" and kind not in {"max", "max_rise"}:
            return Wanted(problem=f"is no limit of a {self.kind}", hint="write max")
        share = self.spread == 1 and self.unit in {"", "%"}
        if share:
            return Wanted(units=frozenset({"%", "number"}))
        ratio = kind == "max_rise" and self.unit in {"s", "USD", "tokens"}
        if ratio:
            return Wanted(units=frozenset({"relative"}), hint="a rise is a share of the baseline")
        own = {"s": "time", "USD": "money"}.get(self.unit, "number")
        return Wanted(units=frozenset({own}))

    def out_of_reach(
        self, kind: LimitKind, value: float, *, relative: bool
    ) -> tuple[str, str] | None:
        """Why no run can ever meet a limit, and what to do; ``None`` when one can."""
        if kind in {"max_drop", "max_rise", "max_gap"}:
            if value <= 0:
                return "of 0 can never be ruled out", "allow a little, as 2%"
            if not relative and value >= self.spread:
                return "allows everything", f"the scale spans {self.spread:g}"
            return None
        if kind == "total" or self.kind in {"quantile", "total"}:
            return None
        low, high = self.bounds
        if not low <= value <= high:
            return "is outside the scale", f"it goes from {low:g} to {high:g}"
        if kind == "min" and value == high and self.kind == "rate":
            return "of 100 % can never be proved", "a little less, or cases with 'must: pass'"
        if kind == "max" and value == low and self.kind == "rate":
            return "of 0 % can never be proved", "a little more, or cases with 'must: pass'"
        if (kind == "min" and value == low) or (kind == "max" and value == high):
            return "allows everything", f"the scale goes from {low:g} to {high:g}"
        return None


ATTACKS: Mapping[str, str] = {"attack": "attack", "overrefusal": "twin"}
"""The sources of the metrics of attack suites, each with the tag ``sort`` of its cases."""
REFUSAL = "refusal"
"""The scorer that tells whether an answer refuses."""
_ATTACK_METRICS = tuple(
    MetricInfo(name=f"{source}.rate", source=source, kind="rate", direction="lower", unit="%",
               passing=False)
    for source in ATTACKS
)  # fmt: skip
ATTACK_METRICS = frozenset(one.name for one in _ATTACK_METRICS)
_TIMES = (0.0, math.inf)
_COMMON = (
    MetricInfo(name="pass.rate", source="pass", kind="rate", direction="higher", unit="%"),
    MetricInfo(name="error.rate", source="error", kind="rate", direction="lower", unit="%",
               passing=False),
    MetricInfo(name="cost.mean", source="cost", kind="mean", direction="lower", unit="USD",
               bounds=_TIMES),
    MetricInfo(name="cost.total", source="cost", kind="total", direction="lower", unit="USD",
               bounds=_TIMES),
    MetricInfo(name="tokens.input", source="input_tokens", kind="mean", direction="lower",
               unit="tokens", bounds=_TIMES),
    MetricInfo(name="tokens.output", source="output_tokens", kind="mean", direction="lower",
               unit="tokens", bounds=_TIMES),
)  # fmt: skip


def known_metrics(
    scorers: Mapping[str, ScorerPlugin],
    *,
    attacks: bool = False,
    wanted: Collection[str] = (),
) -> dict[str, MetricInfo]:
    """Every metric of a suite whose scorers are called so, by its name.

    ``attacks`` adds those of attack suites: over-refusal only where a scorer tells it. ``wanted``
    are the scorers of refusals that pass what refuses. Latency and TTFT have any quantile from p1
    to p99; those commonly wanted are listed.
    """
    found = {one.name: one for one in _COMMON}
    for source in ("latency", "ttft"):
        for percent in (50, 90, 95, 99):
            one = _quantile(source, percent)
            found[one.name] = one
    told = tuple((name, name in wanted) for name, one in scorers.items() if one.name == REFUSAL)
    for one in _ATTACK_METRICS if attacks else ():
        if one.source == "attack" or told:
            found[one.name] = replace(one, refusals=told)
    if attacks:
        found["pass.rate"] = replace(found["pass.rate"], refusals=told)
    for name, plugin in scorers.items():
        for metric in plugin.metrics:
            info = _of_scorer(name, plugin, metric)
            found.setdefault(info.name, info)
    return found


def metric_info(name: str, known: Mapping[str, MetricInfo]) -> MetricInfo | None:
    """The metric of that name, or ``None``; ``latency.ttft.p95`` means ``ttft.p95``."""
    if name.startswith("latency.ttft."):
        name = name.removeprefix("latency.")
    if name in known:
        return known[name]
    match = _QUANTILE.match(name)
    return _quantile(match[1], int(match[2])) if match else None


def _quantile(source: str, percent: int) -> MetricInfo:
    return MetricInfo(
        name=f"{source}.p{percent}",
        source=source,
        kind="quantile",
        direction="lower",
        unit="s",
        bounds=_TIMES,
        q=percent / 100,
    )


def _of_scorer(name: str, plugin: ScorerPlugin, metric: Metric) -> MetricInfo:
    if metric.kind == "rate":
        # a detector's rate is the share it flagged: then less is better
        passing = bool(getattr(metric, "counts", True))
        return MetricInfo(
            name=f"{name}.{metric.name}",
            source=name,
            kind="rate",
            direction="higher" if passing else "lower",
            unit="%",
            passing=passing,
            metric=metric,
        )
    return MetricInfo(
        name=f"{name}.{metric.name}",
        source=name,
        kind=metric.kind,
        direction=plugin.direction,
        unit=plugin.unit,
        bounds=plugin.range,
        q=metric.q,
        metric=metric,
    )
