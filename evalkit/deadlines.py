"""Time limits of many calls under way, at the price of one timer for all that have the same limit.

``asyncio.timeout`` makes, sorts in and cancels a timer a call. Calls with one limit end in the
order in which they began, so a queue and a timer for its head do the same for a tenth of the time.
"""

from __future__ import annotations

import asyncio
import time
from types import TracebackType


class Deadlines:
    """Limits for tasks of one event loop at a time; they raise what ``asyncio.timeout`` raises."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queues: dict[float, _Queue] = {}

    def within(self, seconds: float) -> Bound:
        """A ``with`` block that ends with ``TimeoutError`` when it takes longer."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._queues = {}
        queue = self._queues.get(seconds)
        if queue is None:
            queue = self._queues[seconds] = _Queue(loop, seconds)
        return Bound(queue)


class Bound:
    """One block of one task; used once."""

    __slots__ = ("_cancelling", "_queue", "expired", "task", "until")

    def __init__(self, queue: _Queue):
        self._queue = queue
        self.until = 0.0
        self.expired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task = task
        # whoever cancels the task as well wins
        self._cancelling = task.cancelling()
        self._queue.add(self)

    def renew(self) -> None:
        """Begin to count anew, from inside the block."""
        if not self.expired:
            self._queue.remove(self)
            self._queue.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.expired:
            self._queue.remove(self)
        elif self.task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error


class _Queue:
    """The blocks with one limit, the one that ends first at the head."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float):
        self._loop = loop
        self._seconds = seconds
        self._open: dict[Bound, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        # timers fire this much early
        self._early = time.get_clock_info("monotonic").resolution

    def add(self, bound: Bound) -> None:
        bound.until = self._loop.time() + self._seconds
        self._open[bound] = None
        if self._timer is None:
            self._timer = self._loop.call_at(bound.until, self._look)

    def remove(self, bound: Bound) -> None:
        del self._open[bound]

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time() + self._early
        while self._open:
            bound = next(iter(self._open))
            if bound.until > now:
                self._timer = self._loop.call_at(bound.until, self._look)
                return
            del self._open[bound]
            bound.expired = True
            bound.task.cancel()
