"""Calls of code that is not ours, each with a time limit: what hangs is left behind.

A thread cannot be ended from outside. One that does not come back is abandoned (it is a daemon, so
the process still ends), the rest of the calls go on in a new one, and after a few no more are made.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

MOST_HANGS = 3
"""Threads that are left behind before a scorer is asked no more: each may eat a core."""


class Hung(Exception):
    """A call did not come back in time, or was not made because others had not."""

    def __init__(self, limit_s: float, *, made: bool):
        when = "" if made else f" {MOST_HANGS} times, and is asked no more"
        super().__init__(f"no score within {limit_s:g} s{when}")


class Patience:
    """The time limit of one scorer, and how often it was exceeded."""

    def __init__(self, limit_s: float):
        self.limit_s = limit_s
        self.hangs = 0

    def results(self, calls: Sequence[Callable[[], object]]) -> list[object]:
        """What every call returned or raised, in order; ``Hung`` for those that did not end."""
        found: list[object] = []
        while len(found) < len(calls):
            if self.hangs >= MOST_HANGS:
                left = len(calls) - len(found)
                return found + [Hung(self.limit_s, made=False)] * left
            line = _Line(calls[len(found) :])
            found += line.wait(self.limit_s)
            if line.hung:
                self.hangs += 1
                found.append(Hung(self.limit_s, made=True))
        return found


class _Line:
    """Calls one after the other in a thread of their own."""

    def __init__(self, calls: Sequence[Callable[[], object]]):
        self.hung = False
        self._calls = calls
        self._found: list[object] = []
        self._began = time.monotonic()
        self._done = threading.Event()
        threading.Thread(target=self._run, name="evalkit-scorer", daemon=True).start()

    def _run(self) -> None:
        for call in self._calls:
            self._began = time.monotonic()
            try:
                found: object = call()
            except BaseException as error:  # noqa: BLE001 - the scorer boundary
                found = error
            if self.hung:
                return
            self._found.append(found)
        self._done.set()

    def wait(self, limit_s: float) -> list[object]:
        """The results of those that ended, until all did or one has taken too long."""
        while not self._done.wait(max(0.0, self._began + limit_s - time.monotonic()) + 0.001):
            if time.monotonic() - self._began > limit_s:
                self.hung = True
                break
        return list(self._found)
