"""What a rule is asked, and how its evidence becomes a status."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from evalkit.config.gate_metrics import MetricInfo
from evalkit.config.spec import GateLimit, GatePolicy, GateSpec
from evalkit.gate.calibrated import FACT, Trust
from evalkit.gate.looks import Look
from evalkit.gate.measure import Measured, level_of
from evalkit.gate.result import GateResult, Shows, Status
from evalkit.stats.clusters import MIN_CLUSTERS, can_prove, summed
from evalkit.stats.evidence import Evidence
from evalkit.stats.intervals import Floats, Interval
from evalkit.stats.sides import Bools, Numbers

POWER_Z = 0.8416
"""The 80 % quantile of the normal: how likely ``needs_more`` should be enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One limit of one gate on the chosen cases of one target.

    Both sides list the same cases; ``before`` is ``None`` where there is no baseline. ``runs``
    counts the stored baseline runs that were pooled, ``clusters`` has the cluster of every case,
    ``trust`` says how far people's labels carry the metric. At a ``look`` the interval is the
    repeated one; ``information`` is what it knows where that is not the share of cases. ``order``
    has the cases as they had their turn where bets are placed on them, ``same`` marks cases whose
    answers are the baseline's on both sides. ``unpaired`` counts the cases that would be judged had
    the baseline had any of them.
    """

    gate: GateSpec
    limit: GateLimit
    info: MetricInfo
    policy: GatePolicy
    suite: str
    target: str
    where: str = ""
    after: Measured
    before: Measured | None = None
    runs: int = 1
    clusters: Numbers | None = None
    trust: Trust = FACT
    seed: int = 0
    look: Look | None = None
    information: float | None = None
    order: Numbers | None = None
    same: Bools | None = None
    unpaired: int = 0

    @property
    def bets(self) -> bool:
        """Whether the claim is judged by bets: on the mean of what has two ends."""
        record = self.trust.record
        labelled = record is not None and (self.info.kind == "rate" or record.mean is not None)
        plain = self.info.kind in {"rate", "mean"} and not self.limit.relative
        level = self.limit.kind in {"min", "max"}
        return (
            self.order is not None
            and plain
            and math.isfinite(self.info.spread)
            and not (labelled and level)
        )

    @property
    def alpha(self) -> float:
        """The one-sided chance of error of this test alone: at a look what the look may use up."""
        if self.look is None or self.bets:
            return self.policy.alpha
        return self.look.level(self.fractions, self.policy.alpha)

    @property
    def level(self) -> float:
        """The confidence of the interval that agrees with the tests."""
        return 1 - 2 * self.alpha

    @property
    def fractions(self) -> tuple[float, ...]:
        """The share of the information at every look so far; empty without, and for bets."""
        if self.look is None or self.bets:
            return ()
        parts = (self.suite, self.target, self.gate.id, self.limit.kind, self.where)
        return self.look.fractions("\n".join(parts), self.information)

    @property
    def few_clusters(self) -> str:
        """Why nothing can be proved of so few clusters; empty where something can."""
        if self.clusters is None or self.gate.mode != "prove" or can_prove(self.clusters.tolist()):
            return ""
        return f"fewer than {MIN_CLUSTERS} clusters prove nothing"

    @property
    def nobody(self) -> str:
        """Why there is nothing to judge where no case has the metric."""
        if self.unpaired:
            one = self.unpaired == 1
            return (
                f"{'the only case' if one else f'all {self.unpaired:,} cases'} with this metric"
                f" {'is' if one else 'are'} new: run the baseline again on these data"
            )
        if self.info.source != "overrefusal":
            return "no case has this metric"
        if self.gate.cases or self.look is not None:
            return "no case here is a harmless twin"
        makes = "evalkit attack expand --twins makes them from those of the suite"
        return f"the data have no harmless twins: {makes}"

    def units(self, rows: Floats, kept: Bools | None = None) -> Floats:
        """A row a case (those ``kept``) as they are independent: the rows of a cluster summed."""
        if self.clusters is None or not len(rows):
            return rows
        return summed(rows, self.clusters if kept is None else self.clusters[kept])

    def by_units(self, method: str) -> str:
        """The name of a method whose units are ``units``."""
        return method if self.clusters is None else f"{method} of clusters"

    def result(self, **fields: Any) -> GateResult:
        """A result with everything that the question itself says."""
        known = {
            "gate": self.gate.id,
            "metric": self.info.name,
            "limit": self.limit,
            "mode": self.gate.mode,
            "suite": self.suite,
            "target": self.target,
            "where": self.where,
            "unit": self.info.unit,
            "level": 1 - 2 * self.policy.alpha,
            "n": self.after.cases,
            "looks": self.fractions,
        }
        return GateResult(**{**known, **fields})

    def error(self, reason: str, **fields: Any) -> GateResult:
        """A result that says why nothing can be judged."""
        return self.result(status=Status.ERROR, reason=reason, **fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The same claim with what is missing as bad (``worst``) and as good (``best``) as can be.

    Positive is good. ``None`` for a side that cannot be bounded. ``fewest`` is the structural n:
    below it nothing can be shown to hold.
    """

    worst: Evidence | None
    best: Evidence | None
    method: str
    fewest: int = 0
    too_few: str = ""
    claim: Any = "cases like these"
    population: Interval | None = None
    information: float | None = None

    def interval(self, level: float) -> Interval:
        """The interval over everything that the missing results can have been."""
        low = self.worst.interval(level).low if self.worst is not None else None
        high = self.best.interval(level).high if self.best is not None else None
        return Interval(low, high)


