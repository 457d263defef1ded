"""What each sentence of an answer claims beyond its context."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from evalkit.scorers._grounding_facts import names, numbers
from evalkit.scorers._grounding_fields import fields, hours
from evalkit.scorers._grounding_sentence import Reason, Sentence
from evalkit.scorers._grounding_source import Source
from evalkit.scorers._grounding_text import sentences, tokens
from evalkit.scorers._grounding_tone import contrast, tone
from evalkit.scorers._grounding_words import nearest, novelty, order


class Claim(NamedTuple):
    """One sentence of an answer: its place, signals, reasons and nearest unit of the context."""

    start: int
    end: int
    signals: list[float]
    reasons: list[Reason]
    unit: int | None
    coverage: float


def claims(source: Source, answer: str, asked: frozenset[str]) -> list[Claim]:
    """Every sentence of the answer with its signals against the source.

    ``asked`` are stems of the question: repeating them is no invention. The answer's length is the
    caller's to bound; the work here is linear in it.
    """
    every = tokens(answer)
    starts = [one.start for one in every]
    found: list[Claim] = []
    places = sentences(answer)
    for number, (start, end) in enumerate(places):
        words = every[bisect_left(starts, start) : bisect_left(starts, end)]
        this = Sentence(
            source=source, answer=answer, asked=asked, start=start, end=end, words=words
        )
        place = number / max(1, len(places) - 1)
        this.set("place", place)
        this.set("last", float(number == len(places) - 1))
        this.set("listed", float(answer[max(0, start - 4) : start].strip() != ""))
        for family in (novelty, order, nearest, numbers, names, tone, contrast):
            family(this)
        if source.by_name:
            fields(this)
            hours(this)
        found.append(Claim(start, end, this.signals, this.reasons, this.unit, this.coverage))
    return found
