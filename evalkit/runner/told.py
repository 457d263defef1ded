"""What the server of a target says may still be asked, kept up to date between its answers.

An answer tells what remained when its call arrived; calls that began since are taken off. A limit
that refills is spent at the speed at which it comes back; one that is renewed all at once is spent
and then waited for. Either way the call that would be turned away is not made.
"""

from __future__ import annotations

from evalkit.model import Allowance


class Told:
    """One limit, in requests or tokens; all times are seconds of one monotonic clock."""

    __slots__ = ("_at", "_full", "_lasts_s", "_level", "_per_second", "_reset_at", "_waiting")

    def __init__(self, said: Allowance, since: float, now: float):
        self._waiting = 0.0
        self.hear(said, since, now)

    def hear(self, said: Allowance, since: float, now: float) -> None:
        """Take what an answer said; so much was ``since`` asked by calls that began after its own.

        Calls that wait for their turn have taken theirs already.
        """
        self._level = said.remaining - since - self._waiting
        self._full = said.limit
        self._at = now
        self._lasts_s = said.reset_s
        self._reset_at = now + said.reset_s
        missing = 0.0 if said.limit is None else said.limit - said.remaining
        self._per_second = missing / said.reset_s if said.refills and said.reset_s > 0 else 0.0

    def closed_s(self, amount: float, now: float) -> float:
        """Seconds until a limit that is spent is renewed; 0 when there is enough or it refills."""
        if self._per_second:
            return 0.0
        if now >= self._reset_at:
            self._level = float("inf") if self._full is None else self._full
            # until an answer says more, the next window is as long as what was left of this one
            self._reset_at = now + self._lasts_s
        # an amount that no window ever holds waits for a whole one
        enough = amount if self._full is None else min(amount, self._full)
        return 0.0 if self._level >= enough else self._reset_at - now

    def reserve(self, amount: float, now: float) -> float:
        """Take an amount for one call and return the seconds to wait; ``started`` follows."""
        self._level += self._per_second * (now - self._at)
        self._at = now
        self._level -= amount
        self._waiting += amount
        if self._level >= 0 or not self._per_second:
            return 0.0
        return -self._level / self._per_second

    def started(self, amount: float) -> None:
        """A call that had reserved begins."""
        self._waiting = max(0.0, self._waiting - amount)

    def returned(self, amount: float) -> None:
        """A call that had reserved is not made, or must reserve again."""
        self.started(amount)
        self._level += amount
