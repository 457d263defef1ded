"""How probably an answer says what its context does not entail, by a model on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Evidence, Output, Score, flagged, mean
from evalkit.registry import scorer
from evalkit.scorers import _local
from evalkit.scorers._grounding_result import GROUNDED, sentence_rate
from evalkit.scorers._grounding_text import sentences

THRESHOLD = 0.5
_SHOWN = 400


def _prepare(options: Mapping[str, Any]) -> str:
    named = _local.prepare(options, "sequence")
    _supported(_local.of(options, "sequence").labels, options["supported"])
    return named


def _supported(labels: Sequence[str], wanted: str | None) -> int:
    """The place of the label that says a sentence follows from its context."""
    if wanted is not None:
        if wanted not in labels:
            raise ValueError(f"the model's labels are {', '.join(labels)}, not {wanted!r}")
        return labels.index(wanted)
    for at, one in enumerate(labels):
        if one.lower().startswith(("entail", "support", "consistent", "faithful")):
            return at
    raise ValueError(f"say which label is support: supported: one of {', '.join(labels)}")


@scorer(
    needs=("context",),
    metrics=(mean, flagged, sentence_rate),
    direction="lower",
    question=GROUNDED,
    batch=True,
    prepare=_prepare,
    usage="nli: {folder: models/deberta-nli}",
    card=ScorerCard(
        family="hallucination",
        cost="free: a model on this machine's CPU, often a second or more an answer",
        blind=(
            "what the model was not trained on: languages, tables, long chains of reasoning",
            "claims that need two far places of a long context: each part is read alone",
            "models with code of their own (such as HHEM): it is not run",
            "your data: measure the model on labels of your own before a gate rests on it",
        ),
    ),
)
def nli(
    pairs: Sequence[tuple[Case, Output]],
    *,
    folder: Path | None = None,
    model: str | None = None,
    revision: str | None = None,
    supported: str | None = None,
    batch: int = 8,
    max_tokens: int | None = None,
) -> list[Score | Unscorable]:
    """How probably an answer says what its context does not entail, by a model on this machine.

    Any sequence classifier of transformers that judges premise and hypothesis: NLI models,
    MiniCheck's encoders. From a ``folder`` of the project, or a hub's ``model`` at the commit
    ``revision``, which is fetched once unless HF_HUB_OFFLINE is set. ``supported`` is the label
    that means entailed, where its name does not say so. Every sentence is held against every part
    of the context that fits the model (at most ``max_tokens``); its doubt is 1 minus the best
    support, and the value is that of the most doubtful sentence. Evidence has every sentence with
    its best part. ``passed`` is false above 0.5 unless the suite sets a threshold, ``rate`` is the
    share of answers flagged, ``sentence_rate`` that of sentences.

    Needs the extra: pip install 'evalkit[local]'. You choose and bring the weights.
    """
    options = {
        "folder": folder,
        "model": model,
        "revision": revision,
        "max_tokens": max_tokens,
    }
    loaded = _local.of(options, "sequence")
    place = _supported(loaded.labels, supported)
    found: list[Score | Unscorable] = _local.each(
        lambda case, output: _judge(loaded, place, batch, case, output), pairs
    )
    return found


def _judge(loaded: _local.Local, place: int, batch: int, case: Case, output: Output) -> Score:
    parts = _local.texts_of(case, output)
    answer = _local.sound(output.text)
    claims = sentences(answer)
    if not claims:
        raise Unscorable("the answer has no words to judge")
    premises: list[str] = []
    hypotheses: list[str] = []
    rows: list[tuple[int, int, _local.Window]] = []
    for number, (start, end) in enumerate(claims):
        claim = answer[start:end]
        room = loaded.budget - len(loaded.offsets(claim)) - 8
        if room < 16:
            raise Unscorable("a sentence of the answer is too long for the model")
        for part, text in enumerate(parts):
            for window in loaded.windows(text, room) if text.strip() else ():
                premises.append(text[window.start : window.end])
                hypotheses.append(claim)
                rows.append((number, part, window))
    if len(rows) > _local.MOST_WINDOWS:
        raise Unscorable(f"{len(rows):,} passes through the model; too many for one answer")
    support = [
        float(value)
        for _, _, chances in loaded.run(premises, hypotheses, batch)
        for value in chances[:, place]
    ]
    best: dict[int, int] = {}
    for at, (number, _, _) in enumerate(rows):
        if number not in best or support[at] > support[best[number]]:
            best[number] = at
    doubts = [1.0 - support[best[number]] for number in range(len(claims))]
    evidence: list[Evidence] = []
    for number, (start, end) in enumerate(claims):
        _, part, window = rows[best[number]]
        evidence += [
            Evidence(
                source="output",
                start=start,
                end=end,
                text=output.text[start:end][:_SHOWN],
                reason="not entailed" if doubts[number] > THRESHOLD else "",
                value=doubts[number],
            ),
            Evidence(
                source=f"context:{part}",
                start=window.start,
                end=window.end,
                text=parts[part][window.start : window.end][:_SHOWN],
                reason=f"best part for output {start}–{end}",
                value=support[best[number]],
            ),
        ]
    worst = max(doubts)
    return Score(
        value=worst,
        passed=worst <= THRESHOLD,
        evidence=tuple(evidence),
        stats=(float(sum(one > THRESHOLD for one in doubts)), float(len(doubts))),
    )
