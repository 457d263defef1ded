"""Secrets are removed by value: whatever text is about to be stored or printed goes through here.

A value that came from the environment is registered once, when a run resolves its configuration.
From then on it is recognised as written, percent-encoded, in base64 at any alignment (so also
inside ``user:password`` or ``Bearer ...``), in hexadecimal, and escaped for JSON, Python or HTML;
also when it was cut, as long as eight characters of it are left: its head at the end of the text or
before an ellipsis, its tail at the beginning or after one. Redaction comes before truncation.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST = 3
"""Shorter values are refused: they occur in ordinary text, and guessing them is no work."""
ANYWHERE = 6
"""Values from this length on are found inside other words; shorter ones only as whole words."""
_HEAD = 8
_CUTS = ("…", "...")

Value = TypeVar("Value")


class Redactor:
    """Knows secret values and takes them out of texts and of JSON values."""

    def __init__(self, values: Iterable[str] = ()):
        self._values: set[str] = set()
        self._heads: tuple[str, ...] = ()
        self._forms: dict[str, tuple[str, ...]] = {}
        self._short: tuple[str, ...] = ()
        self._search = re.compile("(?!)")
        self._all = ""
        self.register(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def forms(self) -> frozenset[str]:
        """Every whole form in which a registered value is looked for."""
        return frozenset((*self._short, *(one for forms in self._forms.values() for one in forms)))

    def register(self, values: Iterable[str]) -> int:
        """Remember values as secret; return how many were too short to be taken out of texts."""
        given = {one.strip() for one in values} - {""}
        kept = {one for one in given if len(one) >= SHORTEST}
        if not kept <= self._values:
            self._values |= kept
            self._compile()
        return len(given) - len(kept)

    def _compile(self) -> None:
        self._short = tuple(sorted(one for one in self._values if len(one) < ANYWHERE))
        by_head: dict[str, set[str]] = {}
        for value in self._values:
            if len(value) >= ANYWHERE:
                for form in _forms(value):
                    by_head.setdefault(form[:_HEAD], set()).add(form)
        self._forms = {
            head: tuple(sorted(forms, key=len, reverse=True)) for head, forms in by_head.items()
        }
        self._all = "\0".join(form for forms in self._forms.values() for form in forms)
        # the longest first: a head may begin with another, shorter one
        self._heads = tuple(sorted(self._forms, key=len, reverse=True))
        words = [rf"(?<!\w){re.escape(one)}(?!\w)" for one in self._short]
        self._search = re.compile("|".join([*map(re.escape, self._heads), *words]) or "(?!)")

    def text(self, text: str) -> str:
        """The text without any registered value; the same object when there is none in it."""
        spans = self.spans(text)
        if not spans:
            return text
        parts: list[str] = []
        kept = 0
        for start, end in spans:
            parts += (text[kept:start], REDACTED)
            kept = end
        return "".join([*parts, text[kept:]])

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where registered values stand: start and end in characters, by place, none overlapping.

        Empty, and fast, for the texts without one: almost all.
        """
        # substring search beats one regular expression of alternatives by 3 to 6 times, and almost
        # no text holds a secret
        if not self._values:
            return []
        for head in self._heads:
            if head in text:
                return self._search_all(text)
        for word in self._short:
            if word in text:
                return self._search_all(text)
        if len(text) >= _HEAD and (text[:_HEAD] in self._all or text.startswith(_CUTS)):
            return self._search_all(text)
        return []

    def _search_all(self, text: str) -> list[tuple[int, int]]:
        spans = []
        position = 0
        tail = self._tail(text)
        if tail is not None:
            spans.append(tail)
            position = tail[1]
        while found := self._search.search(text, position):
            start = found.start()
            end = self._end(text, start, found.group())
            if end is None:
                position = start + 1
                continue
            spans.append((start, end))
            position = end
        return spans

    def _tail(self, text: str) -> tuple[int, int] | None:
        """The end of a value whose beginning was cut off, at the beginning of the text."""
        start = next((len(one) for one in _CUTS if text.startswith(one)), 0)
        first = text[start : start + _HEAD]
        if len(first) < _HEAD or first not in self._all:
            return None
        longest = 0
        for form in (one for forms in self._forms.values() for one in forms):
            place = form.find(first)
            while place >= 0:
                if text.startswith(form[place:], start):
                    longest = max(longest, len(form) - place)
                place = form.find(first, place + 1)
        return (start, start + longest) if longest else None

    def _end(self, text: str, start: int, head: str) -> int | None:
        """Where the secret that begins at ``start`` ends, if it is one."""
        if head in self._short and head not in self._forms:
            return start + len(head)
        longest: int | None = None
        for other in self._heads:
            if not text.startswith(other, start):
                continue
            for form in self._forms[other]:
                end = start + _common(text, start, form)
                cut = end - start >= _HEAD and (end == len(text) or text.startswith(_CUTS, end))
                if cut or end - start == len(form):
                    longest = max(longest or 0, end)
        return longest

    def value(self, value: Value) -> Value:
        """A JSON value with every text in it redacted, keys too; the same object when clean."""
        return cleaned(value, self.text)


