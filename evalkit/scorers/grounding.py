"""How strongly an answer departs from its context: the most doubtful sentence, without training."""

from __future__ import annotations

from evalkit.model import Case, Output, Score, flagged, mean
from evalkit.registry import scorer
from evalkit.scorers._grounding_card import grounding_card
from evalkit.scorers._grounding_doubt import doubt_of
from evalkit.scorers._grounding_result import GROUNDED, read, sentence_rate, to_score

THRESHOLD = 0.2
"""Flags above this; the best F1 on RAGTruth's training half, frozen. Other data want their own."""


@scorer(
    needs=("context",),
    metrics=(mean, flagged, sentence_rate),
    direction="lower",
    card=grounding_card("grounding"),
    question=GROUNDED,
)
def grounding(case: Case, output: Output, *, trust_inputs: bool = True) -> Score:
    """How strongly an answer departs from its context: the most doubtful sentence, untrained.

    For every sentence: the share of words and word pairs the context lacks, numbers, times, names
    and quotes absent from it, and, where the context is JSON, fields stated against their value or
    where the data say null. The value is the highest doubt of a sentence, from 0 (all found) to 1;
    ``passed`` is false above the threshold (0.2 unless the suite sets one), and ``rate`` is the
    share of answers so flagged, ``sentence_rate`` that of all sentences above 0.2. Evidence has
    every sentence with typed reasons and its nearest unit of the context. ``trust_inputs`` counts
    words of the case's inputs as known.

    The context the target retrieved is preferred to the case's own. Blind to small edits, swaps
    within the context's own words and most negation; word lists (function words, number words) are
    English, other scripts are compared word by word or by pairs of characters. Unscorable without
    context, without words, above 50,000 characters of answer or 500,000 of context.
    """
    reading = read(case, output, trust_inputs=trust_inputs)
    doubts = [doubt_of(one.signals) for one in reading.claims]
    return to_score(max(doubts), doubts, reading, output, THRESHOLD)
