"""A report as one plain value: two runs, or one alone, with everything a page shows.

Made once from stored runs, the verdict and the cases; every renderer reads it, and it survives a
trip through JSON. Numbers are unrounded; times are seconds, money is US dollars.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from evalkit.config.prompt_diff import Hunk
from evalkit.gate.moves import MetricChange
from evalkit.gate.result import Compared, Place, Verdict
from evalkit.report.view import RunView

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """Which run one side of a report is; ``repeats`` are stored runs pooled with it."""

    run_id: str
    started_at: str
    commit: str | None = None
    branch: str | None = None
    dirty: bool = False
    elapsed_s: float | None = None
    cost_usd: float | None = None
    repeats: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing the candidate set out to change: a prompt, or an option of a target, by words."""

    title: str
    note: str = ""
    hunks: tuple[Hunk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """A distribution of one side as its quantiles, in ``unit``."""

    side: Literal["baseline", "candidate", "run"]
    n: int
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strips:
    """The distributions of one quantity of one target, one or both sides."""

    title: str
    unit: str
    strips: tuple[Strip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendPoint:
    """The first metric of one stored run; ``mark`` is baseline, candidate, a release, or empty."""

    run_id: str
    started_at: str
    value: float
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """The first metric of a suite on a target over its last runs, oldest first."""

    suite: str
    target: str
    metric: str
    unit: str
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """One target of a suite among the others: quality, cost of an answer, median latency.

    ``dominated_by`` names a target that is at least as good in all that is known, and better in
    something.
    """

    suite: str
    target: str
    metric: str
    unit: str
    quality: float
    low: float | None = None
    high: float | None = None
    cost_usd: float | None = None
    latency_s: float | None = None
    dominated_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One tag over all rows: ``codes`` are places in ``values``, −1 where a case has it not."""

    values: tuple[str, ...]
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One target of one suite; rows have means of ``metric``; ``gain`` is 1 if higher is better."""

    suite: str
    target: str
    metric: str
    unit: str
    gain: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRows:
    """Every case as columns, the worst first.

    ``group`` is a place in ``groups``, ``outcome`` one in ``outcomes``.
    """

    groups: tuple[Group, ...] = ()
    outcomes: tuple[str, ...] = ()
    group: tuple[int, ...] = ()
    outcome: tuple[int, ...] = ()
    id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    flaky: tuple[int, ...] = ()
    before: tuple[float | None, ...] = ()
    after: tuple[float | None, ...] = ()
    before_ms: tuple[int | float | None, ...] = ()
    after_ms: tuple[int | float | None, ...] = ()
    tags: Mapping[str, Tag] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A piece of an answer that a score rests on; ``start`` and ``end`` count its characters."""

    source: str
    start: int
    end: int
    text: str
    reason: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreText:
    """One score of one trial, with its evidence."""

    name: str
    signature: str
    value: float | None = None
    passed: bool | None = None
    label: str = ""
    reason: str = ""
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnText:
    """One turn of a conversation as it is read; ``cut`` counts characters that were left out."""

    user: str
    text: str
    error: str = ""
    cut: int = 0
    facts: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialText:
    """One trial of a case as it is read; ``cut`` counts characters that were left out.

    ``turns`` are those of a conversation that were answered.
    """

    text: str | None
    error: str = ""
    cut: int = 0
    facts: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    scores: tuple[ScoreText, ...] = ()
    turns: tuple[TurnText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseText:
    """Everything of one row that is read when it is opened; ``row`` is its place in the rows.

    ``turns`` are what the user says in a conversation, each with what its answer is judged by.
    """

    row: int
    inputs: tuple[tuple[str, str], ...] = ()
    expected: str | None = None
    context: tuple[str, ...] = ()
    messages: tuple[tuple[str, str], ...] = ()
    before: tuple[TrialText, ...] = ()
    after: tuple[TrialText, ...] = ()
    turns: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant of a pair as it is read: the group, what was asked, answered, and its value."""

    group: str
    asked: str
    answer: str
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairView:
    """Variants of one question side by side; ``outcome`` says that more than words differ."""

    title: str
    unit: str
    outcome: bool
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """What a page shows; without gates there is no ``verdict``, alone there is no ``baseline``.

    ``before`` is the baseline as a run of its own, where it is stored.
    """

    title: str
    project: str
    candidate: RunFacts
    run: RunView
    baseline: RunFacts | None = None
    verdict: Verdict | None = None
    compared: tuple[Compared, ...] = ()
    before: RunView | None = None
    moves: tuple[MetricChange, ...] = ()
    changes: tuple[Change, ...] = ()
    lifts: tuple[Place, ...] = ()
    strips: tuple[Strips, ...] = ()
    trends: tuple[Trend, ...] = ()
    frontier: tuple[Frontier, ...] = ()
    rows: CaseRows = field(default_factory=CaseRows)
    texts: Sequence[CaseText] = ()
    pairs: tuple[PairView, ...] = ()
    kind: str = "report"
    format: int = FORMAT
