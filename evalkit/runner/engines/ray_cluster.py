"""The engine on a Ray cluster: trials are shared out over workers, and stored here.

    feeds ──► jobs ──► workers (the local engine each) ──► finished trials ──► journal ──► store
                          │
                       leases: one ledger, one rate limit

This process reads the data, renders the prompts, and alone writes. A worker has a few dozen trials
more than it has slots. What a worker that dies had not handed back is given to another: a finished
trial was handed back within a fraction of a second, so no more than what was under way is asked, or
paid, again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from evalkit.errors import EvalkitError, InfrastructureError, StoreError, UsageError
from evalkit.model import Trial
from evalkit.runner.budget import NO_HOLD, Ledger
from evalkit.runner.engine import Driven, ScorerTally, Sink
from evalkit.runner.engines import MakeEngine
from evalkit.runner.engines.ray_leases import Leases, Owner, purse_states, soon
from evalkit.runner.engines.ray_worker import Batch, Hello, Setup, Worker
from evalkit.runner.feed import Job
from evalkit.runner.flight import Flight
from evalkit.runner.lane import Lane
from evalkit.runner.plan import Plan, RunOptions
from evalkit.runner.progress import Board, Display
from evalkit.runner.record import veiled
from evalkit.runner.shown import NOTHING_HIDDEN, Shown
from evalkit.runner.unpaid import Unpaid
from evalkit.runner.veil import Veil

CHUNK = 32
"""Trials given to a worker at a time."""
AHEAD = 64
"""Trials a worker may have beyond twice its slots."""
DEATHS = 3
"""Workers that may die in one place in a row without having finished a trial."""
CLOSING_S = 8.0
"""How long after the grace a worker may take to end; a target may refuse to be cancelled."""
START_S = 120.0
"""How long a worker may take to start: a cluster may have to make room first."""
_LEFT_OUT = [".evalkit", ".git", ".venv", "venv", "node_modules", "reports", "__pycache__"]
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

Key = tuple[str, str, str, int]


@contextmanager
def ray_engine(plan: Plan, options: RunOptions) -> Iterator[MakeEngine]:
    """Connect to the cluster, or start one on this machine; gives what makes the engine on it.

    Raises ``UsageError`` where Ray is not installed or a flag does not go with it, and
    ``InfrastructureError`` where the cluster cannot be reached.
    """
    _refuse_flags(plan, options)
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--engine ray needs Ray, which is not installed",
            hint="install evalkit with its extra 'ray', or leave --engine out",
        ) from error
    workers = options.workers or _cores()
    # what it would say beside our own lines is of its own workings
    logging.getLogger("ray").setLevel(logging.ERROR)
    _connect(ray, plan, options, workers)
    try:
        if options.ray_address is not None and options.workers is None:
            workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield partial(RayEngine, ray=ray, plan=plan, options=options, places=workers)
    finally:
        ray.shutdown()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _refuse_flags(plan: Plan, options: RunOptions) -> None:
    if plan.judges:
        raise UsageError(
            f"scorers ask {', '.join(plan.judges)}, and judges are asked by one process alone",
            hint="leave --engine ray out: what waits for a judge is the network, not the machine",
        )
    if options.offline:
        raise UsageError(
            "--offline cannot be kept by a cluster: nothing watches what its workers connect to",
            hint="leave --engine ray out, or leave --offline out",
        )
    if (options.cache or plan.project.cache.mode) != "off":
        raise UsageError(
            "kept answers lie in a file of this machine, which a cluster cannot use",
            hint="add --cache off, or leave --engine ray out",
        )


def _connect(ray: Any, plan: Plan, options: RunOptions, workers: int) -> None:
    address = options.ray_address
    quiet = {"log_to_driver": False, "logging_level": "FATAL", "configure_logging": False}
    if address is None:
        ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        return
    _probe(address)
    try:
        # the project's files go to the workers; evalkit itself must be there
        environment = {"working_dir": str(plan.project.root), "excludes": _LEFT_OUT}
        ray.init(address=address, runtime_env=environment, namespace="evalkit", **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        raise _unreachable(address, str(error).strip().partition("\n")[0]) from error


def _probe(address: str) -> None:
    """Refuse at once what is no address or does not answer; Ray itself waits for minutes."""
    host, _, port = address.rpartition(":")
    if address.startswith("ray://") or not host or not port.isdigit():
        raise UsageError(
            f"--ray-address cannot read {address!r}",
            hint="give host and port of the cluster's head, as --ray-address 10.0.0.5:6379",
        )
    try:
        with socket.create_connection((host, int(port)), timeout=5.0):
            pass
    except OSError as error:
        raise _unreachable(address, error.strerror or str(error)) from error


def _unreachable(address: str, why: str) -> InfrastructureError:
    return InfrastructureError(
        f"the Ray cluster cannot be reached: {why[:1].lower() + why[1:]}",
        where=address,
        hint="start it with 'ray start --head', and run this on one of its nodes",
    )


@dataclass(slots=True)
class _Source:
    """The trials of one target: those to be given, those given again, those that are away."""

    driven: Driven
    again: deque[Job] = field(default_factory=deque)
    away: dict[Key, tuple[Owner, Job]] = field(default_factory=dict)
    read: bool = False
    ended: bool = False

    @property
    def done(self) -> bool:
        """Whether nothing is left to give or to wait for."""
        return self.ended or (self.read and not self.again and not self.away)


@dataclass(slots=True, kw_only=True)
class RayEngine:
    """Makes trials on a cluster and hands them to the sink; see ``Engine`` for what it takes."""

    ray: Any
    plan: Plan
    options: RunOptions
    places: int
    run_id: str
    driven: Sequence[Driven]
    lanes: Sequence[Lane]
    judges: Sequence[Lane] = ()
    scorers: Mapping[str, Sequence[Any]]
    sink: Sink
    board: Board
    display: Display
    veil: Veil
    ledger: Ledger
    unpaid: Unpaid = field(default_factory=dict)  # nobody judges on a cluster
    shown: Shown = NOTHING_HIDDEN  # the workers see for themselves
    flight: Flight | None = None  # not kept: which calls a worker had is not known here
    grace_s: float = 3.0
    recorded: int = field(init=False, default=0)
    stopped: bool = field(init=False, default=False)
    scored: dict[tuple[str, str], ScorerTally] = field(init=False, default_factory=dict)
    _sources: dict[str, _Source] = field(init=False, default_factory=dict)
    _workers: dict[Owner, Any] = field(init=False, default_factory=dict)
    _leases: Any = field(init=False, default=None)
    _moved: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _writing: asyncio.Lock = field(init=False, default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Make the trials; returns when all are recorded, or those finished when it was stopped."""
        self._sources = {one.lane.name: _Source(one) for one in self.driven}
        in_flight = {name: source.away for name, source in self._sources.items()}
        self.board.in_flight = lambda target: len(in_flight[target])
        self.board.started = self.board.clock()
        self.display.start(self.board)
        limits = {one.name: one.limits for one in self.lanes}
        actor = self.ray.remote(num_cpus=0, max_concurrency=100_000)(Leases)
        self._leases = actor.remote(purse_states(self.ledger), limits)
        try:
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(self._tick()), group.create_task(self._watch())]
                places = [group.create_task(self._place(n)) for n in range(self.places)]
                await asyncio.gather(*places)
                for one in beside:
                    one.cancel()
            await self._settle()
        except BaseExceptionGroup as failed:
            raise self._error(_first(failed)) from failed
        finally:
            self.display.stop()
            for driven in self.driven:
                driven.feed.stop()
                await driven.feed.aclose()

    def stop(self, *, grace_s: float | None = None) -> None:
        """Start nothing new; answers under way have ``grace_s`` to arrive, then are dropped."""
        if self.stopped:
            return
        self.stopped = True
        for source in self._sources.values():
            source.ended = True
            source.driven.feed.stop()
        grace = self.grace_s if grace_s is None else grace_s
        for worker in self._workers.values():
            worker.stop.remote(grace)
        self._moved.set()
        asyncio.get_running_loop().call_later(grace + CLOSING_S, self._kill)

    def _kill(self) -> None:
        for worker in self._workers.values():
            self.ray.kill(worker)

    # ---- one place of the cluster -----------------------------------------------------------

    async def _place(self, place: int) -> None:
        """Keep a worker at one place until there is nothing left to do."""
        deaths = in_a_row = 0
        while not self._over:
            owner, before = (place, deaths), self.recorded
            setup = self._setup(owner)
            if not setup.drives:
                return
            try:
                await self._with_worker(owner, setup)
            except self.ray.exceptions.RayActorError as error:
                deaths += 1
                in_a_row = in_a_row + 1 if self.recorded == before else 1
                await self._lost(owner)
                if in_a_row >= DEATHS:
                    raise InfrastructureError(
                        f"{DEATHS} workers in a row died without finishing a trial",
                        hint=str(error).strip().partition("\n")[0][:200],
                    ) from error
                self.display.note("a worker died; another takes over what it had not finished")
            else:
                return

    async def _with_worker(self, owner: Owner, setup: Setup) -> None:
        kind = self.ray.remote(num_cpus=1, max_restarts=0, max_concurrency=1_000)(Worker)
        worker = kind.remote(setup, self._leases)
        try:
            if await self._started(worker):
                await self._work(worker, owner, setup)
        finally:
            self._workers.pop(owner, None)
            self.ray.kill(worker)

    async def _started(self, worker: Any) -> bool:
        """Wait for a worker; false when it is not needed any more, or others do the work."""
        starting = asyncio.create_task(_answer(worker.start.remote()))
        try:
            async with asyncio.timeout(START_S):
                while not starting.done() and not self._over:
                    await self._move()
            if starting.done():
                self._check(starting.result())
        except TimeoutError as error:
            if self._workers:
                self.display.note("the cluster has no room for another worker")
                return False
            raise InfrastructureError(
                f"the cluster started no worker within {START_S:g} s",
                hint="free a core of it, or give fewer --workers",
            ) from error
        finally:
            starting.cancel()
        return not self._over

    async def _work(self, worker: Any, owner: Owner, setup: Setup) -> None:
        """Give a worker trials and take back what it makes, until its engine ends."""
        self._workers[owner] = worker
        await self._leases.join.remote(owner, worker)
        if self.stopped:
            worker.stop.remote(0.0)
        beside = [
            asyncio.create_task(self._close(worker)),
            *(
                asyncio.create_task(self._give(worker, owner, name, setup.slots[name]))
                for name in setup.drives
            ),
        ]
        collecting = asyncio.create_task(self._collect(worker))
        try:
            waiting = {collecting, *beside}
            while not collecting.done():
                ended, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in ended:
                    one.result()
        finally:
            for one in (collecting, *beside):
                one.cancel()
            await asyncio.gather(collecting, *beside, return_exceptions=True)

    async def _give(self, worker: Any, owner: Owner, name: str, slots: int) -> None:
        """Keep a worker's share of one target full."""
        source = self._sources[name]
        most = 2 * slots + AHEAD
        while not source.done:
            mine = sum(1 for held, _ in source.away.values() if held == owner)
            jobs = [] if mine >= most else await self._next(source, owner, min(CHUNK, most - mine))
            if jobs:
                await worker.give.remote(name, jobs)
            else:
                await self._move()

    async def _next(self, source: _Source, owner: Owner, most: int) -> list[Job]:
        """Some more trials for a worker; they are away from the moment they are read."""
        jobs: list[Job] = []
        name = source.driven.lane.name
        while len(jobs) < most and not source.ended:
            job = source.again.popleft() if source.again else None
            if job is None and not source.read:
                job = await source.driven.feed.next()
                if job is None:
                    source.read = True
                    self._moved.set()
            if job is None:
                break
            source.away[job.suite, name, job.case.id, job.index] = (owner, job)
            jobs.append(job)
        return jobs

    async def _move(self) -> None:
        """Wait until something came back, or a moment."""
        self._moved.clear()
        await soon(self._moved, 0.2)

    async def _close(self, worker: Any) -> None:
        """Tell a worker that nothing more comes, of a target or at all."""
        told: set[str] = set()
        while not self._over:
            for name, source in self._sources.items():
                if source.ended and name not in told:
                    told.add(name)
                    await worker.close.remote(name, drop=True)
            await self._move()
        await worker.close.remote(drop=True)

    async def _collect(self, worker: Any) -> None:
        """Record what a worker finishes, until its engine ends."""
        while True:
            batch: Batch = await worker.finished.remote()
            if batch.trials:
                await self._record(batch.trials)
            for name, reason in batch.given_up.items():
                self._give_up(name, reason)
            if batch.ended:
                self.ledger.settle((), NO_HOLD, batch.unrecorded)
                return

    async def _record(self, trials: Sequence[Trial]) -> None:
        # a trial that was given again may come twice; the first one counts
        fresh = [
            one for one in trials if self._sources[one.target].away.pop(one.key, None) is not None
        ]
        if fresh:
            async with self._writing:
                await asyncio.to_thread(self._write, fresh)
        for one in fresh:
            tally = self._sources[one.target].driven.tallies[one.suite]
            tally.count(answered=one.output is not None, cost_usd=_spent(one))
            for record in one.scores:
                self.scored.setdefault((one.suite, record.name), ScorerTally()).count(record)
        self.recorded += len(fresh)
        self._moved.set()

    def _write(self, trials: Sequence[Trial]) -> None:
        try:
            self.sink.append([veiled(one, self.veil) for one in trials])
        except OSError as error:
            raise StoreError(
                f"the run cannot be recorded: {(error.strerror or str(error)).lower()}",
                where=error.filename,
                hint="free space or fix permissions",
            ) from error

    async def _lost(self, owner: Owner) -> None:
        """Give what a dead worker had to the others, and settle what it had reserved."""
        for source in self._sources.values():
            for key in [key for key, (held, _) in source.away.items() if held == owner]:
                source.again.append(source.away.pop(key)[1])
        await self._leases.forget.remote(owner)
        self._moved.set()

    def _give_up(self, name: str, reason: str) -> None:
        source = self._sources[name]
        tallies = source.driven.tallies.values()
        if any(one.given_up for one in tallies):
            return
        for one in tallies:
            one.given_up = self.veil.text(reason)
        self.display.note(f"target {name!r} does not answer; it is asked no more")
        source.ended = True
        source.driven.feed.stop()
        self._moved.set()

    @property
    def _over(self) -> bool:
        return all(one.done for one in self._sources.values())

    # ---- beside them ------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self.display.interval_s)
            self.display.refresh()

    async def _watch(self) -> None:
        """End what an empty purse ends."""
        while self.ledger.purses:
            await asyncio.sleep(0.2)
            await self._look()

    async def _look(self) -> None:
        states, lost = await self._leases.state.remote()
        del lost
        for purse, state in zip(self.ledger.purses, states, strict=True):
            purse.spent = state.spent
            if state.empty and not purse.empty:
                purse.empty, purse.wanted = True, state.wanted
                self.ledger.on_empty(purse)
                for source in self._sources.values():
                    account = source.driven.lane.account
                    paid = account is not None and any(one is purse for one in account.purses)
                    if paid or purse.whole:
                        source.ended = True
                        source.driven.feed.stop()
                self._moved.set()

    async def _settle(self) -> None:
        """Take over how the cluster's ledger ended."""
        await self._look()
        _, lost = await self._leases.state.remote()
        self.ledger.settle((), NO_HOLD, lost)

    # ---- what a worker is told --------------------------------------------------------------

    def _setup(self, owner: Owner) -> Setup:
        fleet = self.plan.fleet
        slots = {
            one.name: _share(one.limits.concurrency, self.places, owner[0]) for one in self.lanes
        }
        drives = tuple(
            name
            for name, source in self._sources.items()
            if not source.done and all(slots[one] for one in fleet.reached((name,)))
        )
        purses = self.ledger.purses
        paid = {
            one.name: tuple(
                place
                for place, purse in enumerate(purses)
                if one.account is not None and any(purse is mine for mine in one.account.purses)
            )
            for one in self.lanes
        }
        path, root = self.plan.project.path, self.plan.project.root
        files = [one.spec.path for one in self.plan.suites]
        # on a cluster of others the files are where Ray put them
        sent = self.options.ray_address is not None
        return Setup(
            project=path.name if sent else str(path),
            run_id=self.run_id,
            allow_code=self.options.allow_code,
            suites=tuple(os.path.relpath(one, root) if sent else str(one) for one in files),
            targets=tuple(fleet.targets),
            drives=drives,
            slots=slots,
            purses=tuple(purse_states(self.ledger)),
            paid=paid,
            owner=owner,
        )

    def _check(self, hello: Hello) -> None:
        """Refuse a worker that would run something else."""
        from evalkit import __version__

        differs = []
        if hello.evalkit_version != __version__:
            differs.append(f"evalkit {hello.evalkit_version}, not {__version__}")
        differs += [
            f"target {name!r}"
            for name, one in self.plan.fleet.targets.items()
            if hello.targets.get(name) != one.version.content_hash
        ]
        known = set(hello.scorers)
        differs += [
            f"scorer {one.name!r} of suite {suite!r}"
            for suite, scorers in self.scorers.items()
            for one in scorers
            if (suite, one.name, one.signature) not in known
        ]
        if differs:
            raise InfrastructureError(
                f"a worker would not run the same: {', '.join(differs)}",
                where=hello.node,
                hint="install the same evalkit and packages on every node of the cluster",
            )

    def _error(self, error: BaseException) -> BaseException:
        """What a worker or the cluster raised, as a person should see it."""
        if isinstance(error, self.ray.exceptions.RayTaskError):
            error = error.cause
        if isinstance(error, EvalkitError):
            return error
        if isinstance(error, self.ray.exceptions.RayError):
            return InfrastructureError(
                f"the cluster failed: {str(error).strip().partition(chr(10))[0][:300]}"
            )
        return error


async def _answer(reference: Any) -> Any:
    """What a call of an actor returns, for a task of its own."""
    return await reference


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = failed
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _share(total: int, places: int, place: int) -> int:
    """The slots of one place, so that those of all places are the total."""
    return total // places + (1 if place < total % places else 0)


def _spent(trial: Trial) -> float | None:
    """What the trial took as far as it is known; ``None`` for an answer without a price."""
    if trial.output is not None and trial.output.cost_usd is None:
        return None
    return (trial.spend.usd or 0.0) + trial.spend.assumed_usd
