"""Several verdicts on one output as one: a majority or a mean, with who said what."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from evalkit.errors import Unscorable
from evalkit.model import Evidence, Metric, Output, Score
from evalkit.scorers._verdict import InvalidVerdict, Scale, read_object

_REASON = 2_000
_QUOTES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One verdict of one judge."""

    judge: str
    label: str
    value: float
    reason: str
    quotes: tuple[str, ...] = ()


def read_vote(output: Output, judge: str, scale: Scale) -> Vote:
    """The verdict that a judge's answer holds; raises ``InvalidVerdict``."""
    found = read_object(output, "verdict")
    label = scale.read(found["verdict"])
    return Vote(
        judge=judge,
        label=label,
        value=scale.value(label),
        reason=text_of(found.get("reason"))[:_REASON],
        quotes=quotes_of(found.get("quotes")),
    )


def text_of(value: Any) -> str:
    """A text of a judge on one line; raises ``InvalidVerdict`` for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidVerdict("a reason is no text")
    return " ".join(value.split())


def quotes_of(value: Any) -> tuple[str, ...]:
    """The quotes a judge gave, empty ones left out."""
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        return ()
    return tuple(one for one in value if isinstance(one, str) and one.strip())[:_QUOTES]


def combined(
    votes: Sequence[Vote], scale: Scale, combine: Literal["majority", "mean"], output: Output
) -> Score:
    """One score of all votes; raises ``Unscorable`` when a majority is wanted and there is none."""
    counts = Counter(one.label for one in votes)
    (label, most), *others = counts.most_common()
    if combine == "majority":
        if others and others[0][1] == most:
            raise Unscorable(f"the judges are split: {_counts(counts)}")
        value = scale.value(label)
    else:
        value = sum(one.value for one in votes) / len(votes)
    return Score(
        value=value,
        passed=scale.passes(value),
        label=label if combine == "majority" or not others else None,
        reason=_reason(votes, counts, label) or None,
        evidence=(*quoted(votes, output), *_rows(votes)),
        stats=_pairs(counts) if len(votes) > 1 else (),
    )


def _pairs(counts: Counter[str]) -> tuple[float, float]:
    """How many pairs of votes are the same, and how many there are."""
    n = counts.total()
    return float(sum(math.comb(one, 2) for one in counts.values())), float(math.comb(n, 2))


def _agreement(stats: Sequence[float]) -> float:
    return stats[0] / stats[1]


agreement = Metric("agreement", "corpus", corpus_value=_agreement)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} say {label!r}" for label, count in counts.most_common())


def _reason(votes: Sequence[Vote], counts: Counter[str], label: str) -> str:
    said = next((one.reason for one in votes if one.label == label and one.reason), "")
    if len(votes) == 1:
        return said
    other = next((one for one in votes if one.label != label), None)
    parts = [f"{_counts(counts)} of {len(votes)}", said]
    if other is not None:
        parts.append(f"against it ({other.judge}, {other.label}): {other.reason}")
    return "; ".join(one for one in parts if one)


def _rows(votes: Iterable[Vote]) -> list[Evidence]:
    return [
        Evidence(
            source=f"judge:{one.judge}",
            start=0,
            end=0,
            text=one.label,
            reason=one.reason,
            value=one.value,
        )
        for one in votes
    ]


def quoted(votes: Iterable[Vote], output: Output) -> list[Evidence]:
    """Where the answer holds what judges quoted of it; a quote that is not there is left out."""
    rows: dict[tuple[int, int], Evidence] = {}
    for one in votes:
        for quote in one.quotes:
            at = output.text.find(quote)
            if at >= 0 and len(rows) < _QUOTES:
                row = Evidence(
                    source="output",
                    start=at,
                    end=at + len(quote),
                    text=quote[:400],
                    reason=one.reason[:400],
                    value=1.0 - one.value,
                )
                rows.setdefault((row.start, row.end), row)
    return [rows[one] for one in sorted(rows)]
