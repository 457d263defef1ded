"""How many calls of one target may be under way at once, found out from how they end.

Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does it. The number starts
at a quarter of what is allowed and doubles with every round of answers. A server that pushes back
(429, 503, no answer in time) has it cut once a round, to what was under way times ``CUT``; from
there it grows by a fixed step a round. Latency that rises while throughput does not is a queue that
forms in front of the server: the number is brought back by the gradient, the least latency seen
over the present one, before anything is turned away (as in TCP Vegas, Brakmo and Peterson 1995).

Rising latency alone proves nothing: a server that answers in batches takes longer for each and more
of them in all. Calls differ in length, so latency is the median of a round, to the first token
where the answer is streamed.
"""

from __future__ import annotations

FIRST = 32
"""Calls at once with which every target begins, when it is allowed so many."""
CUT = 0.7
QUEUED = 3.0
"""Times the least latency, at which a queue is suspected."""
GAIN = 1.1
"""Times the best throughput, below which more calls at once bring nothing."""
LEAST_QUEUED = 8
"""Calls at once that latency alone never goes below."""
ROUNDS_BACK = 50
"""Rounds after a cut, at the most, until all is allowed again."""
_SHORTEST_ROUND = 32
_FORGET = 1.02


class Window:
    """The number of calls that may be under way: ``size``, of at most ``most``.

    All times are seconds of one monotonic clock. With ``adapts`` false it stays at ``most``.
    """

    __slots__ = (
        "_best",
        "_credit",
        "_cut_at",
        "_doubles_to",
        "_least",
        "_since",
        "_step",
        "_took",
        "_used",
        "adapts",
        "most",
        "size",
    )

    def __init__(self, most: int, *, adapts: bool = True, now: float = 0.0):
        self.most = most
        self.adapts = adapts
        self.size = min(most, max(FIRST, most // 4)) if adapts else most
        self._doubles_to = most
        self._step = max(1, most // ROUNDS_BACK)
        self._credit = 0
        self._cut_at = float("-inf")
        self._least = float("inf")
        self._best = 0.0
        self._since = now
        self._used = 0
        self._took: list[float] = []

    def answered(self, took: float, under_way: int, now: float) -> None:
        """An answer came that took so long; ``under_way`` counts calls, this one included."""
        if not self.adapts:
            return
        if 4 * under_way >= 3 * self.size:
            self._used += 1
            if self.size < self.most:
                self._grow()
        self._took.append(took)
        if len(self._took) >= max(_SHORTEST_ROUND, 2 * self.size):
            self._look(now)

    def pushed_back(self, sent: float, under_way: int, now: float) -> None:
        """The server had too much to do with a call that was ``sent`` then.

        Calls of one round are turned away together: those sent before the last cut say nothing new.
        """
        if not self.adapts or sent < self._cut_at:
            return
        self._cut_at = now
        self._set(int(min(self.size, max(1, under_way)) * CUT), now)

    def restart(self, now: float) -> None:
        """Begin small again, after an outage: nobody is greeted by all who waited."""
        if self.adapts:
            size = self.size
            self._cut_at = now
            self._set(min(size, FIRST) // 4, now)
            self._doubles_to = size

    def _grow(self) -> None:
        if self.size < self._doubles_to:
            self.size += 1
            return
        self._credit += self._step
        if self._credit >= self.size:
            self._credit -= self.size
            self.size += 1

    def _set(self, size: int, now: float) -> None:
        self.size = self._doubles_to = max(1, size)
        self._credit = 0
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._took.clear()
        self._used = 0
        self._since = now

    def _look(self, now: float) -> None:
        """Judge one round by its latency and its throughput."""
        took = sorted(self._took)
        typical = took[len(took) // 2]
        rate = len(took) / max(now - self._since, 1e-9)
        used = 2 * self._used >= len(took)
        queued = used and typical > QUEUED * self._least and rate <= GAIN * self._best
        # what was seen long ago counts less: the cases may have become longer, the server slower
        self._least = min(typical, self._least * _FORGET)
        self._best = max(rate, self._best / _FORGET)
        if queued and self.size > LEAST_QUEUED:
            gradient = max(0.5, QUEUED * self._least / typical)
            self._set(max(LEAST_QUEUED, int(self.size * gradient)), now)
        else:
            self._begin(now)
