"""A verdict as the comment of a pull request, found again by a hidden marker, and as a summary."""

from __future__ import annotations

import re

from evalkit.gate.result import GateResult, Status, Verdict
from evalkit.model import Run
from evalkit.report import attacks, fairness, gate_words, words

MARKER = "<!-- evalkit gate -->"
"""By which the comment of an earlier run is found and edited in place."""
COMMENT_LIMIT = 60_000
WORST = 3
SENTENCES = 6
"""Gates that are explained."""
TARGETS = 6
"""Targets of which it is said where cases regressed."""
ATTACKS = 40
"""Lines of the table of attacks."""


def verdict_markdown(
    verdict: Verdict,
    *,
    candidate: Run | None = None,
    baseline: Run | None = None,
    page: str = "",
) -> str:
    """The verdict as a comment on a pull request: what failed open, what passed folded.

    Rows are dropped from the bottom, with a count, before 60,000 characters are reached. ``page``
    is the address of the report: the caller's own, never taken from a run.
    """
    glyph, _, _ = gate_words.GLYPHS[verdict.status]
    ordered = gate_words.worst_first(verdict.results)
    bad = [one for one in ordered if one.status is not Status.PASS]
    good = [one for one in ordered if one.status is Status.PASS]
    head = [
        MARKER,
        f"### {glyph} {verdict.status} · {_text(gate_words.headline(verdict))}",
        "",
        _text(_about(verdict, candidate, baseline)),
        *([_text(gate_words.decided(verdict))] if verdict.decided is not None else []),
        *_cautions(verdict),
    ]
    linked = [f"[Every case, side by side]({page})", ""] if page else []
    noise = ["", f"<sub>{_text(verdict.promise)}</sub>"] if verdict.promise else []
    tail = [
        "",
        *linked,
        *_attacks(verdict),
        *_fairness(verdict),
        *_cases(verdict),
        *_commands(verdict),
        *noise,
    ]
    room = COMMENT_LIMIT - sum(len(one) + 1 for one in (*head, *tail)) - 4_000
    body: list[str] = []
    if bad:
        shown, room = _table(verdict, bad, room)
        body += ["", *shown, ""]
        body += [f"- {_text(one)}" for one, _ in gate_words.sentences(bad)[:SENTENCES]]
        body += _places(verdict)
    if good:
        shown, room = _table(verdict, good, room)
        body += [
            "",
            f"<details><summary>{len(good)} passed</summary>",
            "",
            *shown,
            "",
            "</details>",
        ]
    return "\n".join([*head, *body, *tail]) + "\n"


def _about(verdict: Verdict, candidate: Run | None, baseline: Run | None) -> str:
    def run(name: str, one: Run | None) -> str:
        at = ""
        if one is not None and one.git is not None:
            at = " " + words.commit(one.git.commit, one.git.branch, dirty=one.git.dirty)
        return f"{name}{at}"

    old = run(verdict.baseline[-1], baseline) if verdict.baseline else "no baseline"
    pairs = gate_words.pairs(verdict.compared)
    return f"{old} → {run(verdict.candidate, candidate)}, {pairs}"


def _cautions(verdict: Verdict) -> list[str]:
    said: dict[str, None] = {}
    for one in verdict.compared:
        for difference in one.differences:
            mark = "change is " if difference.weight == "change" else "⚠ "
            said[f"- {mark}{_text(difference.text)}"] = None
    gone = [f"gone: {one}" for one in gate_words.gone(verdict.compared)]
    for line in (*verdict.problems[1:], *verdict.warnings, *gone):
        said[f"- ⚠ {_text(line)}"] = None
    return ["", *list(said)[:12]] if said else []


def _table(verdict: Verdict, results: list[GateResult], room: int) -> tuple[list[str], int]:
    lines = [
        "| | gate | rule | base | cand | change | interval | n |",
        "|---|---|---|---:|---:|---:|---|---:|",
    ]
    for place, one in enumerate(results):
        glyph, word, _ = gate_words.GLYPHS[one.status]
        aside = " (advisory)" if one.mode == "advisory" else ""
        changed = gate_words.change(one, one.difference) if one.about == "change" else ""
        cells = (
            f"{glyph} {word}{aside}",
            f"{gate_words.name(one)} {gate_words.subject(verdict, one)}",
            gate_words.rule(one),
            gate_words.level(one, one.baseline),
            gate_words.level(one, one.candidate),
            changed,
            gate_words.interval(one),
            words.count(one.n) if one.n else "",
        )
        line = "| " + " | ".join(_text(cell, OTHERS) for cell in cells) + " |"
        if room - len(line) < 0:
            lines.append(f"| | and {len(results) - place} more | | | | | | |")
            break
        room -= len(line) + 1
        lines.append(line)
    return lines, room


def _places(verdict: Verdict) -> list[str]:
    """Where cases regressed, a line for every target, and how many targets more there are."""
    found = [one for one in verdict.compared if one.places]
    lines = []
    for one in found[:TARGETS]:
        on = f" on {one.suite}/{one.target}" if len(verdict.compared) > 1 else ""
        places = ", ".join(map(gate_words.place, one.places))
        lines.append(f"- {_text(f'where{on}: {places}')}")
    more = len(found) - len(lines)
    return [*lines, f"- and on {more} more"] if more else lines


