"""One call of a target on its way over its attempts, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from evalkit.errors import TargetError
from evalkit.model import NOTHING_SPENT, Output, Spend, Turn

if TYPE_CHECKING:
    from evalkit.runner.budget import Hold
    from evalkit.runner.flight import Call


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of asking: an output, or the error of the last attempt.

    ``turns`` are those of a conversation that were answered before the one that failed.
    """

    started_at: datetime
    attempts: int
    queue_s: float
    total_s: float
    output: Output | None = None
    error: TargetError | None = None
    spend: Spend = NOTHING_SPENT
    turns: tuple[Turn, ...] = ()


class Course:
    """One call on its way over its attempts: instants of the lane's clock.

    It was queued when it ``begun`` or when its last wait ended; ``until`` is the end of its time,
    known from the first retry on, and from the start for a later turn of a conversation. One that
    is not ``patient`` has another target to ask in an outage.
    """

    __slots__ = (
        "attempts",
        "begins",
        "begun",
        "call",
        "ended",
        "error",
        "patient",
        "queued",
        "sent",
        "spend",
        "started_at",
        "until",
    )

    def __init__(
        self,
        begun: float,
        begins: Callable[[], object] | None,
        until: float | None,
        call: Call | None,
        *,
        patient: bool,
    ):
        self.begun = self.queued = begun
        self.patient = patient
        self.begins = begins
        self.call = call
        self.started_at = datetime.now(UTC)
        self.attempts = 0
        self.sent = self.ended = begun
        self.until = until
        self.error: TargetError | None = None
        self.spend = NOTHING_SPENT

    def begin(self, hold: Hold) -> None:
        """The first attempt is about to be made."""
        if self.call is not None:
            self.call.begins(Spend(assumed_usd=hold.usd, assumed_tokens=hold.tokens))
        if self.begins is not None:
            self.begins()

    def answer(self, output: Output | None, now: float) -> Answer:
        """What came of it."""
        return Answer(
            self.started_at,
            self.attempts,
            # a call that waited again and was not made was queued before its last attempt too
            max(0.0, self.sent - self.queued) if self.attempts else now - self.begun,
            now - self.begun,
            output,
            self.error if output is None else None,
            self.spend,
        )
