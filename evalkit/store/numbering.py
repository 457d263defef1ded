"""Numbers for the cases of a suite, so that columns of numbers say whose they are.

A case is known by a hash of its id here: a million ids as texts would take more memory than all
that is computed from their scores. Two cases of a million share 64 bits with a probability of 3 in
10^8.

The rows of a run lie in the store in the order in which its trials were finished, those of each
scorer as those of the trials: so a column of keys is, as a rule, the one that is known already.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evalkit.stats.samples import Cases

KEY = "hash(case_id)"
"""The key of a row's case, in SQL."""


class Numbering:
    """The cases of one suite, numbered from 0 as they come; 8 bytes a case."""

    def __init__(self) -> None:
        import numpy as np

        self._keys: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._order: npt.NDArray[np.intp] | None = None

    def add(self, keys: npt.NDArray[np.uint64]) -> Cases:
        """The number of each key's case; cases that are new get the next ones."""
        import numpy as np

        if np.array_equal(keys, self._keys):
            return range(len(keys))
        new = keys if not len(self) else keys[self._known(keys) < 0]
        if len(new):
            ordered = np.sort(new)
            if (ordered[1:] == ordered[:-1]).any():
                new = new[np.sort(np.unique(new, return_index=True)[1])]
            del ordered
            self._keys = np.concatenate([self._keys, new]) if len(self) else new
            self._order = None
            if len(self) == len(keys) and new is keys:
                return range(len(keys))
        return self._known(keys)

    def of(self, keys: npt.NDArray[np.uint64], at: int) -> Cases:
        """The number of each key's case; ``at`` is the place of the first in its column."""
        import numpy as np

        if np.array_equal(keys, self._keys[at : at + len(keys)]):
            return range(at, at + len(keys))
        return self._known(keys)

    def _known(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The number of each key's case, -1 where it has none."""
        import numpy as np

        if self._order is None:
            self._order = np.argsort(self._keys, kind="stable")
        places = np.searchsorted(self._keys, keys, sorter=self._order)
        found = self._order[np.minimum(places, len(self) - 1)].astype(np.int32)
        found[self._keys[found] != keys] = -1
        return found

    def key(self, number: int) -> int:
        """The key of a case."""
        return int(self._keys[number])

    def __len__(self) -> int:
        return len(self._keys)


def in_order(cases: npt.NDArray[np.integer], trials: npt.NDArray[np.int16]) -> npt.NDArray[np.intp]:
    """The rows in the order of their cases and trials."""
    import numpy as np

    return np.lexsort((trials, cases))
