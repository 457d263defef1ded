"""Before money is spent: whether gates that must be proved can be, and queries can be run."""

from __future__ import annotations

from evalkit.config.gate_metrics import known_metrics, metric_info
from evalkit.config.spec import GateSpec, SuiteSpec
from evalkit.errors import UsageError
from evalkit.gate.forecast import fewest_cases
from evalkit.gate.stored import Stored
from evalkit.runner.gating import broken_query
from evalkit.runner.plan import Plan
from evalkit.runner.rules import Rules
from evalkit.runner.suites import PlannedSuite


def refuse_unprovable(plan: Plan, rules: Rules, baseline: Stored | None) -> None:
    """Raise ``UsageError`` for a gate in mode prove that no answers can make pass.

    A gate on chosen cases or groups is left to the verdict: how many they are is not known yet.
    """
    planned = {one.name: one for one in plan.suites}
    for spec in rules.specs:
        suite = planned.get(spec.name)
        for gate in spec.gates:
            if suite is not None and gate.mode == "prove" and not gate.cases and not gate.by:
                _check(gate, spec, suite, baseline)


def refuse_broken_queries(rules: Rules) -> None:
    """Raise ``UsageError`` with file and line for a query that could not be run after the run."""
    from evalkit.store.query import check_query

    for spec in rules.specs:
        for gate in spec.gates:
            if gate.sql is None:
                continue
            try:
                check_query(gate.query)
            except UsageError as error:
                raise broken_query(gate, error) from error


def _check(gate: GateSpec, spec: SuiteSpec, suite: PlannedSuite, baseline: Stored | None) -> None:
    plugins = {one.name: one.plugin for one in suite.scorers}
    info = metric_info(gate.metric, known_metrics(plugins, attacks=spec.kind == "adversarial"))
    for limit in gate.limits if info is not None else ():
        assert info is not None
        least = fewest_cases(
            limit,
            info,
            alpha=spec.policy.alpha,
            population=spec.policy.estimand == "population" or not _repeated(spec.name, baseline),
        )
        many = suite.planned if info.kind == "quantile" else suite.survey.total
        if least is not None and many < least:
            what = "answers" if info.kind == "quantile" else "cases"
            raise UsageError(
                f"gate {gate.id!r} must be proved and never can be: {many:,} {what}, it needs"
                f" {least:,}",
                where=gate.position,
                hint="make its limit wider, run more cases, or write mode: guard;"
                " see: evalkit plan",
            )


def _repeated(suite: str, baseline: Stored | None) -> bool:
    """Whether the noise of every case is known: then a claim about these cases has no least n."""
    sides = [] if baseline is None else [s for (of, _), s in baseline.sides.items() if of == suite]
    return bool(sides) and all(bool((one.trials_per_case() >= 2).all()) for one in sides)
