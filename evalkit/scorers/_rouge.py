"""ROUGE with the values of rouge-score 0.1.2, several times faster.

The tokens are the library's: its regular expression on lower-cased text and its Porter stemmer,
whose result is kept for every distinct word. Longest common subsequences come from rapidfuzz; where
the library's own choice among several longest ones matters (ROUGE-Lsum), its backtracking is
followed on bit rows (Hyyrö 2004). Equality is tested on any Unicode text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache, lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias

from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score
from evalkit.scorers._text import references, words

Measure: TypeAlias = Literal["fmeasure", "precision", "recall"]
Tokenizer: TypeAlias = Literal["default", "unicode"]
Tokens: TypeAlias = Sequence[str]

MAX_CELLS = 20_000_000_000
"""Product of two token counts whose longest common subsequence takes about a second."""

MAX_UNION_CELLS = 400_000_000
"""The same for ROUGE-Lsum, which keeps every row."""

MAX_WALK = 50_000_000_000
"""Steps back through the table times the bits that each looks at, about a second of them."""

_TOKEN = re.compile(r"[a-z0-9]+")
_CACHED_TEXT = 20_000
_SHORT = 60
"""Words of both texts up to which looking for each is faster than counting all."""


class Rouge(NamedTuple):
    """Precision, recall and F1 against one reference, each from 0 to 1."""

    precision: float
    recall: float

    @property
    def fmeasure(self) -> float:
        """2PR / (P + R), written as rouge-score writes it, to the last bit."""
        if self.precision + self.recall > 0:
            return 2 * self.precision * self.recall / (self.precision + self.recall)
        return 0.0


_ZERO = Rouge(0.0, 0.0)


@cache
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    stem: Callable[[str], str] = PorterStemmer().stem
    return stem


@lru_cache(maxsize=1 << 17)
def _stem(word: str) -> str:
    # rouge-score stems words of more than three characters and drops what is then no token
    stemmed = _stemmer()(word) if len(word) > 3 else word
    return stemmed if _TOKEN.fullmatch(stemmed) else ""


def tokenize(text: str, *, stemmer: bool, tokenizer: Tokenizer) -> Tokens:
    """The tokens of a text; with the default tokenizer exactly rouge-score's."""
    if len(text) <= _CACHED_TEXT:
        return _tokenized(text, stemmer, tokenizer)
    return _tokenized.__wrapped__(text, stemmer, tokenizer)


@lru_cache(maxsize=1_024)
def _tokenized(text: str, stemmer: bool, tokenizer: Tokenizer) -> Tokens:
    if tokenizer == "unicode":
        return words(text)
    found = _TOKEN.findall(text.lower())
    return [one for one in map(_stem, found) if one] if stemmer else found


def rouge_n(target: Tokens, prediction: Tokens, n: int) -> Rouge:
    """Overlap of n-grams, each counted as often as both sides have it."""
    wanted, given = max(len(target) - n + 1, 0), max(len(prediction) - n + 1, 0)
    if not wanted or not given:
        return _ZERO
    hits = _shared(_ngrams(prediction, n), _ngrams(target, n))
    return Rouge(hits / given, hits / wanted)


def _ngrams(tokens: Tokens, n: int) -> Sequence[Hashable]:
    return tokens if n == 1 else list(zip(*[tokens[i:] for i in range(n)], strict=False))


def _shared(given: Sequence[Hashable], wanted: Sequence[Hashable]) -> int:
    """What both have, each counted as often as both have it."""
    distinct = set(given)
    shared = distinct.intersection(wanted)
    if len(distinct) == len(given):
        return len(shared)
    if len(given) + len(wanted) > _SHORT:
        mine, theirs = Counter(given), Counter(wanted)
        return sum([min(mine[one], theirs[one]) for one in shared])
    hits = 0
    for one in shared:
        times = given.count(one)
        hits += 1 if times == 1 else min(times, wanted.count(one))
    return hits


def rouge_l(target: Tokens, prediction: Tokens) -> Rouge:
    """The longest common subsequence of the two texts."""
    if not target or not prediction:
        return _ZERO
    if len(target) * len(prediction) > MAX_CELLS:
        raise Unscorable(f"too long to compare: {len(prediction):,} against {len(target):,} words")
    # words are compared by their hashes of 64 bits
    length = _common_subsequence()(target, prediction)
    return Rouge(length / len(prediction), length / len(target))


