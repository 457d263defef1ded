"""Whether the output equals the expected text, or any of several acceptable ones."""

from __future__ import annotations

from typing import Literal

from evalkit.cards import ScorerCard
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import references, squad_normal, unicode_normal


@scorer(
    needs=("expected",),
    metrics=(rate,),
    examples=[
        ("Paris", "Paris", 1.0),
        (" Paris\n", "Paris", 1.0),
        ("Lyon", "Paris", 0.0),
        ("14 days", ["14 days", "fourteen days"], 1.0),
        ("", "", 1.0),
        ("", "Paris", 0.0),
    ],
    usage="exact_match: {ignore_case: true}",
    card=ScorerCard(
        family="match",
        blind=("any other wording of a right answer",),
    ),
)
def exact_match(
    case: Case,
    output: Output,
    *,
    ignore_case: bool = False,
    strip: bool = True,
    normalise: Literal["none", "squad", "unicode"] = "none",
) -> Score:
    """Whether the output equals the expected text, or any of several acceptable ones.

    ``strip`` drops white space at both ends. ``normalise`` is applied to both sides: ``squad``
    lowers case and drops ASCII punctuation and English articles (Rajpurkar et al. 2016),
    ``unicode`` is NFKC with white space collapsed.
    """

    def normal(text: str) -> str:
        if normalise == "squad":
            text = squad_normal(text)
        elif normalise == "unicode":
            text = unicode_normal(text)
        if ignore_case:
            text = text.casefold()
        return text.strip() if strip else text

    answer = normal(output.text)
    same = any(answer == normal(one) for one in references(case))
    return Score(value=float(same), passed=same)
