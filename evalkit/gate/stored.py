"""A run with its columns: what is judged, and what it is judged against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from evalkit.gate.beside import is_beside
from evalkit.model import Run
from evalkit.stats.sides import Side

Sides = Mapping[tuple[str, str], Side]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A run with its columns; with the rows of its repeats where runs are pooled.

    ``own`` has the columns of that run alone where ``sides`` have those of its repeats, too.
    ``confirming`` has the trials that were made because others had failed, ``unchanged`` the
    baseline's on cases that ask the same of the same target and so were not asked again.
    """

    run: Run
    sides: Sides
    runs: tuple[str, ...] = ()
    own: Sides = field(default_factory=dict)
    confirming: Sides = field(default_factory=dict)
    unchanged: Sides = field(default_factory=dict)


def targets_of(candidate: Stored, suite: str) -> list[str]:
    """The targets of a suite in the order of the run, without those asked beside them."""
    keys = {*candidate.sides, *candidate.unchanged}
    have = {target for name, target in keys if name == suite and not is_beside(target)}
    order = [one.name for one in candidate.run.targets if one.name in have]
    return [*order, *sorted(have - set(order))]
