"""What became of every case, for the eyes: regressed, improved, flaky, same, new, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from evalkit.config.gate_metrics import MetricInfo
from evalkit.gate.movement import failed, movement, reworded
from evalkit.gate.places import places
from evalkit.gate.result import CaseChange, Compared, Difference
from evalkit.gate.selection import Cases
from evalkit.gate.vanished import gone

MOVED = 1_000
"""Cases that moved and are named at most, the worst first."""


def outcomes(
    cases: Cases,
    *,
    suite: str,
    target: str,
    metrics: Mapping[str, MetricInfo],
    deciders: Sequence[str],
    differences: tuple[Difference, ...],
) -> Compared:
    """Count and name the cases, by whether they pass, or by the suite's first score if none does.

    A case whose trials disagree on the candidate is flaky, and still regressed if it fell.
    """
    pairing, before, after = cases.pairing, cases.before, cases.after
    seen = movement(cases, metrics, deciders)
    found = Compared(
        suite=suite,
        target=target,
        trials=after.trials,
        errored=len(np.unique(after.owner[~after.ok])),
        differences=differences,
    )
    if before is None:
        return found
    both = (pairing.baseline >= 0) & (pairing.candidate >= 0)
    found = replace(
        found,
        paired=int(both.sum()),
        new=pairing.new,
        removed=pairing.removed,
        not_run=pairing.not_run,
        changed=pairing.changed,
        lost=pairing.lost,
        gone=gone(before, after) if pairing.removed or pairing.not_run else (),
    )
    if seen is None:
        return found
    was, now, fell, rose = seen.was, seen.now, seen.fell, seen.rose
    other = reworded(cases)
    sign = -1 if seen.info.direction == "lower" else 1
    moved = np.flatnonzero(fell | rose)
    order = sorted(moved.tolist(), key=lambda one: (sign * (now[one] - was[one]), pairing.ids[one]))
    return replace(
        found,
        metric=seen.info.name,
        unscored=int((both & ~seen.known & ~failed(after, pairing.candidate)).sum()),
        regressed=int(fell.sum()),
        improved=int(rose.sum()),
        flaky=int(seen.flaky.sum()),
        same=int((seen.known & ~fell & ~rose).sum()),
        reworded=None if other is None else int((other & seen.known & ~fell & ~rose).sum()),
        places=places({tag: cases.tag(tag) for tag in after.tags}, seen.known, fell),
        moved=tuple(
            CaseChange(
                case_id=pairing.ids[one],
                name=pairing.names[one],
                outcome="regressed" if fell[one] else "improved",
                before=float(was[one]),
                after=float(now[one]),
                metric=seen.info.name,
            )
            for one in order[:MOVED]
        ),
    )
