"""Cases that a gated run need not ask: they ask of the same target what the baseline's run asked.

Their answers would differ by chance alone, so the baseline's stand in for them and the difference
is 0. What makes two requests the same is what names them: the target's kind, parameters and model,
and the rendered messages. A prompt that was changed for some cases only is asked for those only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalkit.config.spec import SuiteSpec
from evalkit.errors import PromptError
from evalkit.gate.beside import UNCHANGED
from evalkit.model import JSON, Case, Run, TargetVersion
from evalkit.runner.done import NOTHING_DONE, Done
from evalkit.runner.feed import request_hash
from evalkit.runner.must import must_pass
from evalkit.runner.rendering import Render, first_call

if TYPE_CHECKING:
    from evalkit.gate.stored import Sides, Stored
    from evalkit.runner.fleet import PlannedTarget
    from evalkit.runner.plan import Plan
    from evalkit.runner.suites import PlannedSuite
    from evalkit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Unchanged:
    """The ids of cases that are not asked, by suite and target, and whose answers stand in."""

    baseline: str
    cases: Mapping[tuple[str, str], frozenset[str]]

    def of(self, suite: str, target: str) -> frozenset[str]:
        """The cases of one suite that one target is not asked."""
        return self.cases.get((suite, target), frozenset())

    def to_json(self) -> dict[str, JSON]:
        """What the run stores."""
        found: list[JSON] = [
            {"suite": suite, "target": target, "cases": list[JSON](sorted(ids))}
            for (suite, target), ids in sorted(self.cases.items())
        ]
        return {"baseline": self.baseline, "cases": found}

    @classmethod
    def kept(cls, settings: Mapping[str, Any]) -> Unchanged | None:
        """What a run stored; ``None`` when it left nothing out."""
        value = settings.get(UNCHANGED)
        if not isinstance(value, Mapping):
            return None
        cases = {(one["suite"], one["target"]): frozenset(one["cases"]) for one in value["cases"]}
        return cls(baseline=value["baseline"], cases=cases)


def unchanged(
    plan: Plan,
    store: Store,
    baseline: Run,
    specs: Sequence[SuiteSpec],
    note: Callable[[str], object],
) -> Unchanged | None:
    """The cases of a plan whose requests are those of a stored baseline; ``None`` for none.

    Never one that must pass, and none of a suite with a query, which looks at stored answers.
    """
    wanted = {one.name: one for one in specs if one.policy.unchanged == "skip" and one.gates}
    if not wanted:
        return None
    known = store.answered_requests(baseline.id)
    before = {one.name: one for one in baseline.targets}
    found: dict[tuple[str, str], frozenset[str]] = {}
    for suite in plan.suites:
        spec = wanted.get(suite.name)
        if spec is None:
            continue
        if any(one.sql is not None for one in spec.gates):
            note(f"{suite.name}: all cases are asked, since a gate queries their stored answers")
            continue
        for name in suite.targets:
            asked, old = known.get((suite.name, name)), before.get(name)
            target = plan.fleet.targets[name]
            if asked is None or old is None or not _same_target(target, old):
                continue
            ids = _alike(suite, plan, name, old.content_hash, asked)
            ids -= must_pass(spec, suite.cases).keys()
            if ids:
                found[suite.name, name] = frozenset(ids)
    if not found:
        return None
    return Unchanged(baseline=baseline.id, cases=found)


def _same_target(target: PlannedTarget, old: TargetVersion) -> bool:
    """Whether the same is asked in the same way: prompts aside, which the messages tell."""
    new = target.version
    if target.identity is None or target.children:
        # nothing tells whether what answers there has changed
        return False
    return (new.kind, new.model, dict(new.options)) == (old.kind, old.model, dict(old.options))


def _alike(
    suite: PlannedSuite, plan: Plan, name: str, target_hash: str, asked: Mapping[str, str]
) -> set[str]:
    render = plan.fleet.lanes[name].render
    found = set()
    for case in suite.cases:
        wanted = asked.get(case.id)
        if wanted is not None and _request(target_hash, case, render) == wanted:
            found.add(case.id)
    return found


def _request(target_hash: str, case: Case, render: Render | None) -> str:
    try:
        messages, turns = first_call(render, case)
    except PromptError:
        return ""
    return request_hash(target_hash, case, messages, turns)


def left_out(plan: Plan, done: Mapping[tuple[str, str], Done]) -> Mapping[tuple[str, str], Done]:
    """What needs no call: trials that are there, and all of the cases that are left out."""
    kept = Unchanged.kept(plan.run.settings)
    if kept is None:
        return done
    return {
        **done,
        **{key: done.get(key, NOTHING_DONE).but(ids) for key, ids in kept.cases.items()},
    }


def stand_ins(store: Store, run: Run, *, sides: Sides | None = None) -> tuple[Sides, str]:
    """The baseline's answers to the cases a run left out, and what is wrong where there are none.

    ``sides`` are those of that baseline where they were read already.
    """
    from evalkit.stats.sides import of_cases

    kept = Unchanged.kept(run.settings)
    if kept is None:
        return {}, ""
    if sides is None:
        if all(one.run_id != kept.baseline for one in store.runs()):
            count = sum(map(len, kept.cases.values()))
            return {}, (
                f"{count:,} cases were not asked since the run {kept.baseline} had asked the same,"
                " and it is not in this store"
            )
        sides = store.sides(kept.baseline)
    return {key: of_cases(sides[key], ids) for key, ids in kept.cases.items() if key in sides}, ""


def completed(store: Store, stored: Stored) -> tuple[Stored, str]:
    """A run with the answers that stand in for what it left out."""
    found, problem = stand_ins(store, stored.run)
    return (replace(stored, unchanged=found) if found else stored), problem
