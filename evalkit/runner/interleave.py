"""The baseline's target asked in the same run as the candidate's, case by case, at the same time.

A provider has fast and slow days: compared across runs, 10 % of them decide. Asked side by side,
both have the same day, so a rise of latency is the candidate's and may block. The baseline's prompt
and parameters are those its run stored, under the candidate's limits.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.config.spec import GatePolicy, Project
from evalkit.errors import Undecided, UsageError
from evalkit.runner.gating import Finder
from evalkit.runner.plan import RunOptions, build_plan
from evalkit.runner.rules import rules_of

if TYPE_CHECKING:
    from evalkit.store import Store


def interleaved_with(
    project: Project, store: Store, options: RunOptions, *, baseline: str | None, policy_ref: str
) -> RunOptions:
    """The options of a run that also asks the targets of the baseline it will be judged by.

    Raises ``Undecided`` when there is no such baseline, and ``UsageError`` when no run of it is
    stored: a baseline's file keeps no prompts.
    """
    run = build_plan(project, options, store=store).run
    rules = rules_of(project, run.suites, policy_ref)
    policy = rules.specs[0].policy if rules.specs else GatePolicy()
    finder = Finder(project, store, run, 1, policy_ref, rules.commit)
    found, why = finder.find(baseline or policy.baseline)
    if found is None:
        raise Undecided(f"there is nothing to interleave with: {why}")
    if all(one.run_id != found.run.id for one in store.runs()):
        raise UsageError(
            f"the baseline {found.run.id} cannot be asked again: its run is not in this store",
            where=store.path,
            hint="a baseline's file keeps no prompts; name a stored run with --baseline",
        )
    return replace(options, interleave=found.run.id)
