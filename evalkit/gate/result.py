"""What a gate says: one result a rule, one verdict over all of them.

Everything defaults to ERROR: whoever forgets to decide has not passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, TypeAlias

from evalkit.config.spec import GateLimit, GateMode
from evalkit.errors import ExitCode

Effect: TypeAlias = Literal["passes", "blocks", "undecided", "none"]
Shows: TypeAlias = Literal["either", "harm", "nothing"]
"""What so many cases can show at all: that a rule holds or is broken, only the latter, neither."""
Standing: TypeAlias = Literal["fact", "uncalibrated", "stale", "few", "weak", "calibrated"]
"""How far people's labels carry a metric: ``few`` may only warn, ``weak`` block but not prove."""


class Status(StrEnum):
    """PASS rules a violation out, FAIL shows one, INCONCLUSIVE neither, ERROR could not judge."""

    PASS = "PASS"  # noqa: S105 - a verdict, no password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """One rule of one gate on one target, on all cases or on those of one slice (``where``).

    ``baseline`` and ``candidate`` are levels in the metric's ``unit``; ``difference`` is candidate
    − baseline, a share of the baseline when ``relative``. ``low`` and ``high`` are the interval of
    what the rule is about, at confidence ``level``: the difference when ``about`` is ``change`` or
    ``gap``, else the level; ``bound`` is the limit on the same axis. They and the status come from
    one evidence. ``p_pass`` and ``p_harm`` are one-sided; ``None`` where a fact was checked.

    ``n`` counts cases, ``missing`` those of them without a full result, ``worse`` and ``better``
    those that moved. ``needs_more`` is how many more cases would likely settle it. ``claim`` says
    what the result is about: cases like these, or exactly these. A metric that stands in for
    people's judgement has its ``standing``; a rate corrected by ``labels`` of people was
    ``uncorrected`` before. ``looks`` has the share of the information at each look the run has had,
    the present one last: then p-values and interval hold over all of them. ``shows`` is what ``n``
    cases can show whatever they say; ``waived`` says who lets the gate fail and until when.
    """

    gate: str
    metric: str
    limit: GateLimit
    mode: GateMode
    suite: str = ""
    target: str = ""
    where: str = ""
    status: Status = Status.ERROR
    effect: Effect = "blocks"
    unit: str = ""
    about: Literal["change", "level", "gap", "fact"] = "fact"
    baseline: float | None = None
    candidate: float | None = None
    difference: float | None = None
    relative: bool = False
    low: float | None = None
    high: float | None = None
    level: float = 0.9
    bound: float | None = None
    n: int = 0
    missing: int = 0
    worse: int | None = None
    better: int | None = None
    p_pass: float | None = None
    p_harm: float | None = None
    p_lost: float | None = None
    needs_more: int | None = None
    claim: Literal["cases like these", "these cases"] = "cases like these"
    population: tuple[float | None, float | None] | None = None
    method: str = ""
    reason: str = ""
    notes: tuple[str, ...] = ()
    standing: Standing = "fact"
    labels: int = 0
    uncorrected: float | None = None
    looks: tuple[float, ...] = ()
    shows: Shows = "either"
    waived: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something in which two runs differ: ``caution`` is named, ``refused`` stops the metric.

    ``change`` is what the candidate set out to change. ``scorer`` is empty when all is concerned.
    """

    kind: str
    weight: Literal["change", "caution", "refused"]
    text: str
    scorer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseChange:
    """One paired case whose outcome moved; ``change`` is the candidate's minus the baseline's."""

    case_id: str
    name: str
    outcome: Literal["regressed", "improved"]
    before: float
    after: float
    metric: str = ""

    @property
    def change(self) -> float:
        """Candidate − baseline, in the metric's own direction."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A slice with its share of the cases that regressed; ``lift`` is its rate ÷ that of all."""

    slice: str
    regressed: int
    cases: int
    lift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How the cases of one target of one suite were paired, and what moved.

    ``metric`` is what ``regressed`` and ``improved`` are judged by. ``changed`` cases ask the same
    and expect another answer; ``errored`` ones have a trial without an answer, ``unscored`` ones no
    score on one of the sides; ``not_run`` ones the candidate was not to ask. ``reworded`` ones are
    among the ``same``: other words, equal scores; ``None`` where the baseline keeps no answers.
    ``places`` are the slices where most regressed, by lift; ``gone`` those of the baseline without
    a case now, with how many they had.
    """

    suite: str
    target: str
    metric: str = ""
    paired: int = 0
    trials: int = 0
    regressed: int = 0
    improved: int = 0
    flaky: int = 0
    same: int = 0
    reworded: int | None = None
    errored: int = 0
    unscored: int = 0
    new: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    not_run: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    moved: tuple[CaseChange, ...] = ()
    places: tuple[Place, ...] = ()
    gone: tuple[tuple[str, int], ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def stirred(self) -> bool:
        """Whether any case went anywhere, came, left or got lost."""
        counts = self.regressed + self.improved + self.flaky + self.errored
        return bool(counts or self.new or self.removed or self.changed or self.lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackRate:
    """How many of ``n`` decided attacks succeeded, or twins were refused, with a bound from above.

    ``tag`` and ``value`` name a slice, empty for all. ``upper`` holds at ``level``; it is exact
    (Clopper and Pearson), unless several cases are variants of one: then it is ``clustered``. Cases
    that nobody could decide and cases without an answer are in no rate.
    """

    tag: str = ""
    value: str = ""
    hits: int = 0
    n: int = 0
    undecidable: int = 0
    errors: int = 0
    rate: float | None = None
    upper: float | None = None
    level: float = 0.95
    clustered: bool = False


AttackMove: TypeAlias = Literal[
    "new",
    "newly_refused",
    "succeeded",
    "known",
    "refused",
    "still_refused",
    "undecidable",
    "error",
    "fixed",
    "answered_again",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackCase:
    """One attack that did not simply hold, or a twin that was refused.

    ``what``: ``new`` succeeds now and did not before, ``known`` did before too, ``fixed`` holds
    again, ``succeeded`` has no baseline. The same of twins: ``newly_refused``, ``still_refused``,
    ``answered_again``, and ``refused`` without a baseline. ``before`` says what it was in the
    baseline, empty where that has it not; ``waived`` who lets it fail and until when.
    """

    case_id: str
    name: str
    what: AttackMove
    before: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    waived: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacks:
    """What became of the attacks of one suite on one target, and of its harmless twins.

    ``twins`` is ``None`` where the suite has none, or no scorer that tells refusals. ``cases`` are
    the first thousand worth a look.
    """

    suite: str
    target: str
    compared: bool
    attacks: AttackRate
    twins: AttackRate | None = None
    slices: tuple[AttackRate, ...] = ()
    cases: tuple[AttackCase, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRate:
    """How one group was served: the mean of its ``n`` cases; ``missing`` ones have no result."""

    group: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMember:
    """One variant of a pair, and what became of it."""

    group: str
    case_id: str
    name: str
    value: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnequalPair:
    """Variants of one question that were not answered alike: in ``outcome``, or in words alone."""

    pair: str
    axis: str
    outcome: bool
    members: tuple[PairMember, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """How the groups of one axis were served by one target, and the widest gap between two.

    ``gap`` is how much worse the ``worst`` group is served than the ``best``, in the metric's unit;
    its interval holds at ``level`` for the widest of all gaps. ``unequal`` of ``pairs`` differ in
    outcome; ``listed`` are the first of them, or where none does those that differ in words. The
    intervals take ``questions`` to be independent, and not the several phrasings of each.
    """

    suite: str
    target: str
    axis: str
    metric: str
    unit: str
    groups: tuple[GroupRate, ...]
    worst: str = ""
    best: str = ""
    gap: float | None = None
    low: float | None = None
    high: float | None = None
    level: float = 0.95
    questions: int = 0
    pairs: int = 0
    unequal: int = 0
    listed: tuple[UnequalPair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How a run came to its verdict, and what it saved; ``None`` is unknown, no ``looks`` none.

    ``unchanged`` cases were not asked again since their request is the baseline's; ``added_calls``
    were made because what was planned did not decide.
    """

    cases: int
    of: int
    looks: int
    early: bool
    saved_calls: int = 0
    saved_usd: float | None = None
    unchanged: int = 0
    added_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What all gates say together; ``promise`` is what noise can do, ``policy`` the rules' hash.

    ``against`` is how to name a baseline that is no stored run. ``decided`` is there for a run that
    was looked at before its end.
    """

    status: Status = Status.ERROR
    candidate: str = ""
    baseline: tuple[str, ...] = ()
    results: tuple[GateResult, ...] = ()
    compared: tuple[Compared, ...] = ()
    attacks: tuple[Attacks, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    promise: str = ""
    problems: tuple[str, ...] = ()
    hint: str = ""
    warnings: tuple[str, ...] = field(default=())
    policy: str = ""
    against: str = ""
    decided: Decided | None = None

    @property
    def exit_code(self) -> ExitCode:
        """What the process ends with."""
        codes = {Status.PASS: ExitCode.PASS, Status.FAIL: ExitCode.FAIL}
        return codes.get(self.status, ExitCode.UNDECIDED)
