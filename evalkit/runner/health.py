"""Whether a target is worth asking further: one that never answers is given up early.

One that has answered and stops is in an outage: a breaker tries it now and then, and gives it up
only at the end of its patience. One that lets its first calls run out of time may be slow at first:
a breaker with less patience tries it a call at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

from evalkit.errors import ErrorClass, TargetError
from evalkit.runner.breaker import Breaker

PASSING = frozenset({ErrorClass.CONNECTION, ErrorClass.TIMEOUT, ErrorClass.SERVER})
"""Failures of which a target may recover by itself."""
UNREACHABLE = frozenset(
    {
        ErrorClass.CONNECTION,
        ErrorClass.AUTH,
        ErrorClass.NOT_FOUND,
        ErrorClass.QUOTA,
        ErrorClass.TIMEOUT,
    }
)
"""Failures that say nothing of the case: the next case will fail in the same way."""

# a refused case or a prompt without its variable says something of the case alone
_OF_THE_CASE = frozenset({ErrorClass.REFUSED, ErrorClass.PROMPT, ErrorClass.CANCELLED})

FIRST_UNREACHABLE = 5
"""Trials that fail as unreachable, retries included, before a target that never answered ends."""
FIRST_FAILURES = 25
"""The same for failures of any kind but refusals."""
FIRST_TIMEOUTS = 3
"""Attempts that run out of time in a row, after which one that never answered is only tried."""
FIRST_PROBES = 2
"""Probes of it, at the least: with the calls before them they are three in a row."""
FIRST_PATIENCE_S = 30.0
"""How long it may take to answer at all, when it has more patience than that."""
OUTAGE = 10
"""Attempts in a row, at the least, whose failure is an outage of a target that has answered."""


class Health:
    """Counts what failed in a row of one target: attempts for its breaker, trials to give it up.

    ``concurrency`` is how many calls may be under way: they all fail together when it breaks.
    """

    def __init__(self, concurrency: int, *, patience_s: float = 120.0):
        self.given_up = False
        self.error_class = ErrorClass.CONNECTION
        self.reason = ""
        self.ever_answered = False
        self.breaker = Breaker(
            FIRST_TIMEOUTS,
            patience_s=min(patience_s, FIRST_PATIENCE_S),
            least_probes=FIRST_PROBES,
        )
        self._then = Breaker(max(OUTAGE, concurrency), patience_s=patience_s)
        self._last: TargetError | None = None
        self._unreachable = 0
        self._failures = 0
        # calls that were in flight together fail together
        self._most_in_a_row = max(50, 4 * concurrency)

    @property
    def in_outage(self) -> bool:
        """Whether only probes may be made."""
        return self.breaker.open

    def answered(self) -> bool:
        """One attempt was answered; true when that ends an outage."""
        self._unreachable = self._failures = 0
        ended = self.breaker.answered()
        if not self.ever_answered:
            self.ever_answered = True
            self.breaker = self._then
        return ended

    def attempt_failed(self, error: TargetError, sent: float, now: float) -> bool:
        """One attempt that was sent then failed; true when that ends an outage all the same."""
        kind, breaker = error.error_class, self.breaker
        if kind not in PASSING or not error.retryable:
            # whoever turns a call away is there
            return breaker.answered()
        self._last = error
        if not self.ever_answered:
            if kind is ErrorClass.SERVER:
                return breaker.answered()
            if kind is ErrorClass.CONNECTION and not breaker.open:
                # there is nothing to wait for: its trials decide
                return False
        breaker.failed(sent, now)
        if breaker.gave_up:
            lasted, tried = f"{now - breaker.opened_at:.0f} s", breaker.probes
            why = f"no answer for {lasted}, tried {tried} times"
            if not self.ever_answered:
                why = f"the first calls were not answered, nor {tried} tries in {lasted} after them"
            self._give_up(error, why)
        return False

    def failed(self, error: TargetError) -> None:
        """One trial has no answer, after all its attempts."""
        if error.error_class in _OF_THE_CASE:
            return
        self._failures += 1
        self._unreachable = self._unreachable + 1 if error.error_class in UNREACHABLE else 0
        if not self.ever_answered:
            ended = self._unreachable >= FIRST_UNREACHABLE or self._failures >= FIRST_FAILURES
        else:
            lasting = error.error_class not in PASSING or not error.retryable
            ended = lasting and self._unreachable >= self._most_in_a_row
        if ended:
            count = self._unreachable or self._failures
            when = "in a row failed" if self.ever_answered else "failed and none was answered"
            self._give_up(error, f"{count} trials {when}")

    def rests(self, now: float) -> bool:
        """Whether a call that comes now is not made; in an outage the one that is due is.

        One that may be slow at first is waited for.
        """
        away = self.ever_answered and self.breaker.open and not self.breaker.is_due(now)
        return self.given_up or away

    def error(self) -> TargetError:
        """What happens to a call that is not made."""
        if self.given_up or self._last is None:
            error_class, why = self.error_class, self.reason
        else:
            error_class = self._last.error_class
            why = f"not asked while it does not answer; the last: {self._last.message}"
        error = TargetError(error_class, why, retryable=False, unbilled=True)
        error.unasked = True
        return error

    def give_up_with(self, others: Mapping[str, Health]) -> None:
        """A route is given up when all that it can ask are."""
        self.given_up = True
        self.error_class = next(one.error_class for one in others.values())
        self.reason = "; ".join(f"{name!r}: {one.reason}" for name, one in others.items())

    def _give_up(self, error: TargetError, why: str) -> None:
        if not self.given_up:
            self.given_up = True
            self.error_class = error.error_class
            self.reason = f"{why}; the last: {error.error_class}: {error.message}"