def cleaned(value: Value, text: Callable[[str], str]) -> Value:
    """A JSON value with every text in it, keys too, put through ``text``.

    The same object when nothing changed, provided that ``text`` keeps to that.
    """
    if isinstance(value, str):
        return text(value)  # type: ignore[return-value]  # a str for a str
    if isinstance(value, dict):
        changed = {text(k): cleaned(v, text) for k, v in value.items()}
        return value if changed == value else changed  # type: ignore[return-value]  # a dict for a dict
    if isinstance(value, list | tuple):
        parts = [cleaned(one, text) for one in value]
        same = all(new is old for new, old in zip(parts, value, strict=True))
        return value if same else type(value)(parts)
    return value


def _common(text: str, start: int, form: str) -> int:
    length = min(len(form), len(text) - start)
    for index in range(length):
        if text[start + index] != form[index]:
            return index
    return length


def _forms(value: str) -> set[str]:
    """Every way the value may be written in a text."""
    raw = value.encode("utf-8", "surrogatepass")
    forms = {value, html.escape(value), repr(value)[1:-1]}
    forms |= {json.dumps(value, ensure_ascii=one)[1:-1] for one in (True, False)}
    # as Go and PHP write JSON
    escaped = json.dumps(value, ensure_ascii=False)[1:-1]
    forms |= {
        escaped.replace("/", "\\/"),
        re.sub("[<>&]", lambda one: f"\\u{ord(one[0]):04x}", escaped),
    }
    forms |= {raw.hex(), raw.hex().upper()}
    for encoded in (quote(raw, safe=""), quote(raw, safe="/"), quote_plus(raw)):
        forms |= {encoded, re.sub("%..", lambda found: found.group().lower(), encoded)}
    forms |= {one for one in _base64_forms(raw) if len(one) >= ANYWHERE}
    return forms


def _base64_forms(raw: bytes) -> Iterator[str]:
    # what stands before a value shifts its base64; characters that mix in a neighbour's bits are
    # left out, so the rest is found whatever surrounds the value
    for shift, dropped in ((0, 0), (1, 2), (2, 3)):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * shift + raw).decode().rstrip("=")
            mixed = (shift + len(raw)) % 3 != 0
            yield text[dropped : -1 if mixed else None]


_process = Redactor()


def register(values: Iterable[str]) -> int:
    """Make values secret for the rest of this process; return how many were too short."""
    return _process.register(values)


def redact(text: str) -> str:
    """The text without any secret of this process."""
    return _process.text(text)


def process_redactor() -> Redactor:
    """The redactor that holds the secrets of this process."""
    return _process
