"""Every case of a comparison as one row, the worst first: what a reader scrolls through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import numpy as np

from evalkit.gate.bench import Bench
from evalkit.gate.decide import benches
from evalkit.gate.movement import LEAST, Movement, failed, movement, reworded
from evalkit.gate.stored import Stored
from evalkit.stats.intervals import Floats
from evalkit.stats.sides import Bools, Numbers, Side


class Outcome(StrEnum):
    """What became of a case; with a baseline the first eleven or ``unscored``."""

    REGRESSED = "regressed"
    ERROR = "error"
    LOST = "lost"
    FLAKY = "flaky"
    CHANGED = "changed"
    NEW = "new"
    REMOVED = "removed"
    IMPROVED = "improved"
    REWORDED = "reworded"
    SAME = "same"
    NOT_RUN = "not run"
    FAILED = "failed"
    UNSCORED = "unscored"
    SCORED = "scored"
    PASSED = "passed"


OUTCOMES = tuple(Outcome)
"""In the order in which a reader wants them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseTable:
    """One target of one suite, a row a case; ``before`` and ``after`` are means over its trials.

    ``metric`` is what they are means of, in ``unit``; ``gain`` is 1 where higher is better, else
    −1. ``before_s`` and ``after_s`` are mean latencies in seconds. ``flaky`` rows have candidate
    trials that disagree, whatever their outcome. NaN is unknown.
    """

    suite: str
    target: str
    metric: str
    unit: str
    gain: int
    ids: Sequence[str]
    names: Sequence[str]
    outcome: Sequence[Outcome]
    flaky: Bools
    before: Floats
    after: Floats
    before_s: Floats
    after_s: Floats
    tags: Mapping[str, Sequence[str | None]] = field(default_factory=dict)


