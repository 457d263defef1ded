"""The text cut into named pieces, with a sentence that asks to join them again."""

from __future__ import annotations

from evalkit.datasets._dice import Dice
from evalkit.datasets._framing import SPLIT, Lang
from evalkit.registry import transform


@transform(stage="frame")
def split(text: str, dice: Dice, *, pieces: int = 3, lang: Lang = "en") -> str:
    """The text cut into named pieces, with a sentence that asks to join them again."""
    if not 2 <= pieces <= 26:
        raise ValueError("pieces must be between 2 and 26")
    if len(text) < pieces:
        raise ValueError(f"it is too short for {pieces} pieces")
    cuts = {0, len(text)}
    while len(cuts) < pieces + 1:
        cuts.add(1 + dice.below(len(text) - 1))
    ends = sorted(cuts)
    names = [chr(ord("a") + place) for place in range(pieces)]
    lines = [
        f"{name} = {quoted(text[start:end])}"
        for name, start, end in zip(names, ends, ends[1:], strict=False)
    ]
    return "\n".join([*lines, SPLIT[lang].format(sum=" + ".join(names))])


def quoted(text: str) -> str:
    """The piece in double quotes, as JSON writes it."""
    import json

    return json.dumps(text, ensure_ascii=False)
