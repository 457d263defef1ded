"""What is kept of a verdict: a row a rule, and who decided, waived or was waived, in the trail."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from evalkit.errors import EvalkitError
from evalkit.gate.result import GateResult, Verdict
from evalkit.model import JSON, Run
from evalkit.runner.audit import user_name
from evalkit.store import Event, GateRow, Store


def remember(
    store: Store, verdict: Verdict, candidate: Run, words: Sequence[tuple[str, str]]
) -> str:
    """Store a verdict; returns why it could not be, empty when it was: it stands either way.

    ``words`` has the rule and the sentence of every result.
    """
    now = datetime.now(UTC)
    rows = [
        _row(verdict, one, place, words[place], now) for place, one in enumerate(verdict.results)
    ]
    actor, commit = user_name(), candidate.git.commit if candidate.git else None
    details: dict[str, JSON] = {
        "status": str(verdict.status),
        "baseline": list(verdict.baseline),
        "policy": verdict.policy,
        "gates": len(rows),
    }
    events = [
        Event(
            kind="gate.decided",
            actor=actor,
            run_id=candidate.id,
            git_commit=commit,
            details=details,
            happened_at=now,
        )
    ]
    events += [
        Event(
            kind="gate.waived",
            actor=actor,
            run_id=candidate.id,
            git_commit=commit,
            details={"gate": one.gate, "suite": one.suite, "status": str(one.status), "note": note},
            happened_at=now,
        )
        for one in verdict.results
        for note in one.notes
        if note.startswith("waived by")
    ]
    try:
        store.record_gates(rows, events)
    except EvalkitError as error:
        return f"the verdict was not stored: {error.what}"
    return ""


def _row(
    verdict: Verdict, result: GateResult, place: int, words: tuple[str, str], now: datetime
) -> GateRow:
    change = result.about == "change"
    return GateRow(
        run_id=verdict.candidate,
        baseline_run_id=verdict.baseline[-1] if verdict.baseline else None,
        position=place,
        suite=result.suite,
        target=result.target or None,
        gate=words[0],
        metric=result.metric or None,
        mode=result.mode,
        verdict=str(result.status),
        value=result.difference if change else result.candidate,
        low=result.low,
        high=result.high,
        threshold=result.limit.value if result.bound is None else result.bound,
        n=result.n,
        reason=words[1],
        decided_at=now,
    )
