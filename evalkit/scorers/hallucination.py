"""Whether an answer says something its context does not, by the rung of the ladder you choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from evalkit.model import Case, Output, Score, flagged, mean
from evalkit.registry import scorer
from evalkit.scorers._grounding_card import grounding_card
from evalkit.scorers._grounding_result import GROUNDED, sentence_rate
from evalkit.scorers.grounding import grounding
from evalkit.scorers.grounding_model import grounding_model, named_model


def _named(options: Mapping[str, Any]) -> str:
    return named_model(options) if options.get("method") == "model" else ""


@scorer(
    needs=("context",),
    metrics=(mean, flagged, sentence_rate),
    direction="lower",
    prepare=_named,
    card=grounding_card("hallucination"),
    question=GROUNDED,
)
def hallucination(
    case: Case,
    output: Output,
    *,
    method: Literal["lexical", "model"] = "model",
    trust_inputs: bool = True,
) -> Score:
    """Whether an answer says something its context does not, by the rung you choose.

    ``method: lexical`` is ``grounding``, which is not trained; ``method: model`` is
    ``grounding_model``, trees trained on human labels. The value runs from 0 (grounded) to 1;
    ``passed`` is false above the threshold, ``rate`` is the share flagged, and
    ``sentence_rate`` that of all sentences. The two methods have
    different scales: a threshold fitted for one means nothing for the other.
    """
    judge = grounding if method == "lexical" else grounding_model
    return judge(case, output, trust_inputs=trust_inputs)
