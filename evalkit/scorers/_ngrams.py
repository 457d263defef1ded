"""How many n-grams two or more sequences share, for all orders at once and for many pairs at once.

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
_PART = 200_000
"""Symbols of pairs that are counted at once, to bound the memory."""
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


def matches_of_pairs(texts: Sequence[tuple[bytes, bytes]], order: int) -> list[list[int]]:
    """For each pair of sequences, the n-grams they share, for n = 1 … ``order``.

    A sequence is its symbols as 32-bit little-endian integers. All pairs of a part are laid end to
    end and sorted once, the pair's number in the highest bits, which is what makes short texts
    cheap: a call of numpy costs as much as fifty words.
    """
    found: list[list[int]] = []
    part: list[tuple[bytes, bytes]] = []
    size = 0
    for given, wanted in texts:
        if not given or not wanted:
            part.append((b"", b""))
            continue
        more = (len(given) + len(wanted)) // 4
        if size + more > _PART and part:
            found += _part(part, order)
            part, size = [], 0
        part.append((given, wanted))
        size += more
    return found + _part(part, order) if part else found


def _part(texts: Sequence[tuple[bytes, bytes]], order: int) -> list[list[int]]:
    line = np.frombuffer(b"".join([one for pair in texts for one in pair]), dtype=np.uint32)
    if not len(line):
        return [[0] * order for _ in texts]
    lengths = np.array([len(one) // 4 for pair in texts for one in pair])
    place = np.repeat(np.arange(len(lengths)), lengths)
    pair = place >> 1
    symbols = line.astype(np.int64) + 1
    spare = _WORD - 1 - len(texts).bit_length()
    if int(symbols.max()).bit_length() * order > spare:
        symbols = _renumbered(symbols, pair, len(texts))
    bits = int(symbols.max()).bit_length()
    if bits * order > spare:
        if len(texts) > 1:
            return [one for each in texts for one in _part([each], order)]
        given, wanted = np.split(symbols, lengths[:1])
        return [clipped_matches(given, [wanted], order)]
    return _counts(symbols, place, order, bits, len(texts)).tolist()  # type: ignore[no-any-return]


def _renumbered(symbols: Ids, pair: Ids, pairs: int) -> Ids:
    """The symbols as small as they can be: every pair counts its own from 1."""
    known, symbols = np.unique(pair << 32 | symbols, return_inverse=True)
    first = np.searchsorted(known, np.arange(pairs) << 32)
    small: Ids = symbols - first[pair] + 1
    return small


def _counts(symbols: Ids, place: Ids, order: int, bits: int, pairs: int) -> Ids:
    # past the end of every sequence stand as many zeros as a window can reach
    line = np.zeros(len(symbols) + order * (int(place[-1]) + 1), dtype=np.int64)
    at = np.arange(len(symbols)) + order * place
    line[at] = symbols
    packed = line[: len(line) - order + 1]
    for k in range(1, order):
        packed = packed << bits | line[k : len(line) - order + 1 + k]
    keys = np.sort((place >> 1) << (bits * order + 1) | packed[at] << 1 | place & 1)
    windows, last = keys >> 1, len(keys)
    theirs_before = np.concatenate([[0], np.cumsum(keys & 1)])
    found = np.zeros((pairs, order), dtype=np.int64)
    for n in range(1, order + 1):
        grams = windows >> bits * (order - n)
        starts = np.concatenate([[0], np.flatnonzero(grams[1:] != grams[:-1]) + 1])
        ends = np.concatenate([starts[1:], [last]])
        theirs = theirs_before[ends] - theirs_before[starts]
        first = grams[starts]
        whole = first & ((1 << bits) - 1) != 0  # a window past the end is no n-gram
        common = np.minimum(ends - starts - theirs, theirs) * whole
        found[:, n - 1] = np.bincount(first >> bits * n, weights=common, minlength=pairs)
    return found
