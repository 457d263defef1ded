"""Looks at a run before it ends: what each may decide, and what a run remembers of them.

A run that was looked at is judged by the looks it had, whenever and by whichever policy it is
judged: a fixed test on top of them would err far more often than it says.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from evalkit.gate.beside import UNCHANGED
from evalkit.model import JSON, Run

if TYPE_CHECKING:
    # every run is asked how it ended, and what judges is not imported for that
    from evalkit.gate.result import Decided, GateResult
    from evalkit.stats.sequential import Spending
    from evalkit.stats.sides import Side

SETTING = "looked"
"""Where a run keeps its looks among its settings."""
Looking: TypeAlias = "Spending | Literal['anytime']"
"""How a run is looked at: by boundaries that spend α, or by bets that hold at any time."""
_LOOKINGS = ("rho2", "obrien_fleming", "pocock", "anytime")


def turn(seed: int, name: str) -> int:
    """A number that says when a case has its turn: random, and known from seed and content."""
    digest = hashlib.sha256(f"looks\0{seed}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The present look at one suite: the shares of its calls made at each so far, this one last.

    ``seen`` is the share of its cases that this look sees, ``total`` counts them all.
    ``information`` has the shares of earlier looks of those gates whose information does not grow
    with the calls alone, see ``key``.

    Where a run may be extended, the share is that of the most calls there can be. A repeat of a
    case tells less than a new one, so looks are more alike than that says, and together err less
    than boundaries for these shares allow (Slepian 1962).
    """

    shares: tuple[float, ...]
    spending: Looking
    total: int
    seen: float
    information: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def anytime(self) -> bool:
        """Whether means and rates are judged by bets."""
        return self.spending == "anytime"

    @property
    def spends(self) -> Spending:
        """How α is spent on what cannot be bet on."""
        return "rho2" if self.spending == "anytime" else self.spending

    def fractions(self, key: str, information: float | None) -> tuple[float, ...]:
        """The information shares of a gate's looks; ``information`` is that of this one."""
        if information is None:
            return self.shares
        before = self.information.get(key, ())[: len(self.shares) - 1]
        # of the cases alone; and a look that seems to know less than the one before spends nothing
        now = information * self.shares[-1] / self.seen
        return (*before, min(max(now, 1e-9), 1.0))

    def level(self, fractions: tuple[float, ...], alpha: float) -> float:
        """The level this look tests at."""
        from evalkit.stats.sequential import nominal

        return nominal(fractions, alpha, self.spends)


def key(result: GateResult) -> str:
    """What tells a result apart from all others of its run."""
    parts = (result.suite, result.target, result.gate, result.limit.kind, result.where)
    return "\n".join(parts)


