"""What became of every case, for the eyes: regressed, improved, flaky, same, new, removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evalkit.config.gate_metrics import MetricInfo
from evalkit.gate.measure import measure
from evalkit.gate.result import CaseChange, Compared, Difference, Place
from evalkit.gate.selection import Cases
from evalkit.stats.sides import Bools, Side

MOVED = 1_000
"""Cases that moved and are named at most, the worst first."""
PLACES, SMALLEST, VALUES = 5, 5, 100
"""Slices that are named, cases that one must have, and values that a tag may have to be one."""


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
    info = _primary(metrics, deciders)
    common = {
        "suite": suite,
        "target": target,
        "trials": after.trials,
        "errored": int((~after.ok).sum()),
        "unscored": _unscored(after),
        "differences": differences,
    }
    if before is None or info is None:
        return Compared(**common)  # type: ignore[arg-type]  # the fields above
    old = measure(info, before, pairing.baseline, deciders=deciders)
    new = measure(info, after, pairing.candidate, deciders=deciders)
    was, now = old.means(old.values), new.means(new.values)
    known = old.concerned & new.concerned & ~np.isnan(was) & ~np.isnan(now)
    sign = -1 if info.direction == "lower" else 1
    fell = known & (sign * (now - was) < -1e-12)
    rose = known & (sign * (now - was) > 1e-12)
    moved = np.flatnonzero(fell | rose)
    order = sorted(moved.tolist(), key=lambda one: (sign * (now[one] - was[one]), pairing.ids[one]))
    return Compared(
        metric=info.name,
        paired=int(((pairing.baseline >= 0) & (pairing.candidate >= 0)).sum()),
        regressed=int(fell.sum()),
        improved=int(rose.sum()),
        flaky=_flaky(new.values, new.owner, new.cases),
        same=int((known & ~fell & ~rose).sum()),
        reworded=_reworded(cases, known & ~fell & ~rose),
        new=pairing.new,
        removed=pairing.removed,
        changed=pairing.changed,
        lost=pairing.lost,
        places=_places(cases, known, fell),
        moved=tuple(
            CaseChange(
                case_id=pairing.ids[one],
                name=pairing.names[one],
                outcome="regressed" if fell[one] else "improved",
                before=float(was[one]),
                after=float(now[one]),
                metric=info.name,
            )
            for one in order[:MOVED]
        ),
        **common,  # type: ignore[arg-type]  # the fields above
    )


def _reworded(cases: Cases, same: Bools) -> int | None:
    """How many cases of equal scores have an answer the baseline never gave; ``None``: unknown."""
    before, after, pairing = cases.before, cases.after, cases.pairing
    if before is None or before.texts is None or after.texts is None:
        return None
    keys = []
    for side, chosen in ((before, pairing.baseline), (after, pairing.candidate)):
        assert side.texts is not None
        place = np.full(len(side.cases), -1, dtype=np.int64)
        here = np.flatnonzero(chosen >= 0)
        place[chosen[here]] = here
        of = place[side.owner]
        # the number of the pair and the text as one key: multiplied by an odd number it is spread
        keys.append((of, side.texts ^ (of.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))))
    (_, old), (of, new) = keys
    other = ~np.isin(new, old) & (of >= 0) & after.ok
    found: Bools = np.zeros(cases.n, dtype=np.bool_)
    found[of[other]] = True
    return int((found & same).sum())


def _places(cases: Cases, known: Bools, fell: Bools) -> tuple[Place, ...]:
    """The slices in which cases regressed more often than elsewhere, by how much more often."""
    total, regressed = int(known.sum()), int(fell.sum())
    if not regressed:
        return ()
    found = []
    for tag in cases.after.tags:
        codes: dict[str | None, int] = {None: 0}
        of = np.array([codes.setdefault(one, len(codes)) for one in cases.tag(tag)], dtype=np.intp)
        if len(codes) > VALUES + 1:
            continue
        sizes = np.bincount(of[known], minlength=len(codes)).tolist()
        falls = np.bincount(of[fell], minlength=len(codes)).tolist()
        for value, code in codes.items():
            size, hits = sizes[code], falls[code]
            lift = hits / size / (regressed / total) if size else 0.0
            named = value is not None and SMALLEST <= size < total
            if named and hits > 1 and lift > 1:
                found.append(Place(slice=f"{tag}={value}", regressed=hits, cases=size, lift=lift))
    return tuple(sorted(found, key=lambda one: (-one.lift, -one.regressed, one.slice))[:PLACES])


def _primary(metrics: Mapping[str, MetricInfo], deciders: Sequence[str]) -> MetricInfo | None:
    if deciders:
        return metrics.get("pass.rate")
    scored = (one for one in metrics.values() if one.metric is not None and one.kind == "mean")
    return next((one for one in scored if one.direction != "neutral" and not one.unit), None)


def _flaky(values: np.typing.NDArray[np.float64], owner: np.typing.NDArray[np.intp], n: int) -> int:
    known = ~np.isnan(values)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, owner[known], values[known])
    np.maximum.at(high, owner[known], values[known])
    return int((high > low).sum())


def _unscored(side: Side) -> int:
    return sum(int(one.unscored.sum()) for one in side.scores.values())
