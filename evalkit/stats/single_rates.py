"""One rate against a floor or a ceiling.

A floor is judged by Wilson's score, a ceiling on rare events by Clopper–Pearson: near 0 events
Wilson's upper bound covered 82 to 91 % where 95 were promised, Wald's lower bound 64 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from evalkit.stats.intervals import Interval, check_counts, clopper_pearson, wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRate:
    """``successes`` of ``n`` independent cases, judged by the score test (Wilson 1927).

    The shortest honest interval, but a lattice: at 50 cases the true size of a 5 % test is up to
    7.8 %. Where 5 % is a promise, test by ``ExactRate``. Raises ``ValueError`` for no rate.
    """

    successes: int
    n: int

    def __post_init__(self) -> None:
        check_counts(self.successes, self.n)

    @property
    def value(self) -> float:
        """The observed share."""
        return self.successes / self.n

    def p_above(self, at: float) -> float:
        """Against "the rate is ``at`` or less"."""
        return self._tail(at, 1)

    def p_below(self, at: float) -> float:
        """Against "the rate is ``at`` or more"."""
        return self._tail(at, -1)

    def _tail(self, at: float, side: int) -> float:
        from scipy.special import ndtr

        if not 0 < at < 1:
            # nothing lies beyond the ends: that the rate is above 0 is shown by one success
            return 0.0 if side * (self.value - at) > 0 and 0 <= at <= 1 else 1.0
        return float(ndtr(-side * (self.value - at) / math.sqrt(at * (1 - at) / self.n)))

    def interval(self, level: float = 0.95) -> Interval:
        """Wilson's interval."""
        return wilson(self.successes, self.n, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactRate:
    """``events`` of ``n`` independent cases, judged exactly (Clopper and Pearson 1934).

    Never errs more often than promised. Raises ``ValueError`` for no rate.
    """

    events: int
    n: int

    def __post_init__(self) -> None:
        check_counts(self.events, self.n)

    @property
    def value(self) -> float:
        """The observed share."""
        return self.events / self.n

    def p_above(self, at: float) -> float:
        """P(as many events or more), were the rate ``at``."""
        from scipy.special import bdtrc

        if not self.events:
            return 1.0
        return float(bdtrc(self.events - 1, self.n, min(max(at, 0.0), 1.0)))

    def p_below(self, at: float) -> float:
        """P(as few events or fewer), were the rate ``at``."""
        from scipy.special import bdtr

        return float(bdtr(self.events, self.n, min(max(at, 0.0), 1.0)))

    def interval(self, level: float = 0.95) -> Interval:
        """The exact interval."""
        return clopper_pearson(self.events, self.n, level)


def cases_for_ceiling(ceiling: float, *, events: int = 0, alpha: float = 0.05) -> int:
    """The fewest cases that can show a rate below ``ceiling`` when ``events`` are seen.

    Exact binomial: the smallest n with P(X ≤ events) ≤ α at the ceiling; 299 clean cases for 1 %.
    Raises ``ValueError`` for a ceiling outside 0 to 1.
    """
    from scipy.special import bdtr

    if not 0 < ceiling < 1 or events < 0:
        raise ValueError(f"no number of cases shows a rate below {ceiling!r}")
    low, high = events, events + 1
    while bdtr(events, high, ceiling) > alpha:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bdtr(events, middle, ceiling) <= alpha else (middle, high)
    return high
