"""A context made ready for questions: its units, where each word stands, its numbers and fields."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from evalkit.scorers._grounding_data import Leaf, key_words, read_leaves
from evalkit.scorers._grounding_numbers import WORDS, Quantity, quantities
from evalkit.scorers._grounding_text import NEGATIONS, STOP, Token, sentences, stem, tokens

LONG_LEAF = 40
"""Characters from which a text value in data is prose, split into sentences like any other."""
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
_ISO_DATE = re.compile(r"(?<!\d)\d{4}-(\d\d)-(\d\d)(?!\d)")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
COMMON = 200
"""Units that a word may stand in and still help to find one."""
_HYPHEN = frozenset("-\u2010\u2011–/")


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or field of the context: which passage, where, its stems, whether it negates."""

    part: int
    start: int
    end: int
    stems: frozenset[str]
    negated: bool


@dataclass(slots=True)
class Source:
    """Everything the claims of an answer are held against."""

    units: list[Unit] = field(default_factory=list)
    where: dict[str, set[int]] = field(default_factory=dict)
    norms: set[str] = field(default_factory=set)
    prefixes: set[str] = field(default_factory=set)
    pairs: set[tuple[str, str]] = field(default_factory=set)
    skips: set[tuple[str, str]] = field(default_factory=set)
    triples: set[tuple[str, str, str]] = field(default_factory=set)
    numbers: set[float] = field(default_factory=set)
    ordered: list[float] = field(default_factory=list)
    times: set[float] = field(default_factory=set)
    by_number: dict[float, set[int]] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    by_name: dict[str, list[Leaf]] = field(default_factory=dict)
    hours: dict[str, tuple[float, ...]] = field(default_factory=dict)
    free: set[str] = field(default_factory=set)
    structured: float = 0.0
    characters: int = 0
    words: int = 0

    def weight(self, stem_: str) -> float:
        """How telling a word is: high when few units of the context have it (inverse frequency)."""
        here = self.where.get(stem_)
        return math.log(1.0 + len(self.units) / (len(here) if here else 0.5))


@lru_cache(maxsize=16)
def prepare(parts: tuple[str, ...]) -> Source:
    """Read the passages of a context once; recent ones are kept, as many answers share a context.

    Neighbouring answers of a run are judged against the same passages, so this is most of the cost
    saved when a suite has several trials or targets.
    """
    source = Source()
    structured = 0
    for part, text in enumerate(parts):
        source.characters += len(text)
        data = read_leaves(text)
        end = 0
        if data is not None:
            leaves, end = data
            structured += end
            for leaf in leaves:
                _add_leaf(source, part, text, leaf)
        _add_prose(source, part, text, end)
    source.structured = structured / max(1, source.characters)
    _name_fields(source)
    source.ordered = sorted(source.numbers)
    return source


def _add_prose(source: Source, part: int, text: str, start: int) -> None:
    rest = text[start:] if start else text
    every = tokens(rest)
    at = 0
    for begin, end in sentences(rest):
        first = at
        while first < len(every) and every[first].start < begin:
            first += 1
        at = first
        while at < len(every) and every[at].start < end:
            at += 1
        found = quantities(rest[begin:end])
        _add_unit(source, (part, start + begin, start + end), every[first:at], found, rest)
    _add_dates(source, rest)


