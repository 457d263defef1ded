"""How many calls of one target may be under way at once, found out from how they end.

Additive increase, multiplicative decrease (Chiu and Jain 1989), as TCP does it. The number starts
at a quarter of what is allowed and doubles with every round of answers. A server that pushes back
(429, 503, no answer in time) has it cut once a round, by the share of the round that was turned
away and to half at the most: to what a full server bears, and hardly for one that fails now and
then whatever it is asked (the share decides in DCTCP too, Alizadeh et al. 2010). From there it
grows by a fixed step a round. Latency that rises while throughput does not is a queue that
forms in front of the server: the number is brought back by the gradient, the least latency seen
over the present one, before anything is turned away (as in TCP Vegas, Brakmo and Peterson 1995).

Rising latency alone proves nothing: a server that answers in batches takes longer for each and more
of them in all, and later cases may be longer than the first. So the number is brought back only
while throughput does not gain, and as an experiment: it stays as it is for a round and is smaller
for another; where fewer calls at once are not answered as much sooner there is no queue, and the
number is as before. Calls differ in length, so latency is the median of a round, to the first token
where the answer is streamed.
"""

from __future__ import annotations

import math

FIRST = 32
"""Calls at once with which every target begins, when it is allowed so many."""
QUEUED = 3.0
"""Times the least latency, at which a queue is suspected."""
GAIN = 1.1
"""Times the best throughput, below which more calls at once bring nothing."""
LEAST_QUEUED = 8
"""Calls at once that latency alone never goes below."""
ROUNDS_BACK = 50
"""Rounds after a cut, at the most, until all is allowed again."""
LEAST_GRADIENT, MOST_GRADIENT = 0.5, 0.7
"""What an experiment makes of the number: enough to tell, not more than half."""
AS_MUCH = 1.07
"""By Little's law a queue is gone when latency falls as the number of calls does, so much at most
above it; else fewer calls are answered in all."""
FORGET = 1.5
"""Times the least latency, that is taken for the least after an experiment that was no use."""
CALM = 16
"""Rounds that the number is left alone after fewer calls at once were turned away as often."""
RANDOM_AT_MOST = 0.5
"""A larger share turned away is never taken for something that has to do with nothing here."""
WORSE = 1.5
"""Times that share, at which it is the number's fault after all."""
_SHORTEST_ROUND = 32
_LEAST_OUTCOMES = 8
"""Calls, at the least, of which a share was turned away."""


class Window:
    """The number of calls that may be under way: ``size``, of at most ``most``.

    All times are seconds of one monotonic clock. With ``adapts`` false it stays at ``most``.
    """

    __slots__ = (
        "_before",
        "_best",
        "_calm",
        "_came",
        "_credit",
        "_cut_at",
        "_doubles_to",
        "_gave",
        "_least",
        "_refused",
        "_round",
        "_share",
        "_since",
        "_step",
        "_took",
        "_used",
        "_watching",
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
        self._came = self._refused = 0
        # the size before it was cut since calls were turned away, and how many of how many were
        self._gave: tuple[int, int, int] | None = None
        self._calm = 0
        self._share = 0.0
        self._least = float("inf")
        self._best = 0.0
        # an experiment: a round at the size it was, then one at less than this size and latency
        self._watching = False
        self._before: tuple[int, float] | None = None
        self._round = _SHORTEST_ROUND
        self._since = now
        self._used = 0
        self._took: list[float] = []

    def answered(self, took: float, sent: float, under_way: int, now: float) -> None:
        """An answer came that took so long, to a call that was ``sent`` then.

        ``under_way`` counts calls, this one included.
        """
        if not self.adapts:
            return
        if 4 * under_way >= 3 * self.size:
            self._used += 1
            if self.size < self.most and self._before is None and not self._watching:
                self._grow()
        if sent < self._cut_at:
            # it was asked beside another number of calls than now
            return
        self._came += 1
        if self._came >= max(_LEAST_OUTCOMES, self.size):
            if self._refused:
                self._give_way(now)
                return
            self._came = 0
            self._gave = None
        self._took.append(took)
        if len(self._took) >= self._round:
            self._look(now)

    def pushed_back(self, sent: float, under_way: int, now: float) -> None:
        """The server had too much to do with a call that was ``sent`` then.

        Calls of one round are turned away together: those sent before the last cut say nothing new.
        """
        if not self.adapts or sent < self._cut_at:
            return
        self._came += 1
        self._refused += 1
        self._doubles_to = min(self._doubles_to, self.size)
        if self._came >= max(_LEAST_OUTCOMES, min(self.size, under_way)):
            self._give_way(now)

    def _give_way(self, now: float) -> None:
        """A round has ended in which calls were turned away.

        Fewer calls at once are an experiment here too: had the server too many of them, next to
        none of the fewer is turned away. One that turns as many away as before would do so
        whatever their number.
        """
        self._before = None
        share, size = self._refused / self._came, self.size
        if self._calm and share <= WORSE * self._share:
            self._calm -= 1
            self._set(size, now)
            return
        self._calm = 0
        if self._gave is not None:
            first, refused, came = self._gave
            before = refused / came
            if before / 2 <= share <= WORSE * before:
                self._calm, self._share, self._gave = CALM, max(before, share), None
                self._set(first, now)
                return
            # of several cuts in a row the first size counts, and the share of all
            self._gave = (first, refused + self._refused, came + self._came)
        elif self._refused > 1:
            self._gave = (size, self._refused, self._came)
        if share > RANDOM_AT_MOST:
            self._gave = None
        self._set(math.ceil(size * max(0.5, 1 - share)), now)

    def restart(self, now: float) -> None:
        """Begin small again, after an outage: nobody is greeted by all who waited."""
        if self.adapts:
            size = self.size
            self._before = None
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
        self._watching = False
        self._begin_after(now)

    def _begin_after(self, now: float) -> None:
        """Begin a round of calls that are sent from now on."""
        self._cut_at = now
        self._came = self._refused = 0
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._took.clear()
        self._used = 0
        self._since = now
        self._round = max(_SHORTEST_ROUND, self.size)

    def _look(self, now: float) -> None:
        """Judge one round by its latency and its throughput."""
        took = sorted(self._took)
        typical = took[len(took) // 2]
        rate = len(took) / max(now - self._since, 1e-9)
        if self._before is not None:
            size, latency = self._before
            self._before = None
            if typical > AS_MUCH * latency * self.size / size:
                # no queue is to blame for all of it; such a latency is suspected less
                self._least, self._best = min(typical, FORGET * self._least), rate
                self._set(size, now)
                return
        queued = (
            2 * self._used >= len(took)
            and typical > QUEUED * self._least
            and rate <= GAIN * self._best
            and self.size > LEAST_QUEUED
        )
        self._least = min(typical, self._least)
        self._best = max(rate, self._best)
        if queued and self._watching:
            before = (self.size, typical)
            gradient = QUEUED * self._least / typical
            gradient = min(MOST_GRADIENT, max(LEAST_GRADIENT, gradient))
            self._set(max(LEAST_QUEUED, int(self.size * gradient)), now)
            self._before = before
        elif queued:
            self._watching = True
            self._begin_after(now)
        else:
            self._watching = False
            self._begin(now)
