"""Sentences against structured data: fields stated otherwise, opening hours, closed days."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from evalkit.scorers._grounding_data import Leaf
from evalkit.scorers._grounding_numbers import quantities
from evalkit.scorers._grounding_sentence import Sentence
from evalkit.scorers._grounding_source import DAYS
from evalkit.scorers._grounding_text import NEGATIONS, Token, stem

_CLAUSE = re.compile(
    r";|\b(?:but|however|although|though|while|whereas|except|yet)\b", re.IGNORECASE
)
_UNSTATED = re.compile(
    r"\b(?:not (?:\w+ )?(?:specified|mentioned|provided|stated|listed|known|given|indicated|clear)"
    r"|unspecified|unknown|unclear|no (?:\w+ )?(?:information|mention|details?|data))\b",
    re.IGNORECASE,
)
_DAY = r"(mon|tues|wednes|thurs|fri|satur|sun)days?"
_DAYS = re.compile(
    rf"\b{_DAY}\b(?:\s*(?:to|through|thru|until|till|[-–—])\s*{_DAY}\b)?", re.IGNORECASE
)
_DAILY = re.compile(r"\b(?:daily|every ?day|(?:seven|7) days a week|all week)\b", re.IGNORECASE)
_SHUT = frozenset({"closed", "except", "excluding", "closes"})
_SHORT = {one[:3]: at for at, one in enumerate(DAYS)}
_LINKS = frozenset({"and", "but", "or", "with"})
_NOT = frozenset({"not", "unavailable", "isn't", "aren't"})
_SIGNALS = {
    "null": "null_stated",
    "null_denied": "null_denied",
    "false": "false_stated",
    "true_denied": "true_denied",
    "agrees": "true_stated",
    "elsewhere": "field_elsewhere",
}


def fields(this: Sentence) -> None:
    """Fields of the data that the sentence states against their value."""
    by_name = this.source.by_name
    stems = {one.stem: one for one in reversed(this.words)}
    for one, other in pairwise(this.words):
        stems.setdefault(stem(one.norm + other.norm), one)
    count = dict.fromkeys(_SIGNALS, 0)
    seen: set[tuple[str, ...]] = set()
    for name in sorted(stems.keys() & by_name.keys()):
        for leaf in by_name[name]:
            if leaf.path not in seen:
                seen.add(leaf.path)
                verdict = _state(this, leaf, stems[name])
                if verdict:
                    count[verdict] += 1
    for verdict, signal in _SIGNALS.items():
        this.set(signal, count[verdict])


def _state(this: Sentence, leaf: Leaf, token: Token) -> str:
    """How a sentence that names a field stands to its value; empty when it has no say."""
    value = leaf.text.lower() if leaf.kind == "text" else leaf.kind
    negative = value in {"false", "no", "none"}
    positive = value in {"true", "yes", "free", "paid"}
    if leaf.kind == "null":
        if _UNSTATED.search(this.text):
            return ""
        verdict = "null_denied" if _denied(this, token) else "null"
    elif negative and not _denied(this, token):
        verdict = "false"
    elif positive and _denied_next_to(this, token):
        verdict = "true_denied"
    else:
        return "agrees" if negative or positive else ""
    if token.stem in this.source.free:  # prose beside the data speaks of it too
        return "elsewhere"
    this.doubt(verdict, token.start, token.end, leaf.path[-1][:80])
    return verdict


def _denied(this: Sentence, token: Token) -> bool:
    """Whether the clause of a word says no; a list after one negation stays negated."""
    start, end = this.start, this.end
    for match in _CLAUSE.finditer(this.answer, this.start, this.end):
        if match.end() <= token.start:
            start = match.end()
        elif match.start() >= token.end:
            end = match.start()
            break
    return any(one.norm in NEGATIONS for one in this.words if start <= one.start and one.end <= end)


def _denied_next_to(this: Sentence, token: Token) -> bool:
    """Whether a negation stands so close to a word that it can only mean that word."""
    at = next((at for at, one in enumerate(this.words) if one.start == token.start), 0)
    for one in reversed(this.words[max(0, at - 3) : at]):
        if "," in this.answer[one.end : token.start] or one.norm in _LINKS:
            break
        if one.norm in NEGATIONS:
            return True
    for one in this.words[at + 1 : at + 5]:
        if "," in this.answer[token.end : one.start] or one.norm in _LINKS:
            return False
        if one.norm in _NOT:
            return True
    return False


class _Span(NamedTuple):
    """Days or times of day that stand together, with their place in the sentence."""

    days: frozenset[str]
    times: tuple[float, ...]
    start: int
    end: int


def hours(this: Sentence) -> None:
    """Opening hours and days against the data's, for data with weekdays as keys."""
    known = this.source.hours
    if not known:
        return
    spans = _spans(this.text)
    named = {day for one in spans for day in one.days}
    if not named:
        return
    closed = sorted(named - known.keys())
    if closed and not any(one.norm in _SHUT for one in this.words):
        this.set("days_closed", len(closed))
        this.doubt("days", this.start, this.end, ", ".join(closed))
    wrong = checked = 0
    for days, times in zip(*_paired(spans), strict=False):
        if len(times.times) != 2:
            continue
        for day in sorted(days.days & known.keys()):
            checked += 1
            if known[day] != times.times:
                wrong += 1
                this.doubt("hours", this.start + times.start, this.start + times.end)
    this.set("hours_wrong", wrong / checked if checked else 0.0)
    this.set("hours_right", float(checked > 0 and wrong == 0))


def _paired(spans: list[_Span]) -> tuple[list[_Span], list[_Span]]:
    """The spans of days and of times, in order, so that the nth belong together."""
    return [one for one in spans if one.days], [one for one in spans if one.times]


def _spans(text: str) -> list[_Span]:
    """Runs of days and runs of times in the order of the text."""
    found = [_Span(frozenset(DAYS), (), *one.span()) for one in _DAILY.finditer(text)]
    for match in _DAYS.finditer(text):
        first = _SHORT[match.group(1)[:3].lower()]
        last = first if match.group(2) is None else _SHORT[match.group(2)[:3].lower()]
        named = {DAYS[(first + step) % 7] for step in range((last - first) % 7 + 1)}
        found.append(_Span(frozenset(named), (), *match.span()))
    found += [
        _Span(frozenset(), (one.value,), one.start, one.end)
        for one in quantities(text)
        if one.minutes
    ]
    merged: list[_Span] = []
    for span in sorted(found, key=lambda one: one.start):
        if merged and bool(merged[-1].days) == bool(span.days):
            before = merged[-1]
            days, times = before.days | span.days, before.times + span.times
            merged[-1] = _Span(days, times, before.start, span.end)
        else:
            merged.append(span)
    return merged
