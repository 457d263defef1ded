"""The extractive reader: finds the sentence that answers a question, and the answer in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.targets._reader_answer import choices, denies
from evalkit.targets._reader_question import LANGUAGES, language, understand
from evalkit.targets._reader_rank import Retrieval, pieces, rank, weigh

_UNTYPED = 0.6
"""What the support of a sentence counts that holds nothing of the type asked for."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the answer, its sentence, and how far that supports it, from 0 to 1."""

    answer: str
    sentence: str
    confidence: float


def prepare() -> None:
    """Read the word lists and compile the patterns of every language, so that no answer waits."""
    for code in LANGUAGES:
        language(code)
    read("How many are there?", ["There are 2."])


def read(
    question: str,
    passages: Sequence[str],
    *,
    retrieval: Retrieval = "bm25",
    top_sentences: int = 3,
    whole_sentence: bool = False,
) -> Reading | None:
    """The best answer to a question in the passages; ``None`` when no word of it is there."""
    asked = understand(question, passages[0][:300] if passages else "")
    groups = [pieces(one) for one in passages]
    weights = weigh(asked, groups)
    hits = rank(groups, weights, retrieval)[:top_sentences]
    if not hits or hits[0].support <= 0:
        return None
    best = hits[0]
    sentence = best.piece.unit.text
    if whole_sentence:
        return Reading(sentence, sentence, round(best.support, 4))
    if asked.type == "yes-no":
        text = asked.lang.no if denies(asked, best, weights) else asked.lang.yes
        return Reading(text, sentence, round(best.support, 4))
    found = [one for hit in hits for one in choices(asked, hit, weights)]
    if not found:
        return Reading(sentence, sentence, round(best.support * _UNTYPED, 4))
    choice = max(found, key=lambda one: one.score)
    support = choice.hit.support * (1.0 if choice.typed else _UNTYPED)
    return Reading(choice.text, choice.hit.piece.unit.text, round(support, 4))
