"""Evidence that may be looked at after every case: a gambler who cannot win against the truth.

If the mean of x is 0 or less, wealth that bets on x > 0 is a supermartingale: it reaches 1/α with
probability α at most, however often one looks, stops, resumes or adds cases (Ville 1939; Waudby-
Smith and Ramdas 2024). Not knowing the best bet, a mixture of bets is placed. Close to the margin
this costs 18 to 33 % more cases than group-sequential looks; it is for open-ended sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.intervals import Floats, Interval

_BETS = 12
_EVEN = 10
_CAREFUL = 0.95
"""The share of everything that the largest bet puts at risk: nobody is ever ruined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wealth:
    """A mixture of bets and what each has won so far: all that is needed to go on betting.

    ``bets`` are the stakes, ``weights`` their shares (summing to 1), ``log_wealth`` the log wealth
    of each, ``peak`` the highest log e-value of the mixture ever reached; ``n`` counts the cases.
    """

    shift: float
    sign: int
    bets: tuple[float, ...]
    weights: tuple[float, ...]
    log_wealth: tuple[float, ...]
    peak: float = 0.0
    n: int = 0

    @property
    def log_e(self) -> float:
        """The log e-value now."""
        return float(_mixed(np.array([self.log_wealth]), self.weights)[0])

    @property
    def p(self) -> float:
        """1 ÷ the highest e-value so far: a p-value at any time."""
        return math.exp(-max(self.peak, 0.0))

    def crossed(self, alpha: float) -> bool:
        """Whether the e-value has ever reached 1/α."""
        return self.peak >= -math.log(alpha)

    def path(self, differences: Sequence[float] | Floats) -> Floats:
        """The log e-value after each of the differences, played in this order."""
        return _mixed(self._played(differences), self.weights)

    def after(self, differences: Sequence[float] | Floats) -> Wealth:
        """The wealth after these differences; the same to the last bit in one go or in many.

        Raises ``ValueError`` for a difference outside −1 to 1.
        """
        played = self._played(differences)
        if not len(played):
            return self
        return Wealth(
            shift=self.shift,
            sign=self.sign,
            bets=self.bets,
            weights=self.weights,
            log_wealth=tuple(played[-1].tolist()),
            peak=max(self.peak, float(_mixed(played, self.weights).max())),
            n=self.n + len(played),
        )

    def _played(self, differences: Sequence[float] | Floats) -> Floats:
        d = np.asarray(differences, dtype=float)
        if d.ndim != 1 or not (np.abs(d) <= 1 + 1e-12).all():
            raise ValueError("only differences from -1 to 1 can be bet on")
        gains = np.log1p(np.outer(self.sign * d + self.shift, self.bets))
        # a running sum that starts from the stored wealth adds in the same order as one long run
        return np.cumsum(np.vstack([self.log_wealth, gains]), axis=0)[1:]

    def to_json(self) -> dict[str, object]:
        """What to store to resume."""
        return {
            "shift": self.shift,
            "sign": self.sign,
            "bets": list(self.bets),
            "weights": list(self.weights),
            "log_wealth": list(self.log_wealth),
            "peak": self.peak,
            "n": self.n,
        }


def tuned_bet(margin: float, noise: float) -> float:
    """The stake that wins most from a mean of ``margin`` with this variance, to second order."""
    return margin / (noise + margin**2)


def bet_on_pass(margin: float, *, noise: float | None = None) -> Wealth:
    """Start betting that a drop larger than ``margin`` is ruled out: the mean of d + m is above 0.

    Differences d are candidate − baseline from −1 to 1, in an order that does not depend on them.
    12 geometric bets from 2 to 100 % of the largest safe stake. With ``noise``, the variance of d
    between unchanged runs, half of the money goes on the one bet m ÷ (noise + m²).
    """
    if not 0 < margin < 1:
        raise ValueError(f"a margin lies between 0 and 1, not at {margin!r}")
    largest = _CAREFUL / (1 - margin)
    tuned = None if noise is None else min(tuned_bet(margin, noise), largest)
    return _start(largest, tuned, shift=margin, sign=1)


def bet_on_harm(*, margin: float = 0.0, noise: float | None = None) -> Wealth:
    """Start betting that the candidate is worse: the mean of −d is above 0.

    With ``margin`` and ``noise`` half of the money goes on the bet tuned to a drop of the margin.
    """
    tuned = None if noise is None or not margin else min(tuned_bet(margin, noise), _CAREFUL)
    return _start(_CAREFUL, tuned, shift=0.0, sign=-1)


def bet_on_rate_below(ceiling: float) -> Wealth:
    """Start betting that a rate of events (x = 0 or 1) is below ``ceiling``: r − x is above 0."""
    if not 0 < ceiling < 1:
        raise ValueError(f"a ceiling lies between 0 and 1, not at {ceiling!r}")
    return _start(_CAREFUL / (1 - ceiling), None, shift=ceiling, sign=-1)


