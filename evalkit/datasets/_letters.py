"""Changes at some letters of a text, chosen by chance: at least one, or it is no change."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from evalkit.datasets._dice import Dice

T = TypeVar("T")


def chosen(places: Sequence[T], dice: Dice, share: float, what: str) -> list[T]:
    """The share of the places, at least one; raises ``ValueError`` where there is none."""
    if not 0 < share <= 1:
        raise ValueError("share must be above 0 and at most 1")
    if not places:
        raise ValueError(f"it has no {what}")
    return dice.sample(places, max(1, math.floor(share * len(places) + 0.5)))


def replaced(
    text: str, looks: Mapping[str, str], dice: Dice, share: float, *, both_cases: bool = True
) -> str:
    """Some of the letters that the table has, replaced by what it says."""

    def look(letter: str) -> str | None:
        return looks.get(letter.lower() if both_cases else letter)

    letters: list[str] = list(text)
    places = [place for place, one in enumerate(letters) if look(one) is not None]
    for place in chosen(places, dice, share, "letter that can be replaced"):
        letters[place] = look(letters[place]) or letters[place]
    return "".join(letters)


def between(text: str, dice: Dice, share: float, mark: Callable[[], str]) -> str:
    """A mark in some of the places between two letters of a word."""
    places = [one.start() for one in re.finditer(r"(?<=[^\W\d_])(?=[^\W\d_])", text)]
    found, last = [], 0
    for place in chosen(places, dice, share, "word of two letters"):
        found += [text[last:place], mark()]
        last = place
    return "".join([*found, text[last:]])
