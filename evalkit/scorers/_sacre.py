"""BLEU and chrF with sacrebleu's values and signatures, several times faster.

Tokens are sacrebleu's, through its tokenizers (not their caches of 65,536 whole texts, which grow
with the run); n-grams are counted as packed integers. Every function says which of sacrebleu's it
equals, and the tests hold the equality on any Unicode text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import chain
from typing import Any, Literal, TypeAlias

from evalkit.scorers._few import clipped_word_matches

BleuTokenizer: TypeAlias = Literal["13a", "intl", "zh", "char", "none"]
Stats: TypeAlias = tuple[float, ...]

BLEU_ORDER = 4
CHAR_ORDER = 6
BETA = 2

_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_LONG_CHUNK = 100


@cache
def library_version() -> str:
    """The version of sacrebleu, as its signatures end with."""
    from importlib import metadata

    return metadata.version("sacrebleu")


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


@cache
def _western() -> Callable[[str], str]:
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp

    kind: Any = TokenizerRegexp
    tool = kind()
    return lambda line: str(kind.__call__.__wrapped__(tool, line))


@lru_cache(maxsize=1 << 17)
def _chunk_13a(chunk: str) -> tuple[str, ...]:
    if chunk.isalnum() and chunk.isascii():
        return (chunk,)  # every rule is about a mark
    return tuple(_western()(f" {chunk} ").split())


def _words_13a(line: str) -> list[str]:
    """``Tokenizer13a``, a chunk between spaces at a time.

    Its rules look one character to the left and right, and a space there is as good as any other,
    so a chunk gives the same tokens wherever it stands, and is looked up the next time.
    """
    line = line.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in line:
        line = line.replace("&quot;", '"').replace("&amp;", "&")
        line = line.replace("&lt;", "<").replace("&gt;", ">")
    chunks = line.split()
    if max(map(len, chunks), default=0) > _LONG_CHUNK:
        return _western()(f" {line} ").split()
    return list(chain.from_iterable(map(_chunk_13a, chunks)))


def bleu_words(text: str, name: BleuTokenizer, *, lowercase: bool) -> list[str]:
    """The tokens BLEU counts (``BLEU._preprocess_segment`` and the split after it)."""
    text = (text.lower() if lowercase else text).rstrip()
    return _words_13a(text) if name == "13a" else bleu_tokenizer(name)(text).split()


def bleu_stats(
    answer: str, references: Sequence[str], name: BleuTokenizer, *, lowercase: bool
) -> Stats:
    """Words, reference words, matching n-grams for n = 1 to 4, n-grams for n = 1 to 4.

    Equal to ``BLEU._extract_corpus_statistics``: with several references each n-gram counts up to
    its largest count in one of them, and the length is the closest one's, the shorter of two.
    """
    given = bleu_words(answer, name, lowercase=lowercase)
    wanted = [bleu_words(one, name, lowercase=lowercase) for one in references]
    size = len(given)
    length = len(wanted[0])
    if len(wanted) > 1:
        length = min(map(len, wanted), key=lambda n: (abs(size - n), n))
    correct = clipped_word_matches(given, wanted, BLEU_ORDER)
    total = [max(size - order, 0) for order in range(BLEU_ORDER)]
    return (float(size), float(length), *map(float, correct), *map(float, total))


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


def chrf_stats(
    answer: str, references: Sequence[str], *, word_order: int, lowercase: bool
) -> Stats:
    """N-grams of the answer, of the reference and of both, for 6 character, then the word orders.

    Those of the reference with the best F score, as ``CHRF._compute_segment_statistics``.
    """
    from evalkit.scorers._ngrams import character_ids, clipped_matches, word_ids

    texts = [one.lower() if lowercase else one for one in (answer, *references)]
    chars = character_ids(["".join(one.split()) for one in texts])
    words = word_ids([_split_punctuation(one) for one in texts]) if word_order else []
    best: Stats = ()
    best_value = -1.0
    for at in range(1, len(texts)):
        stats: list[float] = []
        for sides, order in ((chars, CHAR_ORDER), (words, word_order)):
            if not order:
                continue
            given, wanted = len(sides[0]), len(sides[at])
            for n, hits in enumerate(clipped_matches(sides[0], [sides[at]], order)):
                there = max(wanted - n, 0)
                # sacrebleu counts no n-grams of the answer for orders the reference does not reach
                stats += (float(max(given - n, 0) if there else 0), float(there), float(hits))
        value = chrf_value(stats)
        if value > best_value:
            best, best_value = tuple(stats), value
    return best


def chrf_value(stats: Sequence[float]) -> float:
    """ChrF from 0 to 100 from summed statistics (``CHRF._compute_f_score``, F2)."""
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