def _add_leaf(source: Source, part: int, text: str, leaf: Leaf) -> None:
    names = [word for key in leaf.path[-2:] for word in key_words(key)]
    keys = [Token(word, stem(word), -1, -1) for word in names]
    value = text[leaf.value_start : leaf.end].replace("\\n", "\n ").replace("\\'", " '")
    whole = "\\u" in value  # decoding moves the places, so evidence is then the whole value
    if whole:
        value = _ESCAPE.sub(lambda one: chr(int(one.group(1), 16)), value)
    if leaf.kind == "text" and len(value) > LONG_LEAF and " " in value:
        for begin, end in sentences(value):
            piece = value[begin:end]
            first, last = leaf.value_start + begin, leaf.value_start + end
            if whole:
                first, last = leaf.start, leaf.end
            inside = tokens(piece)
            _add_unit(source, (part, first, last), inside, quantities(piece), piece)
            source.free.update(one.stem for one in inside)
        _add_dates(source, value)
        return
    inside = [] if leaf.kind in {"null", "true", "false"} else tokens(value)
    found = quantities(value) if inside else []
    _add_unit(source, (part, leaf.start, leaf.end), [*keys, *inside], found, value)
    _add_joined(source, names)
    if leaf.path:
        source.leaves.append(leaf)
        day = leaf.path[-1].lower()
        if day in DAYS:
            source.hours[day] = tuple(one.value for one in found if one.minutes)
    _add_dates(source, value)


def _add_unit(
    source: Source,
    place: tuple[int, int, int],
    found: Sequence[Token],
    amounts: Sequence[Quantity],
    text: str,
) -> None:
    """Add a sentence or field: its part, start and end, its words and numbers, the text of both."""
    number = len(source.units)
    stems = [one.stem for one in found]
    norms = [one.norm for one in found]
    unique = frozenset(stems)
    negated = not NEGATIONS.isdisjoint(norms)
    source.units.append(Unit(*place, unique, negated))
    source.words += len(stems)
    source.norms.update(norms)
    where = source.where
    for one in unique:
        if one in where:
            where[one].add(number)
        else:
            where[one] = {number}
            source.prefixes.add(one[:5])
    source.pairs.update(pairwise(stems))
    source.skips.update(zip(stems, stems[2:], strict=False))
    source.triples.update(zip(stems, stems[1:], stems[2:], strict=False))
    for before, after in pairwise(found):
        if before.end >= 0 and after.start - before.end == 1 and text[before.end] in _HYPHEN:
            _add_joined(source, [before.norm, after.norm])
    for amount in amounts:
        (source.times if amount.minutes else source.numbers).add(amount.value)
        source.by_number.setdefault(amount.value, set()).add(number)
    for norm in norms:
        if norm in WORDS:
            source.numbers.add(WORDS[norm])
            source.by_number.setdefault(WORDS[norm], set()).add(number)


def _add_joined(source: Source, parts: Sequence[str]) -> None:
    """Make ``take-out`` and ``TakeOut`` known as ``takeout`` too."""
    for one, other in pairwise(parts):
        joined = one + other
        source.norms.add(joined)
        root = stem(joined)
        unit = max(0, len(source.units) - 1)
        source.where.setdefault(root, set()).add(unit)


def _add_dates(source: Source, text: str) -> None:
    for match in _ISO_DATE.finditer(text):
        month = int(match.group(1))
        if 1 <= month <= 12:
            name = _MONTHS[month - 1]
            source.norms.add(name)
            source.where.setdefault(stem(name), {max(0, len(source.units) - 1)})
            source.numbers.add(float(match.group(2)))


_DULL_KEYS = "good name id type value text info date number count list item"
_DULL = frozenset(stem(one) for one in _DULL_KEYS.split())


def _name_fields(source: Source) -> None:
    """Find every field by the words that set its key apart: those no other key has."""
    keys = {one.path[-1] for one in source.leaves}
    split = {key: [stem(one) for one in key_words(key)] for key in keys}
    shared = Counter(word for words in split.values() for word in set(words))
    for leaf in source.leaves:
        words = split[leaf.path[-1]]
        telling = {
            word for word in words if shared[word] == 1 and word not in STOP and word not in _DULL
        }
        if len(words) > 1:
            telling.add(stem("".join(key_words(leaf.path[-1])[-2:])))
        for word in telling:
            source.by_name.setdefault(word, []).append(leaf)


def stems_of(texts: Iterable[str]) -> frozenset[str]:
    """The stems of the words of several texts."""
    return frozenset(one.stem for text in texts for one in tokens(text))
