"""BLEU and chrF with sacrebleu's values and signatures, without its slow parts.

Tokens are sacrebleu's, through its tokenizers (not their caches of 65,536 whole texts, which grow
with the run). Counting and the formulas are written out here for speed; every function says which
of sacrebleu's it equals, and the tests hold the equality on any Unicode text.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import pairwise
from operator import add
from typing import Any, Literal, TypeAlias

BleuTokenizer: TypeAlias = Literal["13a", "intl", "zh", "char", "none"]
Stats: TypeAlias = tuple[float, ...]

BLEU_ORDER = 4
CHAR_ORDER = 6
BETA = 2

_CACHED_TEXT = 20_000
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


def library_version() -> str:
    """The version of sacrebleu, as its signatures end with."""
    from importlib import metadata

    return metadata.version("sacrebleu")


# --- BLEU -------------------------------------------------------------------------------------


@cache
def bleu_tokenizer(name: BleuTokenizer) -> Callable[[str], str]:
    """One of sacrebleu's tokenizers as a plain function without its cache."""
    from sacrebleu.metrics.bleu import _get_tokenizer

    tool: Any = _get_tokenizer(name)()
    inner = getattr(tool, "_post_tokenizer", None)
    if inner is not None:
        after: Any = type(inner).__call__
        tool._post_tokenizer = lambda line: after.__wrapped__(inner, line)
    call: Any = type(tool).__call__
    plain = getattr(call, "__wrapped__", call)
    return lambda line: str(plain(tool, line))


def _bleu_words(text: str, name: BleuTokenizer, *, lowercase: bool) -> list[str]:
    if lowercase:
        text = text.lower()
    return bleu_tokenizer(name)(text.rstrip()).split()


@lru_cache(maxsize=256)
def _bleu_known(text: str, name: BleuTokenizer, lowercase: bool) -> tuple[int, list[Counter[Any]]]:
    found = _bleu_words(text, name, lowercase=lowercase)
    return len(found), word_ngrams(found)


def _bleu_counts(
    text: str, name: BleuTokenizer, *, lowercase: bool
) -> tuple[int, list[Counter[Any]]]:
    """Words and n-gram counts; those of short texts are kept, a reference serves many answers."""
    one = _bleu_known if len(text) <= _CACHED_TEXT else _bleu_known.__wrapped__
    return one(text, name, lowercase)


def word_ngrams(found: Sequence[str]) -> list[Counter[Any]]:
    """Counters of n-grams for n from 1 to 4."""
    return [
        Counter(found),
        Counter(pairwise(found)),
        Counter(zip(found, found[1:], found[2:], strict=False)),
        Counter(zip(found, found[1:], found[2:], found[3:], strict=False)),
    ]


def bleu_stats(
    answer: str, references: Sequence[str], name: BleuTokenizer, *, lowercase: bool
) -> Stats:
    """``(words, reference words, 4 × matching n-grams, 4 × n-grams)`` of one segment.

    Equal to ``BLEU._extract_corpus_statistics``: with several references each n-gram counts up to
    its largest count in one of them, and the length is the closest one's, the shorter of two.
    """
    size, given = _bleu_counts(answer, name, lowercase=lowercase)
    known = [_bleu_counts(one, name, lowercase=lowercase) for one in references]
    length = min((one[0] for one in known), key=lambda n: (abs(size - n), n))
    correct = []
    for order in range(BLEU_ORDER):
        wanted = known[0][1][order]
        for _, more in known[1:]:
            wanted = wanted | more[order]
        correct.append(_overlap(given[order], wanted))
    total = [max(size - order, 0) for order in range(BLEU_ORDER)]
    return (float(size), float(length), *map(float, correct), *map(float, total))


def _overlap(one: Counter[Any], two: Counter[Any]) -> int:
    if len(one) > len(two):
        one, two = two, one
    return sum([min(one[key], two[key]) for key in one.keys() & two.keys()])


