"""A histogram of positive quantities over any range with one relative precision.

The idea is HdrHistogram's (Tene 2012): every power of two is cut into equally many buckets, so that
a value is known to the same share of itself whether it is a microsecond or an hour, the size
depends on the spread of the data and not on its amount, and adding two histograms loses nothing.
Counts are sparse, so no range has to be chosen before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BITS = 10
"""Buckets of a power of two, as a power of two: 1,024 of them, each at most 0.1 % wide."""


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile with its interval; an end of ``None`` means the data give no bound.

    Infinity stands for a value that never came: see ``missing``.
    """

    q: float
    value: float | None
    low: float | None
    high: float | None


class Histogram:
    """Counts of values of at least 0, such as seconds.

    A value is reported as the middle of its bucket, which is off by at most ``2 ** -(bits + 1)`` of
    it; the least, the greatest and the sum are exact. Values of 0 have a bucket of their own.
    """

    __hash__ = None  # type: ignore[assignment]  # it changes
    __slots__ = ("_counts", "bits", "greatest", "least", "n", "total", "zeros")

    def __init__(self, values: Iterable[float] = (), *, bits: int = BITS):
        if not 1 <= bits <= 20:
            raise ValueError(f"between 1 and 20 bits of precision, not {bits}")
        self.bits = bits
        self.n = 0
        self.zeros = 0
        self.total = 0.0
        self.least = math.inf
        self.greatest = 0.0
        self._counts: dict[int, int] = {}
        for one in values:
            self.add(one)

    def add(self, value: float, times: int = 1) -> None:
        """Count a value; ``ValueError`` for one that is negative or not finite."""
        if not (math.isfinite(value) and value >= 0) or times < 1:
            raise ValueError(f"a histogram counts finite values of at least 0, not {value!r}")
        if value:
            place = self._place(value)
            self._counts[place] = self._counts.get(place, 0) + times
        else:
            self.zeros += times
        self.n += times
        self.total += value * times
        self.least = min(self.least, value)
        self.greatest = max(self.greatest, value)

    def _place(self, value: float) -> int:
        mantissa, exponent = math.frexp(value)
        return (exponent << self.bits) + int((mantissa - 0.5) * (2 << self.bits))

    def _edges(self, place: int) -> tuple[float, float]:
        exponent, step = place >> self.bits, place & ((1 << self.bits) - 1)
        width = math.ldexp(0.5, exponent - self.bits)
        start = math.ldexp(0.5, exponent)
        return start + step * width, start + (step + 1) * width

    def merge(self, other: Histogram) -> None:
        """Add another's counts; ``ValueError`` when its precision differs."""
        if other.bits != self.bits:
            raise ValueError(f"a histogram of {self.bits} bits cannot take one of {other.bits}")
        for place, times in other._counts.items():
            self._counts[place] = self._counts.get(place, 0) + times
        self.zeros += other.zeros
        self.n += other.n
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    @property
    def mean(self) -> float | None:
        """The mean of the values themselves, or ``None`` without one."""
        return self.total / self.n if self.n else None

    def buckets(self) -> list[tuple[float, float, int]]:
        """Lower edge, upper edge and count of every bucket that has any, in rising order."""
        zero = [(0.0, 0.0, self.zeros)] if self.zeros else []
        return zero + [(*self._edges(place), self._counts[place]) for place in sorted(self._counts)]

    def value_at(self, rank: int) -> float | None:
        """The value of that rank from below, counted from 1; ``None`` when there is none."""
        edges = self._bucket_at(rank)
        return None if edges is None else self._clipped(sum(edges) / 2)

    def _bucket_at(self, rank: int) -> tuple[float, float] | None:
        if not 1 <= rank <= self.n:
            return None
        passed = 0
        for low, high, times in self.buckets():
            passed += times
            if passed >= rank:
                return low, high
        raise AssertionError("the counts of the buckets do not add up")

    def _clipped(self, value: float) -> float:
        return min(max(value, self.least), self.greatest)

    def share_above(self, limit: float) -> float:
        """The share of values in buckets that begin at or above a limit; 0 without values."""
        above = sum(times for low, _, times in self.buckets() if low >= limit)
        return above / self.n if self.n else 0.0

    def quantile(
        self, q: float, *, level: float = 0.95, missing: int = 0, worth: float = math.inf
    ) -> Quantile:
        """The quantile of rank ⌈nq⌉ with its interval between order statistics.

        The ends are the outer edges of their buckets, so the precision of the histogram never makes
        an interval narrower. ``missing`` counts values that never came and are larger than all that
        did. ``worth`` is the number of independent values these are worth, when neighbours
        resemble each other. Raises ``ValueError`` unless 0 < q < 1.
        """
        if not 0 < q < 1:
            raise ValueError(f"a quantile lies between 0 and 1, not at {q!r}")
        from evalkit.stats.intervals import quantile_rank, widened_ranks

        n = self.n + missing
        if not n:
            return Quantile(q, None, None, None)
        below, above = widened_ranks(n, q, level, effective_n=worth)

        def end(rank: int, side: int) -> float | None:
            if self.n < rank <= n:
                return math.inf
            edges = self._bucket_at(rank)
            return None if edges is None else self._clipped(edges[side])

        rank = quantile_rank(n, q)
        value = math.inf if rank > self.n else self.value_at(rank)
        return Quantile(q, value, end(below, 0), end(above, 1))

    def to_json(self) -> dict[str, Any]:
        """The histogram as plain JSON: ``places`` are differences, each with its count."""
        places = sorted(self._counts)
        before = [0, *places[:-1]] if places else []
        return {
            "bits": self.bits,
            "n": self.n,
            "zeros": self.zeros,
            "sum": self.total,
            "min": self.least if self.n else None,
            "max": self.greatest if self.n else None,
            "places": [here - last for here, last in zip(places, before, strict=True)],
            "counts": [self._counts[one] for one in places],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Histogram:
        """The histogram that ``to_json`` wrote; ``ValueError`` when its numbers do not add up."""
        found = cls(bits=value["bits"])
        place = 0
        for step, times in zip(value["places"], value["counts"], strict=True):
            place += step
            found._counts[place] = times
        found.zeros = value["zeros"]
        found.n = value["n"]
        if found.n != found.zeros + sum(found._counts.values()):
            raise ValueError("the counts of the histogram do not add up")
        found.total = value["sum"]
        if found.n:
            found.least, found.greatest = value["min"], value["max"]
        return found

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.to_json() == other.to_json()

    def __repr__(self) -> str:
        return f"Histogram({self.n} values, {len(self._counts)} buckets, {self.bits} bits)"
