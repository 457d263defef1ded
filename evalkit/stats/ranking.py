"""Which cases of a target went worst, found one scorer after the other: none is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evalkit.stats.samples import Cases, ScoreSample, TrialSample

_ROWS = 10_000
"""Cases that are ranked at a time."""
_UNASKED, _ANSWERED, _FAILED, _LOST = range(4)


class Ranking:
    """The cases of one target from the worst on; 17 bytes a case, and 8 more to add a scorer.

    A case that was never answered is worse than one that did not pass, that one worse than a low
    score: the mean over the scorers of its percent rank among all cases. ``scorers`` is how many
    are added at most.
    """

    def __init__(self, trials: TrialSample, scorers: int):
        import numpy as np

        n = trials.known_cases
        counts = np.min_scalar_type(scorers)
        self._state = _states(trials.cases, trials.ok, n)
        self._rank_sum = np.zeros(n)
        self._judges, self._not_passed = np.zeros(n, dtype=counts), np.zeros(n, dtype=counts)
        self._worst_rank = np.zeros(n, dtype=np.int32)
        # twice the place of the scorer, and 1 more where the case did not pass; below 0 none
        self._worst_at = np.full(n, -1, dtype=np.int16)
        self._added: list[tuple[str, float]] = []
        self._sizes: list[float] = []

    def add(self, name: str, sample: ScoreSample, *, sign: float) -> None:
        """Add the scores of a scorer; ``sign`` is -1 where lower ones are better."""
        import numpy as np

        where, goodness = _by_case(sample)
        missed = np.zeros(len(self._state), dtype=bool)
        missed[_rows(sample.cases, sample.passed == 0)] = True
        ascending = np.sort(goodness)
        size = float(max(1, len(goodness) - 1))
        place = np.int16(2 * len(self._added))
        self._added.append((name, sign))
        self._sizes.append(size)
        sizes = np.array(self._sizes)
        for start in range(0, len(goodness), _ROWS):
            end = min(start + _ROWS, len(goodness))
            at = slice(start, end) if where is None else where[start:end]
            its = goodness[start:end]
            # how many are better
            if sign < 0:
                ranks = np.searchsorted(ascending, its, side="left")
            else:
                ranks = len(ascending) - np.searchsorted(ascending, its, side="right")
            badness, failed = ranks / size, missed[at]
            held, held_rank = self._worst_at[at], self._worst_rank[at]
            before = held_rank / sizes[held >> 1] + (held & 1)
            worse = (held < 0) | (badness + failed > before)
            self._worst_at[at] = np.where(worse, place + failed.astype(np.int16), held)
            self._worst_rank[at] = np.where(worse, ranks, held_rank)
            self._rank_sum[at] += badness
            self._judges[at] += 1
            self._not_passed[at] += failed

    def means(self) -> None:
        """All were added: make means of the sums, in their place."""
        import numpy as np

        np.divide(self._rank_sum, self._judges, out=self._rank_sum, where=self._judges > 0)

    def first(self, count: int) -> npt.NDArray[np.bool_]:
        """Which cases can be among the first ``count``: more of them where some went equally."""
        import numpy as np

        left = (self._state >= _FAILED) | (self._not_passed > 0) | (self._rank_sum > 0)
        found = np.zeros(len(left), dtype=bool)
        wanted = count
        lost = (self._state == _LOST).view(np.uint8)
        for values in (lost, self._not_passed, self._rank_sum):
            those = values[left]
            if len(those) <= wanted:
                break
            those.partition(len(those) - wanted)
            least = those[len(those) - wanted]
            del those
            above = left & (values > least)
            found |= above
            wanted -= int(np.count_nonzero(above))
            left &= values == least
        return found | left

    def order(
        self, cases: npt.NDArray[np.int32], *ties: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.intp]:
        """The places of these cases, the worst first; ``ties`` say who is first of equals."""
        import numpy as np

        its = (
            self._state[cases] != _LOST,
            -self._not_passed[cases].astype(np.int64),
            -self._rank_sum[cases],
            *ties,
        )
        return np.lexsort(its[::-1])

    def worst_at(self, case: int) -> tuple[str | None, float]:
        """The scorer that a case did worst at, with its sign; ``None`` where none has judged it."""
        at = int(self._worst_at[case])
        return (None, 1.0) if at < 0 else self._added[at >> 1]


def _states(cases: Cases, ok: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.uint8]:
    import numpy as np

    states = np.full(n, _UNASKED, dtype=np.uint8)
    answered, failed = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    answered[_rows(cases, ok)] = True
    failed[_rows(cases, ~ok)] = True
    states[answered] = _ANSWERED
    states[failed] = _LOST
    states[failed & answered] = _FAILED
    return states


def _rows(cases: Cases, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.integer]:
    """The cases of the chosen rows."""
    import numpy as np

    return np.flatnonzero(chosen) if isinstance(cases, range) else cases[chosen]


def _by_case(
    sample: ScoreSample,
) -> tuple[npt.NDArray[np.integer] | None, npt.NDArray[np.float64]]:
    """The cases that have a score, all where none are listed, and the mean score of each."""
    import numpy as np

    cases = sample.cases
    if isinstance(cases, range):
        return None, sample.values
    counts = np.bincount(cases)
    where = np.flatnonzero(counts)
    return where, np.bincount(cases, weights=sample.values)[where] / counts[where]
