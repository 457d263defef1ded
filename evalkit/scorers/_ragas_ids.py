"""ragas's metrics over ids of passages, which take one of its own samples."""

from __future__ import annotations

import math
import warnings
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import JSON, Case, Output, Score
from evalkit.scorers._ragas import installed

__all__ = ["card", "installed", "score"]


def card(blind: str) -> ScorerCard:
    """The card of a metric over ids."""
    return ScorerCard(
        family="retrieval",
        blind=(blind, "passages that would do as well and are not listed as relevant"),
    )


async def score(metric: Any, case: Case, output: Output, relevant: str, retrieved: str) -> Score:
    """What the metric says of the two lists of ids; raises ``Unscorable`` where one is missing."""
    from ragas.dataset_schema import SingleTurnSample

    sample = SingleTurnSample(
        retrieved_context_ids=_ids(output.extra.get(retrieved), f"the target's extra.{retrieved}"),
        reference_context_ids=_ids(case.metadata.get(relevant), f"the case's metadata.{relevant}"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        value = float(await metric.single_turn_ascore(sample))
    if not math.isfinite(value):
        raise Unscorable("ragas gives no number")
    return Score(value=value)


def _ids(value: JSON, where: str) -> list[str]:
    if isinstance(value, dict):
        value = list(value)
    if not isinstance(value, list) or not value:
        raise Unscorable(f"{where} is no list of ids")
    return [str(one) for one in value]
