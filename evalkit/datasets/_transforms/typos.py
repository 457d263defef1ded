"""Slips of the keyboard: letters swapped, doubled, lost, or struck beside the right one."""

from __future__ import annotations

import re

from evalkit.datasets._dice import Dice
from evalkit.datasets._letters import chosen
from evalkit.registry import transform

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    letter: row[max(0, place - 1) : place] + row[place + 1 : place + 2]
    for row in _ROWS
    for place, letter in enumerate(row)
}


@transform(stage="words")
def typos(text: str, dice: Dice, *, share: float = 0.2) -> str:
    """Slips of the keyboard: letters swapped, doubled, lost, or struck beside the right one.

    ``share`` is how many words of four letters or more get one slip, at least one; the first and
    the last letter of a word stay.
    """
    words = [one.span() for one in re.finditer(r"[^\W\d_]{4,}", text)]
    hit = chosen(words, dice, share, "word of four letters")
    for start, end in reversed(hit):
        text = text[:start] + _slip(text[start:end], dice) + text[end:]
    return text


def _slip(word: str, dice: Dice) -> str:
    place = 1 + dice.below(len(word) - 2)
    letter = word[place]
    kind = dice.below(4)
    if kind == 0 and place + 1 < len(word) - 1 and word[place + 1] != letter:
        return word[:place] + word[place + 1] + letter + word[place + 2 :]
    if kind == 1:
        return word[:place] + word[place + 1 :]
    near = _BESIDE.get(letter.lower(), "")
    if kind == 2 and near:
        other = dice.pick(near)
        return word[:place] + (other.upper() if letter.isupper() else other) + word[place + 1 :]
    return word[:place] + letter + word[place:]
