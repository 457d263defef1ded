"""Which words of an answer its context does not support, by a token classifier on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Evidence, Metric, Output, Score, flagged, mean
from evalkit.registry import scorer
from evalkit.scorers import _local
from evalkit.scorers._grounding_result import GROUNDED

_SHOWN = 400


def _prepare(options: Mapping[str, Any]) -> str:
    if not 0 < options["at"] < 1:
        raise ValueError(f"at lies between 0 and 1, not {options['at']:g}")
    named = _local.prepare(options, "token")
    _hallucinated(_local.of(options, "token").labels, options["label"])
    return named


def _hallucinated(labels: Sequence[str], wanted: str | None) -> int:
    if wanted is not None:
        if wanted not in labels:
            raise ValueError(f"the model's labels are {', '.join(labels)}, not {wanted!r}")
        return labels.index(wanted)
    for at, one in enumerate(labels):
        if one.lower().startswith(("halluc", "unsupported", "not_supported")):
            return at
    if len(labels) == 2:
        return 1  # as LettuceDetect numbers them
    raise ValueError(f"say which label is hallucinated: label: one of {', '.join(labels)}")


def _share(stats: Sequence[float]) -> float:
    return stats[0] / stats[1] if stats[1] else 0.0


@scorer(
    needs=("context",),
    metrics=(mean, flagged, Metric("text_rate", "corpus", corpus_value=_share)),
    direction="lower",
    question=GROUNDED,
    batch=True,
    prepare=_prepare,
    usage="hallucination_spans: {folder: models/lettucedetect}",
    card=ScorerCard(
        family="hallucination",
        cost="free: a model on this machine's CPU, often a second or more an answer",
        blind=(
            "what the model was not trained on: most such models know English and RAG answers",
            "words that need two far places of a long context: each part is read alone",
            "its own prompt: question and context are given as they are, one below the other",
            "your data: measure the model on labels of your own before a gate rests on it",
        ),
    ),
)
def hallucination_spans(
    pairs: Sequence[tuple[Case, Output]],
    *,
    folder: Path | None = None,
    model: str | None = None,
    revision: str | None = None,
    label: str | None = None,
    question: str = "question",
    at: float = 0.5,
    batch: int = 4,
    max_tokens: int | None = None,
) -> list[Score | Unscorable]:
    """Which words of an answer its context does not support, by a token classifier.

    Any token classifier of transformers that reads a context and an answer, such as LettuceDetect.
    From a ``folder`` of the project, or a hub's ``model`` at the commit ``revision``, which is
    fetched once unless HF_HUB_OFFLINE is set. ``label`` is the label of words that are not
    supported. The input ``question``, if the case has it, stands before the context. A context
    beyond the model's tokens is read in parts, and a word is as doubtful as in the part that
    supports it best. The value is the highest doubt of a word; neighbours above ``at`` make a span,
    one row of evidence each. ``passed`` is false when there is a span, unless the suite sets a
    threshold; ``rate`` is the share of answers flagged, ``text_rate`` that of characters.

    Needs the extra: pip install 'evalkit[local]'. You choose and bring the weights.
    """
    options = {"folder": folder, "model": model, "revision": revision, "max_tokens": max_tokens}
    loaded = _local.of(options, "token")
    place = _hallucinated(loaded.labels, label)
    found: list[Score | Unscorable] = _local.each(
        lambda case, output: _judge(
            loaded, place, case, output, question=question, limit=at, batch=batch
        ),
        pairs,
    )
    return found


def _judge(
    loaded: _local.Local,
    place: int,
    case: Case,
    output: Output,
    *,
    question: str,
    limit: float,
    batch: int,
) -> Score:
    asked = case.inputs.get(question, case.said)
    context = "\n\n".join(one for one in _local.texts_of(case, output) if one.strip())
    head = f"{_local.sound(asked)}\n\n" if isinstance(asked, str) else ""
    answer = _local.sound(output.text)
    pieces = loaded.windows(answer, max(16, loaded.budget // 2))
    used = max(len(loaded.offsets(answer[one.start : one.end])) for one in pieces)
    room = loaded.budget - used - len(loaded.offsets(head)) - 8
    if room < 16:
        raise Unscorable("the question leaves no room for the context within the model's tokens")
    parts = loaded.windows(context, room)
    if len(parts) * len(pieces) > _local.MOST_WINDOWS:
        raise Unscorable("too many passes through the model for one answer")
    doubts: dict[tuple[int, int], float] = {}
    for piece in pieces:
        firsts = [head + context[one.start : one.end] for one in parts]
        seconds = [answer[piece.start : piece.end]] * len(parts)
        for row in _words(loaded, place, firsts, seconds, batch):
            for (start, end), doubt in row.items():
                where = (piece.start + start, piece.start + end)
                doubts[where] = min(doubt, doubts.get(where, 1.0))
    spans = _spans(doubts, limit, answer)
    evidence = tuple(
        Evidence(
            source="output",
            start=start,
            end=end,
            text=output.text[start:end][:_SHOWN],
            reason="not supported by the context",
            value=doubt,
        )
        for start, end, doubt in spans
    )
    size = float(sum(end - start for start, end, _ in spans))
    return Score(
        value=max(doubts.values(), default=0.0),
        passed=not spans,
        evidence=evidence,
        stats=(size, float(len(answer))),
    )


def _words(
    loaded: _local.Local, place: int, firsts: list[str], seconds: list[str], batch: int
) -> list[dict[tuple[int, int], float]]:
    """The doubt of every token of the second texts, by its place in them."""
    rows = []
    for coded, offsets, chances in loaded.run(firsts, seconds, batch):
        for number in range(len(offsets)):
            row = {}
            for token, side in enumerate(coded.sequence_ids(number)):
                start, end = offsets[number][token].tolist()
                if side == 1 and end > start:
                    row[start, end] = float(chances[number, token, place])
            rows.append(row)
    return rows


def _spans(
    doubts: Mapping[tuple[int, int], float], limit: float, answer: str
) -> list[tuple[int, int, float]]:
    """Neighbouring tokens above the limit as one, with the highest doubt among them."""
    spans: list[tuple[int, int, float]] = []
    for (start, end), doubt in sorted(doubts.items()):
        if doubt <= limit:
            continue
        if spans and not answer[spans[-1][1] : start].strip():
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]), max(doubt, spans[-1][2]))
        else:
            spans.append((start, end, doubt))
    return spans
