"""Which sentence, row or line of the passages speaks of what a question asks.

Two ways: BM25 (Robertson and Zaragoza 2009, k1 = 1.2, b = 0.4 since the units are short), and the
share of the question's idf weight that a unit covers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from evalkit.targets._reader_question import Question
from evalkit.targets._reader_text import Token, Unit, tokens, units

Retrieval: TypeAlias = Literal["bm25", "overlap"]
_K1, _B = 1.2, 0.4
_HEADING, _NEIGHBOUR, _PASSAGE = 0.8, 0.4, 0.25
"""What a question's word counts that stands above, beside or elsewhere around a unit, not in it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A unit with its tokens, counted; ``heading`` are the keys of what stands above it."""

    unit: Unit
    tokens: tuple[Token, ...]
    counts: Mapping[str, int]
    heading: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """A unit with its retrieval score and the share of the question it supports, 0 to 1."""

    piece: Piece
    score: float
    support: float


@dataclass(frozen=True, slots=True)
class Weights:
    """``of`` each term of the question its weight; ``by_key`` the same for keys of the passages."""

    of: Mapping[str, float]
    known: Mapping[str, str]
    by_key: Mapping[str, float]

    @property
    def total(self) -> float:
        """The weight of the whole question."""
        return sum(self.of.values())


def pieces(passage: str) -> tuple[Piece, ...]:
    """The units of one passage, ready to be searched."""
    found = []
    for unit in units(passage):
        said = tuple(tokens(unit.text))
        above = frozenset(one.key for one in tokens(unit.heading))
        found.append(Piece(unit, said, Counter(one.key for one in said), above))
    return tuple(found)


def weigh(asked: Question, groups: Sequence[Sequence[Piece]]) -> Weights:
    """How much each term tells, by how few units have it (idf), and its form in the passages."""
    total = sum(len(one) for one in groups)
    seen: Counter[str] = Counter()
    for group in groups:
        for piece in group:
            seen.update(piece.counts.keys())
            seen.update(dict.fromkeys(piece.heading, 0))
    weights, known = {}, {}
    for term, weight in asked.terms.items():
        key = term if term in seen else _nearest(term, seen)
        if key is not None:
            known[term] = key
        often = seen[key] if key is not None else 0
        weights[term] = weight * math.log(1 + (total + 1) / (often + 0.5))
    by_key: dict[str, float] = {}
    for term, key in known.items():
        by_key[key] = max(by_key.get(key, 0.0), weights[term])
    return Weights(weights, known, by_key)


def _nearest(term: str, seen: Iterable[str]) -> str | None:
    """The known key that shares most of its beginning with a term, for forms no ending tells."""
    if len(term) < 5:
        return None
    begin = term[: max(4, math.ceil(0.7 * len(term)))]
    near = [one for one in seen if one.startswith(begin)]
    return min(near, key=lambda one: (abs(len(one) - len(term)), one), default=None)


def rank(groups: Sequence[Sequence[Piece]], weights: Weights, retrieval: Retrieval) -> list[Hit]:
    """Every unit of the passages, best first; equal ones stay in the order of the text."""
    whole = weights.total
    count = sum(len(one) for one in groups)
    if not whole or not count:
        return []
    average = sum(len(one.tokens) for group in groups for one in group) / count or 1.0
    hits = []
    for group in groups:
        around = {key for piece in group for key in (*piece.counts, *piece.heading)}
        for place, piece in enumerate(group):
            beside = [
                one.counts for one in group[max(0, place - 1) : place + 2] if one is not piece
            ]
            length = 1 - _B + _B * len(piece.tokens) / average
            score = support = 0.0
            for term, key in weights.known.items():
                weight = weights.of[term]
                often = piece.counts.get(key, 0)
                if often:
                    support += weight
                    if retrieval == "bm25":
                        weight *= often * (_K1 + 1) / (often + _K1 * length)
                    score += weight
                    continue
                share = 0.0
                if key in piece.heading:
                    share = _HEADING
                elif any(key in one for one in beside):
                    share = _NEIGHBOUR
                elif key in around:
                    share = _PASSAGE
                support += weight * share
                score += weight * share
            hits.append(Hit(piece, score / whole, support / whole))
    hits.sort(key=lambda one: -one.score)
    return hits
