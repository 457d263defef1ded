"""A context made ready for questions: its units, where each word stands, its numbers and fields."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise

from evalkit.scorers._grounding_data import Leaf, key_words, read_leaves
from evalkit.scorers._grounding_numbers import WORDS, Quantity, quantities
from evalkit.scorers._grounding_text import NEGATIONS, STOP, forms, sentences, stem, tokens

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
_KEPT = 50_000  # characters
_PREFIXES = ("un", "in", "im", "dis", "non", "ir", "il", "mis", "de")
_HYPHEN = re.compile("[-\u2010\u2011–/]")
_COUNTS = frozenset(WORDS)


@dataclass(frozen=True, slots=True)
class Unit:
    """A sentence or field of the context: which passage, where, its stems, whether it negates."""

    part: int
    start: int
    end: int
    stems: frozenset[str]
    negated: bool


@dataclass
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

    @cached_property
    def unmade(self) -> frozenset[str]:
        """The stems of its words without a prefix that says no: ``likely`` for ``unlikely``."""
        return frozenset(stem(rest) for norm in self.norms for rest in without_prefix(norm))

    def weight(self, stem_: str) -> float:
        """How telling a word is: high when few units of the context have it (inverse frequency)."""
        here = self.where.get(stem_)
        return math.log(1.0 + len(self.units) / (len(here) if here else 0.5))


def prepare(parts: tuple[str, ...]) -> Source:
    """Read the passages of a context once; recent ones are kept, as many answers share a context.

    Neighbouring answers of a run are judged against the same passages. Contexts too long to be
    kept without a thought for memory are read each time.
    """
    return _kept(parts) if sum(map(len, parts)) <= _KEPT else _read(parts)


def forget() -> None:
    """Drop the contexts kept, as measurements of new ones want."""
    _kept.cache_clear()


@lru_cache(maxsize=16)
def _kept(parts: tuple[str, ...]) -> Source:
    return _read(parts)


def _read(parts: tuple[str, ...]) -> Source:
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
    for begin, end in sentences(rest):
        piece = rest[begin:end]
        _add_unit(source, (part, start + begin, start + end), forms(piece), piece)
    _add_dates(source, rest)


def _add_leaf(source: Source, part: int, text: str, leaf: Leaf) -> None:
    names = [word for key in leaf.path[-2:] for word in key_words(key)]
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
            inside = forms(piece)
            _add_unit(source, (part, first, last), inside, piece)
            source.free.update(root for _, root in inside)
        _add_dates(source, value)
        return
    if leaf.kind in {"null", "true", "false"}:
        value = ""
    words = [(word, stem(word)) for word in names] + forms(value)
    found = _add_unit(source, (part, leaf.start, leaf.end), words, value)
    _add_joined(source, names)
    if leaf.path:
        source.leaves.append(leaf)
        day = leaf.path[-1].lower()
        if day in DAYS:
            source.hours[day] = tuple(one.value for one in found if one.minutes)
    _add_dates(source, value)


def _add_unit(
    source: Source, place: tuple[int, int, int], words: Sequence[tuple[str, str]], text: str
) -> list[Quantity]:
    """Add a sentence or field: its part, start and end, its words and stems, the text they are in.

    Returns the numbers found in the text.
    """
    number = len(source.units)
    norms = [norm for norm, _ in words]
    stems = [root for _, root in words]
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
    if _HYPHEN.search(text) is not None:
        for before, after in pairwise(tokens(text)):
            if after.start - before.end == 1 and _HYPHEN.match(text, before.end):
                _add_joined(source, [before.norm, after.norm])
    amounts = quantities(text)
    for amount in amounts:
        (source.times if amount.minutes else source.numbers).add(amount.value)
        source.by_number.setdefault(amount.value, set()).add(number)
    for norm in _COUNTS.intersection(norms):
        source.numbers.add(WORDS[norm])
        source.by_number.setdefault(WORDS[norm], set()).add(number)
    return amounts


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


def without_prefix(word: str) -> list[str]:
    """What is left of a word without a prefix that may say no."""
    if not word.startswith(_PREFIXES):
        return []
    rests = [word.removeprefix(one) for one in _PREFIXES]
    return [one for one in rests if 3 < len(one) < len(word)]


def stems_of(texts: Iterable[str]) -> frozenset[str]:
    """The stems of the words of several texts."""
    return frozenset(one.stem for text in texts for one in tokens(text))
