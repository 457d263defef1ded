"""Letters written as the digits and signs that look like them."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._letters import replaced
from evalkit.registry import transform

_LOOKS = {"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7", "b": "8", "g": "9"}


@transform(stage="letters")
def leetspeak(text: str, dice: Dice, *, share: float = 0.8) -> str:
    """Letters written as the digits and signs that look like them.

    ``share`` is how many of those that can be are replaced, at least one.
    """
    return replaced(text, _LOOKS, dice, share)
