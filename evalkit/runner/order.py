"""The order in which a run that may end early asks its cases: random, and even over the slices.

Any beginning of it holds every slice in about its share, so that a look sees what the whole run
would. It follows from seed and content alone, never from what a case did before: cases that failed
last time, asked first, would make every look see a drop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from evalkit.gate.looks import turn
from evalkit.model import Case

MOST_STRATA = 500
"""Above it the slices are finer than a look can be even over: then the order is only random."""


def even_order(cases: Iterable[Case], tags: Sequence[str], seed: int) -> list[Case]:
    """The cases with every combination of values of the tags spread over the whole order."""
    strata: dict[tuple[str | None, ...], list[tuple[int, Case]]] = {}
    for case in cases:
        where = tuple(case.tags.get(one) for one in tags)
        strata.setdefault(where, []).append((turn(seed, case.id), case))
    if len(strata) > MOST_STRATA:
        strata = {(): [one for group in strata.values() for one in group]}
    placed: list[tuple[float, int, Case]] = []
    for where, group in strata.items():
        start = turn(seed, "\0".join(str(one) for one in where)) / 2**64
        group.sort(key=lambda one: one[0])
        placed += [
            ((place + start) / len(group), draw, case) for place, (draw, case) in enumerate(group)
        ]
    placed.sort(key=lambda one: one[:2])
    return [case for _, _, case in placed]
