"""The card of the scorers that count what a text shares with the expected one."""

from __future__ import annotations

from evalkit.cards import Measured, ScorerCard


def overlap_card(library: str, *blind: str) -> ScorerCard:
    """The card of a scorer with the values of that library."""
    return ScorerCard(
        family="overlap",
        blind=(
            "truth: an answer with one wrong number can overlap fully",
            "other words: a right answer that is not worded as the reference scores low",
            *blind,
        ),
        measured=(
            Measured(
                what=f"the largest difference to {library}",
                data="any Unicode text, by property-based tests",
                date="2026-11-28",
                figures={"difference": 0.0},
                note="evalkit run --reference lets the library score instead",
            ),
        ),
    )
