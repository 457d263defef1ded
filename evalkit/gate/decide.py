"""A candidate, its baseline and the gates of its suites: one verdict.

Pure: runs come as columns, queries as their row counts, the day as an argument. The same arguments
give the same verdict, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from evalkit.config.gate_metrics import ATTACKS, MetricInfo, metric_info
from evalkit.config.spec import GateLimit, GateSpec, SuiteSpec
from evalkit.gate import calibrated
from evalkit.gate.anchor import anchored, tolerated, with_budget
from evalkit.gate.attack_results import attack_results
from evalkit.gate.attacked import judging
from evalkit.gate.beside import beside, is_beside
from evalkit.gate.calibrated import NO_RECORDS, Records, Trust
from evalkit.gate.comparability import differences, left_out, same_data
from evalkit.gate.facts import must_pass, offending_rows
from evalkit.gate.fairness import fairness_of
from evalkit.gate.groups import max_gap
from evalkit.gate.known import metrics_of, plugins_of
from evalkit.gate.looks import Look, decided, looked, over_looks
from evalkit.gate.measure import Measured, deciding, lose, measure
from evalkit.gate.outcomes import outcomes
from evalkit.gate.pairing import Pairing, alone, pair
from evalkit.gate.policy import corrected, overall, promise, waived, waivers, with_effect
from evalkit.gate.question import Question
from evalkit.gate.record import Calibration
from evalkit.gate.result import Attacks, Compared, Difference, Fairness, GateResult, Status, Verdict
from evalkit.gate.rule import CHANGES, rule, too_small
from evalkit.gate.selection import Cases
from evalkit.hashing import content_id
from evalkit.model import Run
from evalkit.registry import ScorerPlugin
from evalkit.stats.sides import Bools, Side, of_cases, pooled

Sides = Mapping[tuple[str, str], Side]
FACT = MetricInfo(name="pass.rate", source="pass", kind="rate", direction="higher", unit="%")

_NOWHERE = Path()
_NOTHING = Measured(
    values=np.empty(0),
    low=np.empty(0),
    high=np.empty(0),
    owner=np.empty(0, dtype=np.intp),
    concerned=np.empty(0, dtype=np.bool_),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A run with its columns; of pooled runs the newest, with all their rows.

    ``confirming`` has the trials that were made because others had failed.
    """

    run: Run
    sides: Sides
    runs: tuple[str, ...] = ()
    confirming: Sides = field(default_factory=dict)


