"""BLEU and chrF with sacrebleu's values and signatures, several times faster.

Tokens are sacrebleu's, through its tokenizers (not their caches of 65,536 whole texts, which grow
with the run); words become numbers, and the n-grams of a whole batch are counted in one sort. Every
function says which of sacrebleu's it equals, and the tests hold it on any Unicode text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, Literal, TypeAlias

from evalkit.scorers._symbols import WordSymbols, symbols_of_characters

BleuTokenizer: TypeAlias = Literal["13a", "intl", "zh", "char", "none"]
Stats: TypeAlias = tuple[float, ...]

BLEU_ORDER = 4
CHAR_ORDER = 6
BETA = 2

_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ENDS = frozenset('.,:;!?)"')
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


def _chunk_13a(chunk: str) -> Sequence[str]:
    if chunk.isascii():
        if chunk.isalnum():
            return (chunk,)  # every rule is about a mark
        if chunk[-1] in _ENDS and chunk[:-1].isalnum():
            return (chunk[:-1], chunk[-1])  # and these always stand alone before a space
    if len(chunk) > _LONG_CHUNK:
        return _western()(f" {chunk} ").split()
    return _marked_chunk(chunk)


@lru_cache(maxsize=1 << 14)
def _marked_chunk(chunk: str) -> tuple[str, ...]:
    return tuple(_western()(f" {chunk} ").split())


def _chunks_13a(line: str) -> list[str]:
    """The line of ``Tokenizer13a``, cut at its spaces.

    Its rules look one character to the left and right, and a space there is as good as any other,
    so a chunk gives the same tokens wherever it stands, and is looked up the next time.
    """
    line = line.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    if "&" in line:
        line = line.replace("&quot;", '"').replace("&amp;", "&")
        line = line.replace("&lt;", "<").replace("&gt;", ">")
    return line.split()


class _Chunks(dict[str, bytes]):
    """What stands between two spaces, as the symbols of its words; each is split once."""

    def __init__(self, split: Callable[[str], Sequence[str]]):
        super().__init__()
        self._split = split
        self.words = WordSymbols()

    def __missing__(self, chunk: str) -> bytes:
        found = self[chunk] = self.words.of(self._split(chunk))
        return found

    def of(self, chunks: Sequence[str]) -> bytes:
        """The symbols of a text."""
        return b"".join(map(self.__getitem__, chunks))


def bleu_stats(
    texts: Sequence[tuple[str, Sequence[str]]], name: BleuTokenizer, *, lowercase: bool
) -> list[Stats]:
    """For every answer with its references: words, reference words, matching n-grams for n = 1 to
    4, n-grams for n = 1 to 4.

    Equal to ``BLEU._extract_corpus_statistics``: with several references each n-gram counts up to
    its largest count in one of them, and the length is the closest one's, the shorter of two.
    """  # noqa: D205 - one sentence
    import numpy as np

    from evalkit.scorers._ngrams import clipped_matches, matches_of_pairs

    chunks = _Chunks(_chunk_13a)

    def symbols(text: str) -> bytes:
        text = (text.lower() if lowercase else text).rstrip()
        if name != "13a":
            return chunks.words.of(bleu_tokenizer(name)(text).split())
        return chunks.of(_chunks_13a(text))

    rows = [(symbols(answer), [symbols(one) for one in wanted]) for answer, wanted in texts]
    shared = matches_of_pairs([(given, wanted[0]) for given, wanted in rows], BLEU_ORDER)
    found = []
    for (given, wanted), matches in zip(rows, shared, strict=True):
        size, lengths = len(given) // 4, [len(one) // 4 for one in wanted]
        length, correct = lengths[0], matches
        if len(wanted) > 1:
            length = min(lengths, key=lambda n: (abs(size - n), n))
            mine, *theirs = [
                np.frombuffer(one, np.uint32).astype(np.int64) + 1 for one in (given, *wanted)
            ]
            correct = clipped_matches(mine, theirs, BLEU_ORDER)
        total = [max(size - order, 0) for order in range(BLEU_ORDER)]
        found.append(tuple(map(float, (size, length, *correct, *total))))
    return found


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


def _split_punctuation(word: str) -> tuple[str, ...]:
    """``CHRF._remove_punctuation``: one mark is split off the end, or else off the start."""
    if len(word) > 1:
        if word[-1] in _PUNCTUATION:
            return (word[:-1], word[-1])
        if word[0] in _PUNCTUATION:
            return (word[0], word[1:])
    return (word,)


def chrf_stats(
    texts: Sequence[tuple[str, Sequence[str]]], *, word_order: int, lowercase: bool
) -> list[Stats]:
    """For every answer with its references: n-grams of the answer, of the reference and of both.

    For 6 character orders, then the word orders, with the reference of the best F score, as
    ``CHRF._compute_segment_statistics``.
    """
    words = _Chunks(_split_punctuation)
    pairs: list[list[tuple[bytes, bytes]]] = [[], []]
    for answer, references in texts:
        sides = []
        for text in (answer, *references):
            chunks = (text.lower() if lowercase else text).split()
            as_words = words.of(chunks) if word_order else b""
            sides.append((symbols_of_characters("".join(chunks)), as_words))
        given, *wanted = sides
        for at in (0, 1):
            pairs[at] += [(given[at], one[at]) for one in wanted]
    chars = _orders(pairs[0], CHAR_ORDER)
    if word_order:
        chars = [a + b for a, b in zip(chars, _orders(pairs[1], word_order), strict=True)]
    rest = iter(chars)
    # the first of the best: max keeps it
    return [max((next(rest) for _ in references), key=chrf_value) for _, references in texts]


def _orders(pairs: Sequence[tuple[bytes, bytes]], order: int) -> list[Stats]:
    from evalkit.scorers._ngrams import matches_of_pairs

    found = []
    for (given, wanted), matches in zip(pairs, matches_of_pairs(pairs, order), strict=True):
        mine, theirs = len(given) // 4, len(wanted) // 4
        stats: list[float] = []
        for n, hits in enumerate(matches):
            there = max(theirs - n, 0)
            # sacrebleu counts no n-grams of the answer for orders the reference does not reach
            stats += (float(max(mine - n, 0) if there else 0), float(there), float(hits))
        found.append(tuple(stats))
    return found


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
