"""A gated run that ends as soon as its verdict is certain.

The cases are asked in an order fixed by the seed. When the first tenth of every suite is recorded,
then the second, and so on, the gates judge exactly those cases, each time against the boundary of
that look. FAIL ends the run at once; PASS waits until every guard has seen as many cases as it
needs to see anything. What the looks find follows from the stored trials alone: a run that was
killed finds it again when it is resumed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from evalkit.config.spec import GatePolicy, GateSpec, Project, Sequential, SuiteSpec
from evalkit.errors import StoreError
from evalkit.gate.bench import Bench
from evalkit.gate.decide import decide
from evalkit.gate.forecast import fewest_cases
from evalkit.gate.known import metrics_of
from evalkit.gate.looks import SETTING, Looked, key, looked
from evalkit.gate.result import Status, Verdict
from evalkit.gate.selection import Cases
from evalkit.gate.stored import Sides, Stored, targets_of
from evalkit.model import JSON, Case, RunStatus, Trial
from evalkit.runner.done import NOTHING_DONE, Done
from evalkit.runner.feed import Part
from evalkit.runner.gating import Finder
from evalkit.runner.must import chosen, must_pass
from evalkit.runner.order import even_order
from evalkit.runner.recorder import Recorder
from evalkit.runner.rules import Rules, rules_of
from evalkit.runner.unchanged import stand_ins

if TYPE_CHECKING:
    from evalkit.runner.plan import LooksAsked, Plan
    from evalkit.stats.sides import Bools
    from evalkit.store import Store


def sequential_of(specs: Sequence[SuiteSpec]) -> tuple[Sequential | None, str]:
    """How the suites want a run to be looked at, and why it is not when they disagree."""
    wanted = {one.policy.sequential for one in specs if one.gates}
    if len(wanted) == 1:
        return wanted.pop(), ""
    if not wanted:
        return None, ""
    return None, "the suites of this run differ in 'sequential': it is not looked at before its end"


@dataclass(slots=True)
class _Order:
    """The cases of one suite in the order they are asked and counted, and where looks end."""

    cases: list[Case]
    ends: list[int]
    early: list[Case]
    place: dict[str, int]

    @classmethod
    def of(cls, cases: Iterable[Case], spec: SuiteSpec, wanted: Sequential, seed: int) -> _Order:
        tags = dict.fromkeys([*spec.slices, *(tag for gate in spec.gates for tag in gate.by)])
        if wanted.spending == "anytime":
            tags = {}  # a bet is fair where any case may come next
        order = even_order(cases, list(tags), seed)
        n = len(order)
        ends = [math.ceil(n * step / wanted.looks) for step in range(1, wanted.looks + 1)]
        place = {case.id: number for number, case in enumerate(order)}
        return cls(order, ends, list(must_pass(spec, order).values()), place)

    def parts(self) -> list[list[Case]]:
        """The cases of each look, those that must pass first: a PASS waits for them."""
        first = {one.id for one in self.early}
        rest = [
            [one for one in self.cases[start:end] if one.id not in first]
            for start, end in pairwise([0, *self.ends])
        ]
        return [self.early, *rest]


@dataclass(slots=True, kw_only=True)
class Looks:
    """The looks of one run; a sink that counts what it hands on, and judges where a look is due.

    ``on_certain`` is called, from the thread that records, when a look has found the verdict.
    """

    store: Store
    plan: Plan
    wanted: Sequential
    specs: tuple[SuiteSpec, ...]
    baseline: Stored | None
    no_baseline: str
    anchors: Mapping[str, tuple[Stored | None, str]]
    recorder: Recorder
    note: Callable[[str], object]
    unchanged: Sides = field(default_factory=dict)
    on_certain: Callable[[], object] = lambda: None
    ended: Literal["", "PASS", "FAIL"] = ""
    _orders: dict[str, _Order] = field(default_factory=dict)
    _left: list[int] = field(default_factory=list)
    _open: dict[tuple[str, str, str], int] = field(default_factory=dict)
    _seen: dict[str, list[int]] = field(default_factory=dict)
    _next: int = 0
    _information: dict[str, tuple[float, ...]] = field(default_factory=dict)
    _waits: frozenset[str] = frozenset()
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls,
        project: Project,
        store: Store,
        plan: Plan,
        asked: LooksAsked,
        recorder: Recorder,
        *,
        done: Mapping[tuple[str, str], Done],
        note: Callable[[str], object],
    ) -> Looks | None:
        """Find rules and baseline and fix the order; ``None`` when the suites want no looks."""
        rules = rules_of(project, plan.run.suites, asked.policy_ref)
        wanted, _ = sequential_of(rules.specs)
        if wanted is None:
            return None
        policy = rules.specs[0].policy if rules.specs else GatePolicy()
        finder = Finder(
            project, store, plan.run, policy.baseline_runs, asked.policy_ref, rules.commit
        )
        old, why = finder.find(asked.baseline)
        found = cls(
            store=store,
            plan=plan,
            wanted=wanted,
            specs=tuple(_at_a_look(one) for one in rules.specs),
            baseline=old,
            no_baseline=why,
            anchors={
                one.name: finder.find(one.policy.anchor.ref)
                for one in rules.specs
                if one.policy.anchor
            },
            recorder=recorder,
            note=note,
            unchanged=stand_ins(store, plan.run)[0],
        )
        found._fix(rules, done)
        return found

    def _fix(self, rules: Rules, done: Mapping[tuple[str, str], Done]) -> None:
        specs = {one.name: one for one in rules.specs}
        self._waits = frozenset(
            why for one in rules.specs for gate in one.gates if (why := _never_early(gate))
        )
        self._left = [0] * self.wanted.looks
        for suite in self.plan.suites:
            spec = specs.get(suite.name, suite.spec)
            order = _Order.of(suite.cases, spec, self.wanted, self.plan.run.seed)
            self._orders[suite.name] = order
            for target in suite.targets:
                kept = done.get((suite.name, target), NOTHING_DONE)
                start = 0
                first = {one.id for one in order.early}
                for look, end in enumerate(order.ends):
                    for case in order.cases[start:end]:
                        missing = sum((case.id, one) not in kept for one in range(suite.trials))
                        if missing > 0:
                            place = 0 if case.id in first else look
                            self._left[place] += missing
                            self._open[suite.name, target, case.id] = place
                    start = end

    def parts(self, target: str, done: Mapping[tuple[str, str], Done]) -> list[Part]:
        """What a target is asked: look by look, and within a look suite by suite."""
        found = []
        mine = [one for one in self.plan.suites if target in one.targets and one.survey.mine]
        steps = {one.name: self._orders[one.name].parts() for one in mine}
        for step in range(self.wanted.looks + 1):
            for suite in mine:
                cases = steps[suite.name][step]
                found.append(
                    Part(
                        suite=suite.name,
                        cases=cases.__iter__,
                        trials=suite.trials,
                        done=done.get((suite.name, target), NOTHING_DONE),
                        first=suite.first_trial,
                        opens=partial(self._opens, step - 1) if step > 1 else None,
                    )
                )
        return found

    def _opens(self, step: int) -> bool:
        """Whether the cases of a look may be asked: never more than one look ahead."""
        return bool(self.ended) or self._next >= step - 1

    def append(self, trials: Sequence[Trial]) -> None:
        """Record trials, then look where a look is due."""
        self.recorder.append(trials)
        for one in trials:
            place = self._open.get((one.suite, one.target, one.case.id))
            if place is not None:
                self._left[place] -= 1
        self.look()

    def look(self) -> None:
        """Judge every look whose cases are all recorded, until one is certain."""
        with self._guard:
            while not self.ended and self._next < self.wanted.looks - 1:
                if self._left[self._next] > 0:
                    return
                step = self._next
                self._next += 1
                ends = {name: one.ends[step] for name, one in self._orders.items()}
                if any(0 < end < self.wanted.min_cases for end in ends.values()):
                    continue
                for name, end in ends.items():
                    self._seen.setdefault(name, []).append(end)
                self._judge(step)

    def _judge(self, step: int) -> None:
        try:
            self.recorder.settle()
            sides = self.store.sides(self.plan.run.id)
        except StoreError as error:
            # nothing is lost by not looking: the look spends nothing and is not counted
            for seen in self._seen.values():
                seen.pop()
            self.note(f"look {step + 1} of {self.wanted.looks} is left out: {error.what}")
            return
        if not any(one.trials for one in (*sides.values(), *self.unchanged.values())):
            return
        late = self._late(sides)
        record = self._record("FAIL", late)
        run = replace(
            self.plan.run,
            status=RunStatus.COMPLETE,
            settings={**self.plan.run.settings, SETTING: record.to_json()},
        )
        candidate = Stored(run=run, sides=sides, unchanged=self.unchanged)
        verdict = decide(
            self.specs,
            candidate,
            self.baseline,
            today=datetime.now(UTC).date(),
            no_baseline=self.no_baseline,
            anchors=self.anchors,
        )
        for one in verdict.results:
            if one.looks:
                self._information[key(one)] = one.looks
        cases = sum(one[-1] for one in self._seen.values())
        if verdict.status is Status.FAIL:
            self._end("FAIL", cases)
        elif (
            verdict.status is Status.PASS
            and self.wanted.stop == "both"
            and not self._waits
            and self._guards_have_enough(candidate, verdict)
        ):
            self._end("PASS", cases)

    def _end(self, found: Literal["PASS", "FAIL"], seen: int) -> None:
        self.ended = found
        of = sum(len(one.cases) for one in self._orders.values())
        self.note(f"{found} after {seen:,} of {of:,} cases: no new calls")
        self.on_certain()

    def _late(self, sides: Sides) -> dict[str, frozenset[str]]:
        """The cases that were answered before it was their turn to count."""
        found: dict[str, set[str]] = {}
        for known in (sides, self.unchanged):
            for (suite, _), side in known.items():
                order, end = self._orders[suite], self._seen[suite][-1]
                ids = found.setdefault(suite, set())
                ids.update(one for one in side.cases if order.place[one] >= end)
        return {suite: frozenset(ids) for suite, ids in found.items()}

    def _record(
        self, ended: Literal["", "PASS", "FAIL"], late: Mapping[str, frozenset[str]]
    ) -> Looked:
        most = self._most()
        before = looked(self.plan.run)
        return Looked(
            spending=self.wanted.spending,
            cases={name: tuple(seen) for name, seen in self._seen.items()},
            of={name: len(one.cases) for name, one in self._orders.items()},
            ended=ended,
            beyond=late,
            information=dict(self._information),
            trials={one.name: one.trials for one in self.plan.suites if one.name in most},
            most=most,
            added={} if before is None else before.added,
        )

    def settings(self) -> dict[str, JSON]:
        """What is added to the settings of the run."""
        return {SETTING: self.record()}

    def _most(self) -> dict[str, int]:
        """The most trials a case may come to have, by suite, where that is more than planned."""
        found = {}
        for one in self.plan.suites:
            cases = len(self._orders[one.name].cases)
            most = self.wanted.max_calls // max(cases, 1)
            if most > one.trials:
                found[one.name] = most
        return found

    def record(self) -> dict[str, JSON]:
        """What the run keeps of its looks when it ends; the last look is at all cases."""
        if self.ended:
            late = self._late(self.store.sides(self.plan.run.id))
            return self._record(self.ended, late).to_json()
        for name, order in self._orders.items():
            self._seen.setdefault(name, []).append(len(order.cases))
        return self._record("", {}).to_json()

    def _guards_have_enough(self, candidate: Stored, verdict: Verdict) -> bool:
        """Whether every guard has seen the cases it needs, or all there are of its kind."""
        del verdict
        for spec in self.specs:
            infos = metrics_of(candidate.run, spec.name)
            for target in targets_of(candidate, spec.name):
                bench = Bench.of(spec, target, candidate, self.baseline)
                pairs = bench.pairs if bench.before is not None else bench.everything
                for gate in spec.gates:
                    if gate.mode != "guard" or gate.metric not in infos:
                        continue
                    if gate.target not in {"", target}:
                        continue
                    least = max(
                        fewest_cases(one, infos[gate.metric], alpha=spec.policy.alpha,
                                     population=True) or 0
                        for one in gate.limits
                    )  # fmt: skip
                    if not self._enough(gate, spec, pairs, least):
                        return False
        return True

    def _enough(self, gate: GateSpec, spec: SuiteSpec, pairs: Cases, least: int) -> bool:
        cases = self._orders[spec.name].cases
        mine = chosen(gate, cases) if gate.cases else cases
        mask, _ = pairs.chosen(gate.cases)
        if not gate.by:
            return _apart_of(pairs, mask, spec.policy) >= min(least, _apart(mine, spec.policy))
        least = max(least, gate.min_cases)
        for tag in gate.by:
            groups: dict[str, list[Case]] = {}
            for one in mine:
                value = one.tags.get(tag)
                if value is not None:
                    groups.setdefault(value, []).append(one)
            seen = {
                value: _apart_of(pairs, mask & one, spec.policy)
                for value, one in pairs.groups(tag).items()
            }
            for value, those in groups.items():
                enough = min(least, _apart(those, spec.policy))
                if len(those) >= gate.min_cases and seen.get(value, 0) < enough:
                    return False
        return True


def _apart_of(pairs: Cases, kept: Bools, policy: GatePolicy) -> int:
    """How many of the kept pairs stand alone, those that hang together counting as one."""
    hanging = pairs.hanging(policy, kept)
    return int(kept.sum()) if hanging is None else len(set(hanging.tolist()))


def _apart(cases: Sequence[Case], policy: GatePolicy) -> int:
    """How many of the cases a run is to ask stand alone; see ``Cases.hanging``."""
    if policy.cluster:
        return len({one.tags.get(policy.cluster) or f"case {one.id}" for one in cases})
    if any({"sort", "base"} <= one.tags.keys() for one in cases):
        return len({one.tags.get("base") or one.name or one.id for one in cases})
    return len(cases)


def _at_a_look(spec: SuiteSpec) -> SuiteSpec:
    """The suite with the gates that a part of a run can be judged by.

    A query is written for a whole run; a failure that would be confirmed has not been yet.
    """
    kept = tuple(
        one
        for one in spec.gates
        if one.sql is None and not any(limit.kind == "must" and limit.value for limit in one.limits)
    )
    return replace(spec, gates=kept)


def _never_early(gate: GateSpec) -> str:
    """Why a gate lets no run pass early: it is about all cases, whatever is seen of some."""
    if gate.mode == "advisory":
        return ""
    if gate.sql is not None or any(one.kind == "total" for one in gate.limits):
        return gate.id
    return ""
