"""One side of a comparison: the trials of one target on one suite, as columns.

Rows are trials, sorted by case and trial; ``owner[row]`` is the number of the trial's case. Several
runs of one configuration are pooled by putting their rows together.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from evalkit.stats.intervals import Floats

Numbers = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideScores:
    """One scorer over the rows of a side: NaN in ``values`` is no score.

    ``passed`` is 1, 0, or −1 where the scorer did not decide. ``unscored`` marks rows it could not
    judge; a row without a value that is not marked failed. ``stats`` has a row of sufficient
    statistics a trial, NaN where there are none. ``models`` are the names that judges reported,
    with how many scores rest on each, ``reasons`` why rows could not be judged, with how many.
    """

    values: Floats
    passed: npt.NDArray[np.int8]
    unscored: Bools
    stats: Floats | None = None
    models: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """The trials of one target on one suite; NaN is unknown, times are seconds, cost US dollars.

    ``cases`` are ids, ``inputs`` the hashes of what is asked alone, ``names`` and ``tags`` as in
    the last run. ``runs`` are those that were pooled, oldest first. ``texts`` are hashes of the
    answers and their tool calls, 0 for none; they tell apart answers of one reading of one store,
    and no others.
    """

    suite: str
    target: str
    runs: tuple[str, ...]
    cases: Sequence[str]
    inputs: Sequence[str]
    names: Sequence[str | None]
    tags: Mapping[str, Sequence[str | None]]
    owner: Numbers
    ok: Bools
    live: Bools
    latency_s: Floats
    ttft_s: Floats
    cost_usd: Floats
    input_tokens: Floats
    output_tokens: Floats
    texts: npt.NDArray[np.uint64] | None = None
    models: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, SideScores] = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """How many rows."""
        return len(self.owner)

    def trials_per_case(self) -> Numbers:
        """How many trials every case has."""
        return np.bincount(self.owner, minlength=len(self.cases)).astype(np.intp)


def of_cases(side: Side, wanted: Container[str]) -> Side:
    """A side with only these cases."""
    mask = np.fromiter((one in wanted for one in side.cases), np.bool_, count=len(side.cases))
    if bool(mask.all()):
        return side
    kept, rows = np.flatnonzero(mask).tolist(), mask[side.owner]
    return replace(
        _of_rows(side, rows),
        cases=[side.cases[one] for one in kept],
        inputs=[side.inputs[one] for one in kept],
        names=[side.names[one] for one in kept],
        tags={tag: [values[one] for one in kept] for tag, values in side.tags.items()},
        owner=(np.cumsum(mask) - 1)[side.owner[rows]].astype(np.intp),
    )


def first_trials(side: Side, count: int) -> Side:
    """A side with at most the first so many trials of each case, in the order of its rows."""
    starts = np.cumsum(side.trials_per_case()) - side.trials_per_case()
    rows = np.arange(side.trials) - starts[side.owner] < count
    return side if bool(rows.all()) else _of_rows(side, rows)


def _of_rows(side: Side, rows: Bools) -> Side:
    return replace(
        side,
        owner=side.owner[rows],
        texts=None if side.texts is None else side.texts[rows],
        scores={
            name: SideScores(
                values=one.values[rows],
                passed=one.passed[rows],
                unscored=one.unscored[rows],
                stats=None if one.stats is None else one.stats[rows],
            )
            for name, one in side.scores.items()
        },
        **{name: getattr(side, name)[rows] for name in _COLUMNS},
    )


def pooled(sides: Sequence[Side]) -> Side:
    """Several runs of one configuration as one side, the labels of the last; at least one side.

    A case is in it if any of the runs had it.
    """
    if len(sides) == 1:
        return sides[0]
    number: dict[str, int] = {}
    cases: list[str] = []
    latest: list[tuple[int, int]] = []
    maps = []
    for place, side in enumerate(sides):
        mine = np.empty(len(side.cases), dtype=np.intp)
        for index, case in enumerate(side.cases):
            code = number.get(case)
            if code is None:
                code = number[case] = len(cases)
                cases.append(case)
                latest.append((place, index))
            latest[code] = (place, index)
            mine[index] = code
        maps.append(mine)
    owner = np.concatenate([mine[one.owner] for mine, one in zip(maps, sides, strict=True)])
    order = np.argsort(owner, kind="stable")

    def rows(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in sides])[order]

    tags = {tag for one in sides for tag in one.tags}
    names = [one for side in sides for one in side.scores]
    return Side(
        suite=sides[-1].suite,
        target=sides[-1].target,
        runs=tuple(run for one in sides for run in one.runs),
        cases=cases,
        inputs=[sides[place].inputs[index] for place, index in latest],
        names=[sides[place].names[index] for place, index in latest],
        tags={
            tag: [
                sides[place].tags[tag][index] if tag in sides[place].tags else None
                for place, index in latest
            ]
            for tag in sorted(tags)
        },
        owner=owner[order],
        texts=None if any(one.texts is None for one in sides) else rows("texts"),
        models=_summed(one.models for one in sides),
        scores={name: _pooled_scores(sides, name, order) for name in dict.fromkeys(names)},
        **{name: rows(name) for name in _COLUMNS},
    )


_COLUMNS = ("ok", "live", "latency_s", "ttft_s", "cost_usd", "input_tokens", "output_tokens")


def _pooled_scores(sides: Sequence[Side], name: str, order: Numbers) -> SideScores:
    found = []
    for side in sides:
        one = side.scores.get(name)
        found.append(_no_scores(side.trials) if one is None else one)
    width = max((one.stats.shape[1] for one in found if one.stats is not None), default=0)
    stats = None
    if width:
        stats = np.concatenate(
            [
                np.full((len(one.values), width), np.nan)
                if one.stats is None or one.stats.shape[1] != width
                else one.stats
                for one in found
            ]
        )[order]
    return SideScores(
        values=np.concatenate([one.values for one in found])[order],
        passed=np.concatenate([one.passed for one in found])[order],
        unscored=np.concatenate([one.unscored for one in found])[order],
        stats=stats,
        models=_summed(one.models for one in found),
    )


def _summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            found[name] = found.get(name, 0) + count
    return found


def _no_scores(rows: int) -> SideScores:
    return SideScores(
        values=np.full(rows, np.nan),
        passed=np.full(rows, -1, dtype=np.int8),
        unscored=np.zeros(rows, dtype=np.bool_),
    )
