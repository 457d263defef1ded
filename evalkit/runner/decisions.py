"""Decisions a reviewer copied out of a report: recorded, and flagged cases proposed as golden data.

The file is a JSON object: ``kind`` is ``evalkit.decisions`` and ``format`` 1; ``baseline`` and
``candidate`` are run ids; ``decisions`` is a list of objects with ``case_id``, ``suite``,
``target``, ``decision`` (``accept`` or ``flag``) and ``note``; ``hash``, where it is there, is the
first 20 hexadecimal digits of the SHA-256 of the rest as JSON with sorted keys and no spaces.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from evalkit.config.spec import DatasetSpec, Project
from evalkit.config.tree import shown_path
from evalkit.errors import EvalkitError, UnknownName, UsageError
from evalkit.hashing import content_id
from evalkit.model import JSON, Case
from evalkit.runner.audit import event
from evalkit.store import Store

KIND = "evalkit.decisions"
FORMAT = 1
Verb: TypeAlias = Literal["accept", "flag"]
_EVENTS = {"accept": "case.accepted", "flag": "case.flagged"}
_MOST = 100_000
_STORED = "apply the decisions where the runs of the report are stored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a reviewer decided on one case of a comparison."""

    case_id: str
    suite: str
    target: str
    decision: Verb
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The decisions on one comparison."""

    baseline: str
    candidate: str
    decisions: tuple[Decision, ...]
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was new: events recorded, and cases added to each proposed file."""

    recorded: int
    known: int
    proposed: Mapping[Path, int]


def read_decisions(path: Path) -> Decisions:
    """The decisions of a file; raises ``UsageError`` for one that is missing, cut or changed."""
    shown = str(shown_path(path))
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            (error.strerror or str(error)).lower(), where=shown, hint="name the file you saved"
        ) from error
    except json.JSONDecodeError as error:
        raise UsageError(
            f"the decisions are no JSON: {error.msg}",
            where=f"{shown}:{error.lineno}:{error.colno}",
            hint="copy them from the report again, all of them",
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            "the decisions are no JSON text", where=shown, hint="copy them from the report again"
        ) from error
    return _decisions(value, shown)


def _decisions(value: Any, shown: str) -> Decisions:
    def wrong(what: str) -> UsageError:
        return UsageError(what, where=shown, hint="copy them from the report again")

    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise wrong("these are no decisions of an evalkit report")
    if value.get("format") != FORMAT:
        raise UsageError(
            f"the decisions have the form {value.get('format')!r}, this evalkit reads {FORMAT}",
            where=shown,
            hint="use the evalkit that wrote the report",
        )
    body = {name: one for name, one in value.items() if name != "hash"}
    if "hash" in value and value["hash"] != content_id(body):
        raise wrong("the decisions were changed: their content does not match their hash")
    rows = body.get("decisions")
    runs = [body.get(name) for name in ("baseline", "candidate")]
    if not isinstance(rows, list) or not all(isinstance(one, str) and one for one in runs):
        raise wrong("the decisions lack baseline, candidate or the list of decisions")
    if not rows:
        raise wrong("nothing was decided")
    if len(rows) > _MOST:
        raise wrong(f"more than {_MOST:,} decisions")
    found: dict[tuple[str, str, str], Decision] = {}
    for number, row in enumerate(rows, 1):
        one = _decision(row, number, shown)
        key = (one.suite, one.target, one.case_id)
        if found.setdefault(key, one) != one:
            raise wrong(f"decision {number} contradicts an earlier one on case {one.case_id!r}")
    return Decisions(
        baseline=str(runs[0]),
        candidate=str(runs[1]),
        decisions=tuple(found.values()),
        where=shown,
    )


def _decision(row: Any, number: int, shown: str) -> Decision:
    where = f"{shown}, decision {number}"
    if not isinstance(row, dict):
        raise UsageError("a decision is an object", where=where, hint="copy them again")
    known = {"case_id", "suite", "target", "decision", "note"}
    extra = sorted(set(row) - known)
    if extra:
        raise UnknownName("field", extra[0], known, where=where)
    for name in ("case_id", "suite", "target"):
        if not isinstance(row.get(name), str) or not row[name]:
            raise UsageError(f"{name!r} must be text", where=where, hint="copy them again")
    if row.get("decision") not in _EVENTS:
        raise UsageError(
            f"'decision' must be accept or flag, not {row.get('decision')!r}",
            where=where,
            hint="decide again in the report",
        )
    note = row.get("note", "")
    if not isinstance(note, str):
        raise UsageError("'note' must be text", where=where, hint="copy them again")
    return Decision(
        case_id=row["case_id"],
        suite=row["suite"],
        target=row["target"],
        decision=row["decision"],
        note=note.strip(),
    )


