"""How many n-grams two or more sequences share, for all orders at once.

Each window of the highest order is packed into one 64-bit integer, first symbol in the highest
bits, so that one sort puts the windows of every lower order into order as well. Exact; sequences
with too many distinct symbols to pack are counted with dictionaries instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int64]

_WORD = 63
_WIDE = 60_000
"""Windows above which orders are counted one after the other, to bound the memory."""


def clipped_matches(given: Ids, references: Sequence[Ids], order: int) -> list[int]:
    """For n = 1 … ``order``: the n-grams of ``given`` found in the references.

    Every n-gram counts at most as often as in the reference that has it most often. Symbols are
    integers from 1.
    """
    if not len(given) or not any(map(len, references)):
        return [0] * order
    sequences = [given, *references]
    bits = max(int(one.max()) for one in sequences if len(one)).bit_length()
    tag_bits = len(references).bit_length()
    if bits * order + tag_bits > _WORD:
        return _counted(given, references, order)
    ordered = np.sort(_windows(sequences, order, bits) << tag_bits | _tags(sequences))
    source = ordered & ((1 << tag_bits) - 1)
    windows = ordered >> tag_bits
    if len(windows) <= _WIDE:
        shifts = bits * np.arange(order - 1, -1, -1)
        return _matches(windows, source, shifts, bits, len(sequences))
    found: list[int] = []
    for n in range(1, order + 1):
        found += _matches(windows, source, np.array([bits * (order - n)]), bits, len(sequences))
    return found


def _windows(sequences: Sequence[Ids], order: int, bits: int) -> Ids:
    """The packed windows that start at every symbol; past a sequence's end symbols are 0."""
    gap = np.zeros(order, dtype=np.int64)
    line = np.concatenate([part for one in sequences for part in (one, gap)])
    packed = line[: len(line) - order + 1]
    for k in range(1, order):
        packed = packed << bits | line[k : len(line) - order + 1 + k]
    inside: Ids = packed[line[: len(packed)] != 0]
    return inside


def _tags(sequences: Sequence[Ids]) -> Ids:
    return np.repeat(np.arange(len(sequences)), [len(one) for one in sequences])


def _matches(windows: Ids, source: Ids, shifts: Ids, bits: int, sources: int) -> list[int]:
    """Clipped matches for every order, given by how far its windows stand to the left."""
    size = len(windows)
    keys = windows >> shifts[:, None]
    starts = np.empty(keys.shape, dtype=bool)
    starts[:, 0] = True
    np.not_equal(keys[:, 1:], keys[:, :-1], out=starts[:, 1:])
    flat = starts.ravel()
    group = np.cumsum(flat) - 1
    first = np.flatnonzero(flat)
    tally = np.bincount(
        group * sources + np.tile(source, len(shifts)), minlength=len(first) * sources
    ).reshape(-1, sources)
    common = np.minimum(tally[:, 0], tally[:, 1] if sources == 2 else tally[:, 1:].max(axis=1))
    whole = keys.ravel()[first] & ((1 << bits) - 1) != 0  # a window past the end is no n-gram
    counts = np.bincount(first // size, weights=common * whole, minlength=len(shifts))
    return [int(one) for one in counts]


def _counted(given: Ids, references: Sequence[Ids], order: int) -> list[int]:
    found = []
    mine, theirs = given.tolist(), [one.tolist() for one in references]
    for n in range(1, order + 1):
        most: Counter[Any] = Counter()
        for one in theirs:
            most |= Counter(zip(*(one[i:] for i in range(n)), strict=False))
        have = Counter(zip(*(mine[i:] for i in range(n)), strict=False))
        found.append((have & most).total())
    return found


def character_ids(texts: Sequence[str]) -> list[Ids]:
    """Texts as arrays of symbols: code points, renumbered where they would not pack."""
    arrays = [
        np.frombuffer(one.encode("utf-32-le", "surrogatepass"), dtype=np.uint32) for one in texts
    ]
    line = np.concatenate(arrays).astype(np.int64)
    if not len(line):
        return [line] * len(texts)
    if int(line.max()) < 1023:
        line += 1
    else:
        _, line = np.unique(line, return_inverse=True)
        line = line.astype(np.int64) + 1
    return np.split(line, np.cumsum([len(one) for one in arrays])[:-1])


def word_ids(texts: Sequence[Sequence[str]]) -> list[Ids]:
    """Lists of words as arrays of symbols, the same word the same number."""
    known: dict[str, int] = {}
    return [
        np.array([known.setdefault(one, len(known) + 1) for one in words], dtype=np.int64)
        for words in texts
    ]
