"""Text for the extractive reader: tokens with their places, keys that match across forms, units.

Everything here is a pure function of the text; what it knows of languages stands in
``_reader_words.toml``.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, TypeAlias

Script: TypeAlias = Literal["number", "dense", "word"]

QUESTION_MARKS = ("?", "？", "؟")

_DENSE = "\u0e00-\u0e7f\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Scripts written without spaces: Thai, Chinese, Japanese."""
_MARKS = "\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u0670\u0900-\u0903\u093a-\u094f\u0962\u0963"
_TOKEN = re.compile(
    rf"(?P<number>\d+(?:[.,:٫٬]\d+)*)|(?P<dense>[{_DENSE}]+)"
    rf"|(?P<word>(?:[^\W\d_{_DENSE}]|[{_MARKS}])+)"
)
_DROPPED = re.compile("[\u0300-\u036f\u0610-\u061a\u0640\u064b-\u065f\u0670\u093c\u200c\u200d]")
_HIRAGANA = re.compile("[\u3040-\u309f]+")
_THOUSANDS = re.compile(r"(?<=\d)[,.٬](?=\d{3}(?!\d))")

_STARTS = ("وال", "بال", "فال", "كال", "لل", "ال", "و")


@lru_cache(maxsize=1)
def words() -> Mapping[str, Any]:
    """The word lists, as written in ``_reader_words.toml``."""
    file = resources.files("evalkit.targets").joinpath("_reader_words.toml")
    return tomllib.loads(file.read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _endings() -> tuple[str, ...]:
    listed = words()["shared"]["endings"].split()
    return tuple(sorted(listed, key=lambda one: (-len(one), one)))


@lru_cache(maxsize=1)
def _irregular() -> Mapping[str, str]:
    return {form: base for base, forms in words()["irregular"].items() for form in forms.split()}


@dataclass(frozen=True, slots=True)
class Token:
    """A word, a number or a piece of dense script, with its place and the key it matches by."""

    start: int
    end: int
    text: str
    key: str
    script: Script


def normalise(text: str) -> str:
    """Casefolded, compatibility forms and digits made plain, without diacritics."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = _DROPPED.sub("", folded).replace("ى", "ي").replace("ة", "ه")
    return "".join(
        str(unicodedata.digit(one)) if one.isdigit() and not one.isascii() else one for one in plain
    )


@lru_cache(maxsize=65536)
def number_key(text: str) -> str:
    """A number without separators of thousands, so that ``1,415`` and ``1415`` match."""
    return _THOUSANDS.sub("", normalise(text)).replace(",", ".").replace("٫", ".")


@lru_cache(maxsize=65536)
def word_key(text: str) -> str:
    """What is left of a word when its common endings are taken off: at most eight letters."""
    word = normalise(text)
    word = _irregular().get(word, word)
    for start in _STARTS:
        if len(word) - len(start) >= 3 and word.startswith(start):
            word = word[len(start) :]
            break
    if len(word) > 3:
        for ending in _endings():
            if len(word) - len(ending) >= 3 and word.endswith(ending):
                word = word[: -len(ending)]
                break
    return word[:8]


def tokens(text: str) -> list[Token]:
    """Every token of a text in order; dense script gives overlapping pairs of characters."""
    found: list[Token] = []
    for one in _TOKEN.finditer(text):
        script = one.lastgroup
        start, end, piece = one.start(), one.end(), one.group()
        if script == "number":
            found.append(Token(start, end, piece, number_key(piece), "number"))
        elif script == "word":
            found.append(Token(start, end, piece, word_key(piece), "word"))
        elif len(piece) == 1:
            found.append(Token(start, end, piece, piece, "dense"))
        else:
            found.extend(
                Token(start + at, start + at + 2, pair, pair, "dense")
                for at in range(len(piece) - 1)
                if not _HIRAGANA.fullmatch(pair := piece[at : at + 2])
            )
    return found


Kind: TypeAlias = Literal["sentence", "row", "line"]


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest piece of a passage that can answer: a sentence, a table row, a key and value.

    A row has ``cells`` under ``headers``; ``heading`` is the title line above it or the key before
    it.
    """

    text: str
    kind: Kind = "sentence"
    heading: str = ""
    cells: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()


_ROW = re.compile(r"^\s*\|(.*)\|\s*$")
_RULE = re.compile(r"^[\s|:\-]+$")
_LONGEST = 600
_ENDS = ".!?؟।॥"
_STOP = re.compile(
    rf"(?<![{_ENDS}])(?:[{_ENDS}]++[\"'”’»)\]]*+(?=\s)|[。！？]++[」』”’）)]*+)\s*+", re.UNICODE
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-zÀ-ÿА-Яа-я]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Sra|Mme|Nr|No|art|ca|bzw|vgl|etc|approx|vs|"
    r"ул|руб|им|тыс|стр|г)\.)$"
)
_LISTED = re.compile(r"(?:\b(?:and|or|und|oder|y|o|et|ou|e|и|или)|,)\s+[A-ZА-Я]\.$")
_ORDINAL = re.compile(r"(?:^|[\s(])\d{1,2}\.$")
_KEY = re.compile(r"\s*([^:：\s][^:：]{0,40})[:：]\s*\S")
_CLOSED = tuple(".!?؟。！？।:：;,،")


