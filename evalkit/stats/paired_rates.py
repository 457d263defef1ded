"""Whether the share of passing cases changed, both sides judged case by case.

Only the pairs that disagree carry the change; the pairs that agree say how much they can hide. So
the difference is tested by Tango's score against a margin and by McNemar's mid-p against 0: both
hold where Student's t and the bootstrap fail, at few cases with few losses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from evalkit.stats.intervals import Interval
from evalkit.stats.special import zero_of


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedCounts:
    """Pairs of (baseline, candidate) by what passed; the difference is candidate − baseline.

    ``gain``: only the candidate passes. ``loss``: only the baseline does. Higher is better. Raises
    ``ValueError`` for a negative count and for no pairs.
    """

    both_pass: int
    gain: int
    loss: int
    both_fail: int

    def __post_init__(self) -> None:
        counts = (self.both_pass, self.gain, self.loss, self.both_fail)
        if min(counts) < 0 or not sum(counts):
            raise ValueError(f"{counts} are not counts of pairs")

    @classmethod
    def of(
        cls,
        baseline: Sequence[bool] | npt.NDArray[np.bool_],
        candidate: Sequence[bool] | npt.NDArray[np.bool_],
    ) -> PairedCounts:
        """Count the pairs; both sides list the same cases in the same order."""
        before, after = np.asarray(baseline, dtype=bool), np.asarray(candidate, dtype=bool)
        if before.shape != after.shape:
            raise ValueError("both sides must have a result for every pair")
        return cls(
            both_pass=int((before & after).sum()),
            gain=int((~before & after).sum()),
            loss=int((before & ~after).sum()),
            both_fail=int((~before & ~after).sum()),
        )

    @property
    def n(self) -> int:
        """How many pairs."""
        return self.both_pass + self.gain + self.loss + self.both_fail

    @property
    def value(self) -> float:
        """The difference of the two pass rates."""
        return (self.gain - self.loss) / self.n

    def p_above(self, at: float) -> float:
        """Against "the difference is ``at`` or less": mid-p McNemar at 0, Tango elsewhere."""
        from scipy.special import ndtr

        if at == 0:
            return mcnemar_midp(losses=self.loss, gains=self.gain)
        return float(ndtr(-tango_z(self, at)))

    def p_below(self, at: float) -> float:
        """Against "the difference is ``at`` or more": mid-p McNemar at 0, Tango elsewhere."""
        from scipy.special import ndtr

        if at == 0:
            return mcnemar_midp(losses=self.gain, gains=self.loss)
        return float(ndtr(tango_z(self, at)))

    def interval(self, level: float = 0.95) -> Interval:
        """Tango's score interval, see ``tango_interval``."""
        return tango_interval(self, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedShares:
    """``n`` independent questions asked in several phrasings, each a pair of (one, other) side.

    ``gain`` and ``loss`` add up, over the questions, the share of its phrasings that only one side
    passes. The mean of a question's phrasings varies no more than one of them, so that Tango's
    interval of ``n`` pairs holds; it is the pairs' own where the phrasings agree.
    """

    gain: float
    loss: float
    n: int

    @property
    def value(self) -> float:
        """The difference of the two pass rates."""
        return (self.gain - self.loss) / self.n

    def interval(self, level: float = 0.95) -> Interval:
        """Tango's score interval, see ``tango_interval``."""
        return tango_interval(self, level)


def tango_z(counts: PairedCounts | PairedShares, at: float) -> float:
    """The score statistic of "the paired difference is ``at``" (Tango 1998, formula 10).

    Positive when the data lie above ``at``; standard normal under it. Never undefined: the variance
    is the one the hypothesis itself implies, so without a single disagreement it is not 0. ``at``
    is between −1 and 1, both excluded; else ``ValueError``.
    """
    if not -1 < at < 1:
        raise ValueError(f"a difference of rates lies between -1 and 1, not at {at!r}")
    n, gain, loss = counts.n, counts.gain, counts.loss
    surplus = gain - loss - n * at
    if surplus == 0:
        return 0.0
    a, b, c = 2 * n, -gain - loss + (2 * n - gain + loss) * at, -loss * at * (1 - at)
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    # the larger root of a·q² + b·q + c, written so that nothing cancels
    share = (root - b) / (2 * a) if b <= 0 else -2 * c / (root + b)
    variance = n * (2 * share + at * (1 - at))
    return surplus / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, surplus)


def tango_interval(counts: PairedCounts | PairedShares, level: float = 0.95) -> Interval:
    """The differences that ``tango_z`` does not reject; within −1 and 1, never of zero width."""
    from scipy.special import ndtri

    z = float(ndtri((1 + level) / 2))
    edge = 1 - 1e-12
    value = min(max(counts.value, -edge), edge)

    def excess(at: float, side: int) -> float:
        return side * tango_z(counts, at) - z

    low = high = None
    if excess(-edge, 1) > 0:
        low = zero_of(lambda at: excess(at, 1), -edge, value, near=1e-13)
    if excess(edge, -1) > 0:
        high = zero_of(lambda at: excess(at, -1), value, edge, near=1e-13)
    return Interval(-1.0 if low is None else low, 1.0 if high is None else high)


def mcnemar_midp(*, losses: int, gains: int) -> float:
    """The mid-p of "gains outnumber losses by chance" (Fagerland, Lydersen and Laake 2013).

    One-sided: small when there are more gains than a fair coin gives among the pairs that disagree.
    Half of the probability of the observed count is counted: less conservative than the exact test,
    and its size still does not exceed the nominal one in practice. Without disagreement 1.
    """
    from scipy.special import bdtr

    discordant = losses + gains
    if not discordant:
        return 1.0
    strictly = float(bdtr(losses - 1, discordant, 0.5)) if losses else 0.0
    return (strictly + float(bdtr(losses, discordant, 0.5))) / 2


def mcnemar_exact(*, losses: int, gains: int) -> float:
    """The exact one-sided p of "gains outnumber losses by chance" (McNemar 1947, binomial)."""
    from scipy.special import bdtr

    return float(bdtr(losses, losses + gains, 0.5)) if losses + gains else 1.0
