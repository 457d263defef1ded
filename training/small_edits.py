"""Grounded sentences with one fact changed, and reworded ones: what answers of models seldom show.

Models that hallucinate mostly add. That a copied sentence may have one wrong number, name or
"not", and that one new word in a copied sentence may be a mere synonym, is learned from sentences
of RAGTruth that no one marked: a changed fact makes a sentence wrong whatever it said, and a word
of some other unmarked sentence stands for a synonym. It reads wrong, but the signals never ask what
a word means. Edits and words come from answers to the same task; drawn with a fixed seed.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from evalkit.scorers._grounding_source import prepare
from evalkit.scorers._grounding_text import ANTONYMS, STOP, sentences, tokens

ANSWERS_A_SOURCE = 2
LONGEST = 3  # sentences
REWORDED = 3
"""Words at most that are reworded; half as many beside a changed fact."""
FACTS = (1, 1, 2)
"""How many facts are changed; one of these."""
_SEED = 0
_NUMBER = re.compile(r"(?<![\w.])\d+(?![\w])")
_COUNTS = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve"),
    *("fifteen", "twenty", "thirty"),
)
_COUNT = re.compile(rf"\b(?:{'|'.join(_COUNTS)})\b")
_NAME = re.compile(r"(?<=[\w,] )[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*")
_VERB = re.compile(
    r"\b(?:is|are|was|were|will|would|can|could|should|has|have|had|does|did|do|may|might|must)\b"
)
_NOT = re.compile(r"\b(?:not|never) ")
_NEGATIONS = ("not", "not", "no longer", "never")


class Edit(NamedTuple):
    """Characters ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str


class Words(NamedTuple):
    """What one task's contexts and answers have to give: names, and words that no context has."""

    names: Sequence[str]
    unseen: Sequence[str]


class Grounded(NamedTuple):
    """Sentences that their context supports, and what to edit them with."""

    text: str
    context: str
    words: Words


def edited(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Some sentences of clean answers, once only reworded and once with one or two facts changed.

    ``label`` and ``spans`` are those of the edit; everything else is the row's own.
    """
    draw = random.Random(_SEED)
    found = []
    for task in sorted({one["task"] for one in rows}):
        clean = [one for one in rows if one["task"] == task and not one["label"]]
        words = _words(clean)
        sources: dict[str, list[dict[str, Any]]] = {}
        for one in clean:
            sources.setdefault(one["group"], []).append(one)
        for ones in sources.values():
            for one in draw.sample(ones, min(ANSWERS_A_SOURCE, len(ones))):
                found += _pair(one, words, draw)
    return found


def _pair(row: dict[str, Any], words: Words, draw: random.Random) -> list[dict[str, Any]]:
    places = sentences(row["response"])
    if not places:
        return []
    many = min(draw.randint(1, LONGEST), len(places))
    first = draw.randint(0, len(places) - many)
    text = row["response"][places[first][0] : places[first + many - 1][1]]
    this = Grounded(text, row["context"], words)
    reworded = _rewordings(this, draw)
    rows = [_row(row, text, reworded[: draw.randint(0, REWORDED)], [])]
    kinds = [kind for one in _FACTS if (kind := one(this, draw))]
    if kinds:
        wrong = [
            draw.choice(one) for one in draw.sample(kinds, min(len(kinds), draw.choice(FACTS)))
        ]
        free = [one for one in reworded if all(_apart(one, other) for other in wrong)]
        rows.append(_row(row, text, free[: draw.randint(0, REWORDED // 2)], wrong))
    return rows


def _apart(one: Edit, other: Edit) -> bool:
    return one.end <= other.start or other.end <= one.start


def _row(
    row: dict[str, Any], text: str, free: Sequence[Edit], wrong: Sequence[Edit]
) -> dict[str, Any]:
    """The row with edits made; people would mark the wrong ones."""
    made, at, spans = "", 0, []
    for one in sorted({*free, *wrong}):
        if one.start < at:
            continue  # two facts at one place: the first stands
        made += text[at : one.start]
        if one in wrong:
            spans.append({"start": len(made), "end": len(made) + max(1, len(one.text))})
        made += one.text
        at = one.end
    return {
        **row,
        "response": made + text[at:],
        "label": float(bool(wrong)),
        "spans": json.dumps(spans),
    }


def _numbers(this: Grounded, draw: random.Random) -> list[Edit]:
    found = []
    for match in _NUMBER.finditer(this.text):
        number = match.group()
        others = [one for one in _NUMBER.findall(this.context) if len(one) == len(number)]
        if others and draw.random() < 0.3:
            other = draw.choice(others)
        else:
            step = draw.choice((1, 2, 3, 5, 10)) * draw.choice((1, -1))
            other = str(abs(int(number) + step))
        if other != number:
            found.append(Edit(*match.span(), other))
    for match in _COUNT.finditer(this.text):
        other = draw.choice([one for one in _COUNTS if one != match.group()])
        found.append(Edit(*match.span(), other))
    return found


def _names(this: Grounded, draw: random.Random) -> list[Edit]:
    if not this.words.names:
        return []
    here = _NAME.findall(this.context)
    found = []
    for match in _NAME.finditer(this.text):
        other = draw.choice(here if here and draw.random() < 0.5 else this.words.names)
        if other != match.group():
            found.append(Edit(*match.span(), other))
    return found


def _negations(this: Grounded, draw: random.Random) -> list[Edit]:
    lost = [Edit(*match.span(), "") for match in _NOT.finditer(this.text)]
    verbs = [match.end() for match in _VERB.finditer(this.text)]
    return lost + [Edit(end, end, f" {draw.choice(_NEGATIONS)}") for end in verbs]


def _opposites(this: Grounded, draw: random.Random) -> list[Edit]:
    known = (
        one for one in tokens(this.text) if one.norm in ANTONYMS and this.text[one.start].islower()
    )
    return [Edit(one.start, one.end, draw.choice(ANTONYMS[one.norm])) for one in known]


_FACTS: Sequence[Callable[[Grounded, random.Random], list[Edit]]] = (
    *(_numbers, _names, _negations, _opposites),
)


def _rewordings(this: Grounded, draw: random.Random) -> list[Edit]:
    if not this.words.unseen:
        return []
    found = [
        Edit(one.start, one.end, draw.choice(this.words.unseen))
        for one in tokens(this.text)
        if _plain(this.text[one.start : one.end])
    ]
    draw.shuffle(found)
    return found


def _plain(word: str) -> bool:
    """Whether a word can be reworded without a fact being changed."""
    return word.isalpha() and word.islower() and word not in STOP | ANTONYMS.keys() | set(_COUNTS)


def _words(clean: Sequence[dict[str, Any]]) -> Words:
    """The names of the contexts, and the words of clean answers that no context of theirs has."""
    names: list[str] = []
    count: Counter[str] = Counter()
    for one in clean:
        source = prepare((one["context"],))
        answer = one["response"]
        names += _NAME.findall(one["context"])[:5]
        count.update(
            each.norm
            for each in tokens(answer)
            if each.stem not in source.where and _plain(answer[each.start : each.end])
        )
    often = [word for word, many in sorted(count.items()) for _ in range(min(many, 20)) if many > 2]
    return Words(names, often)
