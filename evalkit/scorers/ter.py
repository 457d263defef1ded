"""TER: the edits that turn the output into the expected text, per 100 of its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, corpus, mean
from evalkit.registry import scorer
from evalkit.scorers import _reference, _ter
from evalkit.scorers._overlap_card import overlap_card
from evalkit.scorers._sacre import library_version
from evalkit.scorers._text import references


def _signature(options: Mapping[str, Any]) -> str:
    def yes(name: str) -> str:
        return "yes" if options[name] else "no"

    case = "mixed" if options["case_sensitive"] else "lc"
    punct = "no" if options["no_punct"] else "yes"
    return (
        f"TER|nrefs:var|case:{case}|tok:tercom|norm:{yes('normalized')}|punct:{punct}"
        f"|asian:{yes('asian_support')}|version:{library_version()}"
    )


@scorer(
    needs=("expected",),
    metrics=(mean, corpus(_ter.ter_value)),
    range=(0.0, float("inf")),
    direction="lower",
    examples=[
        ("the cat sat", "the cat sat", 0.0),
        ("sat the cat", "the cat sat", 100 / 3),
        ("", "the cat", 100.0),
    ],
    lib="sacrebleu",
    reference=_reference.ter,
    prepare=_signature,
    card=overlap_card("sacrebleu"),
)
def ter(
    case: Case,
    output: Output,
    *,
    normalized: bool = False,
    no_punct: bool = False,
    asian_support: bool = False,
    case_sensitive: bool = False,
) -> Score:
    """TER: the edits that turn the output into the expected text, per 100 of its words.

    Lower is better, 0 is equal, and it can exceed 100. An edit inserts, deletes or replaces a word
    or shifts a run of words. The value is sacrebleu's sentence TER, with several expected texts the
    fewest edits per average length; the corpus metric is ``sacrebleu.corpus_ter`` (Snover et al.
    2006). Texts too long for a second of work are unscored.
    """

    def words(text: str) -> list[str]:
        if len(text) > _ter.MAX_CHARACTERS:
            raise Unscorable(f"too long to compare: {len(text):,} characters")
        return _ter.tokenize(
            text,
            normalized=normalized,
            no_punct=no_punct,
            asian_support=asian_support,
            case_sensitive=case_sensitive,
        )

    answer = words(output.text)
    # sacrebleu tokenizes references twice, which matters for 's; its values are what we promise
    wanted = [words(" ".join(words(one))) for one in references(case)]
    fewest = min(_ter.edits(answer, one) for one in wanted)
    length = sum(map(len, wanted)) / len(wanted)
    stats = (float(fewest), length)
    return Score(value=_ter.ter_value(stats), stats=stats)
