"""One case in two runs side by side: what was changed, what came of it, and how it was scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evalkit.config.prompt_diff import Piece, diff_words, words_between
from evalkit.gate.comparability import target_changes
from evalkit.model import JSON, Output, PromptVersion, Run, Trial
from evalkit.report import words
from evalkit.report.case import LABEL, SHOWN, field, shown
from evalkit.report.dialogue import script_parts
from evalkit.report.screen import Column, Screen, flow, grid, labelled

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

ALIKE = 0.35
"""Two texts that share less are shown one after the other: a diff of them says nothing."""
NEAR = 200
"""Characters around a change that are shown of a long text."""
TRIALS = 12
MEASURED = frozenset({"cost", "latency", "tokens", "ttft"})
"""Scorers of what an answer took: they differ for the same text, and say nothing of its quality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """A case as one target answered it in a suite, in both runs; ``before`` may be empty."""

    suite: str
    target: str
    before: tuple[Trial, ...]
    after: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreChange:
    """The mean of one scorer over the trials of each run; ``None`` where there is none."""

    name: str
    before: float | None
    after: float | None
    signatures: tuple[str, str]
    reason: str = ""


def sides(before: Sequence[Trial], after: Sequence[Trial]) -> list[Sides]:
    """The trials of a case by suite and target, those of the candidate in its order."""
    keys = dict.fromkeys((one.suite, one.target) for one in (*after, *before))
    return [
        Sides(
            suite=suite,
            target=target,
            before=tuple(one for one in before if (one.suite, one.target) == (suite, target)),
            after=tuple(one for one in after if (one.suite, one.target) == (suite, target)),
        )
        for suite, target in keys
    ]


def score_changes(both: Sides) -> list[ScoreChange]:
    """Every scorer's mean in both runs, in the candidate's order."""
    names = dict.fromkeys(
        record.name for one in (*both.after, *both.before) for record in one.scores
    )
    found = []
    for name in names:
        old, new = (_of(side, name) for side in (both.before, both.after))
        found.append(
            ScoreChange(
                name=name,
                before=old[0],
                after=new[0],
                signatures=(old[1], new[1]),
                reason=new[2],
            )
        )
    return found


def _of(trials: Sequence[Trial], name: str) -> tuple[float | None, str, str]:
    records = [record for one in trials for record in one.scores if record.name == name]
    values = [record.score.value for record in records if record.score is not None]
    reasons = [
        text
        for record in records
        if (text := record.reason if record.score is None else record.score.reason)
    ]
    mean = sum(values) / len(values) if values else None
    return mean, records[0].signature if records else "", reasons[0] if reasons else ""


def verdict_on(both: Sides, changes: Sequence[ScoreChange]) -> str:
    """What became of the case, in a few words."""
    if not both.before:
        return "new: the baseline has no such case here"
    if not both.after:
        return "removed, or not run: the candidate has no such case here"
    if any(one.output is None for one in both.after):
        return "error: the candidate did not answer"
    judged = [one for one in changes if _scorer(one) not in MEASURED]
    if _texts(both.before) == _texts(both.after):
        moved = any(one.before != one.after for one in judged)
        return "same text; the scorer moved, not the model" if moved else "the same"
    flaky = len({one.before == one.after for one in judged}) > 1 and len(_texts(both.after)) > 1
    if all(one.before == one.after for one in judged):
        return "reworded: other words, the same scores"
    return "the scores moved; its trials disagree" if flaky else "the scores moved"


def _scorer(change: ScoreChange) -> str:
    """The scorer behind the name a suite gave it: a signature begins with it."""
    return (change.signatures[1] or change.signatures[0]).partition("|")[0] or change.name


def _texts(trials: Sequence[Trial]) -> list[tuple[str, ...] | None]:
    return sorted({_answers(one) for one in trials}, key=str)


def _answers(trial: Trial) -> tuple[str, ...] | None:
    """Every answer of a trial, several in a conversation; ``None`` when it failed."""
    if trial.output is None:
        return None
    return tuple(answer_of(one.output) for one in trial.turns) or (answer_of(trial.output),)


