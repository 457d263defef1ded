"""How many words output and expected text share: the F1 of SQuAD, for any language."""

from __future__ import annotations

from collections import Counter

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score
from evalkit.registry import scorer
from evalkit.scorers._text import references, words

_ARTICLES = frozenset({"a", "an", "the"})


MAX_CHARACTERS = 2_000_000


@scorer(
    needs=("expected",),
    examples=[
        ("within 14 days", "14 days", 0.8),
        ("Paris.", "paris", 1.0),
        ("Lyon", "Paris", 0.0),
        ("十四天", "十四日", 2 / 3),
        ("", "Paris", 0.0),
        ("", "", 1.0),
    ],
    usage="token_f1: {threshold: 0.5}",
    card=ScorerCard(
        family="match",
        blind=(
            "order and negation",
            "an answer in other words than the expected ones",
        ),
    ),
)
def token_f1(case: Case, output: Output, *, drop_articles: bool = False) -> Score:
    """How many words output and expected text share: the F1 of SQuAD, for any language.

    Words are NFKC, case-folded runs of letters, digits and marks; scripts written without spaces
    (Chinese, Japanese, Thai, Lao, Khmer, Burmese) count each character. ``drop_articles`` leaves
    out a, an, the, as SQuAD does. The best of several expected texts; when one side has no words,
    1 if both have none, else 0 (Rajpurkar et al. 2018). Above 2 million characters: unscored.
    """

    def bag(text: str) -> Counter[str]:
        found = words(text)
        if drop_articles:
            found = [one for one in found if one not in _ARTICLES]
        return Counter(found)

    size = len(output.text) + sum(map(len, case.references))
    if size > MAX_CHARACTERS:
        raise Unscorable(f"too long to compare: {size:,} characters")
    answer = bag(output.text)
    return Score(value=max(_f1(answer, bag(one)) for one in references(case)))


def _f1(answer: Counter[str], expected: Counter[str]) -> float:
    total = answer.total() + expected.total()
    if not answer or not expected:
        return float(total == 0)
    return 2 * (answer & expected).total() / total
