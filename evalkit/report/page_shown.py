"""The words and numbers of a page, rounded and cleaned, for the template to put in place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from evalkit.gate.places import SMALLEST
from evalkit.gate.result import GateResult, Status, Verdict
from evalkit.gate.table import OUTCOMES, Outcome
from evalkit.report import gate_words, svg, words
from evalkit.report.bars import bar_of
from evalkit.report.page import CaseText, Group, ReportView, RunFacts, TrialText
from evalkit.report.page_metrics import comparisons, metrics
from evalkit.report.page_safety import attacks_shown, fairness_shown

Shown = Mapping[str, Any]
GLYPHS = {
    Outcome.REGRESSED: "▼",
    Outcome.ERROR: "✕",
    Outcome.LOST: "✕",
    Outcome.FLAKY: "≈",
    Outcome.CHANGED: "≠",
    Outcome.NEW: "+",
    Outcome.REMOVED: "−",
    Outcome.IMPROVED: "▲",
    Outcome.REWORDED: "~",
    Outcome.SAME: "=",
    Outcome.NOT_RUN: "·",
    Outcome.FAILED: "✕",
    Outcome.UNSCORED: "?",
    Outcome.SCORED: "·",
    Outcome.PASSED: "✓",
}
_TONES = {Status.PASS: "good", Status.FAIL: "bad", Status.INCONCLUSIVE: "doubt"}
_BAD = {Outcome.REGRESSED, Outcome.ERROR, Outcome.LOST, Outcome.FAILED}
_GOOD = {Outcome.IMPROVED, Outcome.PASSED}
_OTHERS = {"s", "d", "base", "cand", "ms"}
"""What the filter line knows beside tags, suites and targets."""
WORST = 10
CHANGES = 3
LONGEST = 2_000
"""Characters of a text in the part that needs no script."""
SENTENCES = 8
NO_BREAK = "\N{NO-BREAK SPACE}"
MANY = 8
"""Gates that all have their place; of more, some are folded below the others."""


def shown(view: ReportView, *, left_out: int) -> Shown:
    """Everything the template prints."""
    verdict = view.verdict
    counts = Counter(view.rows.outcomes[one] for one in view.rows.outcome)
    regressed = counts[Outcome.REGRESSED]
    failed = counts[Outcome.FAILED]
    alone = view.baseline is None
    bad = "failed" if alone else "regressed"
    count = failed if alone else regressed
    return {
        "title": _line(view.title),
        **_verdict(view, counts),
        **_gates(verdict),
        "level": _level(verdict),
        "attacks": attacks_shown(view),
        "fairness": fairness_shown(view),
        "sentences": _sentences(verdict),
        "promise": "" if verdict is None else verdict.promise,
        "facts": _facts(view),
        **_cautions(view),
        "alone": alone,
        "changes": _changes(view),
        "lifts_title": f"Where the {words.counted(count, f'{bad} case')}"
        f" {'is' if count == 1 else 'are'}"
        if count
        else f"Where cases {bad}",
        "lift_word": bad.capitalize(),
        "lifts": [
            {
                "slice": _line(one.slice.replace("=", ":", 1)),
                "q": _filter(f"s:{bad}", *one.slice.split("=", 1)),
                "regressed": words.count(one.regressed),
                "cases": words.count(one.cases),
                "rate": f"{100 * one.regressed / one.cases:.3g} %",
                "lift": f"{one.lift:.1f}",
            }
            for one in view.lifts
        ],
        "nowhere": f"No case {bad}." if not count else "No tag tells these cases apart.",
        "least": SMALLEST,
        "comparisons": comparisons(view),
        "matrix": metrics(view),
        "frontiers": _frontiers(view),
        "strips": _strips(view),
        "trends": [
            {
                "title": _line(f"{one.suite} / {one.target}: {one.metric}"),
                "svg": svg.sparkline(one),
                "text": f"{words.counted(len(one.points), 'run')}, "
                f"{words.quantity(one.points[0].value, one.unit)} first, "
                f"{words.quantity(one.points[-1].value, one.unit)} last",
            }
            for one in view.trends
        ],
        "counts": _counts(counts, alone=alone),
        "left_out": _left_out(view, left_out),
        "live": bool(view.rows.id),
        "buttons": _buttons(counts),
        "example": _example(view, counts),
        "score_head": _score_head(view),
        "worst_cases": [_case(view, one) for one in view.texts[:WORST]],
        "footer": f"Made by evalkit {view.run.evalkit_version} from stored runs. "
        "The file loads nothing and sends nothing.",
    }


def _filter(status: str, tag: str, value: str) -> str:
    """What the filter line says for cases of a slice; empty where it cannot."""
    if not re.fullmatch(r"[\w.-]+", tag) or '"' in value:
        return ""
    name = f"tags.{tag}" if tag in _OTHERS else tag
    return f"{status} {name}:" + (value if re.fullmatch(r"\S+", value) else f'"{value}"')


def _line(text: str) -> str:
    return words.clean(text, lines=False)


def _worst_first(verdict: Verdict) -> list[GateResult]:
    return gate_words.worst_first(verdict.results)


def tone(outcome: str) -> str:
    """How bad an outcome is: the class its colour hangs on, and what ``n`` looks for."""
    if outcome in _BAD:
        return "bad"
    if outcome in _GOOD:
        return "good"
    return "doubt" if outcome in {Outcome.FLAKY, Outcome.UNSCORED} else "soft"


def _verdict(view: ReportView, counts: Mapping[str, int]) -> Shown:
    """The first line: with gates what they say, else what became of the cases."""
    verdict = view.verdict
    if verdict is None:
        listed = [
            f"{words.count(counts[name])} {_many(name, counts[name])}"
            for name in map(str, OUTCOMES)
            if counts[name]
        ]
        return {
            "status": "NO GATES" if view.baseline is not None else view.run.status.upper(),
            "glyph": "–",
            "tone": "soft",
            "headline": f"{', '.join(listed) or 'no cases'}.",
            "worst": "No gate judged these runs." if view.baseline is not None else "",
            "exit": None,
        }
    worst = gate_words.worst(verdict)
    return {
        "status": str(verdict.status),
        "glyph": gate_words.GLYPHS[verdict.status][0],
        "tone": _TONES.get(verdict.status, "bad"),
        "headline": _line(gate_words.headline(verdict)) + ".",
        "worst": "" if worst is None else _line(gate_words.finding(worst)),
        "exit": int(verdict.exit_code),
    }


def _level(verdict: Verdict | None) -> str:
    if verdict is None or not verdict.results:
        return ""
    return f"{100 * verdict.results[0].level:.3g} %"


def _sentences(verdict: Verdict | None) -> list[str]:
    if verdict is None:
        return []
    said = gate_words.sentences(_worst_first(verdict))
    more = sum(gates for _, gates in said[SENTENCES:])
    return [_line(one) for one, _ in said[:SENTENCES]] + ([f"and {more} more"] if more else [])


def _gates(verdict: Verdict | None) -> Shown:
    """The gates, the worst first; of many those apart that pass, or went as in another slice."""
    parts: dict[str, list[Shown]] = {"gates": [], "alike": [], "passed": []}
    if verdict is None:
        return parts
    found, told = _worst_first(verdict), set()
    for one in found:
        key = (one.suite, one.target, one.gate, one.limit.kind, one.status)
        part = "passed" if one.status is Status.PASS else "alike" if key in told else "gates"
        told.add(key)
        parts[part if len(found) > MANY else "gates"].append(_gate(verdict, one))
    return parts


def _gate(verdict: Verdict, result: GateResult) -> Shown:
    glyph, word, _ = gate_words.GLYPHS[result.status]
    if result.status is Status.INCONCLUSIVE:
        word = "INCONCLUSIVE"
    aside = " (advisory)" if result.mode == "advisory" else ""
    waived = " (waived)" if any(one.startswith("waived") for one in result.notes) else ""
    bar = bar_of(result)
    where = [result.where, gate_words.subject(verdict, result)]
    if more := gate_words.offered(result):
        where.append(f"needs about {words.count(more)} more cases")
    change = result.about == "change"
    interval = "" if result.about == "fact" else gate_words.bracket(result, gate_words.shown_value)
    return {
        "status": f"{word}{aside}{waived}",
        "glyph": glyph,
        "tone": "soft" if aside or waived else _TONES.get(result.status, "bad"),
        "name": _line(result.gate),
        # a line breaks between the metric and its limit alone
        "rule": f"{_line(result.metric)} {_line(gate_words.rule(result)).replace(' ', NO_BREAK)}",
        "baseline": _line(gate_words.level(result, result.baseline)),
        "candidate": _line(gate_words.level(result, result.candidate)),
        "change": _line(gate_words.change(result, result.difference)) if change else "",
        "level_interval": "" if change else interval,
        "change_interval": interval if change else "",
        "bar": "" if bar is None else svg.interval(bar, _line(gate_words.sentence(result))),
        # what to do about it stands below, in words
        "claim": ""
        if bar is not None
        else _line(_capital(gate_words.claim(result).partition("; ")[0])),
        "n": words.count(result.n) if result.n else "",
        "where": _line(" · ".join(one for one in where if one)),
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _facts(view: ReportView) -> list[tuple[str, str]]:
    facts = []
    if view.baseline is not None:
        facts.append(("baseline", f"{_run(view.baseline)}{_age(view.baseline, view.candidate)}"))
    facts.append(("candidate" if view.baseline is not None else "run", _run(view.candidate)))
    facts.append(("", _cases(view)))
    if view.changes:
        titles = [one.title for one in view.changes]
        more = f" and {len(titles) - CHANGES} more" if len(titles) > CHANGES else ""
        facts.append(("changed", ", ".join(titles[:CHANGES]) + more))
    if view.candidate.elapsed_s is not None:
        facts.append(("took", words.duration(view.candidate.elapsed_s)))
    facts.append(("cost", words.money(view.candidate.cost_usd)))
    if view.run.errors:
        of = words.counted(view.run.done, "trial")
        why = words.tally(view.run.error_classes)
        facts.append(("failed", f"{words.count(view.run.errors)} of {of}: {why}"))
    return [(label, _line(text)) for label, text in facts]


def _cases(view: ReportView) -> str:
    """How many cases, each counted once however many targets answered it; trials and targets."""
    rows, groups = view.rows, view.rows.groups
    if view.baseline is not None:
        said = gate_words.pairs(view.compared)
    else:
        cases = {
            (groups[group].suite, case) for group, case in zip(rows.group, rows.id, strict=True)
        }
        said = words.counted(len(cases), "case")
        targets = len({one.target for one in groups})
        said += f" × {words.counted(targets, 'target')}" if targets > 1 else ""
    asked = ((one.trials, one.paired + len(one.new) + len(one.changed)) for one in view.compared)
    trials = {round(trials / cases) for trials, cases in asked if cases}
    if len(trials) == 1 and max(trials) > 1:
        said += f" × {words.counted(max(trials), 'trial')}"
    return said


def _run(run: RunFacts) -> str:
    at = words.commit(run.commit, run.branch, dirty=run.dirty)
    more = f" with {words.counted(run.repeats, 'repeat')}" if run.repeats else ""
    return f"{run.run_id} {at}{more}".strip()


def _age(baseline: RunFacts, candidate: RunFacts) -> str:
    old, new = map(datetime.fromisoformat, (baseline.started_at, candidate.started_at))
    seconds = (new - old).total_seconds()
    if seconds < 3600:
        return ""
    days = round(seconds / 86_400)
    return f", {words.counted(days, 'day') if days else f'{seconds / 3600:.0f} h'} older"


def _cautions(view: ReportView) -> Shown:
    """What is not equal between the two runs; one line when all is."""
    if view.baseline is None:
        return {"compared": "", "cautions": [], "problems": [], "gone": []}
    said: dict[str, None] = {}
    refused = False
    for one in view.compared:
        for each in one.differences:
            if each.weight != "change":
                said[_line(each.text)] = None
                refused |= each.weight == "refused"
    apart = [f"{one.suite}/{one.target}" for one in view.compared if not one.paired]
    if apart:
        said[_line(f"the baseline has none of the cases of {', '.join(apart)}")] = None
    problems = []
    if view.verdict is not None:
        problems = [_line(one) for one in (*view.verdict.problems, *view.verdict.warnings) if one]
    cautions = list(said)
    if apart and len(apart) == len(view.compared):
        head = "Nothing to compare:"
    elif refused:
        head = "Not comparable in all:"
    elif cautions:
        number = "one caution" if len(cautions) == 1 else f"{len(cautions)} cautions"
        head = f"Comparable with {number}:"
    else:
        head = "Comparable: the same data, scorers and number of trials."
    gone = [_line(one) for one in gate_words.gone(view.compared)]
    return {"compared": head, "cautions": cautions, "problems": problems, "gone": gone}


def _changes(view: ReportView) -> list[Shown]:
    return [
        {
            "title": _line(one.title),
            "note": _line(one.note),
            "hunks": [
                [{"kind": piece.kind, "text": words.seen(piece.text)} for piece in hunk.pieces]
                for hunk in one.hunks
            ],
        }
        for one in view.changes
    ]


def _frontiers(view: ReportView) -> list[Shown]:
    found: list[Shown] = []
    for suite in dict.fromkeys(one.suite for one in view.frontier):
        targets = [one for one in view.frontier if one.suite == suite]
        if len(targets) < 2:
            continue
        said = [
            f"{one.target} is dominated by {one.dominated_by}"
            if one.dominated_by
            else f"{one.target} is on the frontier"
            for one in targets
        ]
        found.append(
            {
                "title": _line(f"Quality, cost and latency of {suite}"),
                "svg": svg.plane(targets),
                "text": _line("; ".join(said)) + ".",
            }
        )
    return found


def _strips(view: ReportView) -> list[Shown]:
    return [
        {
            "title": _line(one.title),
            "svg": svg.distributions(one),
            "lines": [svg.strip_words(strip, one.unit) for strip in one.strips],
        }
        for one in view.strips
    ]


def _many(outcome: str, n: int) -> str:
    """An outcome behind its number: all are words for cases but one, which is a noun."""
    return "errors" if outcome == Outcome.ERROR and n != 1 else str(outcome)


def _counts(counts: Mapping[str, int], *, alone: bool) -> list[Shown]:
    always = set() if alone else {Outcome.REGRESSED, Outcome.IMPROVED, Outcome.SAME}
    return [
        {
            "glyph": GLYPHS[one],
            "n": words.count(counts[one]),
            "name": _many(one, counts[one]),
            "tone": tone(one),
        }
        for one in OUTCOMES
        if counts[one] or one in always
    ]


def _buttons(counts: Mapping[str, int]) -> list[Shown]:
    wanted = (Outcome.REGRESSED, Outcome.FAILED, Outcome.IMPROVED, Outcome.ERROR, Outcome.FLAKY)
    found: list[Shown] = [
        {"q": f"s:{one}", "glyph": GLYPHS[one], "name": str(one).capitalize()}
        for one in wanted
        if counts[one]
    ]
    return [*found, {"q": "", "glyph": "", "name": "All"}]


def _example(view: ReportView, counts: Mapping[str, int]) -> str:
    """A filter that this page can answer."""
    said = [f"s:{next((str(one) for one in OUTCOMES if counts[one]), 'error')}"]
    for tag, column in view.rows.tags.items():
        short = min((one for one in column.values if " " not in one), key=len, default="")
        if short and len(said) < 2:
            said.append(_line(f"{tag}:{short}"))
    said.append("d:<-0.2" if view.baseline is not None else "cand:<0.5")
    return " ".join([*said, "words"])


def _score_head(view: ReportView) -> str:
    names = {one.metric for one in view.rows.groups}
    return _line(names.pop()) or "Score" if len(names) == 1 else "Score"


def _left_out(view: ReportView, left_out: int) -> str:
    if not left_out:
        return ""
    run = view.candidate.run_id
    return (
        f"The texts of {words.counted(left_out, 'case')}, the least telling ones, are not in this"
        f" page; evalkit show {run} CASE prints them."
    )


def _case(view: ReportView, one: CaseText) -> Shown:
    """One of the worst cases for a reader without scripts, and for paper."""
    rows = view.rows
    group, outcome = rows.groups[rows.group[one.row]], rows.outcomes[rows.outcome[one.row]]
    ends = [words.quantity(each[one.row], group.unit) for each in (rows.before, rows.after)]
    outputs = []
    if one.before:
        outputs.append(("Baseline", _answer(one.before)))
    if one.after:
        outputs.append(("Candidate" if view.baseline is not None else "Output", _answer(one.after)))
    return {
        "outcome": outcome,
        "glyph": GLYPHS[Outcome(outcome)],
        "tone": tone(outcome),
        "name": _line(rows.name[one.row] + place(group, rows.groups)),
        "scores": " → ".join(ends) if view.baseline is not None else ends[1],
        "input": _cut("\n".join(_asked(one))),
        "expected": "" if one.expected is None else _cut(_quoted(one.expected)),
        "outputs": outputs,
        "why": _why(one.after),
    }


def place(group: Group, groups: Sequence[Group]) -> str:
    """What tells a case's group from the others, to stand behind its name: suite, target."""
    names = [(one.suite, one.target) for one in groups]
    told = [
        name
        for name, all_ in zip((group.suite, group.target), zip(*names, strict=True), strict=True)
        if len(set(all_)) > 1
    ]
    return f" · {' / '.join(told)}" if told else ""


