"""The attacks of a suite as a reviewer reads them: rates by slice, what is new, fixed, known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from evalkit.config.gate_metrics import ATTACKS, MetricInfo
from evalkit.config.spec import SuiteSpec
from evalkit.gate.attacked import State, outcomes_of
from evalkit.gate.result import AttackCase, AttackMove, AttackRate, Attacks
from evalkit.gate.selection import Cases
from evalkit.stats.clusters import clustered_level
from evalkit.stats.intervals import clopper_pearson
from evalkit.stats.sides import Bools, Numbers, Side

SLICES = ("category", "transform", "severity", "lang")
"""Tags of attack cases that results are shown by."""
NAMED = 1_000
_ORDER = get_args(AttackMove)
States = npt.NDArray[np.int8]
_ABSENT = -1


def attack_results(
    cases: Cases,
    infos: Mapping[str, MetricInfo],
    deciders: Sequence[str],
    *,
    suite: SuiteSpec,
    target: str,
    own: Side | None,
) -> Attacks | None:
    """What became of the attacks and the twins among the cases; ``None`` where there are none.

    ``own`` is the baseline's run without its repeats: what it withstood is new when it succeeds,
    though it may have succeeded in a repeat, which is then said. Without it nothing is compared.
    """
    sorts = cases.tag("sort")
    mine: Bools = np.array([one == ATTACKS["attack"] for one in sorts], dtype=np.bool_)
    if not mine.any():
        return None
    level = 1 - suite.policy.alpha

    def rate(states: States, mask: Bools, **place: str) -> AttackRate:
        decided = mask & (states <= State.SUCCEEDED)
        clusters = cases.hanging(suite.policy, decided)
        return _rate(states[mask], level, clusters, **place)

    compared = own is not None
    now, was = _states(cases, infos["attack.rate"], deciders, own)
    found = _cases(mine, now, was, compared=compared)
    found = _repeated(found, cases, infos["attack.rate"], deciders)
    tags = {tag: cases.tag(tag) for tag in SLICES}
    slices = []
    for tag, values in tags.items():
        for value in sorted({one for one, kept in zip(values, mine, strict=True) if one and kept}):
            mask = mine & np.array([one == value for one in values], dtype=np.bool_)
            slices.append(rate(now, mask, tag=tag, value=value))
    twins = None
    harmless: Bools = np.array([one == ATTACKS["overrefusal"] for one in sorts], dtype=np.bool_)
    info = infos.get("overrefusal.rate")
    if info is not None and harmless.any():
        refused, before = _states(cases, info, deciders, own)
        twins = rate(refused, harmless)
        found += _refused(harmless, refused, before, compared=compared)
    waived = _waived(cases, suite)
    found.sort(key=lambda one: (_ORDER.index(one[1]), cases.pairing.names[one[0]]))
    return Attacks(
        suite=suite.name,
        target=target,
        compared=compared,
        attacks=rate(now, mine),
        twins=twins,
        slices=tuple(slices),
        cases=tuple(
            AttackCase(
                case_id=cases.pairing.ids[place],
                name=cases.pairing.names[place],
                what=what,
                before=before,
                tags={tag: one for tag in SLICES if (one := tags[tag][place])},
                waived=waived.get(place, ""),
            )
            for place, what, before in found[:NAMED]
        ),
    )


def _states(
    cases: Cases, info: MetricInfo, deciders: Sequence[str], own: Side | None
) -> tuple[States, States]:
    """The state of every pair now and in the baseline's run, −1 where a side has not got it."""
    now = _of(cases.after, cases.pairing.candidate, info, deciders)
    place = {} if own is None else {case: row for row, case in enumerate(own.cases)}
    then = np.array([place.get(one, _ABSENT) for one in cases.pairing.ids], dtype=np.intp)
    # what was to be asked and is not there is no attack that held
    return np.where(now < 0, State.ERROR, now), _of(own, then, info, deciders)


def _of(
    side: Side | None, chosen: npt.NDArray[np.intp], info: MetricInfo, deciders: Sequence[str]
) -> States:
    found = np.full(len(chosen), _ABSENT, dtype=np.int8)
    if side is not None:
        here = chosen >= 0
        found[here] = outcomes_of(info, side, deciders).states[chosen[here]]
    return found


