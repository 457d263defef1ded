"""Numbers, times and names of a sentence that the context lacks or has elsewhere."""

from __future__ import annotations

import re
from bisect import bisect_left
from operator import attrgetter

from evalkit.scorers._grounding_numbers import ORDINALS, VAGUE, WORDS, quantities, supported
from evalkit.scorers._grounding_sentence import Sentence
from evalkit.scorers._grounding_text import FRAMES, OPENERS, STOP, Token

_NO_NAME = STOP | FRAMES | OPENERS | {"am", "pm"}
# "in 92 words" speaks of the answer itself, "seven days a week" and "out of 5" count nothing
_SCALE = re.compile(
    r"[\s-]+(?:words?|sentences?|days (?:a|per) week|stars? scale)\b", re.IGNORECASE
)
_OUT_OF = re.compile(r"\bout of $", re.IGNORECASE)
_MAGNITUDES = frozenset({"hundred", "thousand", "million", "billion", "trillion", "percent"})
_start = attrgetter("start")
_JOINS = frozenset({" ", "-", ". "})


def numbers(this: Sentence) -> None:
    """Numbers and times that the context does not have, or has of something else."""
    new, moved, other_measure, times, count = 0, 0, 0, 0, 0
    source = this.source
    for one in quantities(this.text):
        if _SCALE.match(this.text, one.end) or _OUT_OF.search(
            this.text, max(0, one.start - 8), one.start
        ):
            continue
        count += 1
        start, end = this.start + one.start, this.start + one.end
        if one.minutes:
            hours = {one.value / 60, one.value % 720 / 60}
            if one.value not in source.times and hours.isdisjoint(source.numbers):
                times += 1
                this.doubt("time", start, end)
            continue
        shown = this.text[one.start : one.end].lower()
        if shown in this.asked or shown in source.norms:
            known = True
        else:
            known = supported(one, source.numbers, source.ordered)
        if not known:
            new += 1
            this.doubt("number", start, end)
            continue
        units = source.by_number.get(one.value, set())
        moved += bool(units) and this.unit not in units and this.second not in units
        other_measure += _other_measure(this, units, start, end)
    new_words, word_count, measures = _number_words(this)
    this.set("numbers", count + word_count)
    this.set("numbers_new", new + new_words)
    this.set("numbers_moved", moved)
    this.set("measure_differs", other_measure + measures)
    this.set("times_new", times)


def _other_measure(this: Sentence, units: set[int], start: int, end: int) -> bool:
    """Whether the context has this number only of other things than the word that follows it."""
    at = bisect_left(this.words, end, key=_start)
    if at == len(this.words) or not units:
        return False
    after = this.words[at]
    if after.start - end > 2 or after.norm in STOP:
        return False
    here = this.source.where.get(after.stem)
    if here is None and after.norm not in _MAGNITUDES:
        return False
    if here is not None and not here.isdisjoint(units):
        return False
    this.doubt("measure", start, after.end)
    return True


def _number_words(this: Sentence) -> tuple[int, int, int]:
    """How many numbers in words are new, how many there are, and ordinals of something else."""
    source, new, count, other = this.source, 0, 0, 0
    for at, word in enumerate(this.words):
        value = WORDS.get(word.norm)
        if value is None or _SCALE.match(this.answer, word.end):
            continue
        after = this.words[at + 1] if at + 1 < len(this.words) else None
        if word.norm in ORDINALS and after is not None and after.stem in source.where:
            rivals = any((one, after.stem) in source.pairs for one in ORDINALS - {word.norm})
            if rivals and (word.stem, after.stem) not in source.pairs:
                other += 1
                this.doubt("measure", word.start, after.end)
        if word.norm in VAGUE:
            continue
        count += 1
        if value not in source.numbers and word.norm not in source.norms:
            new += 1
            this.doubt("number", word.start, word.end)
    return new, count, other


def names(this: Sentence) -> None:
    """Names (capitalised inside a sentence) that are absent, partly absent or from elsewhere."""
    absent = part = moved = 0
    groups = _groups(this)
    for group in groups:
        missing = [
            one
            for one in group
            if not this.known(one)
            and one.stem not in this.asked
            and one.stem[:5] not in this.source.prefixes
        ]
        if len(missing) == 1 and len(group) > 1 and missing[0] is this.words[0]:
            continue  # "Open Monday": the capital may be the sentence's own
        if missing:
            absent += len(missing) == len(group)
            part += len(missing) < len(group)
            this.doubt("name", missing[0].start, missing[-1].end)
        elif this.unit is not None:
            have = this.source.units[this.unit].stems
            moved += all(one.stem not in have for one in group)
    this.set("names", len(groups))
    this.set("names_new", absent)
    this.set("names_part", part)
    this.set("names_moved", moved)


def _groups(this: Sentence) -> list[list[Token]]:
    """Neighbouring capitalised words; a sentence's first word only when the next is one too."""
    groups: list[list[Token]] = []
    previous: Token | None = None
    for at, one in enumerate(this.words):
        upper = this.answer[one.start].isupper() and one.norm not in _NO_NAME
        if at == 0 and upper:
            after = this.words[1] if len(this.words) > 1 else None
            upper = (
                after is not None
                and after.start - one.end == 1
                and this.answer[after.start].isupper()
            )
        if not upper:
            previous = None
            continue
        if previous is not None and this.answer[previous.end : one.start] in _JOINS:
            groups[-1].append(one)
        else:
            groups.append([one])
        previous = one
    return groups
