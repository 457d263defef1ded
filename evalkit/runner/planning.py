"""What the gates of a stored run's suites can see, from its cases and its stored repeats."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from evalkit.config.spec import Project, SuiteSpec
from evalkit.config.suite import load_suite, suite_names
from evalkit.gate.bench import Bench
from evalkit.gate.beside import beside, is_beside
from evalkit.gate.calibrated import foreseen
from evalkit.gate.forecast import Forecast, alarms, elsewhere, forecast
from evalkit.gate.known import metrics_of
from evalkit.gate.policy import waived
from evalkit.gate.stored import Sides, targets_of
from evalkit.runner.calibrating import load_records
from evalkit.runner.repeats import repeats_of
from evalkit.stats.sides import Side
from evalkit.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The forecasts of all gates; ``calls`` and ``cost_usd`` are those of one run, as stored."""

    run: str
    repeats: int
    forecasts: tuple[Forecast, ...]
    calls: int
    cost_usd: float | None
    runs: int
    false_alarms: float


def planned(project: Project, store: Store, name: str, *, runs: int) -> Planned:
    """Look at a stored run and what was stored of the same configuration."""
    run = store.load_run(store.resolve(name))
    stored = repeats_of(store, run)
    own = store.sides(run.id)
    asked: list[Side] = []
    known = suite_names(project)
    found: list[Forecast] = []
    records = load_records(project, run.suites)
    alpha = 0.05
    today = datetime.now(UTC).date()
    for written in (load_suite(project, one) for one in run.suites if one in known):
        suite = replace(written, gates=tuple(waived(one, today) for one in written.gates))
        alpha = suite.policy.alpha
        infos = metrics_of(run, suite.name)
        sides = _current(suite, own)
        asked += sides.values()
        for target in sides:
            if not is_beside(target):
                # answers are decided as the gates would, by the thresholds that labels gave
                bench = Bench.of(suite, target, stored, None, records=records)
                gates = {one.id: one for one in suite.gates}
                for one in forecast(suite, target, bench.after, infos):
                    mode, why = foreseen(gates[one.gate].mode, bench.trust(gates[one.gate]))
                    note = "; ".join(said for said in (one.note, why) if said)
                    found.append(replace(one, mode=mode, note=note))
        found += elsewhere(suite, targets_of(stored, suite.name))
    costs = np.concatenate([one.cost_usd for one in asked]) if asked else np.empty(0)
    unknown = not len(costs) or bool(np.isnan(costs).all())
    return Planned(
        run=run.id,
        repeats=len(stored.runs),
        forecasts=tuple(found),
        calls=sum(one.trials for one in asked),
        cost_usd=None if unknown else math.fsum(costs[~np.isnan(costs)].tolist()),
        runs=runs,
        false_alarms=alarms(found, runs, alpha),
    )


def _current(suite: SuiteSpec, sides: Sides) -> dict[str, Side]:
    """The sides of the targets that the suite still names, by target; of all where it names none.

    A target that is the baseline of another goes with it.
    """
    mine = {target: one for (of, target), one in sides.items() if of == suite.name}
    named = {*suite.targets, *map(beside, suite.targets)}
    return {target: one for target, one in mine.items() if target in named} or mine
