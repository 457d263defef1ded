"""How often the gates fail a system that did not change: runs of one configuration, judged.

Each of them is judged as a candidate against the others, as the gates would. Every FAIL is a false
alarm, so their share can be held against what the gates promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from evalkit.gate.result import GateResult, Status, Verdict
from evalkit.stats.intervals import Interval, clopper_pearson


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTest:
    """The verdicts on runs of one configuration, with the share of failures that was promised.

    ``flips`` is the share of cases whose outcome differs between two of the runs.
    """

    runs: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    promised: float
    flips: float | None = None
    level: float = 0.95

    @property
    def judged(self) -> int:
        """How many verdicts there are."""
        return len(self.verdicts)

    def count(self, status: Status) -> int:
        """How many verdicts say so."""
        return sum(one.status is status for one in self.verdicts)

    @property
    def rate(self) -> float:
        """The share of false alarms."""
        return self.count(Status.FAIL) / self.judged

    @property
    def interval(self) -> Interval:
        """The exact interval of that share, at ``level``.

        Verdicts share runs, and R runs make only R ÷ 2 pairs that share none: the mean over all is
        never wilder than that of so many (Hoeffding 1963, 5a), rounded to the careful side.
        """
        n = self.judged // 2
        low = clopper_pearson(int(self.rate * n), n, self.level).low
        high = clopper_pearson(min(n, -int(-self.rate * n // 1)), n, self.level).high
        return Interval(low, high)

    @property
    def meaning(self) -> Literal["kept", "unknown", "broken"]:
        """Whether the promise is kept: the interval lies below it, on both sides, or above."""
        ends = self.interval
        if ends.low is not None and ends.low > self.promised:
            return "broken"
        return "kept" if ends.high is not None and ends.high <= self.promised else "unknown"

    @property
    def alarms(self) -> dict[tuple[str, str, str, str], int]:
        """How often each rule failed, by suite, target, gate and place; the most often first."""
        found: dict[tuple[str, str, str, str], int] = {}
        for verdict in self.verdicts:
            for one in verdict.results:
                if one.status is Status.FAIL and one.effect == "blocks":
                    key = _key(one)
                    found[key] = found.get(key, 0) + 1
        return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _key(one: GateResult) -> tuple[str, str, str, str]:
    return one.suite, one.target, one.gate, one.where


def flips(outcomes: Sequence[tuple[int, int]]) -> float | None:
    """The share of cases that differ, from (cases that moved, cases) of each comparison."""
    cases = sum(n for _, n in outcomes)
    return sum(moved for moved, _ in outcomes) / cases if cases else None
