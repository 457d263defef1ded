"""Pieces of a sentence that could be an answer, by the type of answer they are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from evalkit.targets._reader_question import AnswerType
from evalkit.targets._reader_text import words


@dataclass(frozen=True, slots=True)
class Span:
    """A candidate answer with its place in the sentence."""

    start: int
    end: int
    text: str


_NUMBER = r"(?<![\w\-])(?<!\d[.,:])[-−]?\d+(?:[.,٫٬/]\d+)*"
_SYMBOL = r"[$€£¥₹₽]"
_BREAK = r"(?![^\W\d_])"
_EDGE = r"(?<![^\W_])"


@lru_cache(maxsize=1)
def _patterns() -> dict[AnswerType, re.Pattern[str]]:
    shared = words()["shared"]

    def any_of(name: str) -> str:
        listed = shared[name]
        flat = " ".join(listed) if isinstance(listed, list) else listed
        return "|".join(sorted(set(flat.split()), key=lambda one: (-len(one), one)))

    month, scale, currency = any_of("months"), any_of("scales"), any_of("currencies")
    unit, dense_unit = any_of("durations"), any_of("dense_durations")
    measure, dense_measure = any_of("measures"), any_of("dense_measures")
    spoken = any_of("numbers")
    to = "|".join(re.escape(one) for one in shared["ranges"].split())
    joint = "|".join(shared["joints"].split())
    of = r"(?:de\s+|do\s+|of\s+)?"
    day = r"\d{1,2}(?:st|nd|rd|th|er|º|ª|\.)?"
    amount = rf"{_NUMBER}(?:\s?(?:{scale}){_BREAK})?"
    cash = rf"(?:{_SYMBOL}\s?{amount}|{amount}\s?(?:{_SYMBOL}|(?:{currency}){_BREAK}))"
    dense_cash = r"\d+(?:[.,]\d+)*[万亿億千]?(?:[至到~〜-]\d+(?:\.\d+)?[万亿億千]?)?(?:元|円|块|塊)"
    count = rf"(?:{_NUMBER}|{_EDGE}(?:{spoken}){_BREAK})"
    span = rf"{count}(?:\s|-)?(?:{unit}){_BREAK}"
    dense_span = rf"\d+(?:個|个)?(?:{dense_unit})"
    texts: dict[AnswerType, str] = {
        "date": rf"\d{{4}}年(?:\d{{1,2}}月(?:\d{{1,2}}[日号])?)?|\d{{1,2}}月(?:\d{{1,2}}[日号])?"
        rf"|\d{{4}}-\d\d-\d\d|{_EDGE}\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}}"
        rf"|{_EDGE}{day}\s+{of}(?:{month}){_BREAK}(?:,?\s+{of}\d{{4}}(?:\s+года?)?)?"
        rf"|{_EDGE}(?:{month}){_BREAK}(?:\s+\d{{1,2}}(?:st|nd|rd|th)?(?!\d)(?:,?\s+\d{{4}})?"
        rf"|\s+{of}\d{{4}})"
        rf"|{_EDGE}[12]\d{{3}}(?![\d.,]\d|\d)(?:\s+года?)?",
        "time": r"(?<![\d:])\d{1,2}[:.h時点]\d{2}分?(?:\s?[ap]\.?m\.?)?(?![\d])|\d{1,2}(?:時|点)半?"
        r"|\d{1,2}\s?(?:[ap]\.?m\.?|Uhr|h)(?!\w)",
        "money": rf"{cash}(?:\s?(?:{to})\s?{cash})?|{dense_cash}",
        "duration": rf"{span}(?:\s+(?:(?:{joint})\s+)?{_NUMBER}\s?(?:{unit}){_BREAK})?"
        rf"|{dense_span}",
        "number": rf"\d{{3,}}(?:[ \-]\d{{2,}})+|{_NUMBER}\s?(?:(?:{measure})(?![^\W\d_])"
        rf"|(?:{dense_measure}))|\d+(?:[.,]\d+)*(?:{dense_measure})|{_EDGE}{_NUMBER}(?!\w)|\d+(?:[.,]\d+)*(?=[\u3040-\u9fff])"
        rf"|{_EDGE}(?:{spoken}){_BREAK}",
    }
    return {kind: re.compile(text, re.IGNORECASE) for kind, text in texts.items()}


@lru_cache(maxsize=1)
def _name() -> re.Pattern[str]:
    connect = "|".join(re.escape(one) for one in words()["shared"]["connectors"].split())
    capital = r"[A-ZÀ-ÖØ-ÞŁŠŽА-ЯЁ]"
    one = rf"{capital}[\w'’\-]*(?:\.(?=\s{capital}))?"
    return re.compile(
        rf"{one}(?:\s+(?:(?:{connect})\s+){{0,2}}{one}|\s+\d+[A-Z]?(?![\w.:]))*"
        r"|[«“„「『\"](?:[^«»“”„「」『』\"]{1,60})[»”“」』\"]|[\u30a0-\u30ff]{3,}"
    )


_CLAUSE = re.compile(r"[,;:،؛、，；：()（）—–]|\s-\s")


def clauses(text: str) -> list[int]:
    """Where a clause ends: the places of commas, semicolons, colons, brackets and dashes."""
    return [
        one.start()
        for one in _CLAUSE.finditer(text)
        if not (
            text[one.start() - 1 : one.start()].isdigit()
            and text[one.end() : one.end() + 1].isdigit()
        )
    ]


@lru_cache(maxsize=1)
def _joint() -> re.Pattern[str]:
    listed = "|".join(re.escape(one) for one in words()["shared"]["joints"].split())
    return re.compile(rf"\s(?:{listed})\s|[,،、，]\s*")


def joints(text: str, low: int, high: int) -> int:
    """Where the part about one candidate ends and the next one's begins, between two places.

    At the last semicolon, else at the last "and" or comma, else right after the first candidate.
    """
    between = text[low:high]
    strong = [one.start() for one in re.finditer(r"[;；؛:：]", between)]
    weak = [one.start() for one in _joint().finditer(between)]
    found = strong or weak
    return low + found[-1] if found else low


@lru_cache(maxsize=8192)
def spans(text: str, kind: AnswerType) -> tuple[Span, ...]:
    """Every candidate of that type in a sentence, from left to right."""
    if kind in ("name", "place"):
        return _names(text)
    pattern = _patterns().get(kind)
    if pattern is None:
        return ()
    found = [Span(one.start(), one.end(), one.group().strip()) for one in pattern.finditer(text)]
    return tuple(one for one in found if one.text)


def _names(text: str) -> tuple[Span, ...]:
    found = []
    dates = [one.span() for one in _patterns()["date"].finditer(text)]
    for one in _name().finditer(text):
        start, piece = one.start(), one.group()
        if start == 0 and " " not in piece and not any(mark.isdigit() for mark in piece):
            # The first word of a sentence is written large in any case.
            continue
        if any(low < one.end() and start < high for low, high in dates):
            continue
        found.append(Span(start, one.end(), piece.strip('«»“”„「」『』"')))
    return tuple(found)
