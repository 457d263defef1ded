"""A candidate, its baseline and the gates of its suites: one verdict.

Pure: runs come as columns, queries as their row counts, the day as an argument. The same arguments
give the same verdict, to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from evalkit.config.spec import GatePolicy, GateSpec, SuiteSpec
from evalkit.gate import calibrated
from evalkit.gate.anchor import anchored, tolerated, with_budget
from evalkit.gate.bench import Bench
from evalkit.gate.calibrated import NO_RECORDS, Records, Trust
from evalkit.gate.comparability import left_out
from evalkit.gate.facts import offending_rows
from evalkit.gate.fairness import fairness_of
from evalkit.gate.looks import decided
from evalkit.gate.measure import NOTHING_MEASURED
from evalkit.gate.policy import corrected, overall, promise, waived, waivers, with_effect
from evalkit.gate.question import Question
from evalkit.gate.result import Attacks, Compared, Fairness, GateResult, Status, Verdict
from evalkit.gate.rules import FACT
from evalkit.gate.stored import Stored, targets_of
from evalkit.hashing import content_id

_NOWHERE = Path()


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
            said += [one for one in _waived_nothing(bench, suite) if one not in said]
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
        decided=decided(
            candidate.run, list(candidate.sides.values()), list(candidate.unchanged.values())
        ),
    )


def compare(
    suites: Sequence[str], candidate: Stored, baseline: Stored
) -> tuple[tuple[Compared, ...], tuple[Attacks, ...]]:
    """How two runs differ, case by case, and what became of their attacks, without any gate."""
    found = benches(suites, candidate, baseline)
    attacks = (each for one in found for each in one.attacks())
    return tuple(one.compared() for one in found), tuple(attacks)


def attacked(
    suites: Sequence[str], candidate: Stored, baseline: Stored | None
) -> tuple[Attacks, ...]:
    """What became of the attacks of a run, against a baseline if there is one."""
    return tuple(found for one in benches(suites, candidate, baseline) for found in one.attacks())


def benches(
    suites: Sequence[str],
    candidate: Stored,
    baseline: Stored | None,
    policies: Mapping[str, GatePolicy] = {},
) -> list[Bench]:
    """Every target of the suites on both sides, without any gate."""
    found = []
    for name in suites:
        spec = SuiteSpec(
            name=name,
            path=_NOWHERE,
            datasets=(),
            targets=(),
            scorers=(),
            policy=policies.get(name, GatePolicy()),
        )
        found += [Bench.of(spec, one, candidate, baseline) for one in targets_of(candidate, name)]
    return found


def _waived_nothing(bench: Bench, suite: SuiteSpec) -> list[str]:
    """A line for every case that a waiver names and that was not asked: a slip, as a rule."""
    return [
        f"waiver of {one.owner} in {gate.id}: {problem}"
        for gate in suite.gates
        for one in gate.waivers
        for case in one.cases
        if (problem := bench.everything.chosen([case])[1])
    ]


def _query(suite: SuiteSpec, gate: GateSpec, rows: Mapping[tuple[str, str], int]) -> GateResult:
    limit = gate.limits[0]
    question = Question(
        gate=gate,
        limit=limit,
        info=replace(FACT, name="", unit="rows"),
        policy=suite.policy,
        suite=suite.name,
        target="",
        after=NOTHING_MEASURED,
    )
    count = rows.get((suite.name, gate.id))
    return question.error("its query was not run") if count is None else offending_rows(
        question, count
    )  # fmt: skip