def answer_of(output: Output) -> str:
    """An answer with its tool calls, as it is compared."""
    return words.answered(
        output.text, (f"{one.name}({one.arguments})" for one in output.tool_calls)
    )


def why_json(both: Sequence[Sides], baseline: Run, candidate: Run) -> dict[str, Any]:
    """The same as JSON values."""
    from dataclasses import asdict

    found = []
    for one in both:
        changes = score_changes(one)
        found.append(
            {
                "suite": one.suite,
                "target": one.target,
                "what": verdict_on(one, changes),
                "changes": [
                    asdict(each) for each in target_changes(baseline, candidate, one.target)
                ],
                "scores": [asdict(each) for each in changes],
                "baseline": [_trial_json(each) for each in one.before],
                "candidate": [_trial_json(each) for each in one.after],
            }
        )
    case = (both[0].after or both[0].before)[0].case
    return {
        "kind": "why",
        "case": {"id": case.id, "name": case.name},
        "baseline": baseline.id,
        "candidate": candidate.id,
        "targets": found,
    }


def _trial_json(trial: Trial) -> dict[str, JSON]:
    return {
        "trial": trial.index,
        "output": None if trial.output is None else trial.output.text,
        "error": trial.error,
        **(
            {"turns": [{"user": one.user, "output": one.output.text} for one in trial.turns]}
            if trial.case.turns
            else {}
        ),
        "scores": {
            one.name: None if one.score is None else one.score.value for one in trial.scores
        },
    }


def why_text(both: Sequence[Sides], baseline: Run, candidate: Run, screen: Screen) -> str:
    """The case for a terminal; of texts of models and files all is seen, and none steers."""
    from rich.text import Text

    case = (both[0].after or both[0].before)[0].case
    name = _line(case.name or case.id)
    head = Text(name, style="bold")
    said = [f"id {case.id}", *(f"{_line(key)}={_line(one)}" for key, one in case.tags.items())]
    parts: list[RenderableType] = [head, Text(flow(said, screen.width), style="dim")]
    parts.append(Text(screen.say(f"baseline {baseline.id} → candidate {candidate.id}")))
    parts.append("")
    parts += [field(_line(key), Text(shown(value)), screen) for key, value in case.inputs.items()]
    if case.expected is not None:
        parts.append(field("expected", Text(shown(case.expected)), screen))
    parts += script_parts(case, screen)
    for one in both:
        parts += ["", *_target(one, baseline, candidate, screen)]
    parts.append("")
    parts.append(
        labelled("next", f"evalkit show {candidate.id} {words.typed(case.name, case.id)}", LABEL)
    )
    return screen.render(parts)


def _target(both: Sides, baseline: Run, candidate: Run, screen: Screen) -> list[RenderableType]:
    from rich.text import Text

    changes = score_changes(both)
    head = Text(f"{_line(both.suite)} / {_line(both.target)}", style="bold")
    head.append(f"  {verdict_on(both, changes)}", "not bold")
    parts: list[RenderableType] = [head]
    if both.before and both.after:
        parts += _caused(both, baseline, candidate, screen)
    parts += _outputs(both, changes, screen)
    if changes:
        parts.append(_scores(changes, screen))
        parts += [
            field("why", Text(f"{_line(one.name)}: {shown(one.reason)}"), screen)
            for one in changes
            if one.reason and one.before != one.after
        ]
        parts += [
            field("!", Text(f"{_line(one.name)} was scored by another version"), screen)
            for one in changes
            if all(one.signatures) and one.signatures[0] != one.signatures[1]
        ]
    if len(both.before) + len(both.after) > 2:
        parts.append(_trials(both, screen))
    return parts


def _caused(both: Sides, baseline: Run, candidate: Run, screen: Screen) -> list[RenderableType]:
    """What the candidate set out to change: the prompt word by word, every parameter."""
    from rich.text import Text

    parts: list[RenderableType] = [
        field("change", Text(screen.say(_line(one.text))), screen)
        for one in target_changes(baseline, candidate, both.target)
    ]
    parts += prompt_changes(baseline, candidate, both.target, screen, seen=set())
    sent = [_sent(side) for side in (both.before, both.after)]
    if sent[0] == sent[1] and parts:
        parts.append(field("", Text("what was sent for this case is the same"), screen))
    return parts


