"""Every metric of two runs side by side, with the interval of its change: for the eyes only.

The numbers come from the rules that gates use, so a gate on the same metric says the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from evalkit.config.gate_metrics import MetricInfo
from evalkit.config.spec import GateLimit, GatePolicy, GateSpec
from evalkit.gate.bench import Bench
from evalkit.gate.decide import benches
from evalkit.gate.result import GateResult
from evalkit.gate.stored import Stored
from evalkit.model import Direction

_ASIDE = 0.1
"""A margin, as a share of the scale: the interval of a change does not depend on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """A metric of one target on the cases of both runs, and how it changed.

    ``baseline`` and ``candidate`` are levels in ``unit`` of the ``n`` cases with a result on both
    sides; ``difference`` and its interval from
    ``low`` to ``high`` are shares of the baseline when ``relative``. ``reason`` says why there is
    no change or no interval.
    """

    suite: str
    target: str
    metric: str
    unit: str = ""
    direction: Direction = "higher"
    n: int = 0
    baseline: float | None = None
    candidate: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.9
    relative: bool = False
    reason: str = ""

    @property
    def worse(self) -> bool:
        """Whether the whole interval is on the bad side of no change."""
        return self._whole(1 if self.direction == "lower" else -1)

    @property
    def better(self) -> bool:
        """Whether the whole interval is on the good side of no change."""
        return self._whole(-1 if self.direction == "lower" else 1)

    def _whole(self, side: int) -> bool:
        """Whether the metric has a good direction and all of the interval is on this side of 0."""
        end = self.low if side > 0 else self.high
        return self.direction != "neutral" and end is not None and side * end > 0


def moves(
    candidate: Stored,
    baseline: Stored,
    *,
    shown: Mapping[str, Sequence[str]],
    policies: Mapping[str, GatePolicy],
) -> tuple[MetricChange, ...]:
    """The changes of the ``shown`` metrics of every suite, target by target."""
    found = []
    for bench in benches(list(shown), candidate, baseline, policies=policies):
        aside = _refusals(bench)
        for name in shown[bench.suite.name]:
            info = bench.infos.get(name)
            if info is not None and info.kind != "total":
                move = _move(bench, info)
                found.append(replace(move, direction="neutral") if info.source in aside else move)
    return tuple(found)


def _refusals(bench: Bench) -> set[str]:
    """The scorers of refusals of a suite of attacks: to refuse is right there, and wrong of twins.

    How often each happens are the suite's own rates; that of all cases is neither good nor bad.
    """
    info = bench.infos.get("attack.rate")
    if info is None or "attack" not in bench.everything.tag("sort"):
        return set()
    return {name for name, _ in info.refusals}


def _move(bench: Bench, info: MetricInfo) -> MetricChange:
    relative = info.kind == "quantile" or info.unit in {"s", "USD", "tokens"}
    spread = info.spread if math.isfinite(info.spread) else 1.0
    limit = GateLimit(
        kind="max_rise" if relative or info.direction == "lower" else "max_drop",
        value=_ASIDE if relative else _ASIDE * spread,
        relative=relative,
    )
    gate = GateSpec(id=info.name, metric=info.name, mode="advisory", limits=(limit,))
    return _told(bench.judge(gate)[0], info)


def _told(result: GateResult, info: MetricInfo) -> MetricChange:
    known = result.low is not None or result.high is not None
    return MetricChange(
        suite=result.suite,
        target=result.target,
        metric=result.metric,
        unit=result.unit,
        direction=info.direction,
        n=result.n - result.missing,
        baseline=result.baseline,
        candidate=result.candidate,
        difference=result.difference,
        low=result.low,
        high=result.high,
        level=result.level,
        relative=result.relative,
        reason="" if known else result.reason,
    )
