"""Asking again what failed once: only a failure that comes back blocks ``must: pass``.

The trials are chosen for what others said of the same case, so they are kept apart and count for
that gate alone: in a mean they would pull every failure towards luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from evalkit.config.spec import Project
from evalkit.errors import UsageError
from evalkit.gate.confirming import unconfirmed
from evalkit.gate.stored import Stored
from evalkit.model import CONFIRMING, Case
from evalkit.runner.funds import fund
from evalkit.runner.outcome import Outcome
from evalkit.runner.plan import RunOptions, build_plan
from evalkit.runner.progress import Display
from evalkit.runner.resume import Resumed, stored_options
from evalkit.runner.resume import resume as resume_plan
from evalkit.runner.rules import Rules
from evalkit.runner.session import execute

if TYPE_CHECKING:
    from evalkit.runner.suites import PlannedSuite
    from evalkit.store import Store


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The cases of a suite with these ids."""

    cases: Any
    ids: Mapping[str, int]

    def __iter__(self) -> Iterator[Case]:
        return (case for case in self.cases if case.id in self.ids)


def confirm(
    project: Project,
    store: Store,
    run_id: str,
    rules: Rules,
    options: RunOptions,
    *,
    display: Display,
) -> Outcome | None:
    """Ask the cases again that failed once where a gate wants it confirmed.

    ``None`` when there is nothing to confirm, or when the gate's tests were done before. The run
    stays as it ended: what is asked again is evidence beside it.
    """
    run = store.load_run(run_id)
    stored = Stored(
        run=run, sides=store.sides(run_id), confirming=store.sides(run_id, confirming=True)
    )
    wanted = unconfirmed(rules.specs, stored)
    if not wanted or stored.confirming:
        return None
    given = stored_options(run, options)
    plan, _ = resume_plan(build_plan(project, given, store=store), run, store)
    suites = [
        _again(one, target, cases)
        for one in plan.suites
        for (suite, target), cases in wanted.items()
        if suite == one.name
    ]
    trials = sum(one.planned for one in suites)
    count = sum(map(len, wanted.values()))
    display.note(
        f"{count:,} {'case' if count == 1 else 'cases'} that must pass failed once:"
        f" asking again, {trials:,} {'trial' if trials == 1 else 'trials'}"
    )
    ledger, _ = fund(plan, given, store, resumed=True)
    plan = replace(plan, suites=tuple(suites), run=replace(run, planned=trials))
    try:
        return execute(plan, store, display=display, resumed=Resumed({}), ledger=ledger)
    finally:
        store.finish_run(run_id, run.status, run.finished_at or datetime.now(UTC))


def _again(suite: PlannedSuite, target: str, cases: Mapping[str, int]) -> PlannedSuite:
    """A suite of only these cases on one target, as often as the most doubtful of them needs."""
    if target not in suite.targets:
        raise UsageError(f"target {target!r} is no longer asked by suite {suite.name!r}")
    return replace(
        suite,
        targets=(target,),
        cases=cast("Any", _Chosen(suite.cases, cases)),
        trials=max(cases.values()),
        survey=replace(suite.survey, selected=(len(cases),), mine=len(cases)),
        first_trial=CONFIRMING,
    )
