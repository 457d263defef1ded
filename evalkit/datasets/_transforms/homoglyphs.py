"""Latin letters replaced by Cyrillic and Greek ones that look the same."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._letters import replaced
from evalkit.registry import transform

_LOOKS = {
    "a": "\u0430", "c": "\u0441", "e": "\u0435", "i": "\u0456", "j": "\u0458", "o": "\u043e",
    "p": "\u0440", "s": "\u0455", "x": "\u0445", "y": "\u0443", "A": "\u0410", "B": "\u0412",
    "C": "\u0421", "E": "\u0415", "H": "\u041d", "I": "\u0399", "K": "\u039a", "M": "\u041c",
    "N": "\u039d", "O": "\u041e", "P": "\u0420", "T": "\u0422", "X": "\u0425", "Y": "\u03a5",
    "Z": "\u0396",
}  # fmt: skip


@transform(stage="letters")
def homoglyphs(text: str, dice: Dice, *, share: float = 0.5) -> str:
    """Latin letters replaced by Cyrillic and Greek ones that look the same.

    ``share`` is how many of those that can be are replaced, at least one.
    """
    return replaced(text, _LOOKS, dice, share, both_cases=False)
