"""``evalkit gate --self-test``: the gates of a run judged on runs that did not change."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from evalkit.config.spec import GatePolicy, Project
from evalkit.errors import Undecided
from evalkit.gate.decide import compare, decide
from evalkit.gate.policy import promised
from evalkit.gate.self_test import SelfTest, flips
from evalkit.gate.stored import Stored
from evalkit.model import Run, RunKind
from evalkit.runner.calibrating import load_records
from evalkit.runner.gating import offending
from evalkit.runner.repeats import alike
from evalkit.runner.rules import rules_of
from evalkit.stats.sides import pooled
from evalkit.store import Store


def self_test(
    project: Project,
    store: Store,
    name: str = "latest",
    *,
    suites: Sequence[str] = (),
    policy_ref: str = "",
) -> SelfTest:
    """Judge every stored run of a run's configuration against the others.

    The baseline of each is as the policy says: the nearest other run, pooled with as many more.
    Raises ``Undecided`` when fewer than two such runs are stored, or no gate can be judged.
    """
    with store.together():
        return _tested(project, store, name, suites, policy_ref)


def _tested(
    project: Project, store: Store, name: str, suites: Sequence[str], policy_ref: str
) -> SelfTest:
    run = store.load_run(store.resolve(name, kind=RunKind.EVALUATION))
    runs = alike(store, run)
    if len(runs) < 2:
        raise Undecided(
            f"only the run {run.id} of this configuration is stored: it takes two",
            hint=f"make the same run again, ten times or more: evalkit run {' '.join(run.suites)}",
        )
    wanted = [one for one in run.suites if not suites or one in suites]
    rules = rules_of(project, wanted, policy_ref)
    policy = rules.specs[0].policy if rules.specs else GatePolicy()
    sides = {one.id: store.sides(one.id) for one in runs}
    records = load_records(project, wanted, commit=rules.commit)
    verdicts, moved = [], []
    for place, one in enumerate(runs):
        others = _nearest(runs, place)[: policy.baseline_runs]
        candidate = Stored(run=one, sides=sides[one.id], runs=(one.id,))
        baseline = Stored(
            run=others[0],
            sides={key: pooled([sides[other.id][key] for other in reversed(others)
                                if key in sides[other.id]])
                   for key in sides[others[0].id]},
            runs=tuple(other.id for other in reversed(others)),
        )  # fmt: skip
        verdicts.append(
            decide(
                rules.specs,
                candidate,
                baseline,
                today=datetime.now(UTC).date(),
                rows=offending(store, rules.specs, one.id, others[0].id),
                records=records,
            )
        )
        alone = Stored(run=others[0], sides=sides[others[0].id], runs=(others[0].id,))
        moved += [
            (each.regressed + each.improved, each.paired)
            for each in compare(wanted, candidate, alone)[0]
        ]
    alpha = min((one.policy.alpha for one in rules.specs), default=policy.alpha)
    found = [most for one in verdicts if (most := promised(one.results, alpha)) is not None]
    if not found:
        raise Undecided(
            "no gate of these runs can be judged, so none can be tested",
            hint=f"see why: evalkit gate {runs[-1].id} --baseline run:{runs[0].id}",
        )
    return SelfTest(
        runs=tuple(one.id for one in runs),
        verdicts=tuple(verdicts),
        promised=max(found),
        flips=flips(moved),
    )


def _nearest(runs: Sequence[Run], place: int) -> list[Run]:
    """The other runs, those made nearest in time first, earlier before later ones."""
    return sorted(
        (one for at, one in enumerate(runs) if at != place),
        key=lambda one: (abs(one.started_at - runs[place].started_at), one.started_at),
    )