def bet_on_rate_above(ceiling: float) -> Wealth:
    """Start betting that a rate of events (x = 0 or 1) is above ``ceiling``: x − r is above 0."""
    if not 0 < ceiling < 1:
        raise ValueError(f"a ceiling lies between 0 and 1, not at {ceiling!r}")
    return _start(_CAREFUL / ceiling, None, shift=-ceiling, sign=1)


def resume(stored: dict[str, object]) -> Wealth:
    """The wealth that ``to_json`` stored; raises ``ValueError`` when it is none."""
    try:
        numbers = {
            key: tuple(float(one) for one in stored[key])  # type: ignore[attr-defined]  # checked here
            for key in ("bets", "weights", "log_wealth")
        }
        wealth = Wealth(
            shift=float(stored["shift"]),  # type: ignore[arg-type]  # checked by the conversion
            sign=1 if stored["sign"] == 1 else -1,
            peak=float(stored["peak"]),  # type: ignore[arg-type]  # checked by the conversion
            n=int(stored["n"]),  # type: ignore[call-overload]  # checked by the conversion
            bets=numbers["bets"],
            weights=numbers["weights"],
            log_wealth=numbers["log_wealth"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("these are not stored e-values") from error
    lengths = {len(wealth.bets), len(wealth.weights), len(wealth.log_wealth)}
    if len(lengths) != 1 or not wealth.bets or not math.isclose(sum(wealth.weights), 1):
        raise ValueError("these are not stored e-values")
    return wealth


@dataclass(frozen=True, slots=True, kw_only=True)
class AnytimeMean:
    """The mean of bounded values in an order fixed beforehand, judged by bets after every one.

    An ``Evidence`` that holds however often it was looked at, and whenever it is stopped: the
    p-values are those of the best moment so far, the interval is the confidence sequence of the
    same bets (Waudby-Smith and Ramdas 2024, 4). ``low`` and ``high`` bound a value; ``tuned`` is
    the stake that half of the money goes on, see ``tuned_bet``, or ``None``.

    ``even`` stakes are ten equal steps, not twelve geometric ones: what wins from a difference
    is a large part of the largest stake, from a rate near its end it may be a hundredth.
    """

    values: Floats
    low: float
    high: float
    tuned: float | None = None
    even: bool = False

    def __post_init__(self) -> None:
        data = self.values
        if not len(data) or not ((data >= self.low - 1e-12) & (data <= self.high + 1e-12)).all():
            raise ValueError("only values within finite bounds can be bet on")

    @property
    def value(self) -> float:
        """The mean of all."""
        return math.fsum(self.values.tolist()) / len(self.values)

    def p_above(self, at: float) -> float:
        """See ``Evidence``."""
        return self._p(at - self.low, self.values - at)

    def p_below(self, at: float) -> float:
        """See ``Evidence``."""
        return self._p(self.high - at, at - self.values)

    def _p(self, room: float, gains: Floats) -> float:
        if room <= 0:
            return 1.0
        tuned = None if self.tuned is None else min(self.tuned, _CAREFUL / room)
        start = _start(_CAREFUL / room, tuned, shift=0.0, sign=1, even=self.even)
        won = np.cumsum(np.log1p(np.outer(gains, start.bets)), axis=0)
        return math.exp(-max(float(_mixed(won, start.weights).max()), 0.0))

    def interval(self, level: float = 0.95) -> Interval:
        """See ``Evidence``; a bet loses from every value it is placed further away from."""
        alpha, value = (1 - level) / 2, self.value
        low = _last(lambda at: self.p_above(at) <= alpha, self.low, value)
        high = _last(lambda at: self.p_below(at) <= alpha, self.high, value)
        return Interval(low, high)


def _last(excluded: Callable[[float], bool], edge: float, value: float) -> float | None:
    """The value furthest from the edge that is excluded; ``None`` when not even the edge is."""
    inside, outside = value, edge + (value - edge) * 1e-6
    if not excluded(outside):
        return None
    for _ in range(20):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if excluded(middle) else (middle, outside)
    return outside


def _start(
    largest: float, tuned: float | None, *, shift: float, sign: int, even: bool = False
) -> Wealth:
    steps = np.linspace(0.1, 1, _EVEN) if even else np.geomspace(0.02, 1, _BETS)
    bets = tuple((steps * largest).tolist())
    weights = (1 / len(bets),) * len(bets)
    if tuned is not None:
        bets, weights = (*bets, tuned), (*(one / 2 for one in weights), 0.5)
    return Wealth(shift=shift, sign=sign, bets=bets, weights=weights, log_wealth=(0.0,) * len(bets))


def _mixed(log_wealth: Floats, weights: Sequence[float]) -> Floats:
    from scipy.special import logsumexp

    return np.asarray(logsumexp(log_wealth + np.log(weights), axis=1), dtype=float)
