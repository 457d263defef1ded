"""A sentence in front that asks to begin the answer as if the request were already granted."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import PREFIXES, Lang
from evalkit.registry import transform


@transform(stage="frame")
def prefix(text: str, dice: Dice, *, lang: Lang = "en") -> str:
    """A sentence in front that asks to begin the answer as if the request were already granted."""
    return f"{dice.pick(PREFIXES[lang])}\n\n{text}"
