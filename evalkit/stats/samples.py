"""What statistics of a run are computed from: its scores and trials as columns, read one by one.

Of a million cases a column takes megabytes, and a run has dozens of them: whoever computes from
``Samples`` asks for one sample, computes all that is computed from it, and lets it go.

Cases are numbered per suite from 0, so that a column of numbers names them; the same number means
the same case in every sample of the suite. Columns of one sample have equal length; their rows are
in no order. ``cases`` is a ``range`` where each case has one row, in the order of its number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from evalkit.stats.ranking import Ranking

    Numbers: TypeAlias = npt.NDArray[np.float64]
    Cases: TypeAlias = range | npt.NDArray[np.integer]
    Marks: TypeAlias = npt.NDArray[np.int8]
    Rows: TypeAlias = npt.NDArray[np.integer | np.floating] | Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCounts:
    """What is known of the scores of one scorer on one target of one suite without reading them.

    ``unscored`` and ``errors`` count the trials without one, ``reasons`` the commonest causes.
    """

    suite: str
    target: str
    name: str
    scored: int = 0
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
class ScoreSample:
    """The scores of one scorer on one target of one suite: a row a trial that has a score.

    ``passed`` is 1, 0, or -1 where nothing was decided. ``sums`` reads what sums of these rows are
    made from, and keeps nothing of the sample but its cases.
    """

    cases: Cases
    values: Numbers
    passed: Marks
    sums: Callable[[], Sums]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """The statistics of a score sample's rows; of those that have any, where some have none."""

    cases: Cases
    stats: Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCounts:
    """What is known of the trials of one target of one suite without reading them.

    ``done`` counts them, ``errors`` those without an answer, by class in ``error_classes``,
    ``unpriced`` the answers without a price; ``known`` names the columns with any number in them.
    ``spent_usd`` is what all trials together really took, failed ones and calls of unknown usage
    included, ``saved_usd`` what the cache saved; ``None`` is unknown. ``assumed_usd`` of the
    spending is the most that calls of unknown usage can have taken, in ``assumed`` trials.
    """

    suite: str
    target: str
    done: int
    errors: int
    unpriced: int
    known: frozenset[str] = frozenset()
    error_classes: Mapping[str, int] = field(default_factory=dict)
    spent_usd: float | None = None
    assumed_usd: float = 0.0
    assumed: int = 0
    saved_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialSample:
    """The trials of one target of one suite: a row a trial.

    ``ok`` tells whether the target answered, ``live`` whether the answer says anything about
    latency. ``column`` reads the ``COLUMNS`` of these rows by their name; NaN is unknown. Times are
    seconds, cost is US dollars: what the answers cost when they were made. ``known_cases`` is how
    many cases have a number so far.
    """

    cases: Cases
    ok: npt.NDArray[np.bool_]
    live: npt.NDArray[np.bool_]
    column: Callable[[str], Numbers]
    known_cases: int


COLUMNS = ("latency_s", "ttft_s", "input_tokens", "output_tokens", "cost_usd")
"""What is measured of a trial."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices:
    """How many cases have each value of one tag; ``of_case`` has its place among them, or -1."""

    sizes: Mapping[str, int]
    of_case: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """One of the cases that went worst, by its key in the store, and the scorer it did worst at.

    ``sign`` is -1 where lower scores are better.
    """

    suite: str
    target: str
    key: int
    scorer: str | None
    sign: float


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


class Samples(Protocol):
    """All of one run: what is known of its samples, and how each of them is read."""

    @property
    def trial_counts(self) -> Sequence[TrialCounts]:
        """Of every target of every suite, the targets in the order of the run."""
        ...

    @property
    def score_counts(self) -> Sequence[ScoreCounts]:
        """Of every scorer on every one of these, the scorers in the order of the suite."""
        ...

    def slices(self, suite: str) -> Mapping[str, Slices]:
        """The declared slices of a suite by tag; of all its cases, which get their numbers."""
        ...

    def trials(self, suite: str, target: str) -> TrialSample:
        """The trials of one target."""
        ...

    def scores(self, suite: str, target: str, name: str) -> ScoreSample:
        """The scores of one scorer on one target whose trials were read before."""
        ...

    def worst(self, picked: Sequence[Picked]) -> Sequence[WorstCase]:
        """What is shown of picked cases, in their order."""
        ...

    def pick(self, suite: str, target: str, ranking: Ranking) -> Sequence[Picked]:
        """The first few cases of a ranking of that target, the worst first."""
        ...

    def cases(self, suite: str) -> int:
        """How many cases the targets whose trials were read have between them."""
        ...
