"""Cases of two runs put side by side by what they ask and expect, never by their position.

Reordering rows, or inserting one at the top, pairs the same cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalkit.stats.sides import Bools, Numbers, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Case numbers of both sides, a pair a row, by case id; −1 is a case one side lost.

    ``new``, ``removed``, ``not_run`` and ``changed`` are names: they are in no pair. A ``changed``
    case asks what a removed one asked, or has its name. ``lost`` cases were to be run and are not
    there; a candidate that was asked some cases only has those of the baseline beside them
    ``not_run``.
    """

    baseline: Numbers
    candidate: Numbers
    names: tuple[str, ...]
    ids: tuple[str, ...]
    new: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """How many pairs."""
        return len(self.candidate)

    def of(self, mask: Bools) -> Pairing:
        """Only the pairs of a mask; what is outside all pairs stays out."""
        kept = np.flatnonzero(mask)
        return Pairing(
            baseline=self.baseline[kept],
            candidate=self.candidate[kept],
            names=tuple(self.names[one] for one in kept),
            ids=tuple(self.ids[one] for one in kept),
        )


def pair(baseline: Side, candidate: Side, *, same_data: bool, some_only: bool = False) -> Pairing:
    """Pair two sides.

    ``same_data`` says that both runs were to run the same cases: then a case that only one of them
    has was lost by the other and is missing data, not news. ``some_only`` says that the candidate
    was to run a part of its data: what it lacks may still be in them.
    """
    before = {case: place for place, case in enumerate(baseline.cases)}
    after = {case: place for place, case in enumerate(candidate.cases)}
    only_before = [case for case in before if case not in after]
    only_after = [case for case in after if case not in before]
    ids = sorted(case for case in after if case in before)
    lost: list[str] = []
    new: list[str] = []
    removed: list[str] = []
    changed: list[str] = []
    if same_data:
        lost = sorted([*only_before, *only_after])
        ids = sorted([*ids, *lost])
    else:
        gone_inputs = {baseline.inputs[before[case]] for case in only_before}
        gone_names = {baseline.names[before[case]] for case in only_before} - {None}
        for case in only_after:
            place = after[case]
            again = candidate.inputs[place] in gone_inputs or candidate.names[place] in gone_names
            (changed if again else new).append(_label(candidate, place))
        come_inputs = {candidate.inputs[after[case]] for case in only_after}
        come_names = {candidate.names[after[case]] for case in only_after} - {None}
        for case in only_before:
            place = before[case]
            if baseline.inputs[place] in come_inputs or baseline.names[place] in come_names:
                continue
            removed.append(_label(baseline, place))

    def name(case: str) -> str:
        if case in after:
            return _label(candidate, after[case])
        return _label(baseline, before[case])

    return Pairing(
        baseline=_numbers([before.get(one, -1) for one in ids]),
        candidate=_numbers([after.get(one, -1) for one in ids]),
        names=tuple(map(name, ids)),
        ids=tuple(ids),
        new=tuple(sorted(new)),
        removed=() if some_only else tuple(sorted(removed)),
        not_run=tuple(sorted(removed)) if some_only else (),
        changed=tuple(sorted(changed)),
        lost=tuple(map(name, lost)),
    )


def alone(candidate: Side) -> Pairing:
    """All cases of a candidate that is compared with nothing."""
    order = sorted(range(len(candidate.cases)), key=lambda one: candidate.cases[one])
    return Pairing(
        baseline=np.full(len(order), -1, dtype=np.intp),
        candidate=_numbers(order),
        names=tuple(_label(candidate, one) for one in order),
        ids=tuple(candidate.cases[one] for one in order),
    )


def _label(side: Side, place: int) -> str:
    return side.names[place] or side.cases[place]


def _numbers(values: Sequence[int]) -> Numbers:
    return np.asarray(values, dtype=np.intp)