def settled(
    result: GateResult, alpha: float, *, harm: float | None = None, lost: float | None = None
) -> GateResult:
    """The status that the p-values of a result give; ``harm`` and ``lost`` are adjusted ones.

    PASS where a violation is ruled out whatever the missing results were; FAIL where one is shown
    whatever they were; ERROR where the missing ones alone stand between.
    """
    if result.p_pass is None or result.p_harm is None:
        return result
    harm = result.p_harm if harm is None else harm
    lost = result.p_lost if lost is None else lost
    if result.p_pass <= alpha:
        return replace(result, status=Status.PASS, needs_more=None)
    if harm <= alpha:
        # why it could not have passed is beside the point where a failure is shown
        return replace(result, status=Status.FAIL, needs_more=None, reason="")
    if result.missing and lost is not None and lost <= alpha:
        words = "result" if result.missing == 1 else "results"
        reason = f"the {result.missing:,} missing {words} would decide"
        return replace(result, status=Status.ERROR, reason=reason, needs_more=None)
    if result.p_harm <= alpha:
        reason = "shown alone, but not among this many guards"
        return replace(result, status=Status.INCONCLUSIVE, reason=result.reason or reason)
    return replace(result, status=Status.INCONCLUSIVE)


def never(n: int, shows: Shows, fewest: int = 0, what: str = "case") -> str:
    """Why a gate on so few can never pass, and how many can; empty where they are not too few."""
    if shows == "either":
        return ""
    said = f"{n:,} {what}{'' if n == 1 else 's'} can never rule it out"
    return (
        said
        + ("" if shows == "harm" else ", nor show harm")
        + (f", {fewest:,} can" if fewest else "")
    )


def too_much_missing(
    question: Question,
    gone: Bools,
    about: Literal["change", "level"] | None = None,
    *,
    among: int | None = None,
) -> GateResult | None:
    """The error when more cases lack a result than the policy allows; ``None`` otherwise.

    ``gone`` marks them, of all or ``among`` so many. What the gate is ``about`` has its levels over
    the other cases, for the eyes: nothing is judged by them.
    """
    missing, n = int(gone.sum()), len(gone) if among is None else among
    allowed = question.policy.max_missing
    if not n or missing / n <= allowed:
        return None
    reason = f"{missing:,} of {n:,} cases lack a result, {100 * allowed:.3g} % may"
    seen: dict[str, Any] = {}
    if about is not None:
        old, new = (
            None if one is None else level_of(question.info, one.of_cases(~gone))
            for one in (question.before, question.after)
        )
        seen = {"about": about, "baseline": old, "candidate": new}
        if new is not None:
            reason += f"; the levels are of the other {n - missing:,}"
    return question.error(reason, n=n, missing=missing, **seen)


def more_cases(n: int, half_width: float | None, distance: float, alpha: float) -> int | None:
    """How many more cases make the interval end before a limit so far away, in 8 of 10 runs.

    The half-width shrinks with √n. ``None`` when no number would: the estimate is beyond the limit,
    or there is no interval to shrink.
    """
    from scipy.special import ndtri

    if half_width is None or distance <= 0 or not math.isfinite(half_width):
        return None
    reach = half_width * (1 + POWER_Z / float(ndtri(1 - alpha)))
    return max(0, math.ceil(n * (reach / distance) ** 2) - n)