def decide(
    suites: Sequence[SuiteSpec],
    candidate: Stored,
    baseline: Stored | None,
    *,
    today: date,
    rows: Mapping[tuple[str, str], int] = {},
    no_baseline: str = "",
    anchors: Mapping[str, tuple[Stored | None, str]] = {},
    said: Sequence[str] = (),
    problems: Sequence[str] = (),
    records: Records = NO_RECORDS,
    seed: int = 0,
) -> Verdict:
    """Judge every gate of the suites; ``rows`` has the count of each ``sql`` gate's query.

    ``no_baseline`` says why there is none; ``anchors`` has the release that the drift of a suite is
    counted from, or ``None`` and why there is none. ``said`` is shown with the verdict, and any of
    ``problems`` lets nothing pass. ``records`` are the calibrations of scorers, by suite and name.
    Whatever cannot be judged is an ERROR of its own gate.
    """
    suites = [replace(one, gates=tuple(waived(g, today) for g in one.gates)) for one in suites]
    gates = {(one.name, gate.id): gate for one in suites for gate in one.gates}
    policies = {one.name: one.policy for one in suites}
    results: list[GateResult] = []
    compared: list[Compared] = []
    attacks: list[Attacks] = []
    fairness: list[Fairness] = []
    problems = list(problems)
    said = list(said)
    trusts: list[tuple[str, Trust]] = []
    for suite in suites:
        targets = targets_of(candidate, suite.name)
        if not targets and suite.gates:
            problems.append(f"nothing of suite {suite.name!r} was run")
        for target in targets:
            bench = Bench.of(
                suite,
                target,
                candidate,
                baseline,
                no_baseline=no_baseline,
                records=records,
                seed=seed,
            )
            compared.append(bench.compared())
            attacks += bench.attacks()
            fairness += fairness_of(bench)
            for gate in suite.gates:
                if gate.target in {"", target} and gate.sql is None:
                    results += bench.judge(gate)
                    trusts.append((suite.name, bench.trust(gate)))
            if suite.policy.anchor is None:
                continue
            since, why = anchors.get(suite.name, (None, "its anchor was not looked for"))
            bench = Bench.of(
                suite, target, candidate, since, no_baseline=why, records=records, seed=seed
            )
            for gate in anchored(suite, bench.infos):
                if gate.target in {"", target}:
                    gates[suite.name, gate.id] = gate
                    budget = suite.policy.anchor.budget
                    results += [with_budget(one, budget) for one in bench.judge(gate)]
        results += [_query(suite, gate, rows) for gate in suite.gates if gate.sql is not None]
        old = (
            [] if baseline is None else [one for name, one in baseline.sides if name == suite.name]
        )
        said += left_out(old, targets)
        problems += [
            f"gate {gate.id!r} is about target {gate.target!r}, which was not run"
            for gate in suite.gates
            if gate.target and targets and gate.target not in targets
        ]
    if not gates:
        problems.append("no suite of this run has a gate")
    alphas = [one.policy.alpha for one in suites] or [0.05]
    alpha = min(alphas)
    effective = [
        with_effect(
            tolerated(one, policies[one.suite]),
            policies[one.suite],
            gates[one.suite, one.gate].waiver,
            today,
            gates[one.suite, one.gate].waivers,
        )
        for one in corrected(results, alpha)
    ]
    lenient = all(one.on_inconclusive == "pass" for one in policies.values())
    return Verdict(
        status=Status.ERROR if problems else overall(effective, lenient=lenient),
        candidate=candidate.run.id,
        baseline=() if baseline is None else baseline.runs or (baseline.run.id,),
        results=tuple(effective),
        compared=tuple(compared),
        attacks=tuple(attacks),
        fairness=tuple(fairness),
        promise=promise(effective, alpha),
        problems=tuple(problems),
        hint=no_baseline if baseline is None else "",
        warnings=(*said, *waivers(gates, today), *calibrated.warnings(trusts)),
        policy=content_id(sorted(one.content_hash for one in policies.values())),
        decided=decided(candidate.run, list(candidate.sides.values())),
    )


def compare(suites: Sequence[str], candidate: Stored, baseline: Stored) -> tuple[Compared, ...]:
    """How two runs differ, case by case, without any gate."""
    return tuple(one.compared() for one in benches(suites, candidate, baseline))


def attacked(
    suites: Sequence[str], candidate: Stored, baseline: Stored | None
) -> tuple[Attacks, ...]:
    """What became of the attacks of a run, against a baseline if there is one."""
    return tuple(found for one in benches(suites, candidate, baseline) for found in one.attacks())


def benches(suites: Sequence[str], candidate: Stored, baseline: Stored | None) -> list[Bench]:
    """Every target of the suites on both sides, without any gate."""
    found = []
    for name in suites:
        for target in targets_of(candidate, name):
            spec = SuiteSpec(name=name, path=_NOWHERE, datasets=(), targets=(), scorers=())
            found.append(Bench.of(spec, target, candidate, baseline))
    return found


def targets_of(candidate: Stored, suite: str) -> list[str]:
    """The targets of a suite in the order of the run, without those asked beside them."""
    have = {target for name, target in candidate.sides if name == suite and not is_beside(target)}
    order = [one.name for one in candidate.run.targets if one.name in have]
    return [*order, *sorted(have - set(order))]


