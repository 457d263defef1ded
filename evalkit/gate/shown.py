"""Which trials of a run a verdict is about: not always all, and not always its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from evalkit.gate.looks import Look, looked
from evalkit.gate.stored import Stored
from evalkit.stats.sides import Side, first_trials, of_cases, pooled


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Both sides as the rules see them; ``whole`` has all the candidate itself was asked.

    ``unchanged`` are the cases whose answers are the baseline's, ``planned`` is how many trials a
    case was to have where some may have been added.
    """

    after: Side
    before: Side | None
    whole: Side
    look: Look | None = None
    planned: int | None = None
    unchanged: frozenset[str] = frozenset()


def shown(candidate: Stored, before: Side | None, suite: str, target: str) -> Shown:
    """The candidate's trials that count, with the baseline's where nothing was changed.

    A case whose request is the baseline's has the baseline's very trials on both sides: its
    difference is 0. Trials that no look has seen yet do not count, nor cases answered after a look
    that decided; and what that look had not asked for is not lost.
    """
    whole = _asked(candidate, suite, target)
    record, planned, after = looked(candidate.run), None, whole
    if record is not None:
        planned, counted = record.trials.get(suite), record.counted(suite)
        after = whole if counted is None else first_trials(whole, counted)
    same = candidate.unchanged.get((suite, target))
    alike: frozenset[str] = frozenset()
    if same is not None:
        alike = frozenset(same.cases) - set(whole.cases)
        after = _with(after, _source(same, before), alike)
    if record is not None and record.ended:
        late = record.beyond.get(suite, frozenset())
        after = of_cases(after, set(after.cases) - late)
        before = None if before is None else of_cases(before, set(after.cases))
    return Shown(
        after=after,
        before=before,
        whole=whole,
        look=None if record is None else record.at(suite),
        planned=planned,
        unchanged=alike & set(after.cases),
    )


def _asked(candidate: Stored, suite: str, target: str) -> Side:
    """What the candidate itself was asked; nothing where all is as it was."""
    found = candidate.sides.get((suite, target))
    if found is not None:
        return found
    nothing = of_cases(candidate.unchanged[suite, target], ())
    return replace(nothing, runs=(candidate.run.id,))


def _source(same: Side, before: Side | None) -> Side:
    """The trials that stand in: the baseline's, with all its repeats, if it is the run they are of.

    Another baseline, as the release that drift is counted from, answered something else.
    """
    mine = before is not None and set(same.runs) <= set(before.runs)
    return before if mine and before is not None else same


def _with(after: Side, source: Side, cases: frozenset[str]) -> Side:
    kept = of_cases(source, cases)
    # answers of another day say nothing about the time they take now
    kept = replace(kept, live=np.zeros(kept.trials, dtype=np.bool_))
    return replace(pooled([kept, after]), runs=after.runs)
