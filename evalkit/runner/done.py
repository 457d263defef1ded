"""Which trials of a run need no second answer: eight bytes a trial, however many there are."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from hashlib import blake2b


class Done:
    """Trials by case and index.

    Each is kept as 64 bits of a hash: of a million trials and a million more that are asked for,
    one is taken for another with a probability of 1 in 10^7. No trial of the cases ``left_out`` is
    to be made either; they are not counted.
    """

    def __init__(
        self, trials: Iterable[tuple[str, int]] = (), *, left_out: frozenset[str] = frozenset()
    ):
        self._keys = array("Q", sorted({_key(*one) for one in trials}))
        self._left_out = left_out

    def but(self, cases: frozenset[str]) -> Done:
        """The same, without any trial of these cases to make."""
        found = Done(left_out=self._left_out | cases)
        found._keys = self._keys
        return found

    def without(self, trials: Iterable[tuple[str, int]]) -> Done:
        """The same, with these trials to be made again."""
        again = {_key(*one) for one in trials}
        found = Done(left_out=self._left_out)
        found._keys = array("Q", (one for one in self._keys if one not in again))
        return found

    def __contains__(self, trial: tuple[str, int]) -> bool:
        if trial[0] in self._left_out:
            return True
        keys = self._keys
        if not keys:
            return False
        key = _key(*trial)
        at = bisect_left(keys, key)
        return at < len(keys) and keys[at] == key

    def __len__(self) -> int:
        return len(self._keys)


NOTHING_DONE = Done()


def is_in(done: Mapping[tuple[str, str], Done], trial: tuple[str, str, str, int]) -> bool:
    """Whether a trial, by suite, target, case and index, is among those of its suite and target."""
    suite, target, case, index = trial
    return (case, index) in done.get((suite, target), NOTHING_DONE)


def _key(case_id: str, index: int) -> int:
    text = f"{case_id}\0{index}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
