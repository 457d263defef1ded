"""N-grams that short texts share: no arrays and no counters, whose making would cost the most."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

SHORT = 60
"""Words of all texts up to which this way is the faster one."""


def clipped_word_matches(
    given: Sequence[str], references: Sequence[Sequence[str]], order: int
) -> list[int]:
    """``clipped_matches`` of words; for short texts without arrays, which is faster."""
    if len(given) + sum(map(len, references)) > SHORT:
        from evalkit.scorers._ngrams import clipped_matches, word_ids

        first, *rest = word_ids([given, *references])
        return clipped_matches(first, rest, order)
    found = [0] * order
    for n in range(1, order + 1):
        matches = few_matches(grams(given, n), [grams(one, n) for one in references])
        if not matches:
            break  # an n-gram that is shared holds shared shorter ones
        found[n - 1] = matches
    return found


def grams(words: Sequence[str], n: int) -> Sequence[Any]:
    """The n-grams of a list of words, in order."""
    return words if n == 1 else list(zip(*(words[i:] for i in range(n)), strict=False))


def few_matches(given: Sequence[Any], references: Sequence[Sequence[Any]]) -> int:
    """The n-grams given that the references have, each counted at most as often as in one of them.

    For short lists: most of theirs occur once, and those that do not are counted one by one.
    """
    distinct = set(given)
    shared = distinct.intersection(chain.from_iterable(references))
    if len(distinct) == len(given):
        return len(shared)
    total = 0
    for gram in shared:
        times = given.count(gram)
        if times > 1:
            times = min(times, max([one.count(gram) for one in references]))
        total += times
    return total
