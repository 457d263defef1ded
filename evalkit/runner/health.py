"""Whether a target is worth asking further: one that never answers is given up early."""

from __future__ import annotations

from evalkit.errors import ErrorClass, TargetError

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


class Health:
    """Counts the trials of one target that failed in a row."""

    def __init__(self, concurrency: int):
        self.given_up = False
        self.error_class = ErrorClass.CONNECTION
        self.reason = ""
        self._ever = False
        self._unreachable = 0
        self._failures = 0
        # an outage of a target that has answered is told from a burst of failures that were in
        # flight together
        self._patience = max(50, 4 * concurrency)

    def answered(self) -> None:
        """One trial has an answer."""
        self._ever = True
        self._unreachable = self._failures = 0

    def failed(self, error: TargetError) -> None:
        """One trial has none, after all its attempts."""
        if error.error_class in _OF_THE_CASE:
            return
        self._failures += 1
        self._unreachable = self._unreachable + 1 if error.error_class in UNREACHABLE else 0
        if self._ever:
            ended = self._unreachable >= self._patience
        else:
            ended = self._unreachable >= FIRST_UNREACHABLE or self._failures >= FIRST_FAILURES
        if ended and not self.given_up:
            self.given_up = True
            self.error_class = error.error_class
            count = max(self._unreachable, 0) or self._failures
            when = "in a row failed" if self._ever else "failed and none was answered"
            self.reason = f"{count} trials {when}; the last: {error.error_class}: {error.message}"
