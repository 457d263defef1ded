"""What holds for the whole process while calls are made: its signals and its garbage collector."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

COLLECT = 50_000
"""New objects at most after which cycles are looked for while calls are made."""


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep what is loaded already out of every garbage collection while the block runs.

    Half a million objects of imported libraries would be walked again and again for nothing; what
    is new is looked through soon enough for calls that fail to leave little behind.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(min(COLLECT, before[0]), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


@contextmanager
def signals(first: Callable[[str], object], second: Callable[[], None]) -> Iterator[None]:
    """Handle SIGINT and SIGTERM while the block runs; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = False

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal seen
        if seen:
            second()
        seen = True
        first("interrupted" if number == signal.SIGINT else "terminated")

    before = {one: signal.signal(one, handle) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
