"""Every Latin letter moved by 13 places, with a sentence that asks to decode the text."""

from __future__ import annotations

import codecs

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import Lang, asked
from evalkit.registry import transform


@transform(stage="code")
def rot13(text: str, dice: Dice, *, lang: Lang = "en", bare: bool = False) -> str:
    """Every Latin letter moved by 13 places, with a sentence that asks to decode the text.

    ``bare`` leaves the sentence out. A text without Latin letters is refused.
    """
    del dice
    coded = codecs.encode(text, "rot13")
    if coded == text:
        raise ValueError("it has no Latin letter, so ROT13 changes nothing")
    return coded if bare else asked("ROT13", coded, lang)
