"""Secrets are removed by value: whatever text is about to be stored or printed goes through here.

A value that came from the environment is registered once, when a run resolves its configuration.
From then on it is recognised as written, percent-encoded, in base64 at any alignment (so also
inside ``user:password`` or ``Bearer ...``), in hexadecimal, and escaped for JSON (twice, too),
Python or HTML; also when it was cut, as long as eight characters of it are left: its head at the
end of the text or before an ellipsis, its tail at the beginning or after one. Each of these is
found across line breaks and the blanks around them, and with any of its characters as a JSON escape
or an HTML entity: such a text is searched in its plain form, too. Redaction comes before
truncation.
"""

from __future__ import annotations

import base64
import html
import json
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from urllib.parse import quote, quote_plus

REDACTED = "[redacted]"
SHORTEST = 3
"""Shorter values are refused: they occur in ordinary text, and guessing them is no work."""
ANYWHERE = 6
"""Values from this length on are found inside other words; shorter ones only as whole words."""
BROKEN = 12
"""Forms from this length on are found across line breaks; two shorter words may make one."""
_HEAD = 8
_CUTS = ("…", "...")

# what is left out or decoded to make a text plain: line breaks with the blanks around them, written
# as such or as escapes; JSON's escapes of characters; HTML's entities. Runs of backslashes have an
# end, so that a long one is searched in a time that grows with its length
_BREAK = r"\\\\{0,7}[nr]"
_CHAR = r"\\\\{0,7}u([0-9a-fA-F]{4})"
_ENTITY = r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));"
_BREAKS = re.compile(_BREAK)
# with the groups of all
_CHARS = re.compile(f"{_CHAR}()()()")
_ENTITIES = re.compile(f"(){_ENTITY}")
_WRITTEN = re.compile(rf"(?<![ \t\r])[ \t\r]*(?:\n|{_BREAK})(?:\s|{_BREAK})*|{_CHAR}|{_ENTITY}")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

Value = TypeVar("Value")


class Redactor:
    """Knows secret values and takes them out of texts and of JSON values."""

    def __init__(self, values: Iterable[str] = ()):
        self._values: set[str] = set()
        self._heads: tuple[str, ...] = ()
        self._forms: dict[str, tuple[str, ...]] = {}
        self._short: tuple[str, ...] = ()
        self._search = re.compile("(?!)")
        self._blanks = self._marks = self._changes = False
        self._inner: frozenset[str] = frozenset()
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
        # such a value is wrapped at its blanks: the break stands for one
        self._blanks = any(len(one.split()) > 1 for one in self._values)
        # others have no entities with names
        self._marks = any(mark in one for mark in _NAMED.values() for one in self._values)
        by_head: dict[str, set[str]] = {}
        for value in self._values:
            if len(value) >= ANYWHERE:
                for form in _forms(value):
                    by_head.setdefault(form[:_HEAD], set()).add(form)
        self._forms = {
            head: tuple(sorted(forms, key=len, reverse=True)) for head, forms in by_head.items()
        }
        # whatever a form goes on with after its beginning was cut off
        self._inner = frozenset(
            form[at : at + _HEAD]
            for forms in self._forms.values()
            for form in forms
            for at in range(len(form) - _HEAD + 1)
        )
        # the longest first: a head may begin with another, shorter one
        self._heads = tuple(sorted(self._forms, key=len, reverse=True))
        # heads that a plain text may not have though the text has them
        self._changes = re.search(r"[\\&\s]", "".join((*self._heads, *self._short))) is not None
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
        if not self._values:
            return []
        entities = "&" in text and (self._marks or "&#" in text)
        if not entities and "\n" not in text and "\\" not in text:
            return self._search_all(text) if self._may_hold(text) else []
        glues = [
            glue
            for glue in (("", " ") if self._blanks else ("",))
            if self._may_hold(_made_plain(text, glue, entities=entities))
        ]
        # what is in the text is in its plain form too, but for some
        if not glues and not (self._may_hold if self._changes else self._begins_like)(text):
            return []
        found = self._search_all(text)
        for glue in glues:
            found += self._in_plain(_Plain(text, glue))
        return _merged(found)

    def _may_hold(self, text: str) -> bool:
        # substring search beats one regular expression of alternatives by 3 to 6 times, and almost
        # no text holds a secret
        for head in self._heads:
            if head in text:
                return True
        for word in self._short:
            if word in text:
                return True
        return self._begins_like(text)

    def _begins_like(self, text: str) -> bool:
        """Whether a value whose beginning was cut off may stand at the beginning."""
        return text[:_HEAD] in self._inner or text.startswith(_CUTS)

    def _in_plain(self, plain: _Plain) -> Iterator[tuple[int, int]]:
        """Where the values stand that only a plain text holds; no short ones."""
        for start, end in self._search_all(plain.text):
            began, ended, broken = plain.was(start, end)
            changed = broken or ended - began != end - start
            if changed and end - start >= (BROKEN if broken else ANYWHERE):
                yield began, ended

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
        if first not in self._inner:
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


