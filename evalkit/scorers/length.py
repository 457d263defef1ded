"""How long the output is, in characters, words or bytes."""

from __future__ import annotations

from typing import Literal

from evalkit.cards import ScorerCard
from evalkit.model import Case, Output, Score, mean, p95
from evalkit.registry import scorer
from evalkit.scorers._limits import check_limits, within
from evalkit.scorers._text import words


@scorer(
    metrics=(mean, p95),
    range=(0.0, float("inf")),
    direction="neutral",
    examples=[("Paris", None, 5.0), ("", None, 0.0), ("你好", None, 2.0)],
    prepare=check_limits,
    usage="length: {unit: words, max: 120}",
    card=ScorerCard(
        family="style",
        blind=("what the words say",),
    ),
)
def length(
    case: Case,
    output: Output,
    *,
    unit: Literal["chars", "words", "bytes"] = "chars",
    min: float | None = None,
    max: float | None = None,
) -> Score:
    """How long the output is, in characters, words or bytes.

    Characters are Unicode code points, bytes are UTF-8; scripts written without spaces count one
    word a character. With ``min`` or ``max`` (both inclusive) it also decides.
    """
    if unit == "words":
        size = len(words(output.text))
    elif unit == "bytes":
        size = len(output.text.encode("utf-8", "surrogatepass"))
    else:
        size = len(output.text)
    return within(float(size), min, max, unit)
