"""One metric of one side: every trial's value, what is missing of it, and the case's mean.

A trial that failed, or whose scorer failed, is missing: it is filled with the worst and with the
best that it can have been. A trial the scorer says it cannot judge, or that no clock was running
for, does not concern the metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.config.gate_metrics import ATTACKS, MetricInfo
from evalkit.gate.attacked import outcomes_of
from evalkit.stats.intervals import Floats, quantile_rank
from evalkit.stats.repeats import CaseMoments, case_moments
from evalkit.stats.sides import Bools, Numbers, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A metric on the chosen cases of a side, case 0 being the first chosen.

    ``low`` and ``high`` are a trial's value with what is missing at either end of the scale,
    ``values`` has NaN there; ``owner`` is the chosen case of each trial. ``concerned`` tells which
    cases have a trial that concerns the metric. A case without trials has one that is missing.
    """

    values: Floats
    low: Floats
    high: Floats
    owner: Numbers
    concerned: Bools
    stats: Floats | None = None

    @property
    def cases(self) -> int:
        """How many cases were chosen."""
        return len(self.concerned)

    def of_cases(self, mask: Bools) -> Measured:
        """Only the cases of a mask, numbered anew."""
        if bool(mask.all()):
            return self
        rows = mask[self.owner]
        return Measured(
            values=self.values[rows],
            low=self.low[rows],
            high=self.high[rows],
            owner=(np.cumsum(mask) - 1)[self.owner[rows]].astype(np.intp),
            concerned=self.concerned[mask],
            stats=None if self.stats is None else self.stats[rows],
        )

    def incomplete(self) -> Bools:
        """Which cases lack a value of some trial."""
        gone: Bools = np.zeros(self.cases, dtype=np.bool_)
        gone[self.owner[np.isnan(self.values)]] = True
        return gone

    def means(self, column: Floats) -> Floats:
        """The mean of a column over each case's trials."""
        counts = np.bincount(self.owner, minlength=self.cases)
        if len(counts) == len(column) and bool((counts == 1).all()):
            ordered = np.empty(self.cases)
            ordered[self.owner] = column
            return ordered
        sums = np.bincount(self.owner, weights=column, minlength=self.cases)
        return np.asarray(sums / np.maximum(counts, 1))

    def observed(self) -> float | None:
        """The mean of the cases that have a value; ``None`` when none has."""
        known = ~np.isnan(self.values)
        if not known.any():
            return None
        counts = np.bincount(self.owner[known], minlength=self.cases)
        sums = np.bincount(self.owner[known], weights=self.values[known], minlength=self.cases)
        seen = counts > 0
        return float(np.mean(sums[seen] / counts[seen]))

    def moments(self, column: Floats) -> CaseMoments:
        """Mean and variance of a column over each case's trials."""
        return case_moments(column, self.owner)

    def corpus_rows(self) -> Floats | None:
        """The mean statistics of each case; ``None`` unless every trial has them."""
        if self.stats is None or np.isnan(self.stats).any():
            return None
        counts = np.bincount(self.owner, minlength=self.cases)
        sums = np.zeros((self.cases, self.stats.shape[1]))
        np.add.at(sums, self.owner, self.stats)
        return np.asarray(sums / counts[:, None])


NOTHING_MEASURED = Measured(
    values=np.empty(0),
    low=np.empty(0),
    high=np.empty(0),
    owner=np.empty(0, dtype=np.intp),
    concerned=np.empty(0, dtype=np.bool_),
)
"""No case at all: what a question is asked of when it cannot be judged."""


def measure(
    info: MetricInfo,
    side: Side,
    chosen: Numbers,
    *,
    deciders: Sequence[str] = (),
    sorts: Sequence[str | None] | None = None,
) -> Measured:
    """The metric on the chosen case numbers; −1 is a case the side has not.

    ``deciders`` are the scorers that say whether an answer passes; see ``deciding``. ``sorts`` has
    the tag ``sort`` of every chosen case where the side's own tags are not what counts.
    """
    if info.source in ATTACKS:
        return _attacks(info, side, chosen, deciders, sorts)
    values, concerns = _trials(info, side, deciders)
    scores = side.scores.get(info.source)
    stats = scores.stats if info.kind == "corpus" and scores is not None else None
    position = np.full(len(side.cases), -1, dtype=np.intp)
    here = np.flatnonzero(chosen >= 0)
    position[chosen[here]] = here
    owner = position[side.owner]
    rows = np.flatnonzero((owner >= 0) & concerns)
    concerned: Bools = np.zeros(len(chosen), dtype=np.bool_)
    concerned[owner[rows]] = True
    absent = np.flatnonzero(chosen < 0)
    concerned[absent] = True
    column = np.concatenate([values[rows], np.full(len(absent), np.nan)])
    gone = np.isnan(column)
    if stats is not None:
        stats = np.concatenate([stats[rows], np.full((len(absent), stats.shape[1]), np.nan)])
    return Measured(
        values=column,
        low=np.where(gone, info.bounds[0], column),
        high=np.where(gone, info.bounds[1], column),
        owner=np.concatenate([owner[rows], absent]).astype(np.intp),
        concerned=concerned,
        stats=stats,
    )


