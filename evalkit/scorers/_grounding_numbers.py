"""Numbers and times of day in running text, comparable however they are written."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NamedTuple


class Quantity(NamedTuple):
    """A number (``minutes`` false) or a time of day in minutes after midnight, with its place."""

    value: float
    minutes: bool
    decimals: int
    start: int
    end: int


_MERIDIEM = r"(?:([ap])\.?\s?m\b\.?)"
_QUANTITY = re.compile(
    rf"(?<![\w.])(\d{{1,2}})[:h](\d{{1,2}})(?!\d)(?::\d\d)?\s?{_MERIDIEM}?"  # 9:30 pm, 21:0
    rf"|(?<![\w.:])(\d{{1,2}})\s?{_MERIDIEM}"  # 9 pm
    r"|(?<![^\W_])(\d{1,3}(?:[,\u2009\u202f]\d{3})+|\d+)(\.\d+)?",
    re.IGNORECASE,
)
_DIGIT = re.compile(r"\d")
_LABELLED = re.compile(
    r"\b(?:passages?|steps?|documents?|sources?|sections?|figures?)\s$", re.IGNORECASE
)
_LIST_MARK = re.compile(r"[.)]\s")
_UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
ORDINALS = frozenset({"first", "second", "third", "fourth", "fifth", "sixth", "last"})
VAGUE = ORDINALS | {"one", "once", "both", "half", "single"}
"""Words that are often no count at all, so their absence says little."""
WORDS = {word: float(value) for value, word in enumerate(_UNITS)}
WORDS |= {"thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "hundred": 100.0}
WORDS |= {"once": 1.0, "twice": 2.0, "dozen": 12.0, "single": 1.0, "both": 2.0, "double": 2.0}
WORDS |= {"triple": 3.0, "half": 0.5, "first": 1.0, "second": 2.0, "third": 3.0, "fourth": 4.0}
WORDS |= {"fifth": 5.0, "sixth": 6.0, "last": -1.0}
_LONGEST = 18  # digits; longer runs are identifiers, compared as words


def quantities(text: str) -> list[Quantity]:
    """The numbers and times written with digits of any script; list marks and labels left out."""
    found: list[Quantity] = []
    if _DIGIT.search(text) is None:
        return found
    for match in _QUANTITY.finditer(text):
        hour, minute, half, hour2, half2, whole, fraction = match.groups()
        start, end = match.span()
        if whole is not None:
            if len(whole) > _LONGEST or _label(text, start, end):
                continue
            bare = "".join(one for one in whole if one.isdigit())
            decimals = len(fraction) - 1 if fraction else 0
            if decimals > _LONGEST:
                continue
            value = float(bare + (fraction or ""))
            found.append(Quantity(value, False, decimals, start, end))
            continue
        value = _minutes(hour or hour2, minute or "0", half or half2)
        if value >= 0:
            end -= text[end - 1] == "." and text[end - 3 : end] not in {".m.", ".M."}
            found.append(Quantity(value, True, 0, start, end))
    return found


def _minutes(hour: str, minute: str, half: str | None) -> float:
    hours, minutes = int(hour), int(minute)
    if hours > 24 or minutes > 59:
        return -1.0
    if half is not None:
        hours = hours % 12 + (12 if half.lower() == "p" else 0)
    return float(hours % 24 * 60 + minutes)


def _label(text: str, start: int, end: int) -> bool:
    """Whether a number is only a list mark, or the label of a passage or step."""
    if end - start <= 2 and _LIST_MARK.match(text, end):
        line = text.rfind("\n", max(0, start - 6), start)
        if not text[line + 1 if line >= 0 else max(0, start - 6) : start].strip(" *#-("):
            return True
    return _LABELLED.search(text, max(0, start - 12), start) is not None


def supported(one: Quantity, known: set[float], ordered: list[float]) -> bool:
    """Whether a number is among the known ones, or is one of them rounded as it is written."""
    if one.value in known:
        return True
    if one.minutes:
        return False
    if one.decimals == 0 and one.value < 10:
        return False
    half = 0.5 * 10.0**-one.decimals
    at = bisect_left(ordered, one.value - half)
    return at < len(ordered) and ordered[at] < one.value + half
