"""Replaces personal data by placeholders that are the same wherever the same value occurs."""

from __future__ import annotations

import hashlib
import threading
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias

from evalkit.pii import PII_KINDS, PiiKind
from evalkit.pii.context import zones
from evalkit.pii.ids import national_ids
from evalkit.pii.numbers import cards, emails, ibans, phones

Span: TypeAlias = tuple[int, int, str]
"""Start and end in characters, and the text that takes the place."""

Found: TypeAlias = Iterator[tuple[int, int, str]]

_IN_ZONES: Mapping[PiiKind, Callable[[str, int, int], Found]] = {
    "card": cards,
    "national_id": national_ids,
    "phone": phones,
}


class Masker:
    """Finds personal data of the chosen kinds and numbers the values: ``<EMAIL_1>``.

    The same value has the same number for as long as the masker lives, however it is written. Only
    a digest of each value is kept. Safe to use from several threads.
    """

    def __init__(self, kinds: Iterable[PiiKind] = ()):
        chosen = set(kinds)
        self.kinds: tuple[PiiKind, ...] = tuple(one for one in PII_KINDS if one in chosen)
        self._numbers: dict[PiiKind, dict[bytes, int]] = {one: {} for one in self.kinds}
        self._above = dict.fromkeys(self.kinds, 0)
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        return bool(self.kinds)

    def begin_above(self, used: Mapping[PiiKind, int]) -> None:
        """Give values not seen yet numbers above those already in use."""
        for kind in self.kinds:
            self._above[kind] = max(self._above[kind], used.get(kind, 0))

    def spans(self, text: str) -> list[Span]:
        """What to replace, by place; spans do not overlap. Empty for most texts."""
        digits = zones(text)
        if not digits and "@" not in text:
            return []
        taken: list[Span] = []
        for kind in self.kinds:
            for start, end, value in self._found(kind, text, digits):
                place = bisect(taken, (start,))
                free = place == 0 or taken[place - 1][1] <= start
                if free and (place == len(taken) or end <= taken[place][0]):
                    taken.insert(place, (start, end, self._placeholder(kind, value)))
        return taken

    def text(self, text: str) -> str:
        """The text with placeholders; the same object when there is nothing to replace."""
        spans = self.spans(text)
        return replaced(text, spans) if spans else text

    def _found(self, kind: PiiKind, text: str, digits: list[tuple[int, int]]) -> Found:
        if kind == "email":
            return emails(text) if "@" in text else iter(())
        if kind == "iban":
            return ibans(text) if digits else iter(())
        find = _IN_ZONES[kind]
        return (one for first, last in digits for one in find(text, first, last))

    def _placeholder(self, kind: PiiKind, value: str) -> str:
        key = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        numbers = self._numbers[kind]
        with self._lock:
            number = numbers.get(key)
            if number is None:
                number = self._above[kind] = self._above[kind] + 1
                numbers[key] = number
        return f"<{kind.upper()}_{number}>"


def replaced(text: str, spans: Iterable[Span]) -> str:
    """The text with every span replaced; spans are in order and do not overlap."""
    parts: list[str] = []
    kept = 0
    for start, end, instead in spans:
        parts += (text[kept:start], instead)
        kept = end
    return "".join([*parts, text[kept:]])
