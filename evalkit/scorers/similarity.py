"""How near an answer is in meaning to what is expected, by the cosine of their embeddings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Message, Output, Score, mean
from evalkit.registry import scorer
from evalkit.scorers._panel import Panel

LONGEST = 200_000
"""Characters that are embedded for one score; more is Unscorable."""


def _once(_: Mapping[str, Any]) -> float:
    return 1.0


@scorer(
    needs=("expected",),
    metrics=(mean,),
    range=(-1.0, 1.0),
    asks=("embedder",),
    calls=_once,
    usage="similarity: {embedder: vectors}",
    card=ScorerCard(
        family="similarity",
        cost="one call to an embeddings endpoint; free with a model on this machine",
        blind=(
            "a changed number, name or negation: the vectors stay near",
            "what is missing or added, as long as the subject is the same",
            "the scale: what counts as near depends on the model, so compare only within one",
        ),
    ),
)
async def similarity(case: Case, output: Output, panel: Panel, *, embedder: str) -> Score:
    """How near an answer is in meaning to what is expected, by the cosine of their embeddings.

    ``embedder`` is a target of kind ``embeddings`` or ``sentence_transformers``. Of several
    expected answers the nearest counts. The value is the cosine, from -1 to 1; what counts as near
    depends on the model, so a threshold is the suite's to set.
    """
    texts = [output.text, *dict.fromkeys(case.references)]
    if not all(one.strip() for one in texts):
        raise Unscorable("an empty text has no meaning to compare")
    if sum(map(len, texts)) > LONGEST:
        raise Unscorable(f"the texts have more than {LONGEST:,} characters")
    vectors = await embed(panel, embedder, texts)
    values = [cosine(vectors[0], one) for one in vectors[1:]]
    best = max(range(len(values)), key=values.__getitem__)
    nearest = f"nearest to expected {best + 1} of {len(values)}" if len(values) > 1 else None
    return Score(value=max(-1.0, min(1.0, values[best])), reason=nearest)


async def embed(panel: Panel, name: str, texts: Sequence[str]) -> list[list[float]]:
    """A vector for each text; raises ``Unscorable`` when the target gives none."""
    messages = [Message(role="user", content=one) for one in texts]
    answer = await panel.ask(name, messages)
    try:
        found = json.loads(answer.text)
        vectors = [[float(number) for number in one] for one in found]
    except (ValueError, TypeError, RecursionError):
        raise Unscorable(
            f"target {name!r} gives texts, not vectors: its kind is to be 'embeddings'"
        ) from None
    if len(vectors) != len(texts) or len({len(one) for one in vectors}) != 1:
        raise Unscorable(f"target {name!r} gave {len(vectors)} vectors for {len(texts)} texts")
    return vectors


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """The cosine of two vectors; raises ``Unscorable`` for one without a direction."""
    size = math.hypot(*one) * math.hypot(*other)
    if not size or not math.isfinite(size):
        raise Unscorable("a text has no direction in the model's space")
    return (
        math.sumprod(one, other) / size
        if hasattr(math, "sumprod")
        else (math.fsum(a * b for a, b in zip(one, other, strict=True)) / size)
    )
