"""Base64 of the text, with a sentence that asks to decode it."""

from __future__ import annotations

import base64 as codec

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import Lang, asked
from evalkit.registry import transform


@transform(stage="code", repeats=True)
def base64(text: str, dice: Dice, *, lang: Lang = "en", bare: bool = False) -> str:
    """Base64 of the text, with a sentence that asks to decode it.

    ``bare`` leaves the sentence out.
    """
    del dice
    coded = codec.b64encode(text.encode()).decode("ascii")
    return coded if bare else asked("Base64", coded, lang)
