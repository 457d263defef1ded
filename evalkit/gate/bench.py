"""One target of one suite on both sides: which cases a rule is asked about, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np

from evalkit.config.gate_metrics import ATTACKS, MetricInfo, metric_info
from evalkit.config.spec import GateLimit, GateSpec, SuiteSpec
from evalkit.gate import calibrated, vanished
from evalkit.gate.attack_results import attack_results
from evalkit.gate.attacked import judging
from evalkit.gate.beside import beside
from evalkit.gate.calibrated import NO_RECORDS, Records, Trust
from evalkit.gate.comparability import differences, same_data, some_only
from evalkit.gate.facts import must_pass
from evalkit.gate.groups import max_gap, too_small
from evalkit.gate.known import metrics_of, plugins_of
from evalkit.gate.looks import Look, over_looks, turn
from evalkit.gate.measure import NOTHING_MEASURED, Measured, deciding, lose, measure
from evalkit.gate.outcomes import outcomes
from evalkit.gate.pairing import Pairing, alone, pair
from evalkit.gate.question import Question
from evalkit.gate.record import Calibration
from evalkit.gate.result import Attacks, Compared, Difference, GateResult
from evalkit.gate.rules import CHANGES, FACT, rule_of
from evalkit.gate.selection import CLUSTERED, Cases
from evalkit.gate.shown import shown
from evalkit.gate.stored import Stored
from evalkit.model import Run
from evalkit.registry import ScorerPlugin
from evalkit.stats.sides import Bools, Numbers, Side, first_trials, pooled


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One target of one suite on both sides, with what was measured so far.

    ``twin`` compares with the baseline's target as it was asked beside the candidate's, where it
    was: that bench is ``interleaved``. A run that a look ended early is judged on the cases of that
    look; ``whole`` has all that were answered, for what must hold of each. ``before`` has the rows
    of the baseline's repeats, too, ``own`` those of that run alone.
    """

    suite: SuiteSpec
    target: str
    candidate: Run
    after: Side
    baseline: Run | None
    before: Side | None
    own: Side | None
    no_baseline: str
    seed: int
    infos: Mapping[str, MetricInfo]
    confirming: Side | None = None
    twin: Bench | None = None
    interleaved: bool = False
    records: Records = field(default_factory=dict)
    look: Look | None = None
    whole: Bench | None = None
    planned: int | None = None
    unchanged: frozenset[str] = frozenset()
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
        own = before if baseline is None else baseline.own.get((suite.name, target), before)
        held = calibrated.usable(candidate.run, suite.name, records)
        sides, whole = shown(candidate, before, suite.name, target), None
        if sides.after is not sides.whole:
            everything = Stored(
                run=replace(candidate.run, settings={}),
                sides={(suite.name, target): sides.whole},
                confirming=candidate.confirming,
            )
            whole = cls.of(suite, target, everything, None, records=records, seed=seed)
        return cls(
            suite=suite,
            target=target,
            candidate=candidate.run,
            after=calibrated.decided(sides.after, held),
            baseline=None if before is None or baseline is None else baseline.run,
            before=None if sides.before is None else calibrated.decided(sides.before, held),
            own=None if own is None else calibrated.decided(own, held),
            no_baseline=no_baseline,
            seed=seed,
            infos=metrics_of(candidate.run, suite.name),
            confirming=candidate.confirming.get((suite.name, target)),
            twin=_twin(suite, target, candidate, baseline, seed),
            records=records,
            look=sides.look,
            whole=None if whole is None else replace(whole, planned=sides.planned),
            planned=sides.planned,
            unchanged=sides.unchanged,
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
        some = some_only(self.candidate, self.suite.name)
        pairing = pair(self.before, self.after, same_data=same, some_only=some)
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

    @property
    def whole_trials(self) -> int:
        """How many trials the candidate itself was asked, where that is not what is judged."""
        return 0 if self.whole is None else self.whole.after.trials

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
            own=self.own,
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
        info = self.fact if limit.kind == "must" else metric_info(gate.metric, self.infos)
        if info is None:
            unknown = replace(FACT, name=gate.metric)
            question = self._question(gate, limit, unknown, NOTHING_MEASURED, None)
            return [question.error(f"this run has no metric {gate.metric!r}")]
        if self.twin is not None and limit.kind in CHANGES and info.kind == "quantile":
            return self.twin._limit(gate, limit)
        if limit.kind == "total":
            info = replace(self.infos["cost.total"], name=gate.metric)
        apart = limit.kind == "must" or (info.kind == "total" and self.whole_trials)
        if self.whole is not None and apart:
            return self.whole._limit(gate, limit)
        cases = self.pairs if limit.kind in CHANGES else self.everything
        mask, problem = cases.chosen(gate.cases)
        mask &= ~cases.any_of(gate.left_out)
        if problem and self.own is not None:
            problem = vanished.choice(self.own, gate.cases, cases) or problem
        refusal = problem or self.refusal(limit, info)
        if refusal:
            return [self._question(gate, limit, info, NOTHING_MEASURED, None).error(refusal)]
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
            now = {one: int((mask & group & concerned).sum()) for one, group in groups.items()}
            gone = self._vanished(gate, limit, info, tag, now)
            if not groups and not gone:
                question = self._question(gate, limit, info, NOTHING_MEASURED, None)
                found.append(question.error(f"no case has the tag {tag!r}"))
            found += gone.values()
            small: dict[str, int] = {}
            for value, group in groups.items():
                if value in gone or not now[value]:
                    continue
                if now[value] < gate.min_cases:
                    small[value] = now[value]
                else:
                    where = f"{tag}={value}"
                    found.append(self._on(gate, limit, info, cases, mask & group, where=where))
            if small:
                question = self._question(gate, limit, info, NOTHING_MEASURED, None, where=tag)
                found.append(too_small(question, small))
            if groups and not gone and not any(now.values()):
                if (mask & concerned).any():
                    question = self._question(gate, limit, info, NOTHING_MEASURED, None)
                    found.append(question.error(f"no case with this metric has the tag {tag!r}"))
                else:
                    found.append(self._on(gate, limit, info, cases, mask, where=tag))
        return found

    def _vanished(
        self, gate: GateSpec, limit: GateLimit, info: MetricInfo, tag: str, now: Mapping[str, int]
    ) -> dict[str, GateResult]:
        """An error for every group of which most is gone, so that what is left is not judged.

        A few cases taken out or edited are everyday work: then a group that became too small only
        says so. Where both ran the same data in full a case that is not there is missing, and not
        gone. A look has seen a part of every group, so there one it saw nothing of is gone.
        """
        if self.own is None or self.baseline is None:
            return {}
        if same_data(self.baseline, self.candidate, self.suite.name):
            return {}
        asked = None if self.look is None else len(self.after.cases)
        found: dict[str, GateResult] = {}
        for value, had in vanished.sizes(self.own, gate, info, tag, self.deciders).items():
            size = now.get(value, 0)
            if not size or (asked is None and size < min(gate.min_cases, had / 2)):
                where = f"{tag}={value}"
                question = self._question(gate, limit, info, NOTHING_MEASURED, None, where=where)
                reason = vanished.said(
                    had,
                    size,
                    least=gate.min_cases,
                    asked=asked,
                    some_only=some_only(self.candidate, self.suite.name),
                )
                found[value] = question.error(reason, n=size)
        return found

    @property
    def fact(self) -> MetricInfo:
        """Whether an answer passes, as this suite means it."""
        return self.infos.get("pass.rate", FACT)

    def must(
        self, gate: GateSpec, limit: GateLimit, cases: Cases, mask: Bools
    ) -> tuple[Question, list[int]]:
        """The chosen cases with all their trials, confirming ones too, and their places."""
        side = self.after if self.planned is None else first_trials(self.after, self.planned)
        if self.confirming is not None:
            side = pooled([side, self.confirming])
        place = {case: number for number, case in enumerate(side.cases)}
        chosen = np.array([place.get(one, -1) for one in cases.pairing.ids], dtype=np.intp)
        after = measure(self.fact, side, chosen, deciders=self.deciders)
        kept = mask & after.concerned
        question = self._question(gate, limit, self.fact, after.of_cases(kept), None)
        return question, np.flatnonzero(kept).tolist()

    def refusal(self, limit: GateLimit, info: MetricInfo) -> str:
        """Why the limit cannot be judged at all; empty when it can."""
        change = limit.kind in CHANGES
        if change and self.before is None:
            return self.no_baseline or "there is no baseline"
        if change and not self.pairs.n and self.after.cases:
            return "the two runs share no case: the baseline is of other data"
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
        if limit.kind != "must" and info.kind in CLUSTERED:
            wrong = self.everything.unclustered(self.suite.policy)
            if wrong:
                return wrong
        if self.baseline is None and self.candidate.status != "complete":
            return f"the candidate {self.candidate.id} is not complete: {self.candidate.status}"
        if info.source == "pass" and not self.deciders:
            return "no scorer of this suite decides whether an answer passes"
        if info.source in ATTACKS and not judging(info, self.deciders):
            reasons = [pair for one in self.after.scores.values() for pair in one.reasons.items()]
            why = max(reasons, key=lambda pair: pair[1], default=("", 0))[0]
            return (
                f"no scorer of this suite decided it{why and f': {why}'};"
                f" evalkit show {self.candidate.id} --suite {self.suite.name} shows each"
            )
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
            gate,
            limit,
            info,
            after,
            before,
            where=where,
            clusters=cases.hanging(self.suite.policy, kept),
            order=self._order(cases, kept),
            same=self._same(cases, kept),
            unpaired=0 if kept.any() or not change else self._unpaired(gate, info),
        )
        result = rule_of(question)
        if info.kind in CLUSTERED and (note := cases.loose(self.suite.policy, kept)):
            result = replace(result, notes=(*result.notes, note))
        if self.interleaved:
            notes = (*result.notes, "asked side by side with the baseline")
            result = replace(result, notes=notes)
        elif change and info.kind == "quantile":
            note = "not measured side by side with the baseline, so it cannot block"
            result = replace(result, mode="advisory", notes=(*result.notes, note))
        return result

    def _unpaired(self, gate: GateSpec, info: MetricInfo) -> int:
        """How many of the candidate's cases a gate would be about, the baseline's or not."""
        cases = self.everything
        asked = (cases.pairing.candidate >= 0) & ~cases.any_of(gate.left_out)
        asked &= cases.chosen(gate.cases)[0]
        return int((asked & self._measure(info, cases, change=False)[1].concerned).sum())

    def _order(self, cases: Cases, kept: Bools) -> Numbers | None:
        """The cases of a mask in the order they had their turn, where bets are placed on them.

        A bet is fair on a case of which nothing is known, so on none that hangs with another.
        """
        if self.look is None or not self.look.anytime or cases.may_hang(self.suite.policy):
            return None
        seed = self.candidate.seed
        turns = [turn(seed, cases.pairing.ids[one]) for one in np.flatnonzero(kept).tolist()]
        return np.argsort(np.array(turns, dtype=np.uint64), kind="stable").astype(np.intp)

    def _same(self, cases: Cases, kept: Bools) -> Bools | None:
        """Which cases of a mask have the baseline's answers on both sides."""
        if not self.unchanged:
            return None
        ids = [cases.pairing.ids[one] for one in np.flatnonzero(kept).tolist()]
        return np.array([one in self.unchanged for one in ids], dtype=np.bool_)

    def _gaps(
        self, gate: GateSpec, limit: GateLimit, info: MetricInfo, cases: Cases, mask: Bools
    ) -> list[GateResult]:
        before, after = self._measure(info, cases, change=False)
        kept = mask & after.concerned
        found: list[GateResult] = []
        for tag in gate.by:
            groups = {name: one[kept] for name, one in cases.groups(tag).items()}
            question = self._question(
                gate,
                limit,
                info,
                after.of_cases(kept),
                None if before is None else before.of_cases(kept),
                where=tag,
                clusters=cases.hanging(self.suite.policy, kept),
            )
            now = {name: int(one.sum()) for name, one in groups.items()}
            gone = self._vanished(gate, limit, info, tag, now)
            found += gone.values()
            if groups:
                found.append(max_gap(question, groups))
            elif not gone:
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
        clusters: Numbers | None = None,
        order: Numbers | None = None,
        same: Bools | None = None,
        unpaired: int = 0,
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
            order=order,
            same=same,
            unpaired=unpaired,
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
