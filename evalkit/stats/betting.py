"""Evidence that may be looked at after every case: a gambler who cannot win against the truth.

If the mean of x is 0 or less, wealth that bets on x > 0 is a supermartingale: it reaches 1/α with
probability α at most, however often one looks, stops, resumes or adds cases (Ville 1939; Waudby-
Smith and Ramdas 2024). Not knowing the best bet, a mixture of bets is placed. Close to the margin
this costs 18 to 33 % more cases than group-sequential looks; it is for open-ended sampling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.intervals import Floats

_BETS = 12


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


def bet_on_pass(margin: float, *, noise: float | None = None) -> Wealth:
    """Start betting that a drop larger than ``margin`` is ruled out: the mean of d + m is above 0.

    Differences d are candidate − baseline from −1 to 1, in an order that does not depend on them.
    12 geometric bets from 2 to 100 % of the largest safe stake. With ``noise``, the variance of d
    between unchanged runs, half of the money goes on the one bet m ÷ (noise + m²).
    """
    if not 0 < margin < 1:
        raise ValueError(f"a margin lies between 0 and 1, not at {margin!r}")
    largest = 0.95 / (1 - margin)
    tuned = None if noise is None else min(margin / (noise + margin**2), largest)
    return _start(largest, tuned, shift=margin, sign=1)


def bet_on_harm(*, margin: float = 0.0, noise: float | None = None) -> Wealth:
    """Start betting that the candidate is worse: the mean of −d is above 0.

    With ``margin`` and ``noise`` half of the money goes on the bet tuned to a drop of the margin.
    """
    tuned = None if noise is None or not margin else min(margin / (noise + margin**2), 0.95)
    return _start(0.95, tuned, shift=0.0, sign=-1)


def bet_on_rate_below(ceiling: float) -> Wealth:
    """Start betting that a rate of events (x = 0 or 1) is below ``ceiling``: r − x is above 0."""
    if not 0 < ceiling < 1:
        raise ValueError(f"a ceiling lies between 0 and 1, not at {ceiling!r}")
    return _start(0.95 / (1 - ceiling), None, shift=ceiling, sign=-1)


def bet_on_rate_above(ceiling: float) -> Wealth:
    """Start betting that a rate of events (x = 0 or 1) is above ``ceiling``: x − r is above 0."""
    if not 0 < ceiling < 1:
        raise ValueError(f"a ceiling lies between 0 and 1, not at {ceiling!r}")
    return _start(0.95 / ceiling, None, shift=-ceiling, sign=1)


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


def _start(largest: float, tuned: float | None, *, shift: float, sign: int) -> Wealth:
    bets = tuple((np.geomspace(0.02, 1, _BETS) * largest).tolist())
    weights = (1 / _BETS,) * _BETS
    if tuned is not None:
        bets, weights = (*bets, tuned), (*(one / 2 for one in weights), 0.5)
    return Wealth(shift=shift, sign=sign, bets=bets, weights=weights, log_wealth=(0.0,) * len(bets))


def _mixed(log_wealth: Floats, weights: Sequence[float]) -> Floats:
    from scipy.special import logsumexp

    return np.asarray(logsumexp(log_wealth + np.log(weights), axis=1), dtype=float)