@cache
def _common_subsequence() -> Callable[[Tokens, Tokens], int]:
    from rapidfuzz.distance import LCSseq

    return LCSseq.similarity


def rouge_lsum(target: Sequence[Tokens], prediction: Sequence[Tokens]) -> Rouge:
    """The union of longest common subsequences of every line with every line (Lin 2004, 3.2)."""
    wanted, given = sum(map(len, target)), sum(map(len, prediction))
    if not wanted or not given:
        return _ZERO
    longest = max(map(len, prediction))
    walked = wanted * len(prediction) + given * len(target)
    if wanted * given > MAX_UNION_CELLS or walked * longest > MAX_WALK:
        raise Unscorable(f"too long to compare: {given:,} against {wanted:,} words")
    left_target = Counter(one for line in target for one in line)
    left_given = Counter(one for line in prediction for one in line)
    masks = [_positions(line) for line in prediction]
    hits = 0
    for line in target:
        union: set[int] = set()
        for other, positions in zip(prediction, masks, strict=True):
            shared = [(i, positions[one]) for i, one in enumerate(line) if one in positions]
            if shared:
                union.update(_lcs_indices(shared, len(other)))
        for token in (line[i] for i in sorted(union)):
            if left_given[token] > 0 and left_target[token] > 0:
                hits += 1
                left_given[token] -= 1
                left_target[token] -= 1
    return Rouge(hits / given, hits / wanted)


def _positions(tokens: Tokens) -> Mapping[str, int]:
    """For every word the bits of the places where it stands."""
    found: dict[str, int] = {}
    for place, token in enumerate(tokens):
        found[token] = found.get(token, 0) | 1 << place
    return found


def _lcs_indices(shared: Sequence[tuple[int, int]], width: int) -> list[int]:
    """The places in a line of the longest common subsequence that rouge-score would choose.

    ``shared`` has the words of the line that stand in the other one too, of ``width`` words: the
    place of each, and the bits of its places there. The other words of the line change no row of
    the table, and the walk back only goes up past them. Row i holds a bit for every j where the
    table grows from j to j + 1, so a cell of the table is the number of bits below it; the walk
    prefers going up, as the library's does.
    """
    full = (1 << width) - 1
    row = full
    rows = [0]
    for _, mask in shared:
        grown = row & mask
        row = ((row + grown) | (row & ~mask)) & full
        rows.append(row ^ full)
    if rows[-1].bit_count() == len(shared):
        return [place for place, _ in shared]
    i, j, found = len(shared), width, []
    while i > 0 and j > 0:
        place, mask = shared[i - 1]
        if mask >> (j - 1) & 1:
            found.append(place)
            i -= 1
            j -= 1
            continue
        left = (rows[i] & ((1 << (j - 1)) - 1)).bit_count()
        above = (rows[i - 1] & ((1 << j) - 1)).bit_count()
        if left > above:
            j -= 1
        else:
            i -= 1
    return found


def prepare(options: Mapping[str, Any]) -> str:
    """Refuse the English stemmer on a tokenizer that is for every language, and load it early.

    NLTK takes seconds to import: before the run rather than on the event loop at the first answer.
    """
    if options["stemmer"]:
        if options["tokenizer"] == "unicode":
            raise ValueError("the stemmer is for English and works with tokenizer: default only")
        _stemmer()
    return ""


def score_best(
    case: Case,
    output: Output,
    compare: Callable[[str, str], Rouge],
    *,
    measure: Measure,
    tokenizer: Tokenizer,
) -> Score:
    """The score against the reference with the highest F1, as rouge-score's ``score_multi``.

    ``compare`` takes reference and output. Texts with letters of which the default tokenizer sees
    none are ``Unscorable``: 0.0 would be a claim about the tokenizer, not about the answer.
    """
    wanted = references(case)
    if tokenizer == "default":
        blind = "has letters but no a–z or 0–9; use tokenizer: unicode"
        if _unseen(output.text):
            raise Unscorable(f"the output {blind}")
        if all(map(_unseen, wanted)):
            raise Unscorable(f"the expected text {blind}")
    best = compare(wanted[0], output.text)
    for one in wanted[1:]:
        other = compare(one, output.text)
        if other.fmeasure > best.fmeasure:
            best = other
    return Score(value=getattr(best, measure))


def _unseen(text: str) -> bool:
    return (
        not text.isascii() and _TOKEN.search(text.lower()) is None and any(map(str.isalnum, text))
    )
