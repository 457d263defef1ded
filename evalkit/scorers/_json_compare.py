"""Where two JSON values differ first: lists as bags if wanted, numbers within a tolerance."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from evalkit.errors import Unscorable
from evalkit.hashing import canonical
from evalkit.model import JSON

MAX_UNORDERED = 200
"""Items that differ beyond exact equality and must be paired within the tolerance."""


def plain_json(value: Any, skip: frozenset[str]) -> JSON:
    """The value without ignored keys, integral floats as integers."""
    if isinstance(value, dict):
        return {str(k): plain_json(v, skip) for k, v in value.items() if k not in skip}
    if isinstance(value, (list, tuple)):
        return [plain_json(one, skip) for one in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not JSON: a number is too large")
        return int(value) if value.is_integer() else value
    scalar: JSON = value
    return scalar


class JsonCompare:
    """Finds the first difference of two JSON values; numbers may differ by a tolerance."""

    def __init__(self, *, ignore_order: bool, tolerance: float):
        self.ignore_order = ignore_order
        self.tolerance = Decimal(repr(tolerance))

    def difference(self, got: JSON, want: JSON, at: str) -> str | None:
        """The first difference in words, or nothing."""
        pairs: Iterable[tuple[str, JSON, JSON]]
        if isinstance(got, dict) and isinstance(want, dict):
            missing = next((key for key in want if key not in got), None)
            if missing is not None:
                return f"at {_at(at)}: key {missing[:60]!r} is missing"
            if len(got) > len(want):
                return f"at {_at(at)}: {len(got) - len(want)} keys too many"
            pairs = ((f"{at}/{key}", got[key], want[key]) for key in want)
        elif isinstance(got, list) and isinstance(want, list):
            if len(got) != len(want):
                return f"at {_at(at)}: {len(got)} items, expected {len(want)}"
            if self.ignore_order:
                return None if self._same_bag(got, want) else f"at {_at(at)}: other items"
            pairs = ((f"{at}/{i}", got[i], want[i]) for i in range(len(want)))
        elif _number(got) and _number(want):
            return None if self._close(got, want) else f"at {_at(at)}: another number"
        elif type(got) is type(want) and got == want:
            return None
        else:
            other = "another value" if type(got) is type(want) else "another type"
            return f"at {_at(at)}: {other}"
        for place, one, two in pairs:
            found = self.difference(one, two, place)
            if found:
                return found
        return None

    def _close(self, got: Any, want: Any) -> bool:
        # in decimals, as written: 1.8 and 1.4 are 0.4 apart
        return got == want or abs(Decimal(repr(got)) - Decimal(repr(want))) <= self.tolerance

    def _same_bag(self, got: list[JSON], want: list[JSON]) -> bool:
        left, right = [self._key(one) for one in got], [self._key(one) for one in want]
        common = Counter(left) & Counter(right)
        rest_got, rest_want = _without(got, left, common), _without(want, right, common)
        if not rest_got:
            return True
        if not self.tolerance:
            return False
        # Items equal to the last bit were paired first; numbers within the tolerance of both could
        # be paired otherwise, so the whole lists are matched when they are short enough.
        if len(got) <= MAX_UNORDERED:
            rest_got, rest_want = got, want
        elif len(rest_got) > MAX_UNORDERED:
            raise Unscorable(f"more than {MAX_UNORDERED} items to pair within a tolerance")
        return self._matching(rest_got, rest_want)

    def _matching(self, got: list[JSON], want: list[JSON]) -> bool:
        """Whether every item has its own partner: augmenting paths (Kuhn 1955)."""
        fits = [
            [j for j, two in enumerate(want) if self.difference(one, two, "") is None]
            for one in got
        ]
        partner: dict[int, int] = {}

        def place(i: int, seen: set[int]) -> bool:
            for j in fits[i]:
                if j not in seen:
                    seen.add(j)
                    if j not in partner or place(partner[j], seen):
                        partner[j] = i
                        return True
            return False

        return all(place(i, set()) for i in range(len(got)))

    def _key(self, value: JSON) -> bytes:
        return canonical(self._sorted(value))

    def _sorted(self, value: JSON) -> JSON:
        if isinstance(value, dict):
            return {key: self._sorted(one) for key, one in value.items()}
        if isinstance(value, list):
            return sorted((self._sorted(one) for one in value), key=canonical)
        return value


def _without(items: list[JSON], keys: list[bytes], common: Counter[bytes]) -> list[JSON]:
    left = Counter(common)
    rest = []
    for item, key in zip(items, keys, strict=True):
        if left[key]:
            left[key] -= 1
        else:
            rest.append(item)
    return rest


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _at(pointer: str) -> str:
    return pointer[:200] or "the top"