def _attacks(verdict: Verdict) -> list[str]:
    """The attacks: rates of suites and slices folded, and what is new open."""
    if not verdict.attacks:
        return []
    bound = f"{attacks.level(verdict.attacks)} bound"
    rows = attacks.lines(verdict.attacks)
    shown = [
        f"| attacks | succeed | {bound} | n | twins refused | {bound} | n | in no rate |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for one in rows[:ATTACKS]:
        name = f"· {one.name}" if one.slice else one.name
        cells = (
            name, one.rate, one.upper, one.n, one.refused, one.refused_upper, one.twins, one.aside,
        )  # fmt: skip
        shown.append("| " + " | ".join(_text(cell, OTHERS) for cell in cells) + " |")
    if len(rows) > ATTACKS:
        shown.append(f"| and {len(rows) - ATTACKS} more | | | | | | | |")
    said = []
    for what, found in attacks.lists(verdict.attacks):
        texts = [_text(attacks.case_text(case), OTHERS) for _, case in found[: attacks.SHOWN]]
        more = len(found) - len(texts)
        named = ", ".join(texts) + (f" and {words.count(more)} more" if more else "")
        head = f"{words.count(len(found))} {attacks.TITLES[what]}"
        said.append(f"- {f'**{head}**' if what in attacks.WORSE else head}: {named}")
    first = attacks.first_new(verdict.attacks)
    if first is not None and verdict.baseline and not verdict.against:
        ids = f"{first.case_id} {verdict.baseline[-1]} {verdict.candidate}"
        said.append(f"- see one: `evalkit why {ids}`")
    return ["#### Attacks", "", *shown, "", *said, ""]


def _fairness(verdict: Verdict) -> list[str]:
    """The worst group of every axis and its gap."""
    if not verdict.fairness:
        return []
    several = len({one.target for one in verdict.fairness}) > 1
    lines = [
        "| groups | worst | best | gap | interval | pairs differ |",
        "|---|---|---|---:|---|---|",
    ]
    for one in verdict.fairness[:ATTACKS]:
        cells = (
            fairness.title(one, several),
            fairness.group_text(one, one.worst),
            fairness.group_text(one, one.best),
            fairness.gap_text(one),
            fairness.ends_text(one),
            fairness.differ_text(one),
        )
        lines.append("| " + " | ".join(_text(cell, OTHERS) for cell in cells) + " |")
    if len(verdict.fairness) > ATTACKS:
        lines.append(f"| and {len(verdict.fairness) - ATTACKS} more | | | | | |")
    return ["#### Fairness", "", *lines, ""]


def _cases(verdict: Verdict) -> list[str]:
    fallen = [
        (one, case) for one in verdict.compared for case in one.moved if case.outcome == "regressed"
    ]
    if not fallen:
        return []
    total = sum(one.regressed for one in verdict.compared)
    lines = [f"<details><summary>{words.counted(total, 'case')} regressed</summary>", ""]
    lines += [
        f"- {_text(case.name, OTHERS)} ({_text(one.target, OTHERS)}):"
        f" {words.score(case.before)} → {words.score(case.after)}"
        for one, case in fallen[:WORST]
    ]
    if total > WORST:
        old = verdict.against or verdict.baseline[-1]
        command = f"evalkit diff {old} {verdict.candidate} --only regressed --limit {total}"
        lines.append(f"- and {words.count(total - WORST)} more: `{command}`")
    return [*lines, "", "</details>", ""]


def _commands(verdict: Verdict) -> list[str]:
    if not verdict.baseline:
        return []
    return [
        "```sh",
        f"evalkit diff {verdict.against or verdict.baseline[-1]} {verdict.candidate}",
        f"evalkit gate {verdict.candidate} --baseline {verdict.against or verdict.baseline[-1]}",
        "```",
    ]


def worth_saying(verdict: Verdict) -> bool:
    """Whether a comment has anything to tell: not when all passes and no case moved."""
    passed = verdict.status is Status.PASS and all(
        one.status is Status.PASS or one.mode == "advisory" for one in verdict.results
    )
    moved = any(
        one.regressed or one.improved or one.new or one.removed or one.changed or one.lost
        for one in verdict.compared
    )
    attacked = attacks.first_new(verdict.attacks) is not None
    return not passed or moved or attacked or bool(verdict.warnings)


_SPECIAL = re.compile(r"([\\`*_{}\[\]()|~>!])")
OTHERS = 120
"""Characters of a text of somebody else that are shown."""


def _text(text: str, longest: int = 400) -> str:
    """Text that is nothing but text: no markup, no mention, no reference, no link."""
    shown = words.cut(words.clean(text, lines=False), longest)
    shown = _SPECIAL.sub(r"\\\1", shown.replace("&", "&amp;").replace("<", "&lt;"))
    return (
        shown.replace("@", "@\N{ZERO WIDTH NON-JOINER}")
        .replace("#", "#\N{ZERO WIDTH NON-JOINER}")
        .replace("://", ":\N{ZERO WIDTH NON-JOINER}//")
        .replace("www.", "www\N{ZERO WIDTH NON-JOINER}.")
    )
