"""From claims to a score: what may be judged, the words of each reason, the rows of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from evalkit.errors import Unscorable
from evalkit.model import Case, Evidence, Metric, Output, Score
from evalkit.scorers._grounding_claims import Claim, claims
from evalkit.scorers._grounding_sentence import Reason
from evalkit.scorers._grounding_source import Source, prepare, stems_of

GROUNDED = "Is everything the answer says in its context?"
"""What people are asked whose answers these scorers estimate."""
LONGEST_ANSWER = 50_000
"""Characters of answer that are judged; a longer one is Unscorable, never judged in part."""
LONGEST_CONTEXT = 500_000
"""Characters of context that are read; more is Unscorable: what is unread is not missing."""
LONGEST_INPUTS = 20_000
"""Characters of the inputs whose words count as known."""
_ROWS = 200
_SHOWN = 400
_REASONS = 6


class Reading(NamedTuple):
    """One answer held against its context."""

    parts: tuple[str, ...]
    source: Source
    claims: list[Claim]


def read(case: Case, output: Output, *, trust_inputs: bool) -> Reading:
    """Hold an answer against what its target retrieved, or else against the case's context.

    Raises ``Unscorable`` without context, without a sentence to judge, and for texts too long to
    be read within a second.
    """
    parts = output.context or case.context
    if not any(one.strip() for one in parts):
        raise Unscorable("the case has no context")
    if len(output.text) > LONGEST_ANSWER:
        raise Unscorable(
            f"the answer has {len(output.text):,} characters; at most {LONGEST_ANSWER:,} are judged"
        )
    size = sum(map(len, parts))
    if size > LONGEST_CONTEXT:
        raise Unscorable(
            f"the context has {size:,} characters; at most {LONGEST_CONTEXT:,} are read"
        )
    if not output.text.strip():
        raise Unscorable("the answer is empty: nothing is claimed")
    source = prepare(tuple(parts))
    if not source.words:
        raise Unscorable("the context has no words")
    given = [case.inputs, [one.user for one in case.turns]]
    asked = stems_of(_texts(given)) if trust_inputs else frozenset()
    found = claims(source, output.text, asked)
    if not found:
        raise Unscorable("the answer has no words to judge")
    return Reading(tuple(parts), source, found)


def _texts(inputs: object) -> list[str]:
    left, found = LONGEST_INPUTS, []
    waiting: list[object] = [inputs]
    while waiting and left > 0:
        one = waiting.pop()
        if isinstance(one, str):
            found.append(one[:left])
            left -= len(found[-1])
        elif isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, (list, tuple)):
            waiting.extend(one)
    return found


def to_score(
    value: float, doubts: Sequence[float], reading: Reading, output: Output, threshold: float
) -> Score:
    """The score with a row for every sentence and, after it, one for its nearest evidence.

    ``doubts`` has one number from 0 to 1 a claim. Of very long answers the 200 most doubtful
    sentences have rows, in the order of the answer.
    """
    order = sorted(range(len(doubts)), key=lambda at: (-doubts[at], at))
    rows: list[Evidence] = []
    for at in sorted(order[:_ROWS]):
        rows.extend(_rows(reading, reading.claims[at], doubts[at], output.text))
    worst = reading.claims[order[0]]
    said = _words(worst.reasons, 3)
    return Score(
        value=value,
        passed=value <= threshold,
        reason=said or None,
        evidence=tuple(rows),
        stats=(float(sum(one > threshold for one in doubts)), float(len(doubts))),
    )


def _share(stats: Sequence[float]) -> float:
    return stats[0] / stats[1] if stats[1] else 0.0


sentence_rate = Metric("sentence_rate", "corpus", corpus_value=_share)
"""The share of all sentences whose own doubt is above the threshold of an answer."""


def _rows(reading: Reading, claim: Claim, doubt: float, answer: str) -> list[Evidence]:
    rows = [
        Evidence(
            source="output",
            start=claim.start,
            end=claim.end,
            text=answer[claim.start : claim.end][:_SHOWN],
            reason=_words(claim.reasons, _REASONS),
            value=doubt,
        )
    ]
    if claim.unit is not None:
        unit = reading.source.units[claim.unit]
        rows.append(
            Evidence(
                source=f"context:{unit.part}",
                start=unit.start,
                end=unit.end,
                text=reading.parts[unit.part][unit.start : unit.end][:_SHOWN],
                reason=f"nearest to output {claim.start}–{claim.end}",
                value=min(1.0, claim.coverage),
            )
        )
    return rows


_SAID = {
    "number": "number {} not in context",
    "time": "time {} not in context",
    "name": 'entity "{}" absent',
    "null": "{} is null in the data",
    "false": "{} is false in the data",
    "null_denied": "{} is null in the data",
    "measure": '"{}" is not how the context counts it',
    "true_denied": "{} is true in the data and denied",
    "hours": "hours {} differ from the data",
    "days": "no hours in the data for {}",
    "negation": '"{}" is not negated in context',
    "opposite": 'the context says the opposite of "{}"',
    "quote": 'quote "{}" not in context',
    "words": 'not in context: "{}"',
}


def _words(reasons: Sequence[Reason], most: int) -> str:
    said = dict.fromkeys(_SAID[one.kind].format(_short(one.text)) for one in reasons)
    return "; ".join(list(said)[:most])


def _short(text: str) -> str:
    return " ".join(text[:120].split())
