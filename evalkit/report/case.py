"""One case of a run with everything that happened to it, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from evalkit.model import JSON, Evidence, Output, ScoreRecord, Trial
from evalkit.report import words
from evalkit.report.screen import Column, Screen, flow, grid, labelled

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

LABEL = 10
SHOWN = 4_000
"""Characters of one text that are shown; ``--json`` has it whole."""
MORE = "--json"
_READ = 5
"""How many times as many are looked at: writing may shorten most of them."""


def case_json(trials: Sequence[Trial]) -> dict[str, Any]:
    """The case and its trials as JSON values."""
    import dataclasses

    case = trials[0].case
    return {
        "kind": "case",
        "format": 1,
        "run_id": trials[0].run_id,
        "case": {**dataclasses.asdict(case), "input_id": case.input_id},
        "trials": [
            {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in dataclasses.asdict(one).items()
                if name not in {"case", "run_id"}
            }
            for one in trials
        ],
    }


def case_text(trials: Sequence[Trial], screen: Screen) -> str:
    """The case and its trials for a terminal; of texts of others all is seen, and none steers."""
    from rich.text import Text

    case = trials[0].case
    head = Text(_one_line(case.name or case.id), style="bold")
    head.append(f"  run {trials[0].run_id}", style="not bold")
    parts: list[RenderableType] = [head]
    facts = [f"id {case.id}"]
    if case.row:
        facts.append(f"row {words.count(case.row)}")
    facts += [f"{_one_line(name)}={_one_line(value)}" for name, value in case.tags.items()]
    parts.append(Text(flow(facts, screen.width), style="dim"))
    parts.append("")
    parts += [field(_one_line(name), value, screen) for name, value in case.inputs.items()]
    parts += [
        field(f"context {place}", passage, screen) for place, passage in enumerate(case.context)
    ]
    if case.expected is not None:
        parts.append(field("expected", case.expected, screen))
    if case.turns:
        from evalkit.report.dialogue import script_parts

        parts += script_parts(case, screen)
    messages: object = None
    for one in trials:
        parts += ["", *_trial(one, screen, repeated=one.messages == messages)]
        messages = one.messages
    return screen.render(parts)


def _one_line(text: str) -> str:
    return words.clean(text, lines=False)


def shown(value: JSON, limit: int = SHOWN, more: str = MORE) -> str:
    """A text, a list of texts or any value, safe to show and cut to what a screen takes."""
    if isinstance(value, str):
        text = words.quoted(value)
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        text = "\n".join(str(one) for one in value)
    else:
        text = json.dumps(value, ensure_ascii=False)
    seen = words.seen(text[: _READ * limit])
    rest = _rest(len(seen), len(text), limit)
    return f"{seen[:limit]}\n[{words.count(rest)} more characters: {more}]" if rest else seen


def _rest(written: int, length: int, limit: int) -> int:
    """How many characters are not shown: of those written, and of the ``length`` not looked at."""
    return max(0, written - limit) + max(0, length - _READ * limit)


def field(
    label: str, value: JSON | Text, screen: Screen, *, limit: int = SHOWN, more: str = MORE
) -> RenderableType:
    """A text of others under its label, safe to show; ``more`` says how to see what is cut."""
    from rich.text import Text

    text = value if isinstance(value, Text) else Text(shown(value, limit, more))
    name = words.cut(label, LABEL - 1)
    return labelled(screen.say(name), text, LABEL)


def _trial(trial: Trial, screen: Screen, *, repeated: bool) -> list[RenderableType]:
    from rich.text import Text

    failed = trial.output is None
    mark, style = ("✕", "red") if failed else ("✓", "green")
    head = Text(f"{screen.say(mark)} ", style=f"bold {style}")
    head.append(f"{_one_line(trial.suite)} / {_one_line(trial.target)}", style="bold default")
    head.append(f"  trial {trial.index}", style="not bold default")
    parts: list[RenderableType] = [head]
    # the first turn of a conversation stands among the others
    sent = trial.messages[:-1] if trial.case.turns else trial.messages
    if repeated and sent:
        parts.append(field("messages", "as above", screen))
    else:
        parts += [field(one.role, one.content, screen) for one in sent]
    if trial.case.turns:
        from evalkit.report.dialogue import turn_parts

        parts += turn_parts(trial, screen)
    if trial.output is None:
        status = f" (HTTP {trial.http_status})" if trial.http_status else ""
        what = f"{trial.error_class or 'error'}{status}: {trial.error or 'no reason given'}"
        parts.append(field("error", what, screen))
    else:
        parts += _output(trial.output, trial, screen)
    parts.append(
        field("took", flow([screen.say(one) for one in took(trial)], screen.width - LABEL), screen)
    )
    if trial.scores:
        parts.append(_scores(trial.scores, screen))
        for one in trial.scores:
            parts += _why(one, screen)
    return parts


def _output(output: Output, trial: Trial, screen: Screen) -> list[RenderableType]:
    cited = [
        piece
        for one in trial.scores
        if one.score is not None
        for piece in one.score.evidence
        if piece.source == "output"
    ]
    parts: list[RenderableType] = []
    if not output.turns:
        parts.append(field("output", highlighted(output.text, cited), screen))
        parts += [
            field("tool call", f"{one.name}({one.arguments})", screen) for one in output.tool_calls
        ]
        parts += [
            field(f"found {place}", passage, screen) for place, passage in enumerate(output.context)
        ]
    for one in output.legs:
        said = [one.target, one.model or "", words.money(one.cost_usd)]
        if one.latency_s is not None:
            said.append(words.duration(one.latency_s))
        if one.error_class is not None:
            said.append(f"failed: {one.error_class}")
        parts.append(field("leg", "  ".join(part for part in said if part), screen))
    return parts


def highlighted(
    text: str, pieces: Sequence[Evidence], *, limit: int = SHOWN, more: str = MORE
) -> Text:
    """The output with the evidence underlined; positions count characters of the stored text."""
    from rich.text import Text

    length, text = len(text), text[: _READ * limit]
    marks = [False] * len(text)
    for one in pieces:
        for place in range(max(0, one.start), min(one.end, len(text))):
            marks[place] = True
    found = Text()
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or marks[end] != marks[start]:
            found.append(words.seen(text[start:end]), style="underline" if marks[start] else "")
            start = end
    if rest := _rest(len(found), length, limit):
        found = found[:limit]
        found.append(f"\n[{words.count(rest)} more characters: {more}]")
    return found if text.strip() else Text(words.quoted(text))


def fails(trial: Trial) -> bool:
    """Whether a trial has no answer, or one that a scorer fails."""
    return trial.output is None or any(
        one.score is not None and one.score.passed is False for one in trial.scores
    )


def took(trial: Trial) -> list[str]:
    """What a trial took, a fact a text: times, tokens, cost, provenance, attempts."""
    said = []
    output = trial.output
    if output is not None:
        if output.latency_s is not None:
            said.append(f"latency {words.quantity(output.latency_s, 's')}")
        if output.ttft_s is not None:
            said.append(f"ttft {words.quantity(output.ttft_s, 's')}")
        if output.inter_token is not None:
            gap = words.quantity(output.inter_token.mean_s, "s")
            said.append(f"between pieces {gap}")
        usage = output.usage
        if usage.input_tokens is not None or usage.output_tokens is not None:
            said.append(f"tokens {_tokens(trial)}")
        said.append(f"cost {words.money(output.cost_usd)}")
        if output.provenance != "live":
            said.append(f"from {output.provenance}")
        if output.origin is not None:
            at = words.instant(output.origin.answered_at)
            said.append(f"first answered in {output.origin.run_id} at {at} UTC")
        if output.model:
            said.append(f"model {_one_line(output.model)}")
        if output.finish_reason:
            said.append(f"finish {_one_line(output.finish_reason)}")
    if trial.spend.assumed_usd:
        said.append(f"attempts without usage up to {words.money(trial.spend.assumed_usd)}")
    said.append(words.counted(trial.attempts, "attempt"))
    if trial.after_kill:
        said.append("asked before too, when the run was killed")
    said.append(f"total {words.duration(trial.total_s)}")
    return said


def _tokens(trial: Trial) -> str:
    assert trial.output is not None
    usage = trial.output.usage
    sent, answered = (
        words.UNKNOWN if one is None else words.count(one)
        for one in (usage.input_tokens, usage.output_tokens)
    )
    parts = {
        "cached": usage.cached_tokens,
        "cache write": usage.cache_write_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    more = ", ".join(f"{words.count(value)} {name}" for name, value in parts.items() if value)
    return f"{sent} → {answered}{f' ({more})' if more else ''}"


def _scores(records: Sequence[ScoreRecord], screen: Screen) -> RenderableType:
    def value(record: ScoreRecord) -> str:
        return str(record.status) if record.score is None else words.number(record.score.value)

    def passed(record: ScoreRecord) -> str:
        decided = None if record.score is None else record.score.passed
        return "" if decided is None else ("✓ pass" if decided else "✕ fail")

    return grid(
        [
            Column(head="score", cells=[_one_line(one.name) for one in records], fold=True),
            Column(head="", cells=[screen.say(value(one)) for one in records], right=True),
            Column(head="", cells=[screen.say(passed(one)) for one in records]),
            Column(
                head="label",
                cells=[_one_line(one.score.label or "") if one.score else "" for one in records],
                drop=2,
            ),
            Column(
                head="signature",
                cells=[_one_line(one.signature) for one in records],
                drop=3,
                style="dim",
            ),
        ],
        screen,
    )


def has_place(piece: Evidence) -> bool:
    """Whether evidence stands in a text: what a judge said, or a turn got, stands in none."""
    inner = piece.source.split(":", 2)[-1] if piece.source.startswith("turn:") else piece.source
    return not is_verdict_of_turn(piece) and not inner.startswith("judge:")


def is_verdict_of_turn(piece: Evidence) -> bool:
    """Whether evidence is what one turn of a conversation got."""
    return piece.source.startswith("turn:") and piece.source.count(":") == 1


def _why(record: ScoreRecord, screen: Screen) -> list[RenderableType]:
    reason = record.reason if record.score is None else record.score.reason
    parts = []
    if reason:
        parts.append(field("why", f"{_one_line(record.name)}: {reason}", screen))
    if record.score is not None:
        for one in record.score.evidence:
            # what a judge said stands in no text, and has no place in one
            place = f" {one.start}–{one.end}" if has_place(one) else ""
            said = f'{one.source}{place}: "{words.seen(words.cut(one.text, 300), lines=False)}"'
            if is_verdict_of_turn(one):
                value = "" if one.value is None else f" {words.number(one.value)}"
                turn = one.source.replace(":", " ")
                said = f"{_one_line(record.name)}, {turn}: {_one_line(one.text)}{value}"
            if one.reason:
                said += f" ({_one_line(one.reason)})"
            parts.append(field("evidence", screen.say(said), screen))
    return parts
