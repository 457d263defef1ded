"""The libraries themselves, scoring one answer each: what ``evalkit run --reference`` asks.

They are the oracle of the fast ways beside them; the tests hold that both say the same. A text on
which a library would take more than about a second is unscored.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score
from evalkit.scorers._rouge import Measure, Rouge, Tokenizer, score_best
from evalkit.scorers._sacre import BleuTokenizer
from evalkit.scorers._text import references, words

Reference = Callable[..., Score]

MAX_ROUGE_CELLS = 4_000_000
"""Product of two word counts whose table rouge-score fills in about a second."""
MAX_CHARACTERS = 1_000_000
MAX_TER_WORDS = 150


class _EveryScript:
    """Our tokenizer for every script, as rouge-score wants one."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)


def rouge(kind: str) -> Reference:
    """rouge-score's score of that kind, as ``rougeL``."""

    def ask(
        case: Case,
        output: Output,
        *,
        stemmer: bool = False,
        measure: Measure = "fmeasure",
        tokenizer: Tokenizer = "default",
    ) -> Score:
        library = _rouge_scorer(kind, stemmer, tokenizer)

        def compare(expected: str, given: str) -> Rouge:
            cells = (expected.count(" ") + 1) * (given.count(" ") + 1)
            if kind.startswith("rougeL") and cells > MAX_ROUGE_CELLS:
                raise Unscorable("too long for the library to compare within a second")
            found = library.score(expected, given)[kind]
            return Rouge(float(found.precision), float(found.recall))

        return score_best(case, output, compare, measure=measure, tokenizer=tokenizer)

    return ask


@lru_cache(maxsize=16)
def _rouge_scorer(kind: str, stemmer: bool, tokenizer: Tokenizer) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    own = _EveryScript() if tokenizer == "unicode" else None
    return RougeScorer([kind], use_stemmer=stemmer, tokenizer=own)


@lru_cache(maxsize=16)
def _sacre(name: str, options: tuple[tuple[str, Any], ...]) -> Any:
    from sacrebleu import metrics

    return getattr(metrics, name)(**dict(options))


def _sentence(name: str, case: Case, output: Output, **options: Any) -> Score:
    wanted = list(references(case))
    if len(output.text) + sum(map(len, wanted)) > MAX_CHARACTERS:
        raise Unscorable("too long for the library to compare within a second")
    metric = _sacre(name, tuple(sorted(options.items())))
    # what sentence_score does, with the statistics that it throws away
    stats = metric._extract_corpus_statistics([output.text], [[one] for one in wanted])
    found = metric._aggregate_and_compute(stats)
    return Score(value=float(found.score), stats=tuple(map(float, stats[0])))


def bleu(
    case: Case,
    output: Output,
    *,
    tokenize: BleuTokenizer = "13a",
    lowercase: bool = False,
    effective_order: bool = True,
) -> Score:
    """The library: sentence BLEU."""
    return _sentence(
        "BLEU",
        case,
        output,
        tokenize=tokenize,
        lowercase=lowercase,
        effective_order=effective_order,
    )


def chrf(case: Case, output: Output, *, word_order: int = 0, lowercase: bool = False) -> Score:
    """The library: sentence chrF."""
    return _sentence("CHRF", case, output, word_order=word_order, lowercase=lowercase)


def ter(
    case: Case,
    output: Output,
    *,
    normalized: bool = False,
    no_punct: bool = False,
    asian_support: bool = False,
    case_sensitive: bool = False,
) -> Score:
    """The library: sentence TER."""
    longest = max(map(len, (output.text, *references(case))))
    if longest > 12 * MAX_TER_WORDS:
        raise Unscorable("too long for the library to compare within a second")
    return _sentence(
        "TER",
        case,
        output,
        normalized=normalized,
        no_punct=no_punct,
        asian_support=asian_support,
        case_sensitive=case_sensitive,
    )