def prompt_changes(
    baseline: Run, candidate: Run, target: str, screen: Screen, *, seen: set[str]
) -> list[RenderableType]:
    """The prompt of a target word by word; nothing when it is equal, or ``seen`` already."""
    old, new = (_prompt(run, target) for run in (baseline, candidate))
    if old is None or new is None or old.version == new.version:
        return []
    if f"{old.version} {new.version}" in seen:
        return []
    seen.add(f"{old.version} {new.version}")
    return [
        field(f"line {one.new_line}", _pieces(one.pieces, screen), screen)
        for one in diff_words(*words.apart(old.text, new.text))
    ]


def _prompt(run: Run, target: str) -> PromptVersion | None:
    version = next((one.prompt_version for one in run.targets if one.name == target), None)
    return next((one for one in run.prompts if one.version == version), None)


def _sent(trials: Sequence[Trial]) -> tuple[tuple[str, str], ...]:
    return tuple((one.role, one.content) for one in trials[0].messages)


def _outputs(both: Sides, changes: Sequence[ScoreChange], screen: Screen) -> list[RenderableType]:

    first, second = _typical(both.before), _furthest(both, changes)
    if any(one.case.turns for one in (*both.before[:1], *both.after[:1])):
        return _turns(
            first or next(iter(both.before), None), second or next(iter(both.after), None), screen
        )
    old, new = (
        None if one is None or one.output is None else answer_of(one.output)
        for one in (first, second)
    )
    if old is None or new is None or old == new:
        return [
            field(label, _quoted(text, trials), screen)
            for label, text, trials in (
                ("output" if old == new else "base", old, both.before),
                ("cand", new, both.after),
            )
            if trials and not (label == "cand" and old == new)
        ]
    return _difference("output", old, new, screen)


def _difference(label: str, old: str, new: str, screen: Screen) -> list[RenderableType]:
    """Two texts word by word, or one after the other where a diff would say nothing."""
    from rich.text import Text

    written = words.apart(old, new)
    pieces = words_between(*written)
    if words.alike(old, new):
        return [
            field(label, Text("the same but for what cannot be seen"), screen),
            field("", _pieces(pieces, screen), screen),
        ]
    same = sum(len(one.text) for one in pieces if one.kind == "same")
    if 2 * same < ALIKE * sum(map(len, written)):
        return [
            field(label, Text("hardly a word is shared: both are shown"), screen),
            field("base", Text(shown(old)), screen),
            field("cand", Text(shown(new)), screen),
        ]
    return [field(label, _pieces(_near(pieces), screen), screen)]


def _near(pieces: Sequence[Piece]) -> list[Piece]:
    """A word diff; of a long one what both have only near the changes."""
    if sum(len(one.text) for one in pieces) <= SHOWN:
        return list(pieces)
    found = []
    for place, one in enumerate(pieces):
        before = NEAR if place else 0
        after = NEAR if place < len(pieces) - 1 else 0
        left = len(one.text) - before - after
        if one.kind == "same" and left > NEAR:
            said = f" [{words.count(left)} characters that both have] "
            text = f"{one.text[:before]}{said}{one.text[len(one.text) - after :]}"
            found.append(Piece("same", text))
        else:
            found.append(one)
    return found


def _turns(old: Trial | None, new: Trial | None, screen: Screen) -> list[RenderableType]:
    """A conversation turn by turn, each answer of the candidate against that of the baseline."""
    from rich.text import Text

    both = [one for one in (old, new) if one is not None]
    parts: list[RenderableType] = []
    for place in range(max((len(one.turns) for one in both), default=0)):
        number = place + 1
        turns = [one.turns[place] if place < len(one.turns) else None for one in both]
        asked = dict.fromkeys(one.user for one in turns if one is not None)
        parts += [field(f"user {number}", Text(shown(text)), screen) for text in asked]
        said = [None if one is None else answer_of(one.output) for one in turns]
        texts = [one for one in said if one is not None]
        if len(texts) == 2 and texts[0] != texts[1]:
            parts += _difference(f"answer {number}", texts[0], texts[1], screen)
        elif len(texts) == 1 and len(both) == 2:
            side = "base" if said[1] is None else "cand"
            parts.append(field(f"{side} {number}", Text(shown(texts[0]) or '""'), screen))
        else:
            parts.append(field(f"answer {number}", Text(shown(texts[0]) or '""'), screen))
    for one, side in ((old, "base"), (new, "cand")):
        if one is not None and one.output is None:
            parts.append(field(side, _quoted(None, [one]), screen))
    return parts


