"""A worker of a cluster: the local engine, fed from afar, whose trials are handed back.

It builds its targets and scorers from the project's own files, like any run, and reads neither
datasets nor the run store: cases come with the trials it is given, and what it makes is stored by
whoever started it.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evalkit.model import NOTHING_SPENT, Spend, Trial
from evalkit.runner.budget import Account
from evalkit.runner.engine import Driven, Engine
from evalkit.runner.engines.ray_leases import (
    LeasedLedger,
    LeasedLimiter,
    Owner,
    PurseState,
    ledger_like,
    soon,
)
from evalkit.runner.feed import Feed, Job
from evalkit.runner.fleet import Fleet, build_fleet
from evalkit.runner.progress import Board, Silent, Tally
from evalkit.runner.shown import Shown, shown_by
from evalkit.runner.suites import find_suites
from evalkit.runner.veil import Veil
from evalkit.secrets import process_redactor

LINGER_S = 1.0
"""How long a request for finished trials waits before it is answered with none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a worker needs to know; the same for all but ``owner`` and ``slots``.

    ``project`` is the file, ``slots`` the calls at once of each target here, ``drives`` the targets
    that get trials of their own here, ``paid`` the places of the purses each target is paid from.
    """

    project: str
    run_id: str
    allow_code: bool
    suites: tuple[str, ...]
    targets: tuple[str, ...]
    drives: tuple[str, ...]
    slots: Mapping[str, int]
    purses: tuple[PurseState, ...]
    paid: Mapping[str, tuple[int, ...]]
    owner: Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What a worker is: its evalkit, and the content of what it would run."""

    evalkit_version: str
    node: str
    pid: int
    targets: Mapping[str, str]
    scorers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Finished trials, and how the worker is; ``ended`` says that no more will come."""

    trials: tuple[Trial, ...] = ()
    given_up: Mapping[str, str] = field(default_factory=dict)
    ended: bool = False
    unrecorded: Spend = NOTHING_SPENT


class GivenFeed(Feed):
    """A feed of trials that somebody else reads and renders."""

    def __init__(self) -> None:
        self._given: deque[Job] = deque()
        self._some = asyncio.Event()
        self._over = False

    def give(self, jobs: Sequence[Job]) -> None:
        """Add trials to make."""
        if not self._over:
            self._given.extend(jobs)
            self._some.set()

    async def next(self) -> Job | None:
        """The next trial, or ``None`` after the last."""
        while not self._given:
            if self._over:
                return None
            self._some.clear()
            await self._some.wait()
        return self._given.popleft()

    def close(self) -> None:
        """Give no more than what is here."""
        self._over = True
        self._some.set()

    def stop(self) -> None:
        """Give no more at all."""
        self._given.clear()
        self.close()

    def let_go(self) -> None:
        """Nobody keeps step with it."""

    async def aclose(self) -> None:
        """Nothing is read here."""


class Outbox:
    """The sink of the engine: keeps trials until they are asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, some: asyncio.Event):
        self._loop = loop
        self._some = some
        self._trials: list[Trial] = []

    def append(self, trials: Sequence[Trial]) -> None:
        """Take trials from the engine's thread."""
        self._loop.call_soon_threadsafe(self._take, tuple(trials))

    def _take(self, trials: Sequence[Trial]) -> None:
        self._trials += trials
        self._some.set()

    def empty_out(self) -> tuple[Trial, ...]:
        """All trials since the last time."""
        trials, self._trials = self._trials, []
        return tuple(trials)


