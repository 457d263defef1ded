"""The texts of a report's cases: which are worth their space, and how one case is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from evalkit.model import JSON, Evidence, Output, ScoreRecord, Trial, Turn
from evalkit.report.case import fails, took
from evalkit.report.dialogue import turn_took
from evalkit.report.page import CaseRows, CaseText, Mark, ScoreText, TrialText, TurnText
from evalkit.report.words import clean
from evalkit.secrets import redact

Fetch = Callable[[Sequence[str]], Mapping[str, tuple[Trial, ...]]]
"""The trials of these case ids, by id."""

CHUNK = 4_096
"""Cases fetched at a time."""
LONGEST = 20_000
"""Characters of one text; a longer one is cut, and the page says how much is missing."""
SAMPLE = 1_000
"""Cases of each kind where nothing moved whose texts are kept, if there is room: to compare."""
_FIRST = ("regressed", "error", "lost", "failed", "unscored")
_THEN = ("improved", "changed", "new", "removed", "flaky")
_WORSE = {"regressed", "error", "flaky", "failed"}
_SAMPLED = ("scored", "reworded", "same", "passed", "not run")


def in_order(rows: CaseRows) -> list[int]:
    """The rows in the order in which their texts are worth their space."""
    by_outcome: dict[str, list[int]] = {}
    for row, code in enumerate(rows.outcome):
        by_outcome.setdefault(rows.outcomes[code], []).append(row)
    order = [row for name in _FIRST for row in by_outcome.get(name, ())]
    order.sort()
    for name in _THEN:
        order += by_outcome.get(name, ())
    for name in _SAMPLED:
        found = by_outcome.get(name, [])
        order += found[:: max(1, -(-len(found) // SAMPLE))]
    return order


def case_texts(
    rows: CaseRows, candidate: Fetch, baseline: Fetch | None, *, room: int
) -> Iterator[CaseText]:
    """The texts in their order until ``room`` characters are used up; at least one."""
    used = 0
    order = in_order(rows)
    for start in range(0, len(order), CHUNK):
        chunk = order[start : start + CHUNK]
        ids = list(dict.fromkeys(rows.id[row] for row in chunk))
        after = candidate(ids)
        before = {} if baseline is None else baseline(ids)
        for row in chunk:
            one = _case(rows, row, before, after)
            used += _size(one)
            if used > room and start + chunk.index(row):
                return
            yield one


def _case(
    rows: CaseRows,
    row: int,
    before: Mapping[str, tuple[Trial, ...]],
    after: Mapping[str, tuple[Trial, ...]],
) -> CaseText:
    group, case_id = rows.groups[rows.group[row]], rows.id[row]

    def mine(side: Mapping[str, tuple[Trial, ...]]) -> list[Trial]:
        trials = side.get(case_id, ())
        return [one for one in trials if (one.suite, one.target) == (group.suite, group.target)]

    new, old = mine(after), mine(before)
    if not new and not old:
        return CaseText(row=row)
    first = (new or old)[0]
    case = first.case
    # of several trials the first that shows what became of the case is the one that is read
    outcome = rows.outcomes[rows.outcome[row]]
    if outcome in _WORSE:
        new, old = sorted(new, key=fails, reverse=True), sorted(old, key=fails)
    elif outcome == "improved":
        new, old = sorted(new, key=fails), sorted(old, key=fails, reverse=True)
    return CaseText(
        row=row,
        inputs=tuple((_text(name), _shown(value)) for name, value in case.inputs.items()),
        expected=None if case.expected is None else _shown(case.expected),
        context=tuple(map(_text, case.context)),
        # the first turn of a conversation stands among the others
        messages=tuple(
            (one.role, _text(one.content))
            for one in (first.messages[:-1] if case.turns else first.messages)
        ),
        before=tuple(_trial(one, len(old)) for one in old),
        after=tuple(_trial(one, len(new)) for one in new),
        turns=tuple(
            (_text(one.user), None if one.expected is None else _shown(one.expected))
            for one in case.turns
        ),
    )


def _text(text: str) -> str:
    text = redact(text)
    return text if len(text) <= LONGEST else text[:LONGEST]


def _shown(value: JSON) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return _text("\n".join(map(str, value)))
    return _text(json.dumps(value, ensure_ascii=False))


def _trial(trial: Trial, many: int) -> TrialText:
    number = [f"trial {trial.index}"] if many > 1 else []
    # what others wrote in them is clean already; redacted at once: a page has thousands
    facts = tuple(redact("\n".join([*number, *took(trial)])).split("\n"))
    scores = tuple(map(_score, trial.scores))
    if trial.output is None:
        status = f" (HTTP {trial.http_status})" if trial.http_status else ""
        error = f"{trial.error_class or 'error'}{status}: {trial.error or 'no reason given'}"
        turns = tuple(map(_turn, trial.turns))
        return TrialText(text=None, error=_text(error), facts=facts, scores=scores, turns=turns)
    output = trial.output
    whole = redact(output.text)
    return TrialText(
        text=whole[:LONGEST],
        cut=max(0, len(whole) - LONGEST),
        facts=facts,
        context=tuple(map(_text, output.context)),
        calls=_calls(output),
        scores=scores,
        turns=tuple(map(_turn, output.turns)),
    )


def _turn(turn: Turn) -> TurnText:
    output = turn.output
    whole = redact(output.text)
    return TurnText(
        user=_text(turn.user),
        text=whole[:LONGEST],
        cut=max(0, len(whole) - LONGEST),
        facts=tuple(clean(redact(one), lines=False) for one in turn_took(turn)),
        context=tuple(map(_text, output.context)),
        calls=_calls(output),
    )


def _calls(output: Output) -> tuple[str, ...]:
    return tuple(_text(f"{one.name}({one.arguments})") for one in output.tool_calls)


def _score(record: ScoreRecord) -> ScoreText:
    score = record.score
    if score is None:
        return ScoreText(
            name=record.name,
            signature=record.signature,
            label=str(record.status),
            reason=_text(record.reason or ""),
        )
    return ScoreText(
        name=record.name,
        signature=record.signature,
        value=score.value,
        passed=score.passed,
        label=_text(score.label or ""),
        reason=_text(score.reason or ""),
        marks=tuple(_mark(one) for one in score.evidence if one.start < LONGEST),
    )


def _mark(one: Evidence) -> Mark:
    return Mark(
        source=one.source,
        start=one.start,
        end=min(one.end, LONGEST),
        text=_text(one.text)[:400],
        reason=_text(one.reason),
        value=one.value,
    )


def _size(one: CaseText) -> int:
    """About how many characters a case takes."""
    size = 200 + len(one.expected or "")
    size += sum(len(text) for _, text in (*one.inputs, *one.messages)) + sum(map(len, one.context))
    for trial in (*one.before, *one.after):
        size += 100 + len(trial.text or trial.error) + sum(map(len, trial.context))
        size += sum(
            120 + len(one.user) + len(one.text) + sum(map(len, one.context)) for one in trial.turns
        )
        size += sum(120 + len(score.reason) for score in trial.scores)
        size += sum(80 + len(mark.text) for score in trial.scores for mark in score.marks)
    return size
