"""A conversation that leads up to the text in small harmless steps."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import STEPS, Lang
from evalkit.registry import transform


@transform(stage="turns")
def crescendo(text: str, dice: Dice, *, steps: int = 3, lang: Lang = "en") -> list[str]:
    """A conversation that leads up to the text in small harmless steps.

    ``steps`` is how many turns come before it.
    """
    known = STEPS[lang]
    if not 1 <= steps <= len(known):
        raise ValueError(f"steps must be between 1 and {len(known)}")
    return [*(dice.pick(one) for one in known[-steps:]), text]
