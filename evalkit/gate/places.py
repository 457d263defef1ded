"""Where cases regressed more often than elsewhere: the slices, by how much more often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evalkit.gate.result import Place
from evalkit.stats.sides import Bools

PLACES, SMALLEST, VALUES = 5, 5, 100
"""Slices that are named, cases that one must have, and values that a tag may have to be one."""
WORTH = 1.2
"""The least lift: what regresses about as often as everything else is no place to look."""


def places(
    tags: Mapping[str, Sequence[str | None]], known: Bools, fell: Bools
) -> tuple[Place, ...]:
    """The slices of all cases by their lift: their rate of regressions over that of all cases.

    ``known`` marks the cases that are judged, ``fell`` those of them that regressed. Slices
    of exactly the same cases are one, by the name that comes first.
    """
    total, regressed = int(known.sum()), int(fell.sum())
    if not regressed:
        return ()
    found: list[tuple[Place, Bools]] = []
    for tag, values in tags.items():
        codes: dict[str | None, int] = {None: 0}
        of = np.array([codes.setdefault(one, len(codes)) for one in values], dtype=np.intp)
        if len(codes) > VALUES + 1:
            continue
        sizes = np.bincount(of[known], minlength=len(codes)).tolist()
        falls = np.bincount(of[fell], minlength=len(codes)).tolist()
        for value, code in codes.items():
            size, hits = sizes[code], falls[code]
            lift = hits / size / (regressed / total) if size else 0.0
            large = value is not None and SMALLEST <= size < total
            if large and hits > 1 and lift >= WORTH:
                place = Place(slice=f"{tag}={value}", regressed=hits, cases=size, lift=lift)
                found.append((place, of == code))
    found.sort(key=lambda one: (-one[0].lift, -one[0].regressed, one[0].slice))
    named: list[tuple[Place, Bools]] = []
    for one, mine in found:
        # two tags often say the same, as suite and category do
        if len(named) < PLACES and not any(np.array_equal(mine, other) for _, other in named):
            named.append((one, mine))
    return tuple(one for one, _ in named)
