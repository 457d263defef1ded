"""One person's way through an agenda: what they judge is stored before anything else happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from evalkit.labels import Label, LabelSource
from evalkit.model import Trial
from evalkit.runner.reviewing import Agenda
from evalkit.store import Store
from evalkit.store.labels import Answer


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One stored judgement, with what it replaced, so that it can be taken back."""

    place: int
    label: Label
    before: Label | None


@dataclass(slots=True, kw_only=True)
class Labelling:
    """Where a person stands: ``place`` is the answer they see.

    ``blind`` hides scores and target until the answer is judged; without ``reveal`` even then.
    """

    store: Store
    agenda: Agenda
    author: str
    blind: bool = True
    reveal: bool = True
    again: bool = False
    now: Callable[[], datetime] = _now
    place: int = 0
    given: int = 0
    mine: dict[tuple[str, str, str], Label] = field(default_factory=dict)
    deeds: list[Deed] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)
    renewed: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        for one in self.store.labels(self.agenda.suite):
            if one.author == self.author and one.output_hash:
                self.mine[one.name, one.case_id, one.output_hash] = one
        self.place = self._next_open(-1)

    @property
    def answer(self) -> Answer:
        """The answer that is looked at."""
        return self.agenda.answers[self.place]

    @property
    def over(self) -> bool:
        """Whether nothing is left to look at."""
        return self.place >= len(self.agenda.answers)

    @property
    def judged(self) -> int:
        """How many answers of the agenda this person has judged, in any session."""
        return sum(self._done(one) for one in range(len(self.agenda.answers)))

    @property
    def open(self) -> bool:
        """Whether scores and target may be seen now."""
        return not self.blind or (self.reveal and self.decided)

    @property
    def decided(self) -> bool:
        """Whether the answer that is looked at is judged."""
        return self._done(self.place)

    def own(self, name: str | None = None) -> Label | None:
        """What this person said of the answer: of the question, or of a scorer's verdict."""
        one = self.answer
        return self.mine.get((name or self.agenda.asked.name, one.case_id, one.output_hash))

    def trial(self) -> Trial:
        """The answer with its texts."""
        one = self.answer
        for trial in self.store.trial(self.agenda.run.id, one.case_id):
            if (trial.suite, trial.target, trial.index) == (one.suite, one.target, one.trial):
                return trial
        raise LookupError("the answer is gone from the store")

    def judge(self, passed: bool) -> None:
        """Yes or no to the question."""
        self._give(passed=passed)
        self.renewed.add(self.place)
        if self.open:
            self.seen.add(self.place)

    def rate(self, rating: int) -> None:
        """From 1, the worst, to 5."""
        self._give(rating=rating)

    def explain(self, reason: str) -> None:
        """Why; an empty text takes the reason away."""
        self._give(reason=reason.strip() or None)

    def verdicts(self) -> list[str]:
        """The scorers that decided on the answer and are not the one asked about."""
        return [one for one in self.answer.passed if one != self.agenda.asked.name]

    def unheard(self) -> str | None:
        """The next scorer whose verdict waits for agree or disagree."""
        return next((one for one in self.verdicts() if self.own(one) is None), None)

    def answer_scorer(self, name: str, *, agrees: bool) -> None:
        """Agree or disagree with the verdict of a scorer, which was seen."""
        verdict = self.answer.passed[name]
        self._give(
            name,
            passed=verdict if agrees else not verdict,
            word="agree" if agrees else "disagree",
        )

    def undo(self) -> Deed | None:
        """Take the last judgement of this session back and return to its answer."""
        if not self.deeds:
            return None
        deed = self.deeds.pop()
        self.store.take_back(deed.label, deed.before)
        key = (deed.label.name, deed.label.case_id, deed.label.output_hash or "")
        if deed.before is None:
            self.mine.pop(key, None)
        else:
            self.mine[key] = deed.before
        self.place = deed.place
        self.renewed.discard(deed.place)
        self.given = max(0, self.given - 1)
        return deed

    def skip(self) -> None:
        """Leave the answer unjudged."""
        if not self.decided:
            self.skipped.add(self.place)
        self.forward()

    def back(self) -> bool:
        """To the answer before, judged or not; ``False`` at the first."""
        if self.place == 0:
            return False
        self.place -= 1
        return True

    def forward(self) -> None:
        """To the next answer that is neither judged nor skipped."""
        self.place = self._next_open(self.place)

    def _done(self, place: int) -> bool:
        if place >= len(self.agenda.answers) or (self.again and place not in self.renewed):
            return False
        one = self.agenda.answers[place]
        held = self.mine.get((self.agenda.asked.name, one.case_id, one.output_hash))
        return held is not None and held.passed is not None

    def _next_open(self, place: int) -> int:
        every = range(len(self.agenda.answers))
        later = [one for one in every if one > place]
        for one in [*later, *(one for one in every if one < place)]:
            if not self._done(one) and one not in self.skipped:
                return one
        return len(every)

    def _give(self, name: str | None = None, **said: Any) -> None:
        one, before = self.answer, self.own(name)
        changes = "passed" in said
        # once seen, scores stay seen, also when the judgement is taken back
        blind = self.blind and name is None and not self.open and self.place not in self.seen
        known = before or Label(
            case_id=one.case_id,
            name=name or self.agenda.asked.name,
            author=self.author,
            labelled_at=self.now(),
            run_id=self.agenda.run.id,
            suite=one.suite,
            target=one.target,
            trial=one.trial,
            blind=blind,
            source=LabelSource.REVIEW,
            selection=self.agenda.selection,
            output_hash=one.output_hash,
        )
        at = self.now()
        if before is not None:
            # a clock that was set back must not lose the later word
            at = max(at, before.labelled_at + timedelta(microseconds=1))
        label = replace(
            known,
            labelled_at=at,
            # whoever judges anew having seen the scores was not blind any more
            blind=blind if changes else known.blind,
            **said,
        )
        if before is not None and before.judgement == label.judgement:
            return
        self.store.add_labels([label])
        self.mine[label.name, label.case_id, label.output_hash or ""] = label
        self.deeds.append(Deed(place=self.place, label=label, before=before))
        self.given += 1
        self.skipped.discard(self.place)
