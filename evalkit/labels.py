"""What people say of answers: judgements against which scorers are calibrated."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class LabelSource(StrEnum):
    """How a person's judgement came in."""

    REVIEW = "review"
    IMPORT = "import"


class Selection(StrEnum):
    """How the answer a person judged was chosen, which says what its label may stand for.

    Only ``ALL`` and ``SAMPLE`` stand for the rest: every answer was as likely to be chosen.
    ``UNCERTAIN`` and ``DISAGREE`` were chosen for being hard: they teach a threshold, not a rate.
    """

    ALL = "all"
    SAMPLE = "sample"
    UNCERTAIN = "uncertain"
    DISAGREE = "disagree"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One person's judgement of one answer, against which scorers are calibrated.

    ``name`` is the question: a scorer's name makes label and score comparable. ``rating`` goes from
    1 (worst) to 5; ``word`` is ``agree`` or ``disagree`` where a scorer's verdict was judged.
    ``output_hash`` says which text was judged, in whichever run it is found; ``blind`` whether
    scores and target were hidden until then.
    """

    case_id: str
    name: str
    author: str
    labelled_at: datetime
    run_id: str | None = None
    suite: str | None = None
    target: str | None = None
    trial: int | None = None
    rating: int | None = None
    passed: bool | None = None
    word: str | None = None
    reason: str | None = None
    blind: bool | None = None
    source: LabelSource = LabelSource.REVIEW
    selection: Selection = Selection.UNKNOWN
    output_hash: str | None = None

    @property
    def key(self) -> tuple[str | int | None, ...]:
        """What a person has one judgement of: another one replaces it."""
        answer = (self.output_hash,) if self.output_hash else (self.run_id, self.target, self.trial)
        return (self.author, self.name, self.suite, self.case_id, *answer)

    @property
    def judgement(self) -> tuple[object, ...]:
        """What was said, without when and how."""
        return (self.rating, self.passed, self.word, self.reason)