def units(passage: str) -> list[Unit]:
    """Every unit of a passage in order."""
    found: list[Unit] = []
    heading = ""
    headers: tuple[str, ...] = ()
    lines = [one for one in passage.splitlines() if one.strip()]
    for at, line in enumerate(lines):
        row = _ROW.match(line)
        if row is not None:
            if _RULE.match(line):
                continue
            cells = tuple(one.strip() for one in row.group(1).split("|"))
            if not headers:
                headers = cells
                continue
            pairs = zip(headers, cells, strict=False)
            text = "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs)
            found.append(Unit(text, "row", heading, cells, headers))
            continue
        headers = ()
        if at + 1 < len(lines) and not line.rstrip().endswith(_CLOSED) and len(line) <= 120:
            # A short line that no sentence ends is the title of what follows; a row or a sentence
            # cannot be read without it.
            heading = line.strip()
            if at > 0:
                found.append(Unit(heading, "line"))
            continue
        kind: Kind = "line" if len(lines) > 2 else "sentence"
        key = _KEY.match(line) if kind == "line" else None
        above = f"{heading} {key.group(1)}" if key is not None else heading
        found.extend(Unit(one, kind, above) for one in sentences(line))
    return found


def sentences(text: str) -> list[str]:
    """Split where a sentence ends; numbers, initials and abbreviations end none.

    A heading of up to three words in front of a sentence stays with it. What is longer than
    600 characters is no sentence and is split between words.
    """
    found: list[str] = []
    begin = 0
    for stop in _STOP.finditer(text):
        tail = text[max(begin, stop.start() - 30) : stop.end()].strip()
        rest = text[stop.end() : stop.end() + 20]
        if _ABBREVIATION.search(tail) and not _LISTED.search(tail):
            continue
        if rest[:1].islower() and rest[:1].isascii():
            continue
        if _ORDINAL.search(tail) and _before_month(rest):
            continue
        short = stop.end() - begin < 30 and tail.endswith(".")
        if short and len(_TOKEN.findall(text, begin, stop.end())) <= 3:
            continue
        found.extend(_bounded(text[begin : stop.end()]))
        begin = stop.end()
    found.extend(_bounded(text[begin:]))
    return found


def _bounded(text: str) -> list[str]:
    text = text.strip()
    if len(text) <= _LONGEST:
        return [text] if text else []
    found = []
    while len(text) > _LONGEST:
        cut = text.rfind(" ", _LONGEST // 2, _LONGEST)
        cut = _LONGEST if cut < 0 else cut
        found.append(text[:cut].strip())
        text = text[cut:].lstrip()
    return [one for one in [*found, text] if one]


@lru_cache(maxsize=1)
def _months() -> frozenset[str]:
    return frozenset(one for line in words()["shared"]["months"] for one in line.split())


def _before_month(rest: str) -> bool:
    first = re.match(r"[^\W\d_]+", rest)
    return first is not None and first.group().casefold() in _months()
