"""N-grams that short texts share: no arrays and no counters, whose making would cost the most."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import chain

SHORT = 60
"""Words of all texts up to which this way is the faster one."""


def few_word_matches(
    given: Sequence[str], references: Sequence[Sequence[str]], order: int, *, lowest: int = 1
) -> list[int]:
    """For n = ``lowest`` … ``order``: the n-grams of ``given`` found in the references.

    Every n-gram counts at most as often as in the reference that has it most often. Its
    time grows with the square of the lengths.
    """
    found = [0] * (order - lowest + 1)
    shared = set(given).intersection(chain.from_iterable(references))
    if not shared:
        return found
    if lowest == 1:
        found[0] = _matches(given, references)
    if order > 1:
        # a shared n-gram is made of shared words
        mine = _runs(given, shared)
        theirs = [_runs(one, shared) for one in references]
        for n in range(max(lowest, 2), order + 1):
            matches = _matches(_grams(mine, n), [_grams(one, n) for one in theirs])
            if not matches:
                break  # and holds shared shorter ones
            found[n - lowest] = matches
    return found


def _runs(words: Sequence[str], shared: set[str]) -> list[list[str]]:
    """The parts of a text that are made of shared words, if they are longer than one word."""
    runs: list[list[str]] = []
    run: list[str] = []
    for word in words:
        if word in shared:
            run.append(word)
            continue
        if len(run) > 1:
            runs.append(run)
        if run:
            run = []
    if len(run) > 1:
        runs.append(run)
    return runs


def _grams(runs: Sequence[list[str]], n: int) -> list[tuple[str, ...]]:
    return [tuple(run[i : i + n]) for run in runs for i in range(len(run) - n + 1)]


def _matches(given: Sequence[Hashable], references: Sequence[Sequence[Hashable]]) -> int:
    """What is given and in the references, each counted at most as often as in one of them."""
    if not given:
        return 0
    distinct = set(given)
    shared = distinct.intersection(chain.from_iterable(references))
    if len(distinct) == len(given):
        return len(shared)
    total = 0
    for one in shared:
        times = given.count(one)
        if times > 1:
            times = min(times, max([each.count(one) for each in references]))
        total += times
    return total
