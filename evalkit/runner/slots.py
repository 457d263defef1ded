"""Who may ask a target now: as many as its window allows, and in an outage nobody but a probe.

Those who may not stand in one line, first come, first served. A target without troubles costs a
comparison a call.
"""

from __future__ import annotations

import asyncio
from collections import deque

from evalkit.runner.adaptive import Window
from evalkit.runner.health import Health
from evalkit.runner.limits import Clock


class Slots:
    """The slots of one target in one event loop; ``taken`` counts those in use."""

    __slots__ = ("_clock", "_health", "_line", "_timer", "_window", "taken")

    def __init__(self, window: Window, health: Health, clock: Clock):
        self.taken = 0
        self._window = window
        self._health = health
        self._clock = clock
        # with whether it waits in an outage
        self._line: deque[tuple[asyncio.Future[bool], bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def take_now(self) -> bool:
        """Take a slot if one is free and nobody waits."""
        if self._line or self.taken >= self._window.size or self._health.in_outage:
            return False
        self.taken += 1
        return True

    async def take(self, *, patient: bool = True) -> bool:
        """Take a slot when there is one; also when the target was given up meanwhile.

        Who is not ``patient`` takes none in an outage, unless as its probe: then it is false.
        """
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._line.append((turn, patient))
        self.advance()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                # ``advance`` passes it over
                self.advance()
            elif turn.done() and turn.result():
                self.give(self._clock())
            raise

    def give(self, cut_off: float | None = None) -> None:
        """Give a slot back; ``cut_off`` is when a call was sent of which nothing will come."""
        self.taken -= 1
        if cut_off is not None:
            self._health.breaker.cut_off(cut_off)
        if self._line:
            self.advance()

    def advance(self) -> None:
        """Let in who may go on now."""
        health, line = self._health, self._line
        while line:
            if line[0][0].done():
                line.popleft()
                continue
            if not health.given_up:
                now = self._clock()
                if health.rests(now):
                    self._send_away()
                if self.taken >= self._window.size:
                    return
                if not health.breaker.begin(now):
                    self._look_again(now)
                    return
            self.taken += 1
            line.popleft()[0].set_result(True)

    def _send_away(self) -> None:
        """Let nobody wait for the end of an outage who has another target to ask."""
        for turn, patient in self._line:
            if not patient and not turn.done():
                turn.set_result(False)

    def _look_again(self, now: float) -> None:
        wait = self._health.breaker.due - now
        if self._timer is None and wait > 0:
            self._timer = asyncio.get_running_loop().call_later(wait, self._due)

    def _due(self) -> None:
        self._timer = None
        self.advance()