def over_looks(result: GateResult, look: Look, alpha: float) -> GateResult:
    """The result with p-values that stay what they say however often the run was looked at."""
    from evalkit.stats.sequential import repeated_p

    def repeated(p: float | None) -> float | None:
        return None if p is None else repeated_p(p, result.looks, alpha, look.spends)

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

    A suite that may be extended has its ``trials`` a case, as planned, and the ``most`` there may
    be; ``added`` counts those that were added so far, each of them a look.
    """

    spending: Looking
    cases: Mapping[str, tuple[int, ...]]
    of: Mapping[str, int]
    ended: Literal["", "PASS", "FAIL"] = ""
    beyond: Mapping[str, frozenset[str]] = field(default_factory=dict)
    information: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    trials: Mapping[str, int] = field(default_factory=dict)
    most: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)

    def at(self, suite: str) -> Look | None:
        """The last look at a suite; ``None`` for a suite that was not looked at."""
        seen, total = self.cases.get(suite), self.of.get(suite)
        if not seen or not total:
            return None
        planned, most = self.trials.get(suite, 1), self.most.get(suite, 1)
        rounds = range(planned + 1, planned + self.added.get(suite, 0) + 1)
        return Look(
            shares=(
                *(one / total * (planned / most) for one in seen),
                *(one / most for one in rounds),
            ),
            spending=self.spending,
            total=total,
            seen=seen[-1] / total,
            information=self.information,
        )

    def counted(self, suite: str) -> int | None:
        """How many trials of a case its looks have seen; ``None``: all that there are."""
        planned = self.trials.get(suite)
        return None if planned is None else planned + self.added.get(suite, 0)

    def to_json(self) -> dict[str, JSON]:
        """What a run stores."""
        return {
            "spending": self.spending,
            "cases": {suite: list[JSON](seen) for suite, seen in self.cases.items()},
            "of": dict(self.of),
            "ended": self.ended,
            "beyond": {suite: list[JSON](sorted(ids)) for suite, ids in self.beyond.items()},
            "information": {name: list[JSON](one) for name, one in self.information.items()},
            **({} if not self.most else {
                "trials": dict(self.trials), "most": dict(self.most), "added": dict(self.added)
            }),
        }  # fmt: skip


def looked(run: Run) -> Looked | None:
    """The looks a run has had; ``None`` for one that was not looked at."""
    kept = run.settings.get(SETTING)
    if not isinstance(kept, Mapping):
        return None
    value = cast("Mapping[str, Any]", kept)
    if value.get("spending") not in _LOOKINGS or value.get("ended") not in {"", "PASS", "FAIL"}:
        return None
    return Looked(
        spending=value["spending"],
        cases={suite: tuple(seen) for suite, seen in value["cases"].items()},
        of=dict(value["of"]),
        ended=value["ended"],
        beyond={suite: frozenset(ids) for suite, ids in value["beyond"].items()},
        information={name: tuple(one) for name, one in value["information"].items()},
        trials=dict(value.get("trials", {})),
        most=dict(value.get("most", {})),
        added=dict(value.get("added", {})),
    )


def ended_early(run: Run) -> bool:
    """Whether a look ended the run before all its cases were asked."""
    found = looked(run)
    return found is not None and bool(found.ended)


def chosen_end(run: Run) -> bool:
    """Whether a run ended where its verdict was certain, or left cases out that another had asked.

    Such a run is no baseline by itself: it looks better or worse than it is, or has not all cases.
    """
    found = looked(run)
    decided = found is not None and bool(found.ended or any(found.added.values()))
    return decided or bool(run.settings.get(UNCHANGED))


def decided(run: Run, sides: Sequence[Side], unchanged: Sequence[Side] = ()) -> Decided | None:
    """After how many cases a run was decided, and what it saved; ``None`` without looks.

    ``unchanged`` has the baseline's answers that were not asked for again.
    """
    import numpy as np

    from evalkit.gate.result import Decided

    found = looked(run)
    if found is None and not unchanged:
        return None
    made = sum(one.trials for one in sides)
    kept = sum(len(one.cases) for one in unchanged)
    added = 0
    if found is not None:
        added = sum(
            _beyond(one, found.trials[one.suite]) for one in sides if one.suite in found.trials
        )
    # what is unchanged was never planned
    saved = max(run.planned - made + added, 0) + _per_run(unchanged)
    costs = np.concatenate([one.cost_usd for one in (*sides, *unchanged)]) if sides else np.empty(0)
    known = bool(len(costs)) and not bool(np.isnan(costs).any())
    cases = [] if found is None else [seen[-1] for seen in found.cases.values() if seen]
    return Decided(
        cases=sum(cases),
        of=0 if found is None else sum(found.of.values()),
        looks=0 if found is None else _looks(found),
        early=found is not None and bool(found.ended),
        saved_calls=saved,
        saved_usd=math.fsum(costs.tolist()) / len(costs) * saved if known and saved else None,
        unchanged=kept,
        added_calls=added,
    )


def _per_run(unchanged: Sequence[Side]) -> int:
    """The calls it would have taken to ask again what stands in, as often as it was asked."""
    return sum(one.trials for one in unchanged)


def _looks(found: Looked) -> int:
    counts = [len(seen) + found.added.get(suite, 0) for suite, seen in found.cases.items()]
    return max(counts, default=0)


def _beyond(side: Side, planned: int) -> int:
    """How many trials a side has beyond those planned of each case."""
    import numpy as np

    return int(np.maximum(side.trials_per_case() - planned, 0).sum())
