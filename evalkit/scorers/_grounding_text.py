"""Sentences and words of any script with their places, and the few English words that steer them.

Every pattern here is linear in the text: no nested repetition, nothing that backtracks far.
"""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

_make = tuple.__new__  # a third of the cost of naming the fields, for every word there is


class Token(NamedTuple):
    """One word: its normal form, its stem, and its place in the text."""

    norm: str
    stem: str
    start: int
    end: int


# Chinese, Japanese, Thai, Lao, Khmer and Burmese write words without spaces between them.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_HAS_UNSPACED = re.compile(f"[{_UNSPACED}]")
_PIECES = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+")
_BREAK = re.compile(r"(?<![.!?…])[.!?…]+[\"'”’)\]*]*(?=\s)|[。！？｡।؟۔॥]+[”’」』）]*|\n+")  # noqa: RUF001 - their marks
_LEAD = re.compile(r"[\s*•·#>\-–]*(?:\(?(?:[0-9]{1,2}|[a-zA-Z])[.)](?=\s))?[\s*]*")

_LISTS = tomllib.loads(
    resources.files("evalkit.scorers").joinpath("data/grounding_words.toml").read_text("utf-8")
)
STOP, NEGATIONS, HEDGES, PRAISE, FRAMES, OPENERS, ABBREVIATIONS = (
    frozenset(_LISTS[name].split())
    for name in ("stop", "negations", "hedges", "praise", "frames", "openers", "abbreviations")
)
ANTONYMS: dict[str, tuple[str, ...]] = {}
for _pair in _LISTS["opposites"]:
    _one, _other = _pair.split()
    ANTONYMS[_one] = (*ANTONYMS.get(_one, ()), _other)
    ANTONYMS[_other] = (*ANTONYMS.get(_other, ()), _one)


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """A word without its commonest English endings; words of other alphabets stay as they are.

    Both sides of a comparison are cut the same way, so a stem need not be a word.
    """
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, keep in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= keep:
            word = word[: -len(ending)]
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    if len(word) > 4 and word[-1] in "ey":
        word = word[:-1]
    return word


_ENDINGS = (
    *(("ations", 4), ("ation", 4), ("ings", 3), ("ing", 3), ("edly", 3), ("ed", 3), ("ally", 4)),
    *(("ly", 4), ("ments", 4), ("ment", 4), ("ness", 4), ("ers", 4), ("er", 4), ("ors", 4)),
    *(("or", 4), ("ion", 4), ("est", 4)),
)


@lru_cache(maxsize=1 << 16)
def _normal(word: str) -> tuple[str, str]:
    norm = word.casefold().replace("’", "'")
    norm = norm.removesuffix("'s")
    return norm, stem(norm)


def tokens(text: str) -> list[Token]:
    """The words of a text in order; unspaced scripts give every pair of neighbouring characters."""
    found = []
    mixed = _HAS_UNSPACED.search(text) is not None
    for match in _WORD.finditer(text):
        word, start = match.group(), match.start()
        if mixed and _HAS_UNSPACED.search(word):
            found.extend(_pieces(word, start))
            continue
        if len(word) > 64:  # no word: kept whole it would only fill the cache
            word = word[:64]
        found.append(_make(Token, (*_normal(word), start, match.end())))
    return found


def forms(text: str) -> list[tuple[str, str]]:
    """The normal form and stem of every word, as ``tokens`` without their places and faster."""
    if _HAS_UNSPACED.search(text) is not None:
        return [(one.norm, one.stem) for one in tokens(text)]
    return [_normal(word[:64]) for word in _WORD.findall(text)]


def _pieces(word: str, start: int) -> list[Token]:
    found = []
    for match in _PIECES.finditer(word):
        piece, at = match.group(), start + match.start()
        if not _HAS_UNSPACED.match(piece):
            norm, root = _normal(piece[:64])
            found.append(Token(norm, root, at, at + len(piece)))
        elif len(piece) == 1:
            found.append(Token(piece, piece, at, at + 1))
        else:
            for i in range(len(piece) - 1):
                pair = piece[i : i + 2]
                found.append(Token(pair, pair, at + i, at + i + 2))
    return found


def sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) of every sentence, list item or line, without list marks and outer space."""
    found: list[tuple[int, int]] = []
    start = 0
    for match in _BREAK.finditer(text):
        if match.group()[0] == "." and _inside(text, start, match.start(), match.end()):
            continue
        _keep(text, start, match.end(), found)
        start = match.end()
    _keep(text, start, len(text), found)
    return found


def _inside(text: str, start: int, dot: int, end: int) -> bool:
    """Whether a full stop belongs to an abbreviation or a list mark and ends nothing."""
    head = text[max(start, dot - 12) : dot]
    word = head.split()[-1] if head and not head[-1].isspace() else ""
    if not word:
        return False
    bare = word.lstrip("(\"'*#").lower()
    if bare.isdigit() and len(bare) <= 2 and not text[start : dot - len(bare)].strip(" *#-(\n"):
        return True
    follows = text[end : end + 3].strip()[:1]
    if follows.islower():
        return True
    if bare in {"a.m", "p.m", "u.s", "etc", "inc", "ltd", "co"}:
        return not follows.isupper()
    return bare in ABBREVIATIONS or (len(bare) == 1 and bare.isalpha() and word[-1].isupper())


def _keep(text: str, start: int, end: int, found: list[tuple[int, int]]) -> None:
    lead = _LEAD.match(text, start, end)
    if lead is not None:
        start = lead.end()
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start and any(one.isalnum() for one in text[start : min(end, start + 200)]):
        found.append((start, end))
