"""Slices that the baseline had and the candidate lacks: nobody judged them, so nothing passed them.

Cases that were taken out are in no pair, so a slice that went with all its cases would be in no
result either. A slice that was renamed, or whose cases were all edited, is gone as well: what it
was compared with is not there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from evalkit.config.gate_metrics import ATTACKS, MetricInfo
from evalkit.config.spec import GateSpec
from evalkit.gate.measure import measure
from evalkit.gate.pairing import alone
from evalkit.gate.places import PLACES, SMALLEST
from evalkit.gate.selection import Cases
from evalkit.stats.sides import Side

WAY_OUT = "if that is meant, promote a run without them as the baseline, or waive the gate"


def sizes(
    before: Side, gate: GateSpec, info: MetricInfo, tag: str, deciders: Sequence[str]
) -> dict[str, int]:
    """How many cases the baseline had in every group of a tag that the gate would have judged."""
    cases = Cases(pairing=alone(before), before=None, after=before)
    mask, problem = cases.chosen(gate.cases)
    if problem:
        return {}
    mask &= ~cases.any_of(gate.left_out)
    if info.kind != "quantile":
        sorts = cases.tag("sort") if info.source in ATTACKS else None
        asked = partial(measure, info, deciders=deciders, sorts=sorts)
        mask &= asked(before, cases.pairing.candidate).concerned
    found = {value: int((mask & group).sum()) for value, group in cases.groups(tag).items()}
    return {value: size for value, size in found.items() if size >= gate.min_cases}


def gone(before: Side, after: Side) -> tuple[tuple[str, int], ...]:
    """The slices of the baseline that have no case in the candidate, the largest first."""
    found = []
    for tag, values in before.tags.items():
        left = set(after.tags.get(tag, ()))
        had = Counter(one for one in values if one is not None and one not in left)
        found += [(f"{tag}={one}", size) for one, size in had.items() if size >= SMALLEST]
    return tuple(sorted(found, key=lambda one: (-one[1], one[0]))[:PLACES])


def said(
    had: int, now: int, *, least: int, asked: int | None = None, some_only: bool = False
) -> str:
    """Why a slice is not judged; ``asked`` is how many cases a run has asked that may go on.

    ``some_only`` says that the run was to ask a part of the data only.
    """
    left = "none of them now" if asked is None else f"none of the {asked:,} asked"
    if now:
        left = f"{now:,} of them now, and fewer than {least:,} are not judged"
    way_out = "this run was asked a part of its cases: run them all" if some_only else WAY_OUT
    return f"{had:,} cases in the baseline, {left}; {way_out}"


def choice(before: Side, wanted: Sequence[str], now: Cases) -> str:
    """What is wrong with chosen cases that only the baseline has; empty where it is not that."""
    cases = Cases(pairing=alone(before), before=None, after=before)
    for one in wanted:
        had = int(cases.any_of([one]).sum())
        if had and not np.any(now.any_of([one])):
            words = "case" if had == 1 else "cases"
            return f"{one}: {had:,} {words} in the baseline, none of them now; {WAY_OUT}"
    return ""
