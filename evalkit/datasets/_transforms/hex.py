"""The bytes of the text as hexadecimal digits, with a sentence that asks to decode them."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import Lang, asked
from evalkit.registry import transform


@transform(stage="code", name="hex", repeats=True)
def hexadecimal(text: str, dice: Dice, *, lang: Lang = "en", bare: bool = False) -> str:
    """The bytes of the text as hexadecimal digits, with a sentence that asks to decode them.

    ``bare`` leaves the sentence out.
    """
    del dice
    coded = text.encode().hex()
    return coded if bare else asked("Hex", coded, lang)
