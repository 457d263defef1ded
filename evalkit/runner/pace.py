"""Two feeds kept in step, so that what they ask is asked at the same time."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets neither of two sides give more than ``lead`` trials more than the other has given."""

    def __init__(self, lead: int):
        self._lead = max(1, lead)
        self._given = [0, 0]
        self._ended = [False, False]
        self._moved = asyncio.Event()

    async def step(self, side: int) -> None:
        """Wait until this side may give its next trial, and count it."""
        while not self._ended[1 - side] and self._ahead(side) >= self._lead:
            await self._moved.wait()
        self._given[side] += 1
        self._wake()

    def end(self, side: int) -> None:
        """Hold the other side no longer: this one gives no more."""
        self._ended[side] = True
        self._wake()

    def _ahead(self, side: int) -> int:
        return self._given[side] - self._given[1 - side]

    def _wake(self) -> None:
        # whoever waits holds the old event
        self._moved.set()
        self._moved = asyncio.Event()
