"""What people's labels say of a scorer on a suite: a small JSON value with a hash over it.

Reviewed in git like a baseline. It belongs to the signature of the scorer that was held against
people: another model, another rubric, other parameters are another instrument.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from evalkit.errors import UsageError
from evalkit.hashing import content_id
from evalkit.stats.agreement import JUDGE_KAPPA, JUDGE_LABELS
from evalkit.stats.calibration import Bin, Fit, Share
from evalkit.stats.judged import Labelled

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A scorer of a suite, held against people.

    ``lower`` says that lower scores are better, ``threshold`` is in the scorer's own unit: at or
    better than it passes. ``fit`` has the same as doubt, which grows as the scorer's opinion falls.
    ``mean`` is there when people's scores on its own scale say how far to trust its mean.
    ``labels`` counts what it rests on and what was left out, ``people`` names who judged; ``flips``
    are pairs of scorings of one answer that decided otherwise, and pairs.
    """

    project: str
    suite: str
    scorer: str
    signature: str
    question: str
    lower: bool
    threshold: float
    goal: str
    fit: Fit
    mean: Labelled | None = None
    weighted_kappa: Share | None = None
    calibration_error: float | None = None
    flips: tuple[int, int] = (0, 0)
    labels: Mapping[str, int] = field(default_factory=dict)
    people: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    by: str = ""
    at: str = ""
    commit: str | None = None

    @property
    def may_block(self) -> bool:
        """Whether a gate on it may stop a merge: 100 labels, and agreement beyond chance."""
        return self.fit.n >= JUDGE_LABELS and (self.fit.kappa.low or 0.0) > 0

    @property
    def may_prove(self) -> bool:
        """Whether it may prove anything: the lower bound of its kappa must be 0.6 or more."""
        return self.fit.n >= JUDGE_LABELS and (self.fit.kappa.low or 0.0) >= JUDGE_KAPPA

    def shares(self, *, passing: bool) -> tuple[tuple[float, float], tuple[float, float]]:
        """What is true of answers the scorer counts, and of the others, as (hits, total).

        It counts what it passed when ``passing``, else what it flagged. Answers of one case count
        as one.
        """
        fit, worth = self.fit, self.fit.cases / self.fit.n
        flagged, passed = fit.flagged_bad + fit.flagged_good, fit.passed_bad + fit.passed_good
        if passing:
            pairs = ((fit.passed_good, passed), (fit.flagged_good, flagged))
        else:
            pairs = ((fit.flagged_bad, flagged), (fit.passed_bad, passed))
        (a, b), (c, d) = pairs
        return (a * worth, b * worth), (c * worth, d * worth)


def to_json(record: Calibration) -> dict[str, Any]:
    """The JSON value of a record, with its hash."""
    body = {"format": FORMAT, **asdict(record)}
    body["flips"] = list(record.flips)
    body["people"] = list(record.people)
    body["fit"]["bins"] = list(body["fit"]["bins"])
    return {**body, "hash": content_id(body)}


def from_json(value: Any, *, where: str) -> Calibration:
    """The record of a JSON value; raises ``UsageError`` when it is damaged or of a newer form."""
    if not isinstance(value, dict) or "hash" not in value:
        raise _damaged(where, "it is no calibration record")
    body = {key: one for key, one in value.items() if key != "hash"}
    if body.pop("format", None) != FORMAT:
        raise UsageError(
            f"the calibration record has another form than this evalkit reads ({FORMAT})",
            where=where,
            hint="calibrate again, or use the evalkit that wrote it",
        )
    if content_id({"format": FORMAT, **body}) != value["hash"]:
        raise _damaged(where, "its content does not match its hash")
    try:
        fit = dict(body["fit"])
        shares = {name: _share(fit[name]) for name in _SHARES}
        bins = tuple(Bin(**{**one, "bad": _share(one["bad"])}) for one in fit["bins"])
        weighted, mean = body["weighted_kappa"], body.get("mean")
        return Calibration(
            **{
                **body,
                "fit": Fit(**{**fit, **shares, "bins": bins}),
                "mean": None if mean is None else Labelled(**mean),
                "weighted_kappa": None if weighted is None else _share(weighted),
                "flips": tuple(body["flips"]),
                "people": tuple(body["people"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(where, f"it cannot be read ({type(error).__name__})") from error


_SHARES = ("precision", "recall", "balanced_accuracy", "kappa")


def _share(value: Any) -> Share:
    return Share(**value)


def _damaged(where: str, why: str) -> UsageError:
    return UsageError(
        f"the calibration record is damaged: {why}",
        where=where,
        hint="restore it from git, or calibrate again",
    )
