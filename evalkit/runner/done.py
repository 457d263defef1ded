"""Which trials of a run need no second answer: eight bytes a trial, however many there are."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b


class Done:
    """Trials by case and index.

    Each is kept as 64 bits of a hash: of a million trials and a million more that are asked for,
    one is taken for another with a probability of 1 in 10^7.
    """

    def __init__(self, trials: Iterable[tuple[str, int]] = ()):
        self._keys = array("Q", sorted({_key(*one) for one in trials}))

    def __contains__(self, trial: tuple[str, int]) -> bool:
        keys = self._keys
        if not keys:
            return False
        key = _key(*trial)
        at = bisect_left(keys, key)
        return at < len(keys) and keys[at] == key

    def __len__(self) -> int:
        return len(self._keys)


NOTHING_DONE = Done()


def _key(case_id: str, index: int) -> int:
    text = f"{case_id}\0{index}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")
