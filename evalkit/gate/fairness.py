"""Groups of people against each other: rates, the worst group, its gap, and pairs that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from evalkit.gate.movement import LEAST, Movement, movement
from evalkit.gate.result import Fairness, GroupRate, PairMember, UnequalPair
from evalkit.stats.intervals import NOTHING, Floats, Interval, mean_guarded, wilson
from evalkit.stats.paired_rates import PairedShares

if TYPE_CHECKING:
    from evalkit.gate.bench import Bench
    from evalkit.gate.selection import Cases
    from evalkit.gate.stored import Stored

LEVEL = 0.95
NAMED = 200
"""Pairs of one axis that are listed at most."""


def fair(
    suites: tuple[str, ...], candidate: Stored, baseline: Stored | None
) -> tuple[Fairness, ...]:
    """Every axis of every suite of a run on every target."""
    from evalkit.gate.decide import benches

    return tuple(each for one in benches(suites, candidate, baseline) for each in fairness_of(one))


def fairness_of(bench: Bench) -> list[Fairness]:
    """Every axis of the pairs of a suite on a target; nothing for a suite without any.

    Answers are compared by whether they pass, or by the suite's first score if nothing decides.
    Phrasings of one question hang together: the tag ``base`` names it, or that of the policy's
    ``cluster``.
    """
    cases = bench.everything
    axes = cases.tag("axis")
    names = sorted({one for one in axes if one is not None})
    seen = movement(cases, bench.infos, bench.deciders) if names else None
    if seen is None:
        return []
    found = []
    for axis in names:
        places = [place for place, one in enumerate(axes) if one == axis]
        one = _axis(bench, seen, axis, places)
        if one is not None:
            found.append(one)
    return found


def _axis(bench: Bench, seen: Movement, axis: str, places: list[int]) -> Fairness | None:
    cases = bench.everything
    tags = cases.tag("group")
    of: dict[str, list[int]] = {}
    for place in places:
        group = tags[place]
        if group is not None:
            of.setdefault(group, []).append(place)
    if len(of) < 2:
        return None
    bases = cases.tag(bench.suite.policy.cluster or "base")
    pairs = cases.tag("pair")
    # without a question a pair is one of its own
    asked = [
        base or pair or str(place)
        for place, (base, pair) in enumerate(zip(bases, pairs, strict=True))
    ]
    groups = [_group(seen, name, mine, asked) for name, mine in sorted(of.items())]
    sign = -1 if seen.info.direction == "lower" else 1
    ranked = sorted(
        (one for one in groups if one.value is not None),
        key=lambda one: (sign * (one.value or 0.0), one.group),
    )
    variants = _Pairs(cases, seen, axis, tags, pairs, asked)
    gap, low, high = None, None, None
    if len(ranked) > 1:
        better, worse = of[ranked[-1].group], of[ranked[0].group]
        # the widest of all gaps is looked for: each has its share of the chance of error
        many = len(ranked) * (len(ranked) - 1) / 2
        gap, ends = variants.gap(better, worse, sign, 1 - (1 - LEVEL) / many)
        low, high = ends.low, ends.high
    unequal, compared = variants.unequal(places)
    return Fairness(
        suite=bench.suite.name,
        target=bench.target,
        axis=axis,
        metric=seen.info.name,
        unit=seen.info.unit,
        groups=tuple(groups),
        worst=ranked[0].group if len(ranked) > 1 else "",
        best=ranked[-1].group if len(ranked) > 1 else "",
        gap=gap,
        low=low,
        high=high,
        level=LEVEL,
        questions=len({asked[place] for place in places}),
        pairs=compared,
        unequal=sum(one.outcome for one in unequal),
        listed=tuple(unequal[:NAMED]),
    )


def _group(seen: Movement, name: str, places: list[int], asked: list[str]) -> GroupRate:
    known = [place for place in places if not np.isnan(seen.now[place])]
    n = len(known)
    value = float(seen.now[known].mean()) if n else None
    values = _by_question(seen.now[known], [asked[place] for place in known])
    low = high = None
    if n and seen.info.kind == "rate" and bool(((values == 0) | (values == 1)).all()):
        ends = wilson(int(values.sum()), len(values), LEVEL)
        low, high = ends.low, ends.high
    elif n:
        ends, _ = mean_guarded(values, seen.info.bounds, LEVEL)
        low, high = ends.low, ends.high
    return GroupRate(group=name, value=value, low=low, high=high, n=n, missing=len(places) - n)


def _by_question(values: Floats, asked: Sequence[str]) -> Floats:
    """The mean of every question, whatever the number of its phrasings."""
    owners = np.unique(np.array(asked, dtype=object), return_inverse=True)[1]
    return np.asarray(np.bincount(owners, weights=values) / np.bincount(owners), dtype=float)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The variants of one axis: what each belongs to, and what became of it."""

    cases: Cases
    seen: Movement
    axis: str
    groups: list[str | None]
    pairs: list[str | None]
    asked: list[str]

    def gap(
        self, better: list[int], worse: list[int], sign: int, level: float
    ) -> tuple[float, Interval]:
        """How much better one group is served than another, pair by pair, with its interval.

        By Tango's score where every case is one or none, else by Student's t of the differences; a
        question counts once, with the mean of its phrasings.
        """
        now = self.seen.now
        first = {self.pairs[one]: now[one] for one in better if not np.isnan(now[one])}
        second = {self.pairs[one]: now[one] for one in worse if not np.isnan(now[one])}
        both = sorted(one for one in first if one is not None and one in second)
        if not both:
            return sign * (_mean(first) - _mean(second)), NOTHING
        question = {self.pairs[place]: self.asked[place] for place in better}
        owners = [question[pair] for pair in both]
        one, two = (np.array([side[pair] for pair in both]) for side in (first, second))
        if self.seen.info.kind == "rate" and bool(np.isin([one, two], (0, 1)).all()):
            won, lost = (
                _by_question(each.astype(float), owners) for each in (one > two, two > one)
            )
            shares = PairedShares(gain=float(won.sum()), loss=float(lost.sum()), n=len(won))
            return shares.value, shares.interval(level)
        spread = self.seen.info.spread
        apart = _by_question(sign * (one - two), owners)
        ends, _ = mean_guarded(apart, (-spread, spread), level)
        return float(apart.mean()), ends

    def unequal(self, places: list[int]) -> tuple[list[UnequalPair], int]:
        """Pairs whose outcomes differ, or if none does those whose answers do; and how many all."""
        of: dict[str, list[int]] = {}
        for place in places:
            pair = self.pairs[place]
            if pair is not None and self.groups[place] is not None:
                of.setdefault(pair, []).append(place)
        whole = {pair: mine for pair, mine in sorted(of.items()) if len(mine) > 1}
        found: list[tuple[float, UnequalPair]] = []
        for pair, mine in whole.items():
            values = self.seen.now[mine]
            spread = 0.0 if np.isnan(values).any() else float(values.max() - values.min())
            if spread > LEAST:
                found.append((-spread, self._pair(pair, mine, outcome=True)))
        if found:
            return [one for _, one in sorted(found, key=lambda one: one[0])], len(whole)
        texts = _texts(self.cases)
        return [
            self._pair(pair, mine, outcome=False)
            for pair, mine in whole.items()
            if any(texts.get(one) != texts.get(two) for one, two in pairwise(mine))
        ], len(whole)

    def _pair(self, pair: str, places: list[int], *, outcome: bool) -> UnequalPair:
        now, pairing = self.seen.now, self.cases.pairing
        return UnequalPair(
            pair=pair,
            axis=self.axis,
            outcome=outcome,
            members=tuple(
                PairMember(
                    group=self.groups[place] or "",
                    case_id=pairing.ids[place],
                    name=pairing.names[place],
                    value=None if np.isnan(now[place]) else float(now[place]),
                )
                for place in sorted(places, key=lambda one: self.groups[one] or "")
            ),
        )


def _mean(values: Mapping[str | None, float]) -> float:
    return sum(values.values()) / len(values)


def _texts(cases: Cases) -> Mapping[int, tuple[int, ...]]:
    """The hashes of the answers of every pair on the candidate; nothing where they are not kept."""
    side = cases.after
    if side.texts is None:
        return {}
    by_case: dict[int, list[int]] = {}
    for owner, text in zip(side.owner.tolist(), side.texts.tolist(), strict=True):
        by_case.setdefault(owner, []).append(text)
    return {
        place: tuple(sorted(by_case.get(case, ())))
        for place, case in enumerate(cases.pairing.candidate.tolist())
        if case >= 0
    }
