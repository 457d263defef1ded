"""Asking on where a finished run decides nothing: one more trial of every case, while allowed.

Each added trial is a look, planned for before the run began: what was planned at first had only its
share of α to spend. So however often a run is extended, it errs no more than it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evalkit.config.spec import Project
from evalkit.gate.beside import is_beside
from evalkit.gate.looks import SETTING, Looked, key, looked
from evalkit.gate.result import GateResult, Status, Verdict
from evalkit.model import RunStatus
from evalkit.runner.done import Done
from evalkit.runner.funds import fund
from evalkit.runner.outcome import Outcome
from evalkit.runner.plan import Plan, RunOptions, build_plan
from evalkit.runner.progress import Display
from evalkit.runner.resume import resume as resume_plan
from evalkit.runner.resume import stored_options
from evalkit.runner.session import execute
from evalkit.runner.unchanged import Unchanged

if TYPE_CHECKING:
    from evalkit.store import Store


def extend(
    project: Project,
    store: Store,
    verdict: Verdict,
    options: RunOptions,
    *,
    display: Display,
) -> Outcome | None:
    """Ask every case of the undecided suites once more; ``None`` when that is not wanted, or over.

    When it ends early, nothing it asked counts until it is continued: the verdict stays.
    """
    run = store.load_run(verdict.candidate)
    record = looked(run)
    if record is None or record.ended or run.status is not RunStatus.COMPLETE:
        return None
    wanted = {name: step for name in _undecided(verdict) if (step := _next(record, name))}
    if not wanted:
        return None
    given = stored_options(run, options)
    plan, resumed = resume_plan(build_plan(project, given, store=store), run, store)
    more = _more(plan, wanted)
    left = _left(more, resumed.done)
    display.note(
        f"nothing is decided: asking {left:,} more {'call' if left == 1 else 'calls'}, trial "
        + ", ".join(f"{step + 1} of {record.most[name]} of {name}" for name, step in wanted.items())
    )
    ledger, _ = fund(plan, given, store, resumed=True)
    more = replace(more, run=replace(run, planned=run.planned + left))
    kept = record
    try:
        outcome = execute(more, store, display=display, resumed=resumed, ledger=ledger)
        if outcome.status is RunStatus.COMPLETE:
            kept = _counted(record, wanted, verdict)
    finally:
        store.finish_run(
            run.id,
            run.status,
            run.finished_at or datetime.now(UTC),
            settings={SETTING: kept.to_json()},
        )
    return outcome


def _undecided(verdict: Verdict) -> list[str]:
    """The suites with a gate that more trials could settle, when they keep the run from a verdict.

    Neither too few cases nor too few labels are cured by asking the same cases again.
    """
    if verdict.status is not Status.INCONCLUSIVE:
        return []
    open_ = [one for one in verdict.results if _can_be_settled(one)]
    return list(dict.fromkeys(one.suite for one in open_))


def _can_be_settled(one: GateResult) -> bool:
    return (
        one.status is Status.INCONCLUSIVE
        and one.mode != "advisory"
        and one.p_pass is not None
        and one.p_pass < 1
        and one.p_harm is not None
    )


def _next(record: Looked, suite: str) -> int:
    """The number of the next trial of a suite's cases; 0 when there is none left."""
    planned = record.trials.get(suite)
    if planned is None:
        return 0
    after = planned + record.added.get(suite, 0)
    return after if after < record.most[suite] else 0


def _more(plan: Plan, wanted: Mapping[str, int]) -> Plan:
    return replace(
        plan,
        suites=tuple(
            replace(
                one,
                trials=1,
                first_trial=wanted[one.name],
                targets=tuple(target for target in one.targets if not is_beside(target)),
            )
            for one in plan.suites
            if one.name in wanted
        ),
    )


def _left(plan: Plan, done: Mapping[tuple[str, str], Done]) -> int:
    """How many calls are to be made: a run that was ended in the middle of this made some."""
    kept = Unchanged.kept(plan.run.settings)
    count = 0
    for suite in plan.suites:
        for target in suite.targets:
            had = done.get((suite.name, target), Done())
            if kept is not None:
                had = had.but(kept.of(suite.name, target))
            count += sum((case.id, suite.first_trial) not in had for case in suite.cases)
    return count


def _counted(record: Looked, wanted: Mapping[str, int], verdict: Verdict) -> Looked:
    """The record with one more look, and what the looks before it knew."""
    return replace(
        record,
        added={**record.added, **{name: record.added.get(name, 0) + 1 for name in wanted}},
        information={
            **record.information,
            **{key(one): one.looks for one in verdict.results if one.looks},
        },
    )
