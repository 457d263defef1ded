"""A verdict as files: JSON for programs, JUnit XML for CI, annotations for GitHub."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from evalkit.gate.result import Attacks, Fairness, GateResult, Status, Verdict
from evalkit.report import fairness, gate_words, words
from evalkit.report.attacks import TITLES, attack_text, case_text, lists

ANNOTATED = 10
"""GitHub shows so many of one kind for a step."""


def verdict_json(verdict: Verdict, *, indent: int = 2) -> str:
    """The verdict as JSON: every number unrounded, every gate with its sentence."""
    value: dict[str, Any] = asdict(verdict)
    value["exit_code"] = int(verdict.exit_code)
    value["headline"] = gate_words.headline(verdict)
    if verdict.decided is not None:
        value["decided"]["sentence"] = gate_words.decided(verdict)
    for row, result in zip(value["results"], verdict.results, strict=True):
        row["sentence"] = gate_words.sentence(result)
        row["rule"] = gate_words.rule(result)
    return json.dumps(value, indent=indent, ensure_ascii=False, default=str) + "\n"


def verdict_junit(verdict: Verdict) -> str:
    """The verdict as JUnit XML: a gate is a test case, INCONCLUSIVE and ERROR are errors.

    What cannot block (advisory, waived, a guard that is not proved) is skipped, with its sentence.
    """
    cases = [_case(one) for one in verdict.results]
    cases += [_attacks(one) for one in verdict.attacks]
    cases += [_fairness(one) for one in verdict.fairness]
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


def _attacks(found: Attacks) -> str:
    """What became of attacks; gates alone say whether that is a failure."""
    said = [attack_text(found)]
    said += [
        f"{TITLES[what]}: {', '.join(case_text(case) for _, case in cases)}"
        for what, cases in lists([found])
    ]
    place = _attribute(f"evalkit.{found.suite}.{found.target}")
    return (
        f'    <testcase classname={place} name="attacks">\n'
        f"      <system-out>{chr(10).join(map(_xml, said))}</system-out>\n    </testcase>"
    )


def _fairness(found: Fairness) -> str:
    """How the groups of an axis were served; gates with ``max_gap`` say whether that fails."""
    place = _attribute(f"evalkit.{found.suite}.{found.target}")
    return (
        f"    <testcase classname={place} name={_attribute(f'fairness {found.axis}')}>\n"
        f"      <system-out>{_xml(fairness.axis_text(found))}</system-out>\n    </testcase>"
    )


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    return escape(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words.clean(text, lines=False)))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\N{REPLACEMENT CHARACTER}", words.clean(text, lines=False)))


def verdict_annotations(verdict: Verdict, places: Mapping[tuple[str, str], tuple[str, int]]) -> str:
    """Workflow commands that GitHub shows beside the lines of the gates: what stands in the way.

    ``places`` has the file and the line of every gate, by suite and gate; line 0 is not known.
    """
    lines = [f"::error title=evalkit gate::{_command(one)}" for one in verdict.problems]
    for one in gate_words.worst_first(verdict.results):
        if one.status is Status.PASS or one.effect == "none":
            continue
        level = "error" if one.effect == "blocks" else "warning"
        path, line = places.get((one.suite, one.gate), ("", 0))
        title = _property(f"{one.status} {gate_words.name(one)}")
        parts = [f"file={_property(path)}"] if path else []
        parts += [f"line={line}"] if path and line else []
        where = ",".join([*parts, f"title={title}"])
        lines.append(f"::{level} {where}::{_command(gate_words.sentence(one))}")
    return "".join(f"{one}\n" for one in lines[:ANNOTATED])


def _command(text: str) -> str:
    """Text within a workflow command, where a line end or a percent sign would end or change it."""
    shown = words.cut(words.clean(text, lines=False), 1_000)
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _command(text).replace(":", "%3A").replace(",", "%2C")
