"""ROUGE-2: how many pairs of words output and expected text share."""

from __future__ import annotations

from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers import _reference
from evalkit.scorers._overlap_card import overlap_card
from evalkit.scorers._rouge import (
    Measure,
    Rouge,
    Tokenizer,
    prepare,
    rouge_n,
    score_best,
    tokenize,
)


@scorer(
    needs=("expected",),
    examples=[
        ("the cat sat", "the cat ran", 0.5),
        ("", "the cat", 0.0),
        ("the cat", ["a dog", "the cat"], 1.0),
    ],
    lib="rouge-score",
    reference=_reference.rouge("rouge2"),
    prepare=prepare,
    card=overlap_card("rouge-score 0.1.2"),
)
def rouge_2(
    case: Case,
    output: Output,
    *,
    stemmer: bool = False,
    measure: Measure = "fmeasure",
    tokenizer: Tokenizer = "default",
) -> Score:
    """ROUGE-2: how many pairs of words output and expected text share.

    The values of rouge-score 0.1.2 (Lin 2004), from 0 to 1; of several expected texts the one with
    the highest F1. ``stemmer`` is Porter's, for English. ``tokenizer: default`` sees only a–z and
    0–9 and leaves other scripts unscored; ``unicode`` reads every script.
    """

    def compare(expected: str, given: str) -> Rouge:
        left = tokenize(expected, stemmer=stemmer, tokenizer=tokenizer)
        right = tokenize(given, stemmer=stemmer, tokenizer=tokenizer)
        return rouge_n(left, right, 2)

    return score_best(case, output, compare, measure=measure, tokenizer=tokenizer)
