"""Rules on facts: cases that must pass, and queries that must return no rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from evalkit.gate.measure import Measured
from evalkit.gate.question import Question
from evalkit.gate.result import GateResult, Status
from evalkit.stats.sides import Bools, Numbers


def must_pass(question: Question, names: Sequence[str]) -> GateResult:
    """``must: pass``: no chosen case may fail, and a failure is confirmed by ``confirm`` trials.

    A case fails when two of its trials do, or one if nothing confirms. A single failure among more
    than ``confirm`` trials is flaky and no failure; among fewer it is INCONCLUSIVE. ``names`` are
    those of the cases. 30 cases at 99.5 % block 0.15 % of unchanged candidates with two confirming
    trials, 14 % without.
    """
    after, confirm = question.after, int(question.limit.value)
    n = after.cases
    if not n:
        return question.error("none of these cases was run")
    failures = np.bincount(after.owner[after.values == 0], minlength=n)
    trials = np.bincount(after.owner, minlength=n)
    unknown = after.incomplete()
    enough = 2 if confirm else 1
    failed = failures >= enough
    unconfirmed = _unconfirmed(failures, trials, confirm)
    flaky = (failures > 0) & ~failed & ~unconfirmed
    result = question.result(
        about="fact",
        candidate=float((failures == 0).sum() / n),
        missing=int(unknown.sum()),
        worse=int(failed.sum()),
        method="count",
        notes=(f"flaky: {_named(names, flaky)}",) if flaky.any() else (),
    )
    if failed.any():
        return replace(result, status=Status.FAIL, where=_named(names, failed))
    if unknown.any():
        return replace(result, where=_named(names, unknown), reason="some have no result")
    if unconfirmed.any():
        trial = f"--trials {confirm + 1}"
        reason = f"failed once: run again with {trial} to confirm it"
        return replace(
            result,
            status=Status.INCONCLUSIVE,
            where=_named(names, unconfirmed),
            reason=reason,
        )
    return replace(result, status=Status.PASS)


def to_confirm(after: Measured, confirm: int) -> dict[int, int]:
    """How many more trials confirm or clear each case that failed once, by its number."""
    failures = np.bincount(after.owner[after.values == 0], minlength=after.cases)
    trials = np.bincount(after.owner, minlength=after.cases)
    open_ = np.flatnonzero(_unconfirmed(failures, trials, confirm)).tolist()
    return {one: confirm - int(trials[one]) + 1 for one in open_}


def _unconfirmed(failures: Numbers, trials: Numbers, confirm: int) -> Bools:
    """Which cases failed once among too few trials to tell a failure from a flaky one."""
    found: Bools = (failures == 1) & (trials - 1 < confirm)
    return found


def _named(names: Sequence[str], mask: np.typing.NDArray[np.bool_]) -> str:
    found = [names[place] for place in np.flatnonzero(mask).tolist()]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def offending_rows(question: Question, rows: int) -> GateResult:
    """``sql``: how many rows the query returned, and how many it may."""
    allowed = int(question.limit.value)
    return question.result(
        about="fact",
        status=Status.PASS if rows <= allowed else Status.FAIL,
        candidate=float(rows),
        bound=float(allowed),
        n=0,
        unit="rows",
        method="count",
    )
