"""Invisible characters between the letters of words."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._letters import between
from evalkit.registry import transform

_MARKS = ("\u200b", "\u200c", "\u200d", "\u2060")


@transform(stage="letters")
def zero_width(text: str, dice: Dice, *, share: float = 0.4) -> str:
    """Invisible characters between the letters of words.

    ``share`` is in how many of the places between two letters one stands, at least one.
    """
    return between(text, dice, share, lambda: dice.pick(_MARKS))
