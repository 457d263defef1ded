"""ROUGE-Lsum: ROUGE-L for texts of several lines, each line a sentence."""

from __future__ import annotations

from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers import _reference, _rouge
from evalkit.scorers._overlap_card import overlap_card
from evalkit.scorers._rouge import (
    Measure,
    Rouge,
    Tokenizer,
    Tokens,
    prepare,
    score_best,
    tokenize,
)


@scorer(
    needs=("expected",),
    examples=[
        ("the cat sat\nit slept", "it slept\nthe cat sat", 1.0),
        ("", "the cat", 0.0),
        ("the cat", ["a dog", "the cat"], 1.0),
    ],
    lib="rouge-score",
    reference=_reference.rouge("rougeLsum"),
    prepare=prepare,
    card=overlap_card("rouge-score 0.1.2"),
)
def rouge_lsum(
    case: Case,
    output: Output,
    *,
    stemmer: bool = False,
    measure: Measure = "fmeasure",
    tokenizer: Tokenizer = "default",
) -> Score:
    """ROUGE-Lsum: ROUGE-L for texts of several lines, each line a sentence.

    The union of the longest common subsequences of every line with every line; the values of
    rouge-score 0.1.2 (Lin 2004, 3.2), from 0 to 1; of several expected texts the one with the
    highest F1. Options as in rouge_l.
    """

    def lines(text: str) -> list[Tokens]:
        parts = [one for one in text.split("\n") if one]
        return [tokenize(one, stemmer=stemmer, tokenizer=tokenizer) for one in parts]

    def compare(expected: str, given: str) -> Rouge:
        return _rouge.rouge_lsum(lines(expected), lines(given))

    return score_best(case, output, compare, measure=measure, tokenizer=tokenizer)
