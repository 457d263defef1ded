"""ChrF: how many character sequences the output shares with the expected text, from 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.model import Case, Output, Score, corpus, mean
from evalkit.registry import scorer
from evalkit.scorers import _reference
from evalkit.scorers._overlap_card import overlap_card
from evalkit.scorers._sacre import CHAR_ORDER, chrf_stats, chrf_value, library_version
from evalkit.scorers._text import references


def _signature(options: Mapping[str, Any]) -> str:
    if not 0 <= options["word_order"] <= 4:
        raise ValueError(f"word_order is 0 to 4, not {options['word_order']}")
    case = "lc" if options["lowercase"] else "mixed"
    return (
        f"chrF2{'+' * options['word_order']}|nrefs:var|case:{case}|eff:yes|nc:{CHAR_ORDER}"
        f"|nw:{options['word_order']}|space:no|version:{library_version()}"
    )


@scorer(
    needs=("expected",),
    metrics=(mean, corpus(chrf_value)),
    range=(0.0, 100.0),
    examples=[("the cat", "the cat", 100.0), ("", "the cat", 0.0), ("xyz", "the cat", 0.0)],
    lib="sacrebleu",
    reference=_reference.chrf,
    batch=True,
    prepare=_signature,
    usage="chrf: {word_order: 2}",
    card=overlap_card("sacrebleu"),
)
def chrf(
    pairs: Sequence[tuple[Case, Output]], *, word_order: int = 0, lowercase: bool = False
) -> list[Score]:
    """ChrF: how many character sequences the output shares with the expected text, from 0 to 100.

    sacrebleu's chrF2: F2 of character n-grams up to 6; ``word_order: 2`` is chrF++ (Popović 2015,
    2017). The corpus metric is ``sacrebleu.corpus_chrf`` of all outputs.
    """
    texts = [(output.text, references(case)) for case, output in pairs]
    return [
        Score(value=chrf_value(stats), stats=stats)
        for stats in chrf_stats(texts, word_order=word_order, lowercase=lowercase)
    ]
