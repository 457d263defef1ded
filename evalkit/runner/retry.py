"""When a failed call is made again: exponential backoff with full jitter, Retry-After first.

Full jitter (a uniform draw between nothing and the exponential bound) spreads the callers of an
overloaded server better than any fixed schedule (Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from evalkit.errors import TargetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits between attempts, in seconds.

    ``longest_asked_s`` is the longest Retry-After worth waiting for: a server that asks for more,
    such as "tomorrow", has refused.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    longest_asked_s: float = 300.0
    draw: Callable[[], float] = random.random

    def wait(self, retry: int, error: TargetError) -> float | None:
        """Seconds before the retry of that number (from 0), or ``None`` when there is none.

        A wait the server asked for is kept in full; a tenth, and at most a second, is added at
        random so that the callers do not come back together.
        """
        if not error.retryable:
            return None
        asked = error.retry_after_s
        if asked is None:
            return self.draw() * min(self.longest_s, self.first_s * 2.0 ** min(retry, 30))
        if asked > self.longest_asked_s:
            return None
        asked = max(0.0, asked)
        return asked + self.draw() * min(1.0, asked / 10 + self.first_s / 10)
