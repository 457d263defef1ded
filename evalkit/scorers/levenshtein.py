"""How alike output and expected text are, character by character, from 0 to 1."""

from __future__ import annotations

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers._text import references

MAX_CELLS = 5_000_000_000
"""Product of the two lengths that is compared in about half a second; more is refused."""


@scorer(
    needs=("expected",),
    examples=[
        ("kitten", "kitten", 1.0),
        ("kitten", "sitting", 1 - 3 / 7),
        ("", "abc", 0.0),
        ("", "", 1.0),
        ("colour", ["color", "colour"], 1.0),
    ],
    lib="rapidfuzz",
    usage="levenshtein: {threshold: 0.8}",
    card=ScorerCard(
        family="match",
        blind=("meaning: it counts characters, so a denied answer is nearly the same",),
    ),
)
def levenshtein(
    case: Case, output: Output, *, ignore_case: bool = False, strip: bool = True
) -> Score:
    """How alike output and expected text are, character by character, from 0 to 1.

    1 − edits ÷ length of the longer text, where an edit inserts, deletes or replaces one character;
    the best of several expected texts. Two empty texts are alike.
    """
    from rapidfuzz.distance import Levenshtein

    def normal(text: str) -> str:
        text = text.casefold() if ignore_case else text
        return text.strip() if strip else text

    answer = normal(output.text)
    best = 0.0
    for one in map(normal, references(case)):
        if len(answer) * len(one) > MAX_CELLS and answer != one:
            raise Unscorable(
                f"too long to compare: {len(answer):,} against {len(one):,} characters"
            )
        best = max(best, Levenshtein.normalized_similarity(answer, one))
    return Score(value=best)
