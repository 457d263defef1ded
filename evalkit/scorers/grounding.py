"""How strongly an answer departs from its context: the most doubtful sentence, without training."""

from __future__ import annotations

import math

from evalkit.model import Case, Output, Score, flagged, mean
from evalkit.registry import scorer
from evalkit.scorers._grounding_claims import Claim
from evalkit.scorers._grounding_result import read, to_score
from evalkit.scorers._grounding_sentence import INDEX

THRESHOLD = 0.2
"""Flags above this; the best F1 on RAGTruth's training half, frozen. Other data want their own."""

# How much each signal moves the doubt of a sentence, in log-odds; set by hand, in round numbers.
_START = -4.3
_WEIGHTS = {
    "new_share": 0.6,
    "new_run": 0.25,
    "pair_new": 2.2,
    "best": -0.7,
    "swapped_new": 0.4,
    "numbers_new": 2.2,
    "measure_differs": 0.6,
    "times_new": 2.0,
    "names_new": 0.8,
    "names_part": 0.8,
    "quote_new": 0.7,
    "null_stated": 2.8,
    "null_denied": 2.2,
    "false_stated": 3.2,
    "true_denied": 1.0,
    "hours_wrong": 3.0,
    "hours_right": -0.5,
    "days_closed": 1.0,
    "negation_new": 1.0,
    "opposite_near": 0.8,
    "opposite_far": 0.5,
    "denies": -1.0,
    "frames": -4.0,
}
_PLACED = tuple((INDEX[name], weight) for name, weight in _WEIGHTS.items())
_CAP = 3.0


def doubt(claim: Claim) -> float:
    """How strongly one sentence departs from the context, from 0 to 1; not a probability."""
    total = _START + sum(weight * min(claim.signals[at], _CAP) for at, weight in _PLACED)
    return 1.0 / (1.0 + math.exp(-total))


@scorer(needs=("context",), metrics=(mean, flagged), direction="lower")
def grounding(case: Case, output: Output, *, trust_inputs: bool = True) -> Score:
    """How strongly an answer departs from its context: the most doubtful sentence, untrained.

    For every sentence: the share of words and word pairs the context lacks, numbers, times, names
    and quotes absent from it, and, where the context is JSON, fields stated against their value or
    where the data say null. The value is the highest doubt of a sentence, from 0 (all found) to 1;
    ``passed`` is false above the threshold (0.2 unless the suite sets one), and ``rate`` is the
    share of answers so flagged. Evidence has every sentence with typed reasons and its nearest
    unit of the context. ``trust_inputs`` counts words of the case's inputs as known.

    The context the target retrieved is preferred to the case's own. Blind to small edits, swaps
    within the context's own words and most negation; word lists (function words, number words) are
    English, other scripts are compared word by word or by pairs of characters. Unscorable without
    context, without words, above 50,000 characters of answer or 500,000 of context.
    """
    reading = read(case, output, trust_inputs=trust_inputs)
    doubts = [doubt(one) for one in reading.claims]
    return to_score(max(doubts), doubts, reading, output, THRESHOLD)
