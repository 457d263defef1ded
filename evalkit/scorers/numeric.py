"""Whether the number in the output equals the expected one, within a tolerance."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Literal

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Evidence, Output, Score, rate
from evalkit.registry import scorer

MAX_DIGITS = 400
LAST = 50
"""How many candidates at the end are tried when the very last is no readable number."""

# Spaces and apostrophes separate thousands only between groups of three; commas and points are
# judged later. No two ways of matching the same text exist, so the search is linear. A minus stands
# right before its number and not after a digit or a letter (2019-2020, covid-19, a list's "- 7");
# a digit after a Latin, Greek or Cyrillic letter (x2) starts no number, while other scripts write
# numbers without a space before them.
_NUMBER = re.compile(
    r"(?<![\dA-Za-z\u00c0-\u052f])(?P<sign>[-+−\ufe63\uff0d])?"
    r"(?P<body>\d{1,3}(?:[ \u00a0\u202f\u2009'’]\d{3})+(?!\d)(?:[.,\u066b]\d+)?"
    r"|\d+(?:[.,\u066b\u066c]\d+)*|[.,]\d+)(?P<exp>[eE][-+−]?\d{1,4}(?!\w))?"
    r"(?:[ \u00a0\u202f]?(?P<percent>[%\uff05\u066a]))?"
)
_GROUPING = re.compile("[ \u00a0\u202f\u2009'’\u066c]")
_ARABIC_POINT = "\u066b"


@dataclass(frozen=True, slots=True)
class _Number:
    value: Decimal
    percent: bool
    start: int
    end: int


def _prepare(options: Mapping[str, Any]) -> str:
    for name in ("absolute", "relative"):
        if options[name] < 0:
            raise ValueError(f"{name} tolerance {options[name]:g} is below 0")
    return ""


@scorer(
    needs=("expected",),
    metrics=(rate,),
    examples=[
        ("The answer is 42.", 42, 1.0),
        ("It costs 1,234.50 EUR", "1234.5", 1.0),
        ("Das kostet 1.234,50 €", "1234.5", 1.0),
        ("about −3", -3, 1.0),
        ("12 %", "12%", 1.0),
        ("There were 3 and then 5.", 5, 1.0),
        ("No idea.", 5, 0.0),
    ],
    prepare=_prepare,
    usage="numeric: {relative: 0.01}",
    card=ScorerCard(
        family="match",
        blind=(
            "which of several numbers is meant: by default any one that fits counts",
            "units: 5 km and 5 miles are the same number",
        ),
    ),
)
def numeric(
    case: Case,
    output: Output,
    *,
    absolute: float = 0.0,
    relative: float = 0.0,
    which: Literal["last", "first", "any", "only"] = "last",
    decimal: Literal["auto", "point", "comma"] = "auto",
    percent: Literal["as_written", "fraction"] = "as_written",
) -> Score:
    """Whether the number in the output equals the expected one, within a tolerance.

    Equal when |output − expected| ≤ max(absolute, relative × |expected|), computed in decimals.
    ``which`` number of the output counts: the last (default), the first, any of them, or the only
    one (two different numbers are then wrong). Digits of every script, thousands separators
    (comma, point, and before each three digits a space or apostrophe), a sign right before the
    digits, exponents and percent signs are read; words (``fourteen``, ``3 million``), fractions
    and dates are not.

    ``decimal: auto``: with both separators the later one is the decimal; one that occurs twice
    separates thousands; a lone comma before exactly three digits separates thousands (1,234 is
    1234) unless it follows a 0; a lone point is always the decimal. ``percent``: a number with % is
    compared with a number without as written (12% is 12) or as a fraction (12% is 0.12); two
    percentages compare as they are. Without a number the output is wrong: 0.
    """
    if which == "first":
        found = list(islice(_numbers(output.text, decimal), 1))
    elif which == "last":
        found = list(islice(_numbers(output.text, decimal, last=True), 1))
    else:
        found = list(_numbers(output.text, decimal))
    if which == "only" and len({(one.value, one.percent) for one in found}) > 1:
        return Score(value=0.0, passed=False, reason="the output holds several numbers")
    if not found:
        return Score(value=0.0, passed=False, reason="no number in the output")
    wanted = _expected(case, decimal)
    for number in found:
        for one in wanted:
            if _close(number, one, absolute, relative, fraction=percent == "fraction"):
                evidence = _evidence(number, output.text)
                return Score(value=1.0, passed=True, evidence=(evidence,))
    listed = " or ".join(f"{one.value:f}{'%' * one.percent}" for one in wanted)
    last = found[-1]
    return Score(
        value=0.0,
        passed=False,
        reason=f"found {last.value:f}{'%' * last.percent}, expected {listed}"[:300],
        evidence=(_evidence(last, output.text),),
    )


def _evidence(number: _Number, text: str) -> Evidence:
    return Evidence(
        source="output", start=number.start, end=number.end, text=text[number.start : number.end]
    )


def _expected(case: Case, decimal: str) -> list[_Number]:
    raw = case.expected if isinstance(case.expected, list) else [case.expected]
    wanted = []
    for one in raw:
        if isinstance(one, (int, float)) and not isinstance(one, bool):
            value = Decimal(repr(one))
            if not value.is_finite():
                raise Unscorable("the expected number is not finite")
            wanted.append(_Number(value, percent=False, start=0, end=0))
            continue
        numbers = list(_numbers(one, decimal)) if isinstance(one, str) else []
        if len(numbers) != 1:
            raise Unscorable(f"the expected answer holds {len(numbers)} numbers, not one")
        wanted.append(numbers[0])
    return wanted


def _close(
    one: _Number, expected: _Number, absolute: float, relative: float, *, fraction: bool
) -> bool:
    left, right = one.value, expected.value
    if one.percent != expected.percent and fraction:
        left = left / 100 if one.percent else left
        right = right / 100 if expected.percent else right
    allowed = max(Decimal(repr(absolute)), Decimal(repr(relative)) * abs(right))
    return left == right or abs(left - right) <= allowed


def _numbers(text: str, decimal: str, *, last: bool = False) -> Iterator[_Number]:
    """The numbers in order, or the last few from the end, which spares reading all before them."""
    matches: Iterable[re.Match[str]] = _NUMBER.finditer(text)
    for match in reversed(deque(matches, maxlen=LAST)) if last else matches:
        body = match["body"]
        if len(body) > MAX_DIGITS:
            continue
        sign = "-" if match["sign"] and match["sign"] != "+" else ""
        exponent = (match["exp"] or "").replace("−", "-")
        try:
            value = Decimal(sign + _plain_digits(body, decimal) + exponent)
        except InvalidOperation:  # an exponent beyond every decimal
            continue
        yield _Number(value, match["percent"] is not None, match.start(), match.end())


def _plain_digits(part: str, decimal: str) -> str:
    """ASCII digits with at most one point, after the documented rule."""
    part = _GROUPING.sub("", part)
    part = part.replace(_ARABIC_POINT, "." if decimal != "comma" else ",")
    if decimal == "auto":
        decimal = _guess(part)
    thousands, point = (",", ".") if decimal == "point" else (".", ",")
    part = part.replace(thousands, "").replace(point, ".")
    return "".join(one if one == "." else str(int(one)) for one in part)


def _guess(part: str) -> str:
    comma, point = part.rfind(","), part.rfind(".")
    if comma >= 0 and point >= 0:
        return "point" if point > comma else "comma"
    if point >= 0:
        return "point" if part.count(".") == 1 else "comma"
    if part.count(",") > 1:
        return "point"
    whole, _, rest = part.partition(",")
    thousands = len(rest) == 3 and 1 <= len(whole) <= 3 and int(whole) != 0
    return "point" if thousands or comma < 0 else "comma"
