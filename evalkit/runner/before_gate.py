"""What can be known before a run that will be judged, and before anything is paid for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.config.spec import GatePolicy, Project
from evalkit.errors import Undecided, UsageError
from evalkit.gate.stored import Stored
from evalkit.runner.gating import Finder
from evalkit.runner.looks import sequential_of
from evalkit.runner.plan import LooksAsked, Plan, RunOptions, build_plan
from evalkit.runner.provable import refuse_broken_queries, refuse_unprovable
from evalkit.runner.rules import Rules, rules_of
from evalkit.runner.unchanged import Unchanged, unchanged

if TYPE_CHECKING:
    from evalkit.store import Store


def before_gate(
    project: Project,
    store: Store,
    options: RunOptions,
    *,
    resume: str | None = None,
    baseline: str | None,
    policy_ref: str,
    interleave: bool,
    note: Callable[[str], object],
) -> RunOptions:
    """Look at gates and baseline before the run; returns its options.

    Of a run that is resumed only the queries are looked at: the rest was settled when it began.
    Notes that there is no baseline yet. With ``interleave`` the baseline's targets are asked in the
    same run, case by case and at the same time: a provider has fast and slow days, and asked side
    by side both sides have the same, so that a rise of latency is the candidate's and may block.

    Raises ``UsageError`` for a baseline or a ref that does not exist, for a query that cannot be
    run, for a gate that must be proved and never can be, and for a baseline that cannot be asked
    again; ``Undecided`` when there is none to interleave with.
    """
    if resume is not None:
        suites = store.load_run(store.resolve(resume)).suites
        refuse_broken_queries(rules_of(project, suites, policy_ref))
        return options
    plan = build_plan(project, options, store=store)
    rules = rules_of(project, plan.run.suites, policy_ref)
    refuse_broken_queries(rules)
    policy = rules.specs[0].policy if rules.specs else GatePolicy()
    finder = Finder(project, store, plan.run, policy.baseline_runs, policy_ref, rules.commit)
    named = baseline or policy.baseline
    found, why = finder.find(named)
    refuse_unprovable(plan, rules, found)
    options = replace(
        options,
        looks=_looks(rules, plan, found, LooksAsked(baseline=named, policy_ref=policy_ref), note),
    )
    if found is None:
        if interleave:
            raise Undecided(f"there is nothing to interleave with: {why}")
        note(f"warning: {why}")
        return options
    if not interleave:
        return replace(options, unchanged=_unchanged(plan, store, rules, found, note))
    if all(one.run_id != found.run.id for one in store.runs()):
        raise UsageError(
            f"the baseline {found.run.id} cannot be asked again: its run is not in this store",
            where=store.path,
            hint="a baseline's file keeps no prompts; name a stored run with --baseline",
        )
    return replace(options, interleave=found.run.id)


def _unchanged(
    plan: Plan, store: Store, rules: Rules, baseline: Stored, note: Callable[[str], object]
) -> Unchanged | None:
    """What need not be asked again; all is, where the baseline's requests are not known."""
    if all(one.policy.unchanged == "ask" for one in rules.specs):
        return None
    if all(one.run_id != baseline.run.id for one in store.runs()):
        note(
            f"all cases are asked: the run {baseline.run.id} of the baseline is not in this store,"
            " so what it asked is not known"
        )
        return None
    found = unchanged(plan, store, baseline.run, rules.specs, note)
    if found is None:
        note(
            "all cases are asked: none asks the same as the baseline's run of a target whose"
            " configuration tells what answers there"
        )
        return None
    count = sum(map(len, found.cases.values()))
    total = sum(one.survey.mine * len(one.targets) for one in plan.suites)
    note(
        f"{count:,} of {total:,} cases ask what the run {baseline.run.id} asked: they are not asked"
        " again, and their change is 0"
    )
    return found


def _looks(
    rules: Rules,
    plan: Plan,
    baseline: Stored | None,
    asked: LooksAsked,
    note: Callable[[str], object],
) -> LooksAsked | None:
    """Whether the run is looked at before its end; its baseline is named once and for all."""
    wanted, why = sequential_of(rules.specs)
    if why:
        note(f"warning: {why}")
    if wanted is None:
        return None
    if wanted.max_calls:
        for one in plan.suites:
            if wanted.max_calls < one.survey.mine * (one.trials + 1):
                note(
                    f"warning: max_calls {wanted.max_calls:,} has no room for one more trial of"
                    f" each of the {one.survey.mine:,} cases of {one.name!r}: it is not extended"
                )
    named = asked.baseline
    if baseline is not None and not named.startswith("file:"):
        named = f"run:{baseline.run.id}"
    return LooksAsked(baseline=named, policy_ref=rules.commit if asked.policy_ref else "")
