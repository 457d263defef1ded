"""Two texts compared word by word, shown with the lines around each change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

CONTEXT_LINES = 2
MAX_WORDS = 4_000
"""Above this a changed block is shown whole: comparing words takes time that grows as a square."""

# Chinese, Japanese and Korean have no spaces between words: each character is one
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
# a number is one word, with its decimals, as is a date
_NUMBER = r"\d+(?:[.,:/-]\d+)*(?!\w)"
_UNSEEN = r"\\u\{[0-9a-f]+\}"  # a character written out
_WORD = re.compile(rf"\n|{_UNSEEN}|[^\S\n]+|{_NUMBER}|[{_CJK}]|[^\W{_CJK}]+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that both have, or that one of them has."""

    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True, slots=True)
class Hunk:
    """A change with the lines around it; line numbers count from 1."""

    old_line: int
    new_line: int
    pieces: tuple[Piece, ...]


def diff_words(old: str, new: str) -> tuple[Hunk, ...]:
    """The changes from one text to another; empty when they are the same."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    hunks = []
    for group in matcher.get_grouped_opcodes(CONTEXT_LINES):
        pieces: list[Piece] = []
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                pieces.append(Piece("same", "".join(before[i1:i2])))
            else:
                pieces += _block("".join(before[i1:i2]), "".join(after[j1:j2]))
        hunks.append(Hunk(group[0][1] + 1, group[0][3] + 1, tuple(_joined(pieces))))
    return tuple(hunks)


def words_between(old: str, new: str) -> tuple[Piece, ...]:
    """Both texts whole, word by word."""
    return tuple(_joined(list(_block(old, new))))


def _block(old: str, new: str) -> Iterator[Piece]:
    before, after = _WORD.findall(old), _WORD.findall(new)
    if not before or not after:
        yield from _change(old, new)
        return
    if max(len(before), len(after)) > MAX_WORDS:
        yield from _long(before, after)
        return
    for tag, i1, i2, j1, j2 in _words(before, after):
        if tag == "equal":
            yield Piece("same", "".join(before[i1:i2]))
        else:
            yield from _change("".join(before[i1:i2]), "".join(after[j1:j2]))


def _long(before: list[str], after: list[str]) -> Iterator[Piece]:
    """What two long texts share at both ends; between them words, where that is little."""
    least = min(len(before), len(after))
    head = next((at for at in range(least) if before[at] != after[at]), least)
    rest = least - head
    tail = next((at for at in range(rest) if before[-1 - at] != after[-1 - at]), rest)
    # a blank alone is no text in common
    head *= any(not one.isspace() for one in before[:head])
    tail *= any(not one.isspace() for one in before[len(before) - tail :])
    ends = len(before) - tail, len(after) - tail
    old, new = "".join(before[head : ends[0]]), "".join(after[head : ends[1]])
    few = max(ends) - head <= MAX_WORDS
    if head:
        yield Piece("same", "".join(before[:head]))
    yield from _block(old, new) if few else _change(old, new)
    if tail:
        yield Piece("same", "".join(before[ends[0] :]))


def _words(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[str, int, int, int, int]]:
    """Opcodes in which a lone space between two changes is part of one change."""
    codes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    changed: tuple[int, int, int, int] | None = None
    for number, (tag, i1, i2, j1, j2) in enumerate(codes):
        space = "".join(before[i1:i2])
        inside = 0 < number < len(codes) - 1 and space.isspace() and "\n" not in space
        if tag != "equal" or inside:
            changed = (i1, i2, j1, j2) if changed is None else (changed[0], i2, changed[2], j2)
            continue
        if changed is not None:
            yield ("replace", *changed)
            changed = None
        yield (tag, i1, i2, j1, j2)
    if changed is not None:
        yield ("replace", *changed)


def _change(old: str, new: str) -> Iterator[Piece]:
    if old:
        yield Piece("removed", old)
    if new:
        yield Piece("added", new)


def _joined(pieces: Sequence[Piece]) -> Iterator[Piece]:
    waiting: Piece | None = None
    for one in pieces:
        if waiting is not None and waiting.kind == one.kind:
            waiting = Piece(one.kind, waiting.text + one.text)
            continue
        if waiting is not None:
            yield waiting
        waiting = one
    if waiting is not None:
        yield waiting