def _asked(one: CaseText) -> list[str]:
    """The inputs, of several with their names; the turns of a conversation as its answers."""
    several = len(one.inputs) > 1 or one.turns
    said = [f"{f'{name}: ' if several else ''}{_quoted(value)}" for name, value in one.inputs]
    return said + _numbered([user for user, _ in one.turns])


def _numbered(said: Sequence[str]) -> list[str]:
    return [f"{number}. {_quoted(one)}" for number, one in enumerate(said, start=1)]


def _quoted(text: str) -> str:
    return words.quoted(words.seen(text))


def _answer(trials: Sequence[TrialText]) -> str:
    first = trials[0]
    if first.turns:
        said = _numbered([words.answered(one.text, one.calls) for one in first.turns])
        return _cut("\n".join([*said, *([first.error] if first.text is None else [])]))
    text = first.error if first.text is None else first.text
    return _cut(_quoted(words.answered(text, first.calls)))


def _why(trials: Sequence[TrialText]) -> str:
    said = [f"{one.name}: {one.reason}" for each in trials[:1] for one in each.scores if one.reason]
    return _cut("\n".join(said))


def _cut(text: str) -> str:
    text = words.seen(text)
    if len(text) <= LONGEST:
        return text
    return f"{text[:LONGEST]}\n[{words.count(len(text) - LONGEST)} more characters]"
