"""A verdict as files: JSON for programs, JUnit XML for CI, Markdown for a pull request."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from evalkit.gate.result import GateResult, Status, Verdict
from evalkit.model import Run
from evalkit.report import gate_words, words

MARKER = "<!-- evalkit gate -->"
"""By which the comment of an earlier run is found and edited in place."""
COMMENT_LIMIT = 60_000
WORST = 3


def verdict_json(verdict: Verdict, *, indent: int = 2) -> str:
    """The verdict as JSON: every number unrounded, every gate with its sentence."""
    value: dict[str, Any] = asdict(verdict)
    value["exit_code"] = int(verdict.exit_code)
    value["headline"] = gate_words.headline(verdict)
    for row, result in zip(value["results"], verdict.results, strict=True):
        row["sentence"] = gate_words.sentence(result)
        row["rule"] = gate_words.rule(result)
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str) + "\n"


def verdict_junit(verdict: Verdict) -> str:
    """The verdict as JUnit XML: a gate is a test case, INCONCLUSIVE and ERROR are errors.

    What cannot block (advisory, waived, a guard that is not proved) is skipped, with its sentence.
    """
    cases = [_case(one) for one in verdict.results]
    cases += [
        f'    <testcase classname="evalkit" name="verdict">\n'
        f"      <error message={_attribute(one)}/>\n    </testcase>"
        for one in verdict.problems or (() if verdict.results else ("there is no gate",))
    ]
    text = "\n".join(cases)
    failures, errors = text.count("<failure "), text.count("<error ")
    skipped = text.count("<skipped ")
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}" skipped="{skipped}"'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<testsuites {counts}>\n"
        f'  <testsuite name="evalkit gate" {counts}>\n{text}\n  </testsuite>\n</testsuites>\n'
    )


def _case(result: GateResult) -> str:
    place = ".".join(one for one in ("evalkit", result.suite, result.target) if one)
    title = f"{gate_words.name(result)} {gate_words.rule(result)}"
    head = f"    <testcase classname={_attribute(place)} name={_attribute(title)}"
    sentence = gate_words.sentence(result)
    if result.status is Status.PASS:
        return f"{head}>\n      <system-out>{_xml(sentence)}</system-out>\n    </testcase>"
    tag = "skipped"
    if result.effect != "none":
        tag = "failure" if result.status is Status.FAIL else "error"
    return f"{head}>\n      <{tag} message={_attribute(sentence)}/>\n    </testcase>"


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words.clean(text, lines=False)))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words.clean(text, lines=False)))


def verdict_markdown(
    verdict: Verdict, *, candidate: Run | None = None, baseline: Run | None = None
) -> str:
    """The verdict as a comment on a pull request: what failed open, what passed folded.

    Rows are dropped from the bottom, with a count, before 60,000 characters are reached.
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
        *_cautions(verdict),
    ]
    tail = ["", *_cases(verdict), *_commands(verdict), "", f"<sub>{_text(verdict.promise)}</sub>"]
    room = COMMENT_LIMIT - sum(len(one) + 1 for one in (*head, *tail)) - 4_000
    body: list[str] = []
    if bad:
        shown, room = _table(bad, room)
        body += ["", *shown, ""]
        body += [f"- {_text(gate_words.sentence(one))}" for one in bad[:3]]
    if good:
        shown, room = _table(good, room)
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
    pairs = sum(one.paired for one in verdict.compared)
    return f"{old} → {run(verdict.candidate, candidate)}, {words.count(pairs)} paired cases"


def _cautions(verdict: Verdict) -> list[str]:
    said: dict[str, None] = {}
    for one in verdict.compared:
        for difference in one.differences:
            mark = "change is " if difference.weight == "change" else "⚠ "
            said[f"- {mark}{_text(difference.text)}"] = None
    for line in (*verdict.problems[1:], *verdict.warnings):
        said[f"- ⚠ {_text(line)}"] = None
    return ["", *list(said)[:12]] if said else []


def _table(results: list[GateResult], room: int) -> tuple[list[str], int]:
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
            f"{gate_words.name(one)} {one.target}",
            gate_words.rule(one),
            gate_words.level(one, one.baseline),
            gate_words.level(one, one.candidate),
            changed,
            gate_words.interval(one),
            words.count(one.n) if one.n else "",
        )
        line = "| " + " | ".join(map(_text, cells)) + " |"
        if room - len(line) < 0:
            lines.append(f"| | and {len(results) - place} more | | | | | | |")
            break
        room -= len(line) + 1
        lines.append(line)
    return lines, room


def _cases(verdict: Verdict) -> list[str]:
    fallen = [
        (one, case) for one in verdict.compared for case in one.moved if case.outcome == "regressed"
    ]
    if not fallen:
        return []
    total = sum(one.regressed for one in verdict.compared)
    lines = [f"<details><summary>{words.counted(total, 'case')} regressed</summary>", ""]
    lines += [
        f"- {_text(case.name)} ({_text(one.target)}): {words.quantity(case.before)} →"
        f" {words.quantity(case.after)}"
        for one, case in fallen[:WORST]
    ]
    return [*lines, "", "</details>", ""]


def _commands(verdict: Verdict) -> list[str]:
    if not verdict.baseline:
        return []
    return [
        "```sh",
        f"evalkit diff {verdict.baseline[-1]} {verdict.candidate}",
        f"evalkit gate {verdict.candidate} --baseline {verdict.baseline[-1]}",
        "```",
    ]


_SPECIAL = re.compile(r"([\\`*_{}\[\]()|~>!])")


def _text(text: str) -> str:
    """Text that is nothing but text: no markup, no mention, no reference, at most 400 long."""
    shown = words.cut(words.clean(text, lines=False), 400)
    shown = _SPECIAL.sub(r"\\\1", shown.replace("&", "&amp;").replace("<", "&lt;"))
    return shown.replace("@", "@\N{ZERO WIDTH NON-JOINER}").replace(
        "#", "#\N{ZERO WIDTH NON-JOINER}"
    )