def _query(suite: SuiteSpec, gate: GateSpec, rows: Mapping[tuple[str, str], int]) -> GateResult:
    limit = gate.limits[0]
    question = Question(
        gate=gate,
        limit=limit,
        info=replace(FACT, name="", unit="rows"),
        policy=suite.policy,
        suite=suite.name,
        target="",
        after=_NOTHING,
    )
    count = rows.get((suite.name, gate.id))
    return question.error("its query was not run") if count is None else offending_rows(
        question, count
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One target of one suite on both sides, with what was measured so far.

    ``twin`` compares with the baseline's target as it was asked beside the candidate's, where it
    was: that bench is ``interleaved``. A run that a look ended early is judged on the cases of that
    look; ``whole`` has all that were answered, for what must hold of each.
    """

    suite: SuiteSpec
    target: str
    candidate: Run
    after: Side
    baseline: Run | None
    before: Side | None
    no_baseline: str
    seed: int
    infos: Mapping[str, MetricInfo]
    confirming: Side | None = None
    twin: Bench | None = None
    interleaved: bool = False
    records: Records = field(default_factory=dict)
    look: Look | None = None
    whole: Bench | None = None
    measured: dict[tuple[str, bool], tuple[Measured | None, Measured]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        suite: SuiteSpec,
        target: str,
        candidate: Stored,
        baseline: Stored | None,
        *,
        no_baseline: str = "",
        records: Records = NO_RECORDS,
        seed: int = 0,
    ) -> Bench:
        """Look both sides up; a baseline without this target is none, and says so."""
        before = None if baseline is None else baseline.sides.get((suite.name, target))
        if baseline is not None and before is None:
            no_baseline = f"the baseline has no target {target!r} in suite {suite.name!r}"
        held = calibrated.usable(candidate.run, suite.name, records)
        after, record, whole = candidate.sides[suite.name, target], looked(candidate.run), None
        if record is not None and record.ended:
            everything = replace(candidate, run=replace(candidate.run, settings={}))
            whole = cls.of(suite, target, everything, None, seed=seed)
            late = record.beyond.get(suite.name, frozenset())
            after = of_cases(after, set(after.cases) - late)
            before = None if before is None else of_cases(before, set(after.cases))
        return cls(
            suite=suite,
            target=target,
            candidate=candidate.run,
            after=calibrated.decided(after, held),
            baseline=None if before is None or baseline is None else baseline.run,
            before=None if before is None else calibrated.decided(before, held),
            no_baseline=no_baseline,
            seed=seed,
            infos=metrics_of(candidate.run, suite.name),
            confirming=candidate.confirming.get((suite.name, target)),
            twin=_twin(suite, target, candidate, baseline, seed),
            records=records,
            look=None if record is None else record.at(suite.name),
            whole=whole,
        )

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """What is not equal between the two runs."""
        if self.baseline is None or self.before is None:
            return ()
        return differences(self.baseline, self.candidate, self.before, self.after)

    @cached_property
    def pairs(self) -> Cases:
        """The cases of both sides, side by side."""
        if self.baseline is None or self.before is None:
            return Cases(pairing=alone(self.after), before=None, after=self.after)
        same = same_data(self.baseline, self.candidate, self.suite.name)
        pairing = pair(self.before, self.after, same_data=same)
        return Cases(pairing=pairing, before=self.before, after=self.after)

    @cached_property
    def everything(self) -> Cases:
        """All cases of the candidate, and those it lost: what a level is about."""
        whole, pairs = alone(self.after), self.pairs.pairing
        if self.before is None:
            return self.pairs
        partner = dict(zip(pairs.candidate.tolist(), pairs.baseline.tolist(), strict=True))
        gone = np.flatnonzero(pairs.candidate < 0)
        old = [partner.get(one, -1) for one in whole.candidate.tolist()]
        return Cases(
            pairing=Pairing(
                baseline=np.array([*old, *pairs.baseline[gone]], dtype=np.intp),
                candidate=np.array([*whole.candidate, *pairs.candidate[gone]], dtype=np.intp),
                names=(*whole.names, *(pairs.names[one] for one in gone)),
                ids=(*whole.ids, *(pairs.ids[one] for one in gone)),
            ),
            before=self.before,
            after=self.after,
        )

    @cached_property
    def plugins(self) -> dict[str, ScorerPlugin]:
        """The suite's scorers by their name there."""
        return plugins_of(self.candidate, self.suite.name)

    @cached_property
    def held(self) -> dict[str, Calibration]:
        """The calibrations that belong to the candidate's scorers."""
        return calibrated.usable(self.candidate, self.suite.name, self.records)

    @cached_property
    def deciders(self) -> tuple[str, ...]:
        """The scorers that decide, on either side."""
        return deciding(*(one for one in (self.before, self.after) if one is not None))

    def compared(self) -> Compared:
        """Counts of what moved, for the eyes; no gate looks at them."""
        return outcomes(
            self.pairs,
            suite=self.suite.name,
            target=self.target,
            metrics=self.infos,
            deciders=self.deciders,
            differences=self.differences,
        )

    def attacks(self) -> list[Attacks]:
        """What became of the suite's attacks and twins; nothing for a suite without any."""
        found = attack_results(
            self.everything,
            self.infos,
            self.deciders,
            suite=self.suite,
            target=self.target,
            compared=self.before is not None,
        )
        return [] if found is None else [found]

    def judge(self, gate: GateSpec) -> list[GateResult]:
        """Every limit of a gate, in every group it names."""
        trusted = self.trust(gate)
        found = [
            calibrated.bounded(one, trusted)
            for limit in gate.limits
            for one in self._limit(gate, limit)
        ]
        look, alpha = self.look, self.suite.policy.alpha
        return found if look is None else [over_looks(one, look, alpha) for one in found]

    def trust(self, gate: GateSpec) -> Trust:
        """How far people's labels carry the metric of a gate."""
        info = metric_info(gate.metric, self.infos)
        if info is None or any(one.kind == "must" for one in gate.limits):
            return calibrated.FACT
        return calibrated.trust(
            info,
            self.suite.name,
            self.plugins,
            self.held,
            deciders=self.deciders,
            records=self.records,
        )

    def _limit(self, gate: GateSpec, limit: GateLimit) -> list[GateResult]:
        info = FACT if limit.kind == "must" else metric_info(gate.metric, self.infos)
        if info is None:
            unknown = replace(FACT, name=gate.metric)
            question = self._question(gate, limit, unknown, _NOTHING, None)
            return [question.error(f"this run has no metric {gate.metric!r}")]
        if self.twin is not None and limit.kind in CHANGES and info.kind == "quantile":
            return self.twin._limit(gate, limit)
        if self.whole is not None and limit.kind == "must":
            return self.whole._limit(gate, limit)
        if limit.kind == "total":
            info = replace(self.infos["cost.total"], name=gate.metric)
        cases = self.pairs if limit.kind in CHANGES else self.everything
        mask, problem = cases.chosen(gate.cases)
        mask &= ~cases.any_of(gate.left_out)
        refusal = problem or self.refusal(limit, info)
        if refusal:
            return [self._question(gate, limit, info, _NOTHING, None).error(refusal)]
        if limit.kind == "max_gap":
            return self._gaps(gate, limit, info, cases, mask)
        if limit.kind == "must":
            question, places = self.must(gate, limit, cases, mask)
            names = [cases.pairing.names[one] for one in places]
            return [must_pass(question, names)]
        if not gate.by:
            return [self._on(gate, limit, info, cases, mask)]
        return self._in_groups(gate, limit, info, cases, mask)

    def _in_groups(
        self, gate: GateSpec, limit: GateLimit, info: MetricInfo, cases: Cases, mask: Bools
    ) -> list[GateResult]:
        """One limit in every group of the gate's tags; the small ones in one result."""
        _, after = self._measure(info, cases, change=limit.kind in CHANGES)
        concerned = np.ones_like(mask) if info.kind == "quantile" else after.concerned
        found = []
        for tag in gate.by:
            groups = cases.groups(tag)
            if not groups:
                question = self._question(gate, limit, info, _NOTHING, None)
                found.append(question.error(f"no case has the tag {tag!r}"))
            small: dict[str, int] = {}
            for value, group in groups.items():
                size = int((mask & group & concerned).sum())
                if 0 < size < gate.min_cases:
                    small[value] = size
                elif size:
                    where = f"{tag}={value}"
                    found.append(self._on(gate, limit, info, cases, mask & group, where=where))
            if small:
                question = self._question(gate, limit, info, _NOTHING, None, where=tag)
                found.append(too_small(question, small))
        return found

    def must(
        self, gate: GateSpec, limit: GateLimit, cases: Cases, mask: Bools
    ) -> tuple[Question, list[int]]:
        """The chosen cases with all their trials, confirming ones too, and their places."""
        side = self.after
        if self.confirming is not None:
            side = pooled([side, self.confirming])
        place = {case: number for number, case in enumerate(side.cases)}
        chosen = np.array([place.get(one, -1) for one in cases.pairing.ids], dtype=np.intp)
        after = measure(FACT, side, chosen, deciders=self.deciders)
        kept = mask & after.concerned
        question = self._question(gate, limit, FACT, after.of_cases(kept), None)
        return question, np.flatnonzero(kept).tolist()

    def refusal(self, limit: GateLimit, info: MetricInfo) -> str:
        """Why the limit cannot be judged at all; empty when it can."""
        change = limit.kind in CHANGES
        if change and self.before is None:
            return self.no_baseline or "there is no baseline"
        for one in self.differences:
            if one.weight != "refused":
                continue
            if one.kind == "status" and (change or one.text.startswith("the candidate")):
                return one.text
            mine = (
                one.scorer == info.source
                or (info.source == "pass" and one.scorer in self.deciders)
                or (info.source in ATTACKS and one.scorer in judging(info, self.deciders))
            )
            if change and one.scorer and mine:
                return one.text
        if self.baseline is None and self.candidate.status != "complete":
            return f"the candidate {self.candidate.id} is not complete: {self.candidate.status}"
        if info.source == "pass" and not self.deciders:
            return "no scorer of this suite decides whether an answer passes"
        if info.source in ATTACKS and not judging(info, self.deciders):
            return "no scorer of this suite decides it"
        return ""

    def _measure(
        self, info: MetricInfo, cases: Cases, *, change: bool
    ) -> tuple[Measured | None, Measured]:
        key = (f"{info.name} {info.kind}", change)
        if key not in self.measured:
            pairing = cases.pairing
            sorts = cases.tag("sort") if info.source in ATTACKS else None
            asked = partial(measure, info, deciders=self.deciders, sorts=sorts)
            after = asked(self.after, pairing.candidate)
            before = None
            if self.before is not None:
                before = asked(self.before, pairing.baseline)
                if info.kind != "quantile":
                    both = after.concerned | (before.concerned & (pairing.baseline >= 0))
                    after = lose(after, both, info.bounds)
                    before = lose(before, both, info.bounds) if change else before
            self.measured[key] = before, after
        return self.measured[key]

    def _on(
        self,
        gate: GateSpec,
        limit: GateLimit,
        info: MetricInfo,
        cases: Cases,
        mask: Bools,
        *,
        where: str = "",
    ) -> GateResult:
        """One limit on the cases of a mask."""
        change = limit.kind in CHANGES
        before, after = self._measure(info, cases, change=change)
        kept = mask if info.kind == "quantile" else mask & after.concerned
        after = after.of_cases(kept)
        before = None if before is None else before.of_cases(kept)
        question = self._question(
            gate, limit, info, after, before, where=where, clusters=self._clusters(cases, kept)
        )
        result = rule(question)
        if self.interleaved:
            notes = (*result.notes, "asked side by side with the baseline")
            result = replace(result, notes=notes)
        elif change and info.kind == "quantile":
            note = "not measured side by side with the baseline, so it cannot block"
            result = replace(result, mode="advisory", notes=(*result.notes, note))
        return result

    def _clusters(self, cases: Cases, kept: Bools) -> np.typing.NDArray[np.intp] | None:
        tag = self.suite.policy.cluster
        return cases.clusters(tag)[kept] if tag else None

    def _gaps(
        self, gate: GateSpec, limit: GateLimit, info: MetricInfo, cases: Cases, mask: Bools
    ) -> list[GateResult]:
        before, after = self._measure(info, cases, change=False)
        kept = mask & after.concerned
        found = []
        for tag in gate.by:
            groups = {name: one[kept] for name, one in cases.groups(tag).items()}
            question = self._question(
                gate,
                limit,
                info,
                after.of_cases(kept),
                None if before is None else before.of_cases(kept),
                where=tag,
            )
            if groups:
                found.append(max_gap(question, groups))
            else:
                found.append(question.error(f"no case has the tag {tag!r}"))
        return found

    def _question(
        self,
        gate: GateSpec,
        limit: GateLimit,
        info: MetricInfo,
        after: Measured,
        before: Measured | None,
        *,
        where: str = "",
        clusters: np.typing.NDArray[np.intp] | None = None,
    ) -> Question:
        return Question(
            gate=gate,
            limit=limit,
            info=info,
            policy=self.suite.policy,
            suite=self.suite.name,
            target=self.target,
            where=where,
            after=after,
            before=before,
            runs=1 if self.before is None else len(self.before.runs),
            clusters=clusters,
            trust=self.trust(gate),
            seed=self.seed,
            look=self.look,
        )


def _twin(
    suite: SuiteSpec, target: str, candidate: Stored, baseline: Stored | None, seed: int
) -> Bench | None:
    """The bench of a target and its baseline's, when this run asked both side by side."""
    other = candidate.sides.get((suite.name, beside(target)))
    known = () if baseline is None else (*baseline.runs, baseline.run.id)
    if other is None or candidate.run.settings.get("interleave") not in known:
        return None
    run, key = candidate.run, (suite.name, target)
    bench = Bench.of(
        suite,
        target,
        Stored(run=run, sides={key: candidate.sides[key]}),
        Stored(run=run, sides={key: other}),
        seed=seed,
    )
    return replace(bench, interleaved=True)
