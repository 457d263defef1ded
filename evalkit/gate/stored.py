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
    """A run with its columns; of pooled runs the newest, with all their rows.

    ``confirming`` has the trials that were made because others had failed.
    """

    run: Run
    sides: Sides
    runs: tuple[str, ...] = ()
    confirming: Sides = field(default_factory=dict)


def targets_of(candidate: Stored, suite: str) -> list[str]:
    """The targets of a suite in the order of the run, without those asked beside them."""
    have = {target for name, target in candidate.sides if name == suite and not is_beside(target)}
    order = [one.name for one in candidate.run.targets if one.name in have]
    return [*order, *sorted(have - set(order))]