def _made_plain(text: str, glue: str, *, entities: bool) -> str:
    """The text without line breaks and escapes, as ``_Plain`` has it, or a little plainer."""
    if "\\" in text:
        text = _BREAKS.sub("\n", text)
        if "\\u" in text:
            text = _CHARS.sub(_decoded, text)
    if entities:
        text = _ENTITIES.sub(_decoded, text)
    return glue.join(map(str.strip, text.split("\n"))) if "\n" in text else text


class _Plain:
    """A text without its line breaks and with its escapes decoded; knows where each part was.

    ``glue`` stands where a line was broken.
    """

    def __init__(self, text: str, glue: str):
        parts: list[str] = []
        # the stretches of the plain text: where each begins, and where in the text it was
        self._begins: list[int] = []
        self._was: list[tuple[int, int]] = []
        self._breaks: list[int] = []
        kept = length = 0

        def add(part: str, start: int, end: int) -> None:
            nonlocal length
            if part:
                parts.append(part)
                self._begins.append(length)
                self._was.append((start, end))
                length += len(part)

        for one in _WRITTEN.finditer(text):
            add(text[kept : one.start()], kept, one.start())
            char = _decoded(one)
            if not char:
                self._breaks.append(length)
            add(char or glue, one.start(), one.end())
            kept = one.end()
        add(text[kept:], kept, len(text))
        self.text = "".join(parts)

    def was(self, start: int, end: int) -> tuple[int, int, bool]:
        """Where a part of the plain text began and ended, and whether a line broke inside."""
        first = bisect_right(self._begins, start) - 1
        last = bisect_right(self._begins, end - 1) - 1
        began, ended = self._was[first][0], self._was[last][1]
        # what stood as it was is as long as it was
        if self._is_whole(first):
            began += start - self._begins[first]
        if self._is_whole(last):
            ended = self._was[last][0] + end - self._begins[last]
        broken = bisect_right(self._breaks, start) < bisect_left(self._breaks, end)
        return began, ended, broken

    def _is_whole(self, stretch: int) -> bool:
        begins = self._begins
        end = begins[stretch + 1] if stretch + 1 < len(begins) else len(self.text)
        start, stop = self._was[stretch]
        return end - begins[stretch] == stop - start


def _decoded(written: re.Match[str]) -> str:
    """The character that is written so; nothing for a line break."""
    escape, decimal, hexadecimal, name = written.groups()
    if name:
        return _NAMED[name]
    code = int(decimal) if decimal else int(escape or hexadecimal or "a", 16)
    if code > sys.maxunicode:
        return written[0]
    return "" if code in {10, 13} else chr(code)


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


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
    # JSON as a text in JSON
    forms |= {json.dumps(json.dumps(value, ensure_ascii=one)[1:-1])[1:-1] for one in (True, False)}
    # a value of several lines is looked for without their breaks in plain texts
    joined = "".join(map(str.strip, value.split("\n")))
    if len(joined) >= BROKEN:
        forms.add(joined)
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
