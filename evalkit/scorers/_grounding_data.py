"""The leaves of structured data inside a context: JSON or a Python literal, read without running.

A small scanner rather than a JSON parser, because evidence needs the place of every value, data
are often cut off or written with single quotes, and hostile nesting must not reach a recursion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MARK = re.compile(
    r"\s+|(?P<open>[{\[(])|(?P<close>[}\])])|(?P<colon>:)|(?P<comma>,)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')|(?P<bare>[^\s{}\[\]():,\"']+)",
    re.DOTALL,
)
_CAMEL = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_NOTHING = frozenset({"none", "null", "nil", "nan", "n/a", "undefined"})
_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value: the keys that lead to it, its text, and the place of key and value together.

    ``kind`` is ``null``, ``true``, ``false``, ``text`` or ``number``; ``value_start`` is where the
    value itself begins.
    """

    path: tuple[str, ...]
    text: str
    kind: str
    start: int
    value_start: int
    end: int


def key_words(key: str) -> list[str]:
    """The words of a key, split at camel case, underscores and spaces, in lower case."""
    return [one.lower() for one in _CAMEL.findall(key[:200])]


def read_leaves(text: str) -> tuple[list[Leaf], int] | None:
    """The leaves of the data a text starts with and where they end; ``None`` if it is not data.

    A code fence before the data is skipped. What is cut off or wrongly closed is read as far as it
    goes; fewer than two keys is not data.
    """
    start = len(text) - len(text.lstrip())
    if text.startswith("```", start):
        start = text.find("\n", start) + 1
    if text[start : start + 1] not in {"{", "["}:
        return None
    return _scan(text, start)


@dataclass(slots=True)
class _Scan:
    """What the scanner holds between two marks."""

    leaves: list[Leaf]
    path: list[str]  # the key under which every open bracket stands
    key: str
    key_start: int
    value: tuple[str, str, int, int] | None  # kind, text, start, end
    keys: int

    def finish(self) -> None:
        """Keep the value just read, if there is one."""
        if self.value is not None:
            kind, text, start, end = self.value
            names = tuple(one for one in (*self.path, self.key) if one)
            first = self.key_start if self.key else start
            self.leaves.append(Leaf(names, text, kind, first, start, end))
        self.value = None

    def take(self, group: str, match: re.Match[str]) -> None:
        """Go on by one mark that is neither space nor a bracket that closes."""
        if group == "open":
            self.finish()
            self.path.append(self.key)
            self.key, self.key_start = "", match.end()
        elif group == "comma":
            self.finish()
            self.key, self.key_start = "", match.end()
        elif group == "colon":
            if self.value is not None:
                _, self.key, self.key_start, _ = self.value
                self.keys += 1
                self.value = None
        elif group == "text":
            self.value = ("text", match.group()[1:-1], match.start() + 1, match.end() - 1)
        elif self.value is None:
            word = match.group()
            self.value = (_kind(word), word, match.start(), match.end())
        else:  # several bare words are one value
            start = self.value[2]
            self.value = ("text", match.string[start : match.end()], start, match.end())


def _scan(text: str, start: int) -> tuple[list[Leaf], int] | None:
    state = _Scan([], [], "", start, None, 0)
    at = start
    while at < len(text):
        match = _MARK.match(text, at)
        if match is None:  # a quote that never closes
            break
        at = match.end()
        group = match.lastgroup
        if group == "close":
            state.finish()
            state.key = state.path.pop() if state.path else ""
            if not state.path:
                break
        elif group is not None:
            state.take(group, match)
            if len(state.path) > _DEPTH:
                return None
    state.finish()
    return (state.leaves, at) if state.keys >= 2 and state.leaves else None


def _kind(word: str) -> str:
    low = word.lower()
    if low in _NOTHING:
        return "null"
    if low in {"true", "false"}:
        return low
    return "number" if word[:1].isdigit() or word[:1] == "-" else "text"
