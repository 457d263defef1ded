"""Looks at a run before it ends: what each may decide, and what a run remembers of them.

A run that was looked at is judged by the looks it had, whenever and by whichever policy it is
judged: a fixed test on top of them would err far more often than it says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np

from evalkit.gate.result import Decided, GateResult
from evalkit.model import JSON, Run
from evalkit.stats.sequential import Spending, nominal, repeated_p
from evalkit.stats.sides import Side

SETTING = "looked"
"""Where a run keeps its looks among its settings."""
_SPENDINGS = ("rho2", "obrien_fleming", "pocock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The present look at one suite: the shares of its cases seen at each so far, this one last.

    ``total`` counts the cases of the suite. ``information`` has the shares of earlier looks of
    those gates whose information does not grow with the cases alone, see ``key``.
    """

    shares: tuple[float, ...]
    spending: Spending
    total: int
    information: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def fractions(self, key: str, information: float | None) -> tuple[float, ...]:
        """The information shares of a gate's looks; ``information`` is that of this one."""
        if information is None:
            return self.shares
        before = self.information.get(key, ())[: len(self.shares) - 1]
        # a look that seems to know less than the one before it spends nothing, see boundaries
        return (*before, min(max(information, 1e-9), 1.0))

    def level(self, fractions: tuple[float, ...], alpha: float) -> float:
        """The level this look tests at."""
        return nominal(fractions, alpha, self.spending)


def key(result: GateResult) -> str:
    """What tells a result apart from all others of its run."""
    parts = (result.suite, result.target, result.gate, result.limit.kind, result.where)
    return "\n".join(parts)


def over_looks(result: GateResult, look: Look, alpha: float) -> GateResult:
    """The result with p-values that stay what they say however often the run was looked at."""

    def repeated(p: float | None) -> float | None:
        return None if p is None else repeated_p(p, result.looks, alpha, look.spending)

    if not result.looks:
        return result
    return replace(
        result,
        p_pass=repeated(result.p_pass),
        p_harm=repeated(result.p_harm),
        p_lost=repeated(result.p_lost),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """The looks a run has had, as it remembers them.

    ``cases`` has, by suite, how many cases each look saw, ``of`` how many there are. ``ended`` is
    what a look found for certain, empty when all cases were asked; then ``beyond`` has the ids of
    those that were answered too late for it.
    """

    spending: Spending
    cases: Mapping[str, tuple[int, ...]]
    of: Mapping[str, int]
    ended: Literal["", "PASS", "FAIL"] = ""
    beyond: Mapping[str, frozenset[str]] = field(default_factory=dict)
    information: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def at(self, suite: str) -> Look | None:
        """The last look at a suite; ``None`` for a suite that was not looked at."""
        seen, total = self.cases.get(suite), self.of.get(suite)
        if not seen or not total:
            return None
        return Look(
            shares=tuple(one / total for one in seen),
            spending=self.spending,
            total=total,
            information=self.information,
        )

    def to_json(self) -> dict[str, JSON]:
        """What a run stores."""
        return {
            "spending": self.spending,
            "cases": {suite: list[JSON](seen) for suite, seen in self.cases.items()},
            "of": dict(self.of),
            "ended": self.ended,
            "beyond": {suite: list[JSON](sorted(ids)) for suite, ids in self.beyond.items()},
            "information": {name: list[JSON](one) for name, one in self.information.items()},
        }


def looked(run: Run) -> Looked | None:
    """The looks a run has had; ``None`` for one that was not looked at."""
    kept = run.settings.get(SETTING)
    if not isinstance(kept, Mapping):
        return None
    value = cast("Mapping[str, Any]", kept)
    if value.get("spending") not in _SPENDINGS or value.get("ended") not in {"", "PASS", "FAIL"}:
        return None
    return Looked(
        spending=value["spending"],
        cases={suite: tuple(seen) for suite, seen in value["cases"].items()},
        of=dict(value["of"]),
        ended=value["ended"],
        beyond={suite: frozenset(ids) for suite, ids in value["beyond"].items()},
        information={name: tuple(one) for name, one in value["information"].items()},
    )


def ended_early(run: Run) -> bool:
    """Whether a look ended the run before all its cases were asked."""
    found = looked(run)
    return found is not None and bool(found.ended)


def decided(run: Run, sides: Sequence[Side]) -> Decided | None:
    """After how many cases a run was decided, and what it saved; ``None`` without looks."""
    found = looked(run)
    if found is None:
        return None
    made = sum(one.trials for one in sides)
    saved = max(run.planned - made, 0)
    costs = np.concatenate([one.cost_usd for one in sides]) if sides else np.empty(0)
    known = bool(len(costs)) and not bool(np.isnan(costs).any())
    return Decided(
        cases=sum(seen[-1] for seen in found.cases.values() if seen),
        of=sum(found.of.values()),
        looks=max((len(seen) for seen in found.cases.values()), default=0),
        early=bool(found.ended),
        saved_calls=saved,
        saved_usd=math.fsum(costs.tolist()) / made * saved if known and saved else None,
    )