def bleu_value(stats: Sequence[float], *, effective_order: bool) -> float:
    """BLEU from 0 to 100 from summed statistics, with ``exp`` smoothing (``BLEU.compute_bleu``)."""
    size, length = stats[0], stats[1]
    correct, total = stats[2 : 2 + BLEU_ORDER], stats[2 + BLEU_ORDER :]
    if not any(correct):
        return 0.0
    brevity = 1.0
    if size < length:
        brevity = math.exp(1 - length / size) if size > 0 else 0.0
    smooth, order, precisions = 1.0, BLEU_ORDER, [0.0] * BLEU_ORDER
    for n in range(BLEU_ORDER):
        if total[n] == 0:
            break
        if effective_order:
            order = n + 1
        if correct[n] == 0:
            smooth *= 2
            precisions[n] = 100.0 / (smooth * total[n])
        else:
            precisions[n] = 100.0 * correct[n] / total[n]
    logs = [math.log(one) if one else -9999999999 for one in precisions[:order]]
    return brevity * math.exp(sum(logs) / order)


def corpus_bleu(stats: Sequence[float]) -> float:
    """Corpus BLEU, as ``sacrebleu.corpus_bleu``: all four orders count."""
    return bleu_value(stats, effective_order=False)


# --- chrF -------------------------------------------------------------------------------------


def _char_ngrams(text: str) -> list[Counter[str]]:
    line = "".join(text.split())
    grams = list(line)
    found = [Counter(grams)]
    for n in range(1, CHAR_ORDER):
        grams = list(map(add, grams, line[n:]))
        found.append(Counter(grams))
    return found


def _split_punctuation(text: str) -> list[str]:
    """``CHRF._remove_punctuation``: one mark is split off the end, or else off the start."""
    found: list[str] = []
    for word in text.split():
        if len(word) == 1:
            found.append(word)
        elif word[-1] in _PUNCTUATION:
            found += [word[:-1], word[-1]]
        elif word[0] in _PUNCTUATION:
            found += [word[0], word[1:]]
        else:
            found.append(word)
    return found


@lru_cache(maxsize=128)
def _chrf_known(text: str, word_order: int) -> list[Counter[Any]]:
    found: list[Counter[Any]] = list(_char_ngrams(text))
    if word_order:
        split = _split_punctuation(text)
        found += [
            Counter(" ".join(split[i : i + n]) for i in range(len(split) - n + 1))
            for n in range(1, word_order + 1)
        ]
    return found


def chrf_stats(
    answer: str, references: Sequence[str], *, word_order: int, lowercase: bool
) -> Stats:
    """``(answer n-grams, reference n-grams, matches)`` for 6 character orders, then word orders.

    Those of the reference with the best F score, as ``CHRF._compute_segment_statistics``.
    """

    def counts(text: str) -> list[Counter[Any]]:
        text = text.lower() if lowercase else text
        one = _chrf_known if len(text) <= _CACHED_TEXT else _chrf_known.__wrapped__
        return one(text, word_order)

    given = counts(answer)
    sizes = [one.total() for one in given]
    best: Stats = ()
    best_value = -1.0
    for one in references:
        stats: list[float] = []
        for size, mine, theirs in zip(sizes, given, counts(one), strict=True):
            there = theirs.total()
            stats += (size if there else 0, there, _overlap(mine, theirs))
        value = chrf_value(stats)
        if value > best_value:
            best, best_value = tuple(map(float, stats)), value
    return best


def chrf_value(stats: Sequence[float]) -> float:
    """ChrF from 0 to 100 from summed statistics (``CHRF._compute_f_score``, β = 2)."""
    orders, precision, recall = 0, 0.0, 0.0
    for i in range(0, len(stats), 3):
        given, wanted, hits = stats[i : i + 3]
        if given > 0 and wanted > 0:
            precision += hits / given
            recall += hits / wanted
            orders += 1
    if not orders:
        return 0.0
    precision /= orders
    recall /= orders
    if not precision + recall:
        return 0.0
    factor = BETA**2
    score = (1 + factor) * precision * recall
    return 100 * (score / ((factor * precision) + recall))