def level_of(info: MetricInfo, measured: Measured) -> float | None:
    """The metric over the cases that have a value; ``None`` when it cannot be said of any."""
    if info.q is not None:
        known = np.sort(measured.values[~np.isnan(measured.values)])
        return float(known[quantile_rank(len(known), info.q) - 1]) if len(known) else None
    if info.kind != "corpus":
        return measured.observed()
    rows = measured.of_cases(~measured.incomplete()).corpus_rows()
    if info.metric is None or info.metric.corpus_value is None or rows is None or not len(rows):
        return None
    return info.metric.corpus_value(rows.sum(axis=0).tolist())


def lose(measured: Measured, cases: Bools, bounds: tuple[float, float]) -> Measured:
    """The same with a missing trial for those cases that concern it not: the other side's do."""
    extra = np.flatnonzero(cases & ~measured.concerned)
    if not len(extra):
        return measured
    gone = np.full(len(extra), np.nan)
    stats = measured.stats
    if stats is not None:
        stats = np.concatenate([stats, np.full((len(extra), stats.shape[1]), np.nan)])
    return Measured(
        values=np.concatenate([measured.values, gone]),
        low=np.concatenate([measured.low, np.full(len(extra), bounds[0])]),
        high=np.concatenate([measured.high, np.full(len(extra), bounds[1])]),
        owner=np.concatenate([measured.owner, extra]).astype(np.intp),
        concerned=measured.concerned | cases,
        stats=stats,
    )


def deciding(*sides: Side) -> tuple[str, ...]:
    """The scorers that decide whether an answer passes, on any side: losing one loses results."""
    found = {
        name: None
        for side in sides
        for name, one in side.scores.items()
        if bool((one.passed >= 0).any())
    }
    return tuple(sorted(found))


def _trials(info: MetricInfo, side: Side, deciders: Sequence[str]) -> tuple[Floats, Bools]:
    """Every trial's value, NaN where it is missing, and whether the metric concerns the trial."""
    everything: Bools = np.ones(side.trials, dtype=np.bool_)
    if info.source == "error":
        return (~side.ok).astype(float), everything
    if info.source == "pass":
        return _passes(info, side, deciders)
    if info.source in {"latency", "ttft"}:
        clock = side.latency_s if info.source == "latency" else side.ttft_s
        # an answer from a cache, or one that was not streamed, says nothing about the clock
        return np.where(side.ok, clock, np.nan), ~side.ok | (side.live & ~np.isnan(clock))
    if info.source in {"cost", "input_tokens", "output_tokens"}:
        name = "cost_usd" if info.source == "cost" else info.source
        column: Floats = getattr(side, name)
        return np.where(side.ok, column, np.nan), everything
    scores = side.scores.get(info.source)
    if scores is None:
        return np.full(side.trials, np.nan), everything
    if info.kind != "rate":
        return np.where(side.ok, scores.values, np.nan), ~scores.unscored
    decided = scores.passed >= 0
    wanted = 1 if info.passing else 0
    values = np.where(decided, (scores.passed == wanted).astype(float), np.nan)
    undecided = ~decided & ~np.isnan(scores.values)
    return values, ~scores.unscored & ~undecided


def _attacks(
    info: MetricInfo,
    side: Side,
    chosen: Numbers,
    deciders: Sequence[str],
    sorts: Sequence[str | None] | None,
) -> Measured:
    """One value a case: 1 where the attack succeeded or the twin was refused, NaN if unknown."""
    own = side.tags.get("sort", [None] * len(side.cases))
    if sorts is None:
        sorts = [own[one] if one >= 0 else None for one in chosen.tolist()]
    concerned = np.fromiter((one == ATTACKS[info.source] for one in sorts), np.bool_, len(chosen))
    found = outcomes_of(info, side, deciders).values
    rows = np.flatnonzero(concerned)
    places = chosen[rows]
    column = (
        np.where(places >= 0, found[places], np.nan) if len(found) else np.full(len(rows), np.nan)
    )
    gone = np.isnan(column)
    return Measured(
        values=column,
        low=np.where(gone, 0.0, column),
        high=np.where(gone, 1.0, column),
        owner=rows.astype(np.intp),
        concerned=concerned,
    )


def _passes(info: MetricInfo, side: Side, deciders: Sequence[str]) -> tuple[Floats, Bools]:
    """A trial passes when every scorer that decides says so; one that fails it is enough.

    To refuse an attack is right, whatever a scorer of refusals passes on other cases.
    """
    failed: Bools = np.zeros(side.trials, dtype=np.bool_)
    passed: Bools = np.zeros(side.trials, dtype=np.bool_)
    missing: Bools = ~side.ok
    of_twins = {name for name, wanted in info.refusals if not wanted}
    attack: Bools = np.zeros(side.trials, dtype=np.bool_)
    if of_twins:
        sorts = side.tags.get("sort", [None] * len(side.cases))
        attack = np.array([one == ATTACKS["attack"] for one in sorts], np.bool_)[side.owner]
    for name in deciders:
        one = side.scores.get(name)
        speaks = ~attack if name in of_twins else True
        if one is None:
            missing |= speaks
            continue
        failed |= (one.passed == 0) & speaks
        passed |= (one.passed == 1) & speaks
        missing |= np.isnan(one.values) & ~one.unscored & speaks
    values = np.where(failed, 0.0, np.where(missing | ~passed, np.nan, 1.0))
    return values, failed | passed | missing
