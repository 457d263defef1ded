"""BLEU: how many word sequences the output shares with the expected text, from 0 to 100."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.model import Case, Output, Score, corpus, mean
from evalkit.registry import scorer
from evalkit.scorers import _reference
from evalkit.scorers._overlap_card import overlap_card
from evalkit.scorers._sacre import (
    BleuTokenizer,
    bleu_stats,
    bleu_value,
    corpus_bleu,
    library_version,
)
from evalkit.scorers._text import references


def _signature(options: Mapping[str, Any]) -> str:
    case = "lc" if options["lowercase"] else "mixed"
    eff = "yes" if options["effective_order"] else "no"
    return (
        f"BLEU|nrefs:var|case:{case}|eff:{eff}|tok:{options['tokenize']}|smooth:exp"
        f"|version:{library_version()}"
    )


@scorer(
    needs=("expected",),
    metrics=(mean, corpus(corpus_bleu)),
    range=(0.0, 100.0),
    examples=[
        ("the cat sat on the mat", "the cat sat on the mat", 100.0),
        ("", "the cat", 0.0),
        ("a dog", "the cat", 0.0),
    ],
    lib="sacrebleu",
    reference=_reference.bleu,
    batch=True,
    prepare=_signature,
    card=overlap_card("sacrebleu", "short texts: four-word sequences are rare in them"),
)
def bleu(
    pairs: Sequence[tuple[Case, Output]],
    *,
    tokenize: BleuTokenizer = "13a",
    lowercase: bool = False,
    effective_order: bool = True,
) -> list[Score]:
    """BLEU: how many word sequences the output shares with the expected text, from 0 to 100.

    The value is sacrebleu's sentence BLEU with exponential smoothing; the corpus metric is
    ``sacrebleu.corpus_bleu`` of all outputs (Papineni et al. 2002, Post 2018), which always counts
    all four orders. ``effective_order`` stops at the longest n-gram the output can have.
    ``tokenize``: 13a, intl, zh, char, none. Not a measure of hallucination.
    """
    texts = [(output.text, references(case)) for case, output in pairs]
    return [
        Score(value=bleu_value(stats, effective_order=effective_order), stats=stats)
        for stats in bleu_stats(texts, tokenize, lowercase=lowercase)
    ]
