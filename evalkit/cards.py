"""The card of a scorer: what it costs, what was measured of it, and what it cannot see.

A score that blocks a merge is an instrument. Its card stands beside its code and is the only
source of what ``evalkit scorers show`` and docs/scorers.md say about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

Family: TypeAlias = Literal[
    "match",
    "overlap",
    "similarity",
    "structured",
    "classification",
    "retrieval",
    "hallucination",
    "judge",
    "tools",
    "style",
    "safety",
    "operations",
    "own",
]
FAMILIES: tuple[Family, ...] = get_args(Family)
FAMILY_TITLES: Mapping[Family, str] = {
    "match": "Match with what is expected",
    "overlap": "Overlap with the expected text",
    "similarity": "Similarity of meaning",
    "structured": "Structured output",
    "classification": "Classification",
    "retrieval": "Retrieval",
    "hallucination": "Hallucination",
    "judge": "Judges",
    "tools": "Tools and agents",
    "style": "Style",
    "safety": "Safety",
    "operations": "Time, tokens and money",
    "own": "Your own",
}
FREE = "free: computed on this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One measurement of a scorer's quality: what, on which data, when, and the figures.

    ``date`` is an ISO day. ``note`` says what a reader must know to read the figures, such as how
    the scorer was tuned and that the data were not those.
    """

    what: str
    data: str
    date: str
    figures: Mapping[str, float | str]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerCard:
    """What must be known of a scorer before its number is trusted.

    ``measured`` may be a function where the figures lie in a data file, which is then only read
    when someone asks.
    """

    family: Family = "own"
    cost: str = FREE
    blind: tuple[str, ...] = ()
    measured: tuple[Measured, ...] | Callable[[], Sequence[Measured]] = field(default=())

    def measurements(self) -> tuple[Measured, ...]:
        """What was measured, read if need be."""
        return tuple(self.measured()) if callable(self.measured) else self.measured
