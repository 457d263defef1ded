"""Numbers for the cases of a run, so that columns of numbers say whose they are.

A case is known by a hash of its id here: a million ids as texts would take more memory than all
that is computed from their scores. Two cases of a million share 64 bits with a probability of 3 in
10^8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.store.reads import BATCH, batches, fetch, numbers

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from duckdb import DuckDBPyConnection

KEY = "hash(case_id)"
"""The key of a row's case, in SQL."""
# ids are hexadecimal; rows of several datasets may have the same place
_ORDER = "coalesce(case_row, 9223372036854775807)"
_TIE = "coalesce(try_cast('0x' || left(case_id, 16) AS UBIGINT), 0)"
_ROW = [("key", "u8"), ("place", "i8"), ("tie", "u8")]


@dataclass(frozen=True, slots=True)
class Numbering:
    """The cases of one suite, numbered from 0 in the order of its datasets; 12 bytes a case."""

    keys: npt.NDArray[np.uint64]
    found: npt.NDArray[np.int32]

    def of(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """The number of each key's case."""
        import numpy as np

        return self.found[np.searchsorted(self.keys, keys)]

    def key(self, number: int) -> int:
        """The key of a case."""
        import numpy as np

        return int(self.keys[int(np.flatnonzero(self.found == number)[0])])

    def __len__(self) -> int:
        return len(self.keys)


def numberings(connection: DuckDBPyConnection, run_id: str) -> Mapping[str, Numbering]:
    """The numbering of every suite that has trials in a run."""
    suites = fetch(connection, "SELECT DISTINCT suite FROM trials WHERE run_id = ?", [run_id])
    return {one["suite"]: _numbering(connection, run_id, one["suite"]) for one in suites}


def _numbering(connection: DuckDBPyConnection, run_id: str, suite: str) -> Numbering:
    import numpy as np

    # in here and not in SQL: there it takes ten times the memory
    known = np.empty(0, dtype=_ROW)
    new: list[Any] = []
    for batch in batches(
        connection,
        f"SELECT {KEY} AS key, {_ORDER} AS place, {_TIE} AS tie FROM trials"  # noqa: S608 -- constant expressions
        " WHERE run_id = ? AND suite = ?",
        [run_id, suite],
    ):
        rows = np.empty(batch.num_rows, dtype=_ROW)
        for name in rows.dtype.names or ():
            rows[name] = numbers(batch.column(name))
        new.append(rows)
        if sum(map(len, new)) >= max(len(known), 8 * BATCH):
            known, new = _distinct(known, new), []
    known = _distinct(known, new)
    found = np.empty(len(known), dtype=np.int32)
    found[np.lexsort((known["tie"], known["place"]))] = np.arange(len(known), dtype=np.int32)
    return Numbering(np.ascontiguousarray(known["key"]), found)


def _distinct(known: Any, new: list[Any]) -> Any:
    """One row a key, in the order of keys."""
    import numpy as np

    rows = np.concatenate([known, *new])
    rows = rows[np.lexsort((rows["place"], rows["key"]))]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = rows["key"][1:] != rows["key"][:-1]
    return rows[first]


def in_order(cases: npt.NDArray[np.int32], trial: npt.NDArray[np.int32]) -> Any:
    """What puts rows in the order of their cases and trials; all of them when they are in it."""
    import numpy as np

    place = cases.astype(np.int64) << 32 | trial
    return slice(None) if (place[1:] >= place[:-1]).all() else np.argsort(place, kind="stable")