def apply(
    project: Project, store: Store, decisions: Decisions, *, by: str | None = None
) -> Applied:
    """Record who decided what, and append flagged cases to ``golden/<suite>.flagged.jsonl``.

    Doing it twice does nothing more. Raises ``UsageError`` for a run or a case the store has not,
    before anything is written.
    """
    try:
        candidate = store.load_run(store.resolve(decisions.candidate))
        baseline = store.load_run(store.resolve(decisions.baseline))
    except UsageError as error:
        raise UsageError(error.what, where=decisions.where, hint=_STORED) from error
    answered = {(one.suite, one.target, one.case_id) for one in store.answers(candidate.id)}
    cases = _cases(store, candidate.id, decisions, answered)
    seal = event(project, "", by=by, run_id=candidate.id)
    person = seal.actor or ""
    known = {
        _identity(one.kind, one.run_id, one.details)
        for one in store.events(*_EVENTS.values(), run_id=candidate.id)
    }
    fresh = []
    for one in decisions.decisions:
        details = {
            "baseline": baseline.id,
            "suite": one.suite,
            "target": one.target,
            "case_id": one.case_id,
            "note": one.note,
        }
        kind = _EVENTS[one.decision]
        if _identity(kind, candidate.id, details) not in known:
            fresh.append(replace(seal, kind=kind, details=details))
    flagged = [one for one in decisions.decisions if one.decision == "flag"]
    proposed = _propose(project, flagged, cases, person, candidate.id)
    if fresh:
        store.record(*fresh)
    return Applied(
        recorded=len(fresh), known=len(decisions.decisions) - len(fresh), proposed=proposed
    )


def _identity(kind: str, run_id: str | None, details: Mapping[str, Any]) -> tuple[object, ...]:
    names = ("baseline", "suite", "target", "case_id", "note")
    return (kind, run_id, *(details.get(name) for name in names))


def _cases(
    store: Store,
    run_id: str,
    decisions: Decisions,
    answered: set[tuple[str, str, str]],
) -> dict[str, Case]:
    """The flagged cases; raises ``UsageError`` naming those that the run never had."""
    found: dict[str, Case] = {}
    missing = []
    for one in decisions.decisions:
        here = (one.suite, one.target, one.case_id) in answered
        if here and one.decision == "accept":
            continue
        try:
            trials = store.trial(run_id, one.case_id)
        except EvalkitError:
            trials = ()
        held = [
            trial
            for trial in trials
            if (trial.suite, trial.target, trial.case.id) == (one.suite, one.target, one.case_id)
        ]
        if held:
            found[one.case_id] = held[0].case
        else:
            missing.append(one.case_id)
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UsageError(
            f"the run {run_id} has no case {', '.join(missing[:5])}{more}"
            " in the suite and on the target that the decision names",
            where=decisions.where,
            hint=_STORED,
        )
    return found


def _propose(
    project: Project,
    flagged: Sequence[Decision],
    cases: Mapping[str, Case],
    person: str,
    run_id: str,
) -> dict[Path, int]:
    """Append cases that the proposed files have not yet; what is there is never changed."""
    by_path: dict[Path, list[Decision]] = {}
    for one in flagged:
        name = re.sub(r"[^\w-]+", "-", one.suite)
        by_path.setdefault(project.root / "golden" / f"{name}.flagged.jsonl", []).append(one)
    wanted = {}
    for path, rows in by_path.items():
        there = _there(path)
        lines = {}
        for one in rows:
            if one.case_id not in there:
                case = cases[one.case_id]
                lines[one.case_id] = _row(case, one, person, run_id)
        wanted[path] = lines
    counts = {}
    for path, lines in wanted.items():
        counts[path] = len(lines)
        if lines:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            start = "\n" if text and not text.endswith("\n") else ""
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(start + "".join(lines.values()))
    return counts


def _there(path: Path) -> set[str]:
    """The ids of the cases a proposed file holds; raises ``DatasetError`` where it is broken."""
    from evalkit.datasets import open_dataset

    if not path.exists() or not path.stat().st_size:
        return set()
    dataset = open_dataset(DatasetSpec(source=str(path), format=""))
    dataset.scan()
    return {one.id for one in dataset.cases()}


def _row(case: Case, decision: Decision, person: str, run_id: str) -> str:
    """A line of golden data that reads back as the very case, with the reviewer's note."""
    from evalkit.datasets._written import case_row, line_of

    flagged: dict[str, JSON] = {
        "note": decision.note,
        "by": person,
        "run": run_id,
        "target": decision.target,
    }
    row = case_row(case)
    row["tags"] = {**case.tags, "flagged": "yes"}
    row["metadata"] = {**case.metadata, "flagged": flagged}
    return line_of(row)
