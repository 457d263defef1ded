"""How probably an answer says something its context does not: trees trained on people's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.model import Case, Output, Score, flagged, mean
from evalkit.registry import scorer
from evalkit.scorers._grounding_card import grounding_card
from evalkit.scorers._grounding_forest import load
from evalkit.scorers._grounding_result import GROUNDED, read, sentence_rate, to_score


def named_model(options: Mapping[str, Any]) -> str:
    """The hash of the model's file, for the signature: another model makes other scores."""
    return f"model:{load().hash}"


@scorer(
    needs=("context",),
    metrics=(mean, flagged, sentence_rate),
    direction="lower",
    prepare=named_model,
    card=grounding_card("grounding_model"),
    question=GROUNDED,
)
def grounding_model(case: Case, output: Output, *, trust_inputs: bool = True) -> Score:
    """How probably an answer says something its context does not: trees trained on human labels.

    The signals of ``grounding``, weighed by boosted trees (shipped as data, scored with numpy; no
    download). The value is the probability that people would mark some words of the answer as
    hallucinated, as often as in the training data; ``passed`` is false above the threshold (the
    model's own unless the suite sets one), and ``rate`` is the share of answers so flagged,
    ``sentence_rate`` that of all sentences.
    Evidence has a probability, typed reasons and the nearest unit of the context for every
    sentence. ``trust_inputs`` counts words of the case's inputs as known.

    Trained on English answers over news, web passages and business data: a threshold for other data
    wants labels of that data. Blind to most small edits, swaps within the context's own words and
    most negation; on structured data it should only flag. Unscorable as ``grounding`` is. Measured
    quality: ``grounding_model.card.json`` beside the model.
    """
    reading = read(case, output, trust_inputs=trust_inputs)
    model = load()
    value, each = model.weigh([one.signals for one in reading.claims])
    return to_score(value, each, reading, output, model.threshold)
