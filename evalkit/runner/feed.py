"""The trials of one target in order, read and rendered ahead of the workers, off the event loop.

A feed holds a few hundred trials however long the dataset is: reading stops when the workers do.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from evalkit.errors import PromptError
from evalkit.hashing import content_id
from evalkit.model import JSON, Case, Message
from evalkit.runner.done import NOTHING_DONE, Done
from evalkit.runner.pace import Pace
from evalkit.runner.rendering import Render, first_call

CHUNK = 128
"""Trials read at a time."""
HELD_S = 2.0
"""How long a part is held back at most."""


@dataclass(slots=True)
class Job:
    """One trial to make.

    In a conversation ``turns`` are the user's messages, and ``messages`` those of the first call.
    """

    suite: str
    case: Case
    index: int
    seed: int
    messages: tuple[Message, ...]
    request_hash: str
    unrendered: PromptError | None = None
    turns: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The trials of one suite on the feed's target, numbered from ``first``.

    A part that ``opens`` is held back until it says so, yet never for long: nobody may wait for a
    target that answers no more.
    """

    suite: str
    cases: Callable[[], Iterable[Case]]
    trials: int
    done: Done = NOTHING_DONE
    first: int = 0
    opens: Callable[[], bool] | None = None


def trial_seed(run_seed: int, case_id: str, index: int) -> int:
    """The seed of one trial, 31 bits: the same on every machine and in every order of cases."""
    text = f"{run_seed}\0{case_id}\0{index}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big") >> 1


def request_hash(
    target_hash: str,
    case: Case,
    messages: tuple[Message, ...],
    turns: tuple[Message, ...] = (),
) -> str:
    """What names a request: the target's content and what it is asked.

    A target without a prompt is asked the case itself; in a conversation all that the user says.
    """
    asked: JSON
    if turns:
        said: JSON = [[one.role, one.content] for one in (*messages[:-1], *turns)]
        asked = {"said": said, "inputs": dict(case.inputs), "context": list(case.context)}
    elif messages:
        asked = [[one.role, one.content] for one in messages]
    else:
        asked = {"inputs": dict(case.inputs), "context": list(case.context)}
    return content_id([target_hash, asked])


class Feed:
    """Gives one target's workers their next trial, in step with another feed if there is a pace."""

    def __init__(
        self,
        parts: Iterable[Part],
        *,
        target_hash: str,
        seed: int,
        render: Render | None,
        pace: tuple[Pace, int] | None = None,
    ):
        self._target_hash = target_hash
        self._seed = seed
        self._render = render
        self._jobs = self._all(tuple(parts))
        self._ready: deque[Job] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._ended = False
        self._pace = pace

    def _all(self, parts: tuple[Part, ...]) -> Generator[Job | None, None, None]:
        for part in parts:
            if part.opens is not None:
                yield None  # what was read so far is asked meanwhile
                held = time.monotonic() + HELD_S
                while not (part.opens() or self._ended) and time.monotonic() < held:
                    time.sleep(0.005)
            for case in part.cases():
                wanted = [
                    index
                    for index in range(part.first, part.first + part.trials)
                    if (case.id, index) not in part.done
                ]
                if wanted:
                    yield from self._of_case(part.suite, case, wanted)

    def _of_case(self, suite: str, case: Case, wanted: list[int]) -> Iterator[Job]:
        messages: tuple[Message, ...] = ()
        turns: tuple[Message, ...] = ()
        failure = None
        try:
            messages, turns = first_call(self._render, case)
        except PromptError as error:
            failure = error
        name = request_hash(self._target_hash, case, messages, turns)
        for index in wanted:
            seed = trial_seed(self._seed, case.id, index)
            yield Job(suite, case, index, seed, messages, name, failure, turns)

    async def next(self) -> Job | None:
        """The next trial, or ``None`` when all were given or the feed was stopped."""
        while not self._ready:
            if self._ended:
                self.let_go()
                return None
            await asyncio.shield(self._read_ahead())
        job = self._ready.popleft()
        if self._pace is not None:
            pace, side = self._pace
            await pace.step(side)
        if len(self._ready) < CHUNK and not self._ended:
            self._read_ahead()
        return job

    def _read_ahead(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            if self._reading is not None:
                self._reading.result()  # an error of the dataset ends the run
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        chunk = await asyncio.to_thread(lambda: list(islice(self._to_a_hold(), CHUNK)))
        if self._ended:
            return
        held = bool(chunk) and chunk[-1] is None
        self._ready.extend(one for one in chunk if one is not None)
        if len(chunk) < CHUNK and not held:
            self._ended = True

    def _to_a_hold(self) -> Iterator[Job | None]:
        for one in self._jobs:
            yield one
            if one is None:
                return

    def stop(self) -> None:
        """Give no more trials."""
        self._ended = True
        self._ready.clear()
        self.let_go()

    def let_go(self) -> None:
        """Hold the feed that this one is in step with no longer."""
        if self._pace is not None:
            pace, side = self._pace
            pace.end(side)

    async def aclose(self) -> None:
        """Wait for a read that is under way, so that no thread is left behind."""
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)
        self._jobs.close()
