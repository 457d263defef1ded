"""Blanks between the letters of words."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._letters import between
from evalkit.registry import transform


@transform(stage="letters")
def spacing_noise(text: str, dice: Dice, *, share: float = 0.3) -> str:
    """Blanks between the letters of words.

    ``share`` is in how many of the places between two letters one stands, at least one.
    """
    return between(text, dice, share, lambda: " ")
