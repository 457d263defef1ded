"""Letters in capitals and small ones at random."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._letters import chosen
from evalkit.registry import transform


@transform(stage="letters")
def case_noise(text: str, dice: Dice, *, share: float = 0.5) -> str:
    """Letters in capitals and small ones at random.

    ``share`` is how many letters change, at least one; a text without any is refused.
    """
    places = [
        place
        for place, one in enumerate(text)
        if len(one.swapcase()) == 1 and one.swapcase() != one and one.swapcase().swapcase() == one
    ]
    letters = list(text)
    for place in chosen(places, dice, share, "letter that has a capital"):
        letters[place] = letters[place].swapcase()
    return "".join(letters)