def _quoted(text: str | None, trials: Sequence[Trial]) -> Text:
    from rich.text import Text

    if text is None:
        failed = next((one for one in trials if one.output is None), None)
        reason = "no answer" if failed is None else f"{failed.error_class}: {failed.error}"
        return Text(shown(reason), style="red")
    return Text(shown(text) or '""')


def _typical(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the answer that the most trials gave, the first of them."""
    answered = [one for one in trials if one.output is not None]
    texts = [_answers(one) for one in answered]
    return max(answered, key=lambda one: texts.count(_answers(one))) if answered else None


def _furthest(both: Sides, changes: Sequence[ScoreChange]) -> Trial | None:
    """The candidate's trial that is furthest from the baseline's scores, the first of them."""
    was = {one.name: one.before for one in changes if one.before is not None}

    def distance(trial: Trial) -> float:
        return sum(
            abs(one.score.value - was[one.name])
            for one in trial.scores
            if one.score is not None and one.name in was
        )

    answered = [one for one in both.after if one.output is not None]
    return max(answered, key=distance) if answered else None


def _scores(changes: Sequence[ScoreChange], screen: Screen) -> RenderableType:
    def number(value: float | None) -> str:
        return screen.say(words.NONE if value is None else words.score(value))

    def change(one: ScoreChange) -> str:
        if one.before is None or one.after is None or one.before == one.after:
            return ""
        sign = "" if one.after < one.before else "+"
        return screen.say(f"{sign}{words.score(one.after - one.before)}")

    return grid(
        [
            Column(head="score", cells=[_line(one.name) for one in changes], fold=True),
            Column(head="base", cells=[number(one.before) for one in changes], right=True),
            Column(head="cand", cells=[number(one.after) for one in changes], right=True),
            Column(head="change", cells=[change(one) for one in changes], right=True),
            Column(
                head="signature",
                cells=[_line(one.signatures[1] or one.signatures[0]) for one in changes],
                drop=1,
                style="dim",
            ),
        ],
        screen,
    )


def _trials(both: Sides, screen: Screen) -> RenderableType:
    rows = [("base", one) for one in both.before[:TRIALS]]
    rows += [("cand", one) for one in both.after[:TRIALS]]

    def scored(trial: Trial) -> str:
        return "  ".join(
            f"{_line(one.name)} {words.score(one.score.value)}"
            for one in trial.scores
            if one.score is not None
        )

    def said(trial: Trial) -> str:
        text = f"{trial.error_class}" if trial.output is None else trial.output.text
        return words.cut(_line(text), 40)

    return grid(
        [
            Column(head="trial", cells=[f"{side} {one.index}" for side, one in rows]),
            Column(head="scores", cells=[screen.say(scored(one)) for _, one in rows], fold=True),
            Column(head="output", cells=[said(one) for _, one in rows], drop=1),
        ],
        screen,
    )


def _pieces(pieces: Sequence[Piece], screen: Screen) -> Text:
    """A word diff of texts safe to show: colours where there are any, else signs."""
    from rich.text import Text

    found = Text()
    for one in pieces:
        text = one.text
        if one.kind == "same":
            found.append(text)
        elif screen.colour:
            style = "strike dark_orange3" if one.kind == "removed" else "underline blue"
            found.append(text, style)
        else:
            signs = ("[-", "-]") if one.kind == "removed" else ("{+", "+}")
            body = text.rstrip("\n")
            found.append(f"{signs[0]}{body}{signs[1]}{text[len(body) :]}")
    if len(found) > SHOWN:
        rest = len(found) - SHOWN
        found = found[:SHOWN]
        found.append(f"\n[{words.count(rest)} more characters: --json]")
    found.rstrip()
    return found


def _line(text: str) -> str:
    return words.clean(text, lines=False)
