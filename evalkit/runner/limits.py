"""How fast a target may be called: requests and tokens a minute, never exceeded, no burst wasted.

Both limits are the generic cell rate algorithm (GCRA; ITU-T I.371): a level that refills at a
steady rate, from which every start takes its amount, and a start that finds too little waits until
the refill has paid for it. Starts are first come, first served. One second's worth may start at
once, and the refill is slowed by as much, so that no window of 60 seconds ever holds more requests
than the limit, rounded up; nor more tokens, beyond one call that is larger than a second's worth.
Providers count in windows of their own choosing.

What a server says in its answers is kept to as well, when little of it remains.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from evalkit.config.spec import Limits
from evalkit.model import Allowance
from evalkit.runner.told import Told

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

_WINDOW_S = 60.0


class Rate:
    """One limit: ``per_minute`` units may start in any 60 seconds.

    An amount above one second's worth is allowed and waits for all of its refill; what turns out
    to be more or less than reserved is settled by ``correct``.
    """

    def __init__(self, per_minute: float, *, now: float, whole: bool = False):
        # requests are whole, and a window that is closed at one end only holds one start more than
        # the refill pays for: hence the + 1
        self.burst = max(1.0, per_minute // 60) if whole else per_minute / 60
        self.per_second = (per_minute - self.burst + (1.0 if whole else 0.0)) / _WINDOW_S
        self._level = self.burst
        self._at = now

    def reserve(self, amount: float, now: float) -> float:
        """Take an amount and return the seconds to wait before starting."""
        self._refill(now)
        self._level -= amount
        return max(0.0, -self._level / self.per_second)

    def correct(self, reserved: float, actual: float, now: float) -> None:
        """Give back what was reserved and not used, or take what was used beyond it."""
        self._refill(now)
        self._level = min(self.burst, self._level + reserved - actual)

    def _refill(self, now: float) -> None:
        # a clock that jumps back must not take anything away
        passed = max(0.0, now - self._at)
        self._level = min(self.burst, self._level + passed * self.per_second)
        self._at = max(self._at, now)


class Limiter:
    """The requests and tokens a minute of one target, and the pauses its server asks for."""

    def __init__(
        self, limits: Limits, *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ):
        now = clock()
        self._clock = clock
        self._sleep = sleep
        # calls that may begin before the next answer tells what remains
        self._soon = 2 * limits.concurrency
        self._requests = (
            None
            if limits.requests_per_minute is None
            else Rate(limits.requests_per_minute, now=now, whole=True)
        )
        self._tokens = (
            None if limits.tokens_per_minute is None else Rate(limits.tokens_per_minute, now=now)
        )
        self._told: dict[str, Told] = {}
        self._held_until = now

    @property
    def counts_tokens(self) -> bool:
        """Whether an estimate of a call's tokens is of any use."""
        return self._tokens is not None or "tokens" in self._told

    @property
    def idle(self) -> bool:
        """Whether nothing is limited now, so that a caller can skip ``take``."""
        return (
            self._requests is None
            and self._tokens is None
            and not self._told
            and self._held_until <= self._clock()
        )

    async def take(self, tokens: float = 0.0) -> None:
        """Wait for the turn of one request of about so many tokens."""
        while True:
            now = self._clock()
            if self._held_until > now:
                await self._sleep(self._held_until - now)
                continue
            told = [(one, _amount(unit, tokens)) for unit, one in self._told.items()]
            closed = max((one.closed_s(amount, now) for one, amount in told), default=0.0)
            if closed > 0:
                await self._sleep(closed)
                continue
            wait = max(
                0.0 if self._requests is None else self._requests.reserve(1.0, now),
                0.0 if self._tokens is None else self._tokens.reserve(tokens, now),
                *(one.reserve(amount, now) for one, amount in told),
            )
            try:
                if wait > 0:
                    await self._sleep(wait)
            except BaseException:
                for one, amount in told:
                    one.returned(amount)
                raise
            now = self._clock()
            if self._held_until <= now:
                for one, amount in told:
                    one.started(amount)
                return
            # a pause began during the sleep: queue again, or all who wait would start together
            for one, amount in told:
                one.returned(amount)
            if self._requests is not None:
                self._requests.correct(1.0, 0.0, now)
            if self._tokens is not None:
                self._tokens.correct(tokens, 0.0, now)

    def hear(self, said: Sequence[Allowance], since: int, tokens: float) -> None:
        """Take what an answer said of the limits of its server.

        ``since`` calls have begun after its own, of about so many ``tokens`` each.
        """
        now = self._clock()
        for one in said:
            each = _amount(one.unit, tokens)
            known = self._told.get(one.unit)
            if one.remaining > (since + self._soon) * each:
                # more than can be asked before the next answer says how much is left
                if known is not None:
                    del self._told[one.unit]
            elif known is None:
                self._told[one.unit] = Told(one, since * each, now)
            else:
                known.hear(one, since * each, now)

    def settle(self, reserved: float, actual: int | None) -> None:
        """Replace the estimate of a call by the tokens it really took, when they are known."""
        if self._tokens is not None and actual is not None:
            self._tokens.correct(reserved, actual, self._clock())

    def hold(self, seconds: float) -> None:
        """Start nothing for a while: the server said when to come back."""
        self._held_until = max(self._held_until, self._clock() + seconds)

    @property
    def held_s(self) -> float:
        """Seconds until the server may be asked again, as it said; 0 where it said nothing."""
        return max(0.0, self._held_until - self._clock())


def _amount(unit: str, tokens: float) -> float:
    return tokens if unit == "tokens" else 1.0


class TokenEstimate:
    """Guesses the tokens of a call before it is made, and learns from those that were.

    Starts from four characters a token and the given output length; then follows the ratio of real
    to guessed tokens by an exponential average.
    """

    _WEIGHT = 0.1

    def __init__(self, output_tokens: int = 256):
        self._output = float(output_tokens)
        self._ratio = 1.0

    def guess(self, characters: int) -> float:
        """Tokens that a prompt of so many characters and its answer will take."""
        return (characters / 4 + self._output) * self._ratio

    @property
    def learned(self) -> float:
        """Tokens of an answer and as much again for its prompt, when nothing is known of a call."""
        return 2 * self._output * self._ratio

    def learn(self, guessed: float, actual: int) -> None:
        """Move towards what a call really took."""
        if guessed > 0:
            seen = self._ratio * actual / guessed
            self._ratio += self._WEIGHT * (seen - self._ratio)