def case_tables(
    suites: Sequence[str], candidate: Stored, baseline: Stored | None
) -> tuple[CaseTable, ...]:
    """A table for every target of the suites."""
    return tuple(map(_table, benches(suites, candidate, baseline)))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Cases of one kind with their places on both sides, −1 where a side has none."""

    outcome: Sequence[Outcome]
    baseline: Numbers
    candidate: Numbers
    before: Floats
    after: Floats
    flaky: Bools


def _table(bench: Bench) -> CaseTable:
    seen = movement(bench.pairs, bench.infos, bench.deciders)
    parts = [_paired(bench, seen), *_apart(bench)]
    outcome = [one for part in parts for one in part.outcome]
    baseline = np.concatenate([one.baseline for one in parts])
    candidate = np.concatenate([one.candidate for one in parts])
    before = np.concatenate([one.before for one in parts])
    after = np.concatenate([one.after for one in parts])
    flaky = np.concatenate([one.flaky for one in parts])
    gain = -1 if seen is not None and seen.info.direction == "lower" else 1
    ids = _labels(bench, baseline, candidate, "cases")
    rank = np.array([OUTCOMES.index(one) for one in outcome], dtype=np.intp)
    moved = np.nan_to_num(gain * (after - before), nan=0.0)
    level = np.nan_to_num(gain * after, nan=0.0)
    order = np.lexsort((np.array(ids, dtype=np.str_), level, moved, rank)).tolist()
    names = _labels(bench, baseline, candidate, "names")
    return CaseTable(
        suite=bench.suite.name,
        target=bench.target,
        metric="" if seen is None else seen.info.name,
        unit="" if seen is None else seen.info.unit,
        gain=gain,
        ids=[ids[one] for one in order],
        names=[names[one] or ids[one] for one in order],
        outcome=[outcome[one] for one in order],
        flaky=flaky[order],
        before=before[order],
        after=after[order],
        before_s=_latency(bench.before, baseline)[order],
        after_s=_latency(bench.after, candidate)[order],
        tags=_tags(bench, baseline[order], candidate[order]),
    )


def _paired(bench: Bench, seen: Movement | None) -> _Rows:
    pairing = bench.pairs.pairing
    n = pairing.n
    nothing = np.full(n, np.nan)
    was, now = (nothing, nothing) if seen is None else (seen.was, seen.now)
    flaky = np.zeros(n, dtype=np.bool_) if seen is None else seen.flaky
    gone = failed(bench.after, pairing.candidate)
    other = reworded(bench.pairs)
    outcome = []
    for row in range(n):
        if bench.before is None and bench.no_baseline and not gone[row]:
            one = Outcome.NEW  # the baseline has no such target
        elif bench.before is None:
            one = _alone(bool(gone[row]), float(now[row]), bool(flaky[row]), bench, seen)
        elif pairing.candidate[row] < 0 or pairing.baseline[row] < 0:
            one = Outcome.LOST
        elif gone[row]:
            one = Outcome.ERROR
        elif seen is not None and not seen.known[row]:
            one = Outcome.UNSCORED
        elif seen is not None and seen.fell[row]:
            one = Outcome.REGRESSED
        elif flaky[row]:
            one = Outcome.FLAKY
        elif seen is not None and seen.rose[row]:
            one = Outcome.IMPROVED
        elif other is not None and other[row]:
            one = Outcome.REWORDED
        else:
            one = Outcome.SAME
        outcome.append(one)
    return _Rows(outcome, pairing.baseline, pairing.candidate, was, now, flaky)


def _alone(gone: bool, value: float, flaky: bool, bench: Bench, seen: Movement | None) -> Outcome:
    if gone:
        return Outcome.ERROR
    if np.isnan(value):
        return Outcome.UNSCORED
    if flaky:
        return Outcome.FLAKY
    if not bench.deciders or seen is None or seen.info.unit != "%":
        return Outcome.SCORED
    return Outcome.PASSED if value > 1 - LEAST else Outcome.FAILED


def _apart(bench: Bench) -> list[_Rows]:
    """The cases that only one side has and that were not to be run on both."""
    if bench.before is None:
        return []
    pairing = bench.pairs.pairing
    changed = set(pairing.changed)
    found = []
    for side, taken, here in (
        (bench.after, pairing.candidate, True),
        (bench.before, pairing.baseline, False),
    ):
        mask: Bools = np.ones(len(side.cases), dtype=np.bool_)
        mask[taken[taken >= 0]] = False
        places = np.flatnonzero(mask).astype(np.intp)
        if not here:
            gone = {*pairing.removed, *pairing.not_run}
            kept = [(side.names[one] or side.cases[one]) in gone for one in places.tolist()]
            places = places[np.array(kept, dtype=np.bool_)]
        nowhere = np.full(len(places), -1, dtype=np.intp)
        gone_too = failed(side, places)
        outcome = []
        for row, place in enumerate(places.tolist()):
            if here and gone_too[row]:
                one = Outcome.ERROR
            elif here:
                label = side.names[place] or side.cases[place]
                one = Outcome.CHANGED if label in changed else Outcome.NEW
            else:
                one = Outcome.NOT_RUN if pairing.not_run else Outcome.REMOVED
            outcome.append(one)
        nothing = np.full(len(places), np.nan)
        found.append(
            _Rows(
                outcome,
                nowhere if here else places,
                places if here else nowhere,
                nothing,
                nothing,
                np.zeros(len(places), dtype=np.bool_),
            )
        )
    return found


def _latency(side: Side | None, places: Numbers) -> Floats:
    """The mean latency of these cases' live answers, in seconds."""
    found = np.full(len(places), np.nan)
    if side is None:
        return found
    known = side.ok & side.live & ~np.isnan(side.latency_s)
    n = len(side.cases)
    counts = np.bincount(side.owner[known], minlength=n)
    sums = np.bincount(side.owner[known], weights=side.latency_s[known], minlength=n)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    here = places >= 0
    found[here] = means[places[here]]
    return found


def _labels(
    bench: Bench, baseline: Numbers, candidate: Numbers, what: Literal["cases", "names"]
) -> list[str]:
    """The candidate's label of every row, the baseline's where only it has the case."""
    after: Sequence[str | None] = getattr(bench.after, what)
    before: Sequence[str | None] = () if bench.before is None else getattr(bench.before, what)
    return [
        (after[new] if new >= 0 else before[old]) or ""
        for old, new in zip(baseline.tolist(), candidate.tolist(), strict=True)
    ]


def _tags(bench: Bench, baseline: Numbers, candidate: Numbers) -> dict[str, list[str | None]]:
    sides = [one for one in (bench.before, bench.after) if one is not None]
    found: dict[str, list[str | None]] = {}
    for tag in sorted({tag for one in sides for tag in one.tags}):
        after = bench.after.tags.get(tag)
        before = None if bench.before is None else bench.before.tags.get(tag)
        found[tag] = [
            (None if after is None else after[new])
            if new >= 0
            else (None if before is None else before[old])
            for old, new in zip(baseline.tolist(), candidate.tolist(), strict=True)
        ]
    return found
