"""Stored runs of one very configuration, which say how much its results vary by chance."""

from __future__ import annotations

from evalkit.config.spec import GatePolicy
from evalkit.gate.comparability import chosen_cases
from evalkit.gate.looks import chosen_end
from evalkit.gate.stored import Sides, Stored
from evalkit.model import Run, RunStatus
from evalkit.runner.rescore import Rescorer
from evalkit.stats.sides import pooled
from evalkit.store import Store

POOLED_AT_MOST = 100


def _identity(run: Run) -> tuple[object, ...]:
    """What must be equal for two runs to be repeats of one configuration."""
    return (
        run.project,
        run.shard,
        sorted(run.suite_hashes.items()),
        sorted((one.name, one.content_hash) for one in run.targets),
        sorted((one.suite, one.version, one.selected) for one in run.datasets),
        chosen_cases(run),
        sorted((one.suite, one.name, one.signature) for one in run.scorers),
    )


def repeats_of(store: Store, run: Run) -> Stored:
    """A run with everything stored of its very configuration."""
    return with_repeats(store, run, None, POOLED_AT_MOST)


def alike(
    store: Store, run: Run, *, most: int = POOLED_AT_MOST, before: Run | None = None
) -> list[Run]:
    """The newest complete runs of a run's very configuration, itself too, oldest first.

    With ``before`` those that began no later than that run, and never that run. None that ended
    where its verdict was certain, or that has answers of another run.
    """
    identity = _identity(run)
    found = [run]
    for row in store.runs(limit=1_000):
        if len(found) >= most:
            break
        usable = (
            row.run_id not in {run.id, "" if before is None else before.id}
            and row.kind is run.kind
            and row.status is RunStatus.COMPLETE
            and (before is None or row.started_at <= before.started_at)
            and not row.git_dirty
            and set(row.suites) == set(run.suites)
        )
        if usable:
            other = store.load_run(row.run_id)
            if _identity(other) == identity and not chosen_end(other):
                found.append(other)
    return sorted(found, key=lambda one: (one.started_at, one.id))


def with_repeats(
    store: Store, run: Run, candidate: Run | None, most: int, scoring: Rescorer | None = None
) -> Stored:
    """The run with older and newer runs of its very configuration, the candidate never.

    The run itself is the last of them. A repeat in which more answers failed than a gate tolerates
    by itself is left out: it would make results missing that the run has.
    """
    dirty = run.git is not None and run.git.dirty
    repeats = [run] if dirty else alike(store, run, most=most, before=candidate)
    repeats.sort(key=lambda one: one.id == run.id)
    found = [
        (one, store.sides(one.id)) if scoring is None else scoring.run_and_sides(one)
        for one in repeats
    ]
    run, own = found.pop()
    found = [(one, sides) for one, sides in found if _failed(sides) <= GatePolicy().max_missing]
    pools = [*(sides for _, sides in found), own]
    keys = {key for one in pools for key in one}
    return Stored(
        run=run,
        own=own if found else {},
        sides={key: pooled([one[key] for one in pools if key in one]) for key in sorted(keys)},
        runs=(*(one.id for one, _ in found), run.id),
    )


def _failed(sides: Sides) -> float:
    """The share of a run's trials that have no answer."""
    trials = sum(one.trials for one in sides.values())
    return sum(int((~one.ok).sum()) for one in sides.values()) / trials if trials else 0.0