class Worker:
    """The actor. Its methods and the engine run in one event loop."""

    def __init__(self, setup: Setup, leases: Any):
        self._setup = setup
        self._leases = leases
        self._some = asyncio.Event()

    async def start(self) -> Hello:
        """Build targets and scorers, and begin to wait for trials."""
        from evalkit import __version__
        from evalkit.config import find_project, load_project
        from evalkit.scorers import bind
        from evalkit.store import Store

        setup = self._setup
        project = load_project(find_project(file=Path(setup.project)), allow_code=setup.allow_code)
        slotted = {
            name: replace(
                spec, limits=replace(spec.limits, concurrency=max(1, setup.slots.get(name, 1)))
            )
            for name, spec in project.targets.items()
        }
        project = replace(project, targets=slotted)
        fleet = await asyncio.to_thread(
            build_fleet,
            project,
            setup.targets,
            environ=os.environ,
            allow_code=setup.allow_code,
            concurrency=None,
            store=Store(project.store),
        )
        specs = find_suites(project, setup.suites)
        scorers = {
            suite.name: tuple(
                bind(one, root=project.root, allow_code=setup.allow_code) for one in suite.scorers
            )
            for suite in specs
        }
        self._build(fleet, scorers, shown_by(fleet, specs))
        return Hello(
            evalkit_version=__version__,
            node=os.uname().nodename,
            pid=os.getpid(),
            targets={name: one.version.content_hash for name, one in fleet.targets.items()},
            scorers=tuple(
                (suite, one.name, one.signature)
                for suite, found in scorers.items()
                for one in found
            ),
        )

    def _build(self, fleet: Fleet, scorers: Mapping[str, Sequence[Any]], shown: Shown) -> None:
        setup = self._setup
        ledger = ledger_like(setup.purses, LeasedLedger)
        assert isinstance(ledger, LeasedLedger)
        ledger.lease(self._leases, setup.owner)
        self._limiters: dict[str, LeasedLimiter] = {}
        for name, lane in fleet.lanes.items():
            limiter = LeasedLimiter(lane.limits, self._leases, setup.owner, name)
            lane.limit_by(limiter)
            self._limiters[name] = limiter
            target = fleet.targets[name]
            if not target.children:
                paid = [ledger.purses[one] for one in setup.paid.get(name, ())]
                lane.account = Account(ledger, paid, lane.price, target.bound)
        self._feeds = {name: GivenFeed() for name in setup.drives}
        driven = [
            Driven(
                lane=fleet.lanes[name],
                feed=feed,
                tallies={one: Tally(suite=one, target=name, planned=0) for one in scorers},
            )
            for name, feed in self._feeds.items()
        ]
        self._driven = driven
        self._out = Outbox(asyncio.get_running_loop(), self._some)
        self._engine = Engine(
            run_id=setup.run_id,
            driven=driven,
            lanes=tuple(fleet.lanes.values()),
            scorers=scorers,
            sink=self._out,
            board=Board(tallies=[]),
            display=Silent(notes=False),
            veil=Veil(process_redactor()),
            ledger=ledger,
            shown=shown,
        )
        self._running = asyncio.create_task(self._engine.run())
        self._running.add_done_callback(lambda _: self._some.set())

    async def give(self, target: str, jobs: Sequence[Job]) -> None:
        """Take trials to make."""
        self._feeds[target].give(jobs)

    async def finished(self) -> Batch:
        """Trials finished since the last time, after a short wait for the first.

        Raises what ended the engine, when something did.
        """
        if not self._running.done():
            await soon(self._some, LINGER_S)
        self._some.clear()
        ended = self._running.done()
        trials = self._out.empty_out()
        if ended and not trials:
            self._running.result()
        return Batch(
            trials=trials,
            given_up={
                one.lane.name: reason
                for one in self._driven
                for reason in {tally.given_up for tally in one.tallies.values()}
                if reason
            },
            ended=ended and not trials,
            unrecorded=self._engine.ledger.unrecorded if ended else NOTHING_SPENT,
        )

    async def close(self, target: str | None = None, *, drop: bool = False) -> None:
        """Make what is here and no more, or ``drop`` what is not begun; of one target or of all."""
        for name, feed in self._feeds.items():
            if target in {None, name}:
                if drop:
                    feed.stop()
                else:
                    feed.close()

    async def stop(self, grace_s: float) -> None:
        """Start nothing new; answers under way have some time to arrive."""
        self._engine.stop(grace_s=grace_s)

    async def pause(self, target: str, seconds: float) -> None:
        """Start no call to a target for a while."""
        if target in self._limiters:
            self._limiters[target].paused(seconds)
