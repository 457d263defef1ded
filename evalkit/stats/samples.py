"""What statistics of a run are computed from: its scores and trials as columns.

Cases are numbered per suite from 0, so that a column of numbers names them; the same number means
the same case in every sample of the suite. Columns of one sample have equal length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSample:
    """The scores of one scorer on one target of one suite: a row a trial that has a score.

    ``unscored`` and ``errors`` count the trials without one, ``reasons`` the commonest causes.
    """

    suite: str
    target: str
    name: str
    cases: Sequence[int]
    values: Sequence[float]
    passed: Sequence[bool | None]
    stats: Sequence[Sequence[float]]
    unscored: int = 0
    errors: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    cost_usd: float | None = None

    @property
    def why(self) -> str:
        """The commonest cause of missing scores, and how many have it where there are others."""
        if not self.reasons:
            return ""
        cause, times = self.reasons[0]
        return cause if len(self.reasons) == 1 else f"{times:,} × {cause}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSample:
    """The trials of one target of one suite: a row a trial; NaN is unknown.

    ``ok`` tells whether the target answered, ``live`` whether the answer says anything about
    latency. Times are seconds, cost is US dollars: what the answers cost when they were made.
    ``spent_usd`` is what all trials together really took, failed ones and calls of unknown usage
    included, ``saved_usd`` what the cache saved; ``None`` is unknown. ``assumed_usd`` of the
    spending is the most that calls of unknown usage can have taken, in ``assumed`` trials.
    ``error_classes`` counts failures.
    """

    suite: str
    target: str
    cases: Sequence[int]
    ok: Sequence[bool]
    live: Sequence[bool]
    latency_s: Sequence[float]
    ttft_s: Sequence[float]
    input_tokens: Sequence[float]
    output_tokens: Sequence[float]
    cost_usd: Sequence[float]
    error_classes: Mapping[str, int] = field(default_factory=dict)
    spent_usd: float | None = None
    assumed_usd: float = 0.0
    assumed: int = 0
    saved_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """One of the cases that went worst: the scorer it did worst at, and what was answered.

    Texts are cut; ``output`` is of the trial with the worst score. A case whose every trial failed
    has an ``error`` and no ``value``.
    """

    suite: str
    target: str
    case_id: str
    case_name: str | None
    trials: int
    failed_trials: int
    scorer: str | None = None
    value: float | None = None
    passed: bool | None = None
    reason: str | None = None
    output: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """All of one run; ``tags[suite][tag][case]`` is the value of a declared slice, or ``None``."""

    scores: tuple[ScoreSample, ...]
    trials: tuple[TrialSample, ...]
    worst: tuple[WorstCase, ...] = ()
    tags: Mapping[str, Mapping[str, Sequence[str | None]]] = field(default_factory=dict)
