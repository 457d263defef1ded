"""A run as a plain value: everything a renderer shows, computed once, and nothing else.

Numbers are unrounded; times are seconds, money is US dollars, shares are of one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

from evalkit.gate.result import Attacks, Fairness
from evalkit.model import JSON

Group = Literal["quality", "time", "tokens", "cost", "errors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One metric of one target with its interval; ``note`` says why a value is missing or partial.

    ``n`` counts cases, ``unscored`` and ``errors`` trials that have no score.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    method: str = ""
    level: float = 0.95
    unscored: int = 0
    errors: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRow:
    """One metric over the targets of a suite, a cell a target.

    ``unit`` is ``%`` for shares, ``s``, ``USD``, another word, or empty for a plain score.
    """

    metric: str
    group: Group
    unit: str
    direction: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One metric over the cases with one value of a tag."""

    tag: str
    value: str
    metric: str
    unit: str
    cases: int
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """One target of a suite: what it was and how its trials went.

    ``cost_usd`` is what they spent, as far as it is known; ``saved_usd`` what the cache saved.
    """

    name: str
    kind: str = ""
    model: str | None = None
    prompt: str | None = None
    prompt_label: str | None = None
    options: dict[str, JSON] = field(default_factory=dict)
    done: int = 0
    errors: int = 0
    error_classes: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    saved_usd: float | None = None
    unpriced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstView:
    """One of the worst cases; ``scorer`` and ``value`` say at what, ``error`` that nothing came."""

    target: str
    case_id: str
    name: str
    scorer: str | None = None
    unit: str = ""
    value: float | None = None
    passed: bool | None = None
    reason: str | None = None
    output: str | None = None
    error: str | None = None
    trials: int = 1
    failed_trials: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteView:
    """One suite of a run; rows have their cells in the order of ``targets``."""

    name: str
    datasets: tuple[dict[str, JSON], ...]
    cases: int
    targets: tuple[TargetView, ...]
    rows: tuple[MetricRow, ...]
    slices: tuple[SliceRow, ...] = ()
    worst: tuple[WorstView, ...] = ()
    notes: tuple[str, ...] = ()


EARLY = "decided early by its gates"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run, ready to be rendered or written as JSON."""

    run_id: str
    project: str
    status: str
    started_at: str
    finished_at: str | None
    elapsed_s: float | None
    planned: int
    done: int
    errors: int
    error_classes: dict[str, int]
    cost_usd: float | None
    assumed_usd: float
    assumed: int
    saved_usd: float | None
    unpriced: int
    scorer_cost_usd: float | None
    commit: str | None
    branch: str | None
    dirty: bool
    user: str | None
    evalkit_version: str
    suites: tuple[SuiteView, ...]
    next: tuple[str, ...]
    attacks: tuple[Attacks, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    part: str = ""
    kind: str = "run"
    format: int = 1

    def to_json(self) -> dict[str, Any]:
        """The view as JSON values."""
        return dataclasses.asdict(self)
