"""Whether the output is JSON equal to the expected JSON value."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.hashing import canonical
from evalkit.model import JSON, Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import parse_json, unfence

MAX_UNORDERED = 200
"""Items that differ beyond exact equality and must be paired within the tolerance."""


def _prepare(options: Mapping[str, Any]) -> str:
    if options["tolerance"] < 0:
        raise ValueError(f"tolerance {options['tolerance']:g} is below 0")
    return ""


@scorer(
    needs=("expected",),
    metrics=(rate,),
    examples=[
        ('{"a": 1, "b": [2, 3]}', {"b": [2, 3], "a": 1.0}, 1.0),
        ('{"a": 1}', '{"a": 1}', 1.0),
        ('{"a": true}', {"a": 1}, 0.0),
        ("[1, 2]", [2, 1], 0.0),
        ("not JSON", {"a": 1}, 0.0),
    ],
    prepare=_prepare,
    usage="json_equal: {ignore_order: true}",
    card=ScorerCard(
        family="structured",
        blind=("texts in the values that mean the same in other words",),
    ),
)
def json_equal(
    case: Case,
    output: Output,
    *,
    ignore_order: bool = False,
    tolerance: float = 0.0,
    ignore: tuple[str, ...] = (),
    fenced: bool = False,
) -> Score:
    """Whether the output is JSON equal to the expected JSON value.

    An expected text is read as JSON; any other expected value, a list included, is the value
    itself. ``ignore_order`` compares lists as bags; ``tolerance`` is the absolute difference
    allowed between numbers (1 and 1.0 are equal, 1 and true are not); ``ignore`` names keys that
    are left out at any depth. The reason is the place of the first difference as a JSON Pointer.
    """
    expected: Any = case.expected
    if isinstance(expected, str):
        try:
            expected = parse_json(expected)
        except ValueError as error:
            raise Unscorable(f"the expected answer is {error}") from None
    compare = _Compare(ignore_order=ignore_order, tolerance=tolerance)
    skip = frozenset(ignore)
    try:
        value = parse_json(unfence(output.text) if fenced else output.text)
        where = compare.difference(_plain(value, skip), _plain(expected, skip), "")
    except ValueError as error:
        return Score(value=0.0, passed=False, reason=str(error)[:300])
    except RecursionError:
        raise Unscorable("nested too deeply to compare") from None
    same = where is None
    return Score(value=float(same), passed=same, reason=None if same else where)


def _plain(value: Any, skip: frozenset[str]) -> JSON:
    """The value without ignored keys, integral floats as integers."""
    if isinstance(value, dict):
        return {str(k): _plain(v, skip) for k, v in value.items() if k not in skip}
    if isinstance(value, (list, tuple)):
        return [_plain(one, skip) for one in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("not JSON: a number is too large")
        return int(value) if value.is_integer() else value
    scalar: JSON = value
    return scalar


class _Compare:
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
