"""The card of the grounding scorers, from the figures that the benchmark wrote beside the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import resources
from typing import Any

from evalkit.cards import Measured, ScorerCard

_BLIND = (
    "most small edits, swaps within the context's own words, negation and opposites",
    "truth: what is true in the world but not in the context is flagged",
    "conclusions and arithmetic from the context may be flagged",
    "languages: word lists are English, other scripts are compared by words or pairs of characters",
    "your data: a threshold does not carry over, fit it on labels of your own",
    "structured contexts: there it should flag for a person or a judge, not rank systems",
)
_TASKS = ("QA", "Summary", "Data2txt")
_ROWS = {
    "grounding": ("grounding, weights set by hand",),
    "grounding_model": (
        "grounding_model, source unseen",
        "grounding_model, task unseen",
        "grounding_model, model unseen",
    ),
}
_ROWS["hallucination"] = (*_ROWS["grounding_model"], *_ROWS["grounding"])


def grounding_card(name: str) -> ScorerCard:
    """The card of ``grounding``, ``grounding_model`` or ``hallucination``."""
    return ScorerCard(
        family="hallucination",
        cost="free: about 250 answers a CPU-second on this machine",
        blind=_BLIND,
        measured=partial(_measured, name),
    )


def _measured(name: str) -> Sequence[Measured]:
    path = resources.files("evalkit.scorers") / "data" / "grounding_model.card.json"
    known: dict[str, Any] = json.loads(path.read_text("utf-8"))
    date = str(known["measured_on"])
    found = [_row(row, known["ragtruth"][row], date) for row in _ROWS[name]]
    column = "grounding" if name == "grounding" else "grounding_model"
    for data, one in known["other_data_as_shipped"].items():
        found.append(
            Measured(
                what=f"{column} as shipped, AUROC",
                data=f"{data}, {one['answers']:,} answers, {one['share']:.0%} hallucinated",
                date=date,
                figures={"AUROC": one[column], **(_decided(one) if column != "grounding" else {})},
                note="nothing of it is in training; precision and recall at the model's threshold"
                if column != "grounding"
                else "",
            )
        )
    return found


def _decided(one: Mapping[str, Any]) -> dict[str, float | str]:
    """Precision, recall and F1 where a threshold was frozen, each with its interval."""
    found: dict[str, float | str] = {}
    for key, said in (("precision", "precision"), ("recall", "recall"), ("f1", "F1")):
        if key in one:
            low, high = one[f"{key}_interval"]
            found[said] = f"{one[key]} (95 %: {low} to {high})"
    return found


def _row(name: str, one: Mapping[str, Any], date: str) -> Measured:
    figures: dict[str, float | str] = {"AUROC pooled": one["pooled"]}
    figures |= {f"AUROC {task}": one["tasks"][task] for task in _TASKS}
    figures["AUROC macro"] = one["macro"]
    figures |= _decided(one)
    figures |= {"sentence AP": one["sentence_ap"], "top sentence right": one["top_sentence"]}
    return Measured(
        what=name,
        data="RAGTruth's training half, 15,090 answers, cross-validation",
        date=date,
        figures=figures,
        note="compare by the macro figure: pooled ones include the difference between tasks",
    )