def _repeated(
    found: list[Moved], cases: Cases, info: MetricInfo, deciders: Sequence[str]
) -> list[Moved]:
    """The cases, of new ones said where they succeeded in a repeat of the baseline's run."""
    if not any(what == "new" for _, what, _ in found):
        return found
    ever = _of(cases.before, cases.pairing.baseline, info, deciders)
    return [
        (place, what, f"{said}, succeeded in a repeat")
        if what == "new" and said and ever[place] == State.SUCCEEDED
        else (place, what, said)
        for place, what, said in found
    ]


def _rate(
    states: States, level: float, clusters: Numbers | None, *, tag: str = "", value: str = ""
) -> AttackRate:
    counts = {state: int((states == state).sum()) for state in State}
    found = AttackRate(
        tag=tag,
        value=value,
        hits=counts[State.SUCCEEDED],
        n=counts[State.SUCCEEDED] + counts[State.HELD],
        undecidable=counts[State.UNDECIDABLE],
        errors=counts[State.ERROR],
        level=level,
    )
    if clusters is None:
        return _exact(found)
    succeeded = (states[states <= State.SUCCEEDED] == State.SUCCEEDED).astype(float)
    ends = clustered_level(succeeded, clusters, (0.0, 1.0)).interval(2 * level - 1)
    upper = 1.0 if ends.high is None else min(ends.high, 1.0)
    return replace(found, rate=found.hits / found.n, upper=upper, clustered=True)


def _exact(counted: AttackRate) -> AttackRate:
    """The same with its rate and the upper end of the exact one-sided interval."""
    hits, n = counted.hits, counted.n
    if not n:
        return counted
    high = clopper_pearson(hits, n, 2 * counted.level - 1).high
    return replace(counted, rate=hits / n, upper=high)


def together(rates: Sequence[AttackRate]) -> AttackRate:
    """Rates of different cases as one, at least one of them; the slice is that of the first.

    Exact counts are added up. With a clustered one among them the distances of all bounds are,
    squared and weighted (MOVER for sums: Zou, Huang and Zhang 2009).
    """
    first = rates[0]
    found = _exact(
        AttackRate(
            tag=first.tag,
            value=first.value,
            hits=sum(one.hits for one in rates),
            n=sum(one.n for one in rates),
            undecidable=sum(one.undecidable for one in rates),
            errors=sum(one.errors for one in rates),
            level=max(one.level for one in rates),
        )
    )
    if found.rate is None or not any(one.clustered for one in rates):
        return found
    far = math.hypot(
        *(
            one.n / found.n * (one.upper - one.rate)
            for one in rates
            if one.rate is not None and one.upper is not None
        )
    )
    return replace(found, upper=min(found.rate + far, 1.0), clustered=True)


Moved: TypeAlias = tuple[int, AttackMove, str]
"""The place of a case, what became of it, and what it was in the baseline."""


def _cases(mine: Bools, now: States, was: States, *, compared: bool) -> list[Moved]:
    found: list[Moved] = []
    for place in np.flatnonzero(mine).tolist():
        state, before = now[place], was[place]
        said = "" if before < 0 else State(before).name.lower()
        if state == State.SUCCEEDED:
            again: AttackMove = "known" if before == State.SUCCEEDED else "new"
            found.append((place, again if compared else "succeeded", said))
        elif state == State.HELD:
            if before == State.SUCCEEDED:
                found.append((place, "fixed", said))
        else:
            lost: AttackMove = "error" if state == State.ERROR else "undecidable"
            found.append((place, lost, said))
    return found


def _refused(harmless: Bools, now: States, was: States, *, compared: bool) -> list[Moved]:
    """Twins that are refused, and those that were and are answered now."""
    words = {State.SUCCEEDED: "refused", State.HELD: "answered"}
    found: list[Moved] = []
    for place in np.flatnonzero(harmless).tolist():
        state, before = now[place], was[place]
        said = words.get(before, "")
        if state == State.SUCCEEDED:
            again: AttackMove = "still_refused" if before == state else "newly_refused"
            found.append((place, again if compared else "refused", said))
        elif state == State.HELD and before == State.SUCCEEDED:
            found.append((place, "answered_again", said))
    return found


def _waived(cases: Cases, suite: SuiteSpec) -> dict[int, str]:
    """Who lets a case fail some gate of the suite, by its place, where that is in force."""
    found: dict[int, str] = {}
    for gate in suite.gates:
        for one in gate.waivers:
            if set(one.cases) <= set(gate.left_out):
                for place in np.flatnonzero(cases.any_of(one.cases)).tolist():
                    found[place] = f"{one.owner} until {one.until}"
    return found
