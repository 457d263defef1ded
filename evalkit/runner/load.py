"""A load test from its flags to a stored run of kind ``load``."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.config.spec import Project
from evalkit.config.suite import load_suite
from evalkit.errors import ExitCode, InfrastructureError, UsageError
from evalkit.model import Case, Run, RunKind, RunStatus, Trial
from evalkit.registry import Kind, TargetPlugin
from evalkit.runner.estimate import dollars
from evalkit.runner.lane import Lane
from evalkit.runner.load_driver import Asking, Caps, Driver
from evalkit.runner.load_options import (
    MAX_USD,
    Estimate,
    LoadOptions,
    elsewhere,
    estimate,
    refuse_or_warn,
)
from evalkit.runner.load_profile import Profile
from evalkit.runner.load_tally import load_steps
from evalkit.runner.plan import Plan, RunOptions, build_plan
from evalkit.runner.privacy import masker_of
from evalkit.runner.process import quiet_collector, signals
from evalkit.runner.progress import Board, Display, Tally
from evalkit.runner.record import clean_run
from evalkit.runner.veil import Veil
from evalkit.secrets import process_redactor, redact
from evalkit.stats.load import LoadStep
from evalkit.stats.slo import Objective, judge

if TYPE_CHECKING:
    from evalkit.store import Journal, Store

MOST_CASES = 10_000
"""Cases that are rendered before a test; a longer dataset is asked from its start."""
SEAL_AFTER = 4_000
"""Trials in one segment of the journal."""
SPARE_FILES = 64
"""Open files that are left for everything but connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOutcome:
    """How a load test ended; ``stopped`` is why it did so early, empty when it did not."""

    run: Run
    steps: tuple[LoadStep, ...]
    stopped: str
    not_live: int

    @property
    def exit_code(self) -> ExitCode:
        """What the process ends with; a broken objective goes before everything but Ctrl-C."""
        verdicts = {
            judge(one, step).verdict for one in stored_objectives(self.run) for step in self.steps
        }
        if self.stopped == "interrupted":
            return ExitCode.INTERRUPTED
        if "FAIL" in verdicts:
            return ExitCode.FAIL
        if self.stopped in {"money", "requests"}:
            return ExitCode.BUDGET
        if self.stopped or not sum(one.answered for one in self.steps):
            return ExitCode.INFRASTRUCTURE
        return ExitCode.UNDECIDED if "INCONCLUSIVE" in verdicts else ExitCode.PASS


def start_load(
    project: Project,
    options: LoadOptions,
    store: Store,
    *,
    display: Display,
    environ: Mapping[str, str] = os.environ,
) -> LoadOutcome:
    """Check, make and store one load test.

    Raises ``UsageError`` before the first request for whatever can be known, and
    ``InfrastructureError`` when the one request before the test fails.
    """
    profile = options.profile()
    target = _target(project, options)
    network = _uses_network(project, target)
    capped = _room_for_connections(options, profile) if network else options
    plan = build_plan(
        project,
        RunOptions(
            suites=(options.suite,),
            targets=(target,),
            trials=1,
            seed=options.seed,
            tags=options.tags,
            filter=options.filter,
            sample=options.sample,
            limit=options.limit,
            concurrency=capped.max_in_flight if network else None,
            allow_code=options.allow_code,
            offline=options.offline,
        ),
        environ=environ,
        store=store,
    )
    suite, lane = plan.suites[0], plan.fleet.lanes[target]
    cases = list(islice(suite.cases, MOST_CASES))
    if any(one.turns for one in cases):
        raise UsageError(
            f"suite {suite.name!r} has conversations, and a load test asks single questions: a turn"
            " is asked only after the answer to the one before",
            where=suite.spec.path,
            hint="name a suite of single questions, or choose such cases with --tags or --filter",
        )
    asking = Asking.of(
        suite.name,
        _shuffled(cases, plan.run.seed),
        lane,
        target_hash=plan.fleet.targets[target].version.content_hash,
        seed=plan.run.seed,
    )
    found = estimate(profile, lane, asking.lengths, options.max_requests)
    refuse_or_warn(options, profile, found, target=target, elsewhere=_elsewhere(plan, target))
    for text in (*plan.fleet.warnings, *suite.warnings, *_notes(plan, target)):
        display.note(redact(f"warning: {text}"))
    display.note(_announcement(profile, found, suite.name, target, options))
    store.prepare()
    store.recover()
    return _execute(
        _Test(plan=plan, options=capped, profile=profile, asking=asking, lane=lane, found=found),
        store,
        display,
    )


def _target(project: Project, options: LoadOptions) -> str:
    spec = load_suite(project, options.suite)
    names = (options.target,) if options.target else spec.targets
    if len(names) > 1:
        raise UsageError(
            f"suite {spec.name!r} has {len(names)} targets, and a load test has one",
            where=spec.path,
            hint=f"choose one: --target {names[0]}",
        )
    if names[0] not in project.targets:
        from evalkit.errors import UnknownName

        raise UnknownName("target", names[0], project.targets, where=project.path)
    return names[0]


def _uses_network(project: Project, name: str) -> bool:
    """Whether the target or one it asks goes over the network."""
    waiting, seen = [name], set[str]()
    while waiting:
        spec = project.targets[waiting.pop()]
        if spec.name in seen:
            continue
        seen.add(spec.name)
        plugin = registry.get(Kind.TARGET, spec.kind)
        assert isinstance(plugin, TargetPlugin)
        if plugin.network:
            return True
        children = spec.options.get(plugin.children or "")
        if isinstance(children, list):
            waiting += [one for one in children if isinstance(one, str) and one in project.targets]
    return False


def _elsewhere(plan: Plan, target: str) -> str | None:
    """The first host beyond this machine that the target or one it asks is at."""
    for name in plan.fleet.reached((target,)):
        planned = plan.fleet.targets[name]
        plugin = registry.get(Kind.TARGET, planned.spec.kind)
        assert isinstance(plugin, TargetPlugin)
        host = elsewhere(planned, network=plugin.network)
        if host is not None:
            return host
    return None


def _room_for_connections(options: LoadOptions, profile: Profile) -> LoadOptions:
    """The options with as many requests at once as this process may have open files.

    The soft limit is raised as far as the hard one allows. Raises ``UsageError`` for a ramp to more
    than that.
    """
    try:
        import resource
    except ImportError:
        return options
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(options.max_in_flight, profile.users) + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = wanted if soft == resource.RLIM_INFINITY else soft - SPARE_FILES
    if profile.users > room:
        raise UsageError(
            f"{profile.users:,} requests at once need more open files than the {soft:,} that this"
            " process may have",
            hint=f"raise the limit first: ulimit -n {profile.users + SPARE_FILES}",
        )
    return replace(options, max_in_flight=min(options.max_in_flight, room))


def _shuffled(cases: list[Case], seed: int) -> list[Case]:
    import random

    cases.sort(key=lambda one: one.id)
    random.Random(seed).shuffle(cases)  # noqa: S311 - a reproducible order, not a secret
    return cases


def _notes(plan: Plan, target: str) -> list[str]:
    said = []
    limits = plan.fleet.targets[target].spec.limits
    if limits.requests_per_minute or limits.tokens_per_minute:
        said.append(f"target {target!r}: a load test does not keep to its rate limits")
    if plan.fleet.targets[target].children:
        said.append(f"target {target!r}: the targets it asks keep their own limits and retries")
    return said


def _announcement(
    profile: Profile, found: Estimate, suite: str, target: str, options: LoadOptions
) -> str:
    if profile.arrivals == "closed":
        course = f"{profile.users:,} users joining over {profile.over_s:g} s"
        if profile.length_s > profile.over_s:
            course += f", then {profile.length_s - profile.over_s:g} s"
    else:
        rates = ", ".join(f"{one.offered:g}" for one in profile.steps)
        each = profile.steps[0].ends_s
        course = f"{rates} requests a second for {each:g} s" + (
            " each" if len(profile.steps) > 1 else ""
        )
    amount = f"at most {found.requests:,}" if found.most else f"{found.requests:,}"
    cap = MAX_USD if options.max_usd is None else options.max_usd
    money = "cost unknown"
    if found.usd is not None:
        about = f"about {dollars(min(found.usd, cap))}, never above {dollars(cap)}"
        money = about if found.usd else "free"
    return f"load: {suite} on {target}, {course}: {amount} requests, {money}; Ctrl-C ends it early"


class _JournalSink:
    """Makes trials durable at once and moves them into the store when the test is over.

    Moving takes the interpreter for a while, which the target would seem slow for.
    """

    def __init__(self, store: Store, run_id: str):
        from evalkit.store import Journal

        self._store = store
        self._journal: Journal = Journal(store.journal_directory, run_id)
        self._sealed: list[Path] = []
        self._open = 0

    def append(self, trials: Sequence[Trial]) -> None:
        self._journal.append(trials)
        self._journal.flush()
        self._open += len(trials)
        if self._open >= SEAL_AFTER:
            self._seal()

    def _seal(self) -> None:
        self._open = 0
        segment = self._journal.seal()
        if segment is not None:
            self._sealed.append(segment)

    def finish(self) -> None:
        self._seal()
        while self._sealed:
            self._store.ingest(self._sealed[0], fresh=True)
            self._sealed.pop(0)

    def close(self) -> None:
        self._journal.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """A load test that can start: nothing but the store was touched yet."""

    plan: Plan
    options: LoadOptions
    profile: Profile
    asking: Asking
    lane: Lane
    found: Estimate

    @property
    def max_usd(self) -> float | None:
        """The cap on money; without a price there is nothing to count."""
        if self.found.each_usd is None:
            return None
        return MAX_USD if self.options.max_usd is None else self.options.max_usd


def _execute(test: _Test, store: Store, display: Display) -> LoadOutcome:
    options, found, lane = test.options, test.found, test.lane
    run = replace(
        test.plan.run,
        kind=RunKind.LOAD,
        scorers=(),
        planned=found.requests,
        settings={**options.settings(test.profile), "targets": [lane.name]},
    )
    store.create_run(clean_run(run, process_redactor()))
    sink = _JournalSink(store, run.id)
    driver = Driver(
        run_id=run.id,
        lane=lane,
        asking=test.asking,
        profile=test.profile,
        caps=Caps(
            requests=options.max_requests,
            usd=test.max_usd,
            in_flight=max(options.max_in_flight, test.profile.users + 1),
            errors=options.max_errors,
        ),
        seed=run.seed,
        timeout_s=options.timeout_s or lane.timeout_s,
        sink=sink,
        tally=Tally(suite=test.asking.suite, target=lane.name, planned=found.requests),
        display=display,
        veil=Veil(process_redactor(), masker_of(test.plan, store, resumed=False)),
        reserve_usd=found.each_usd or 0.0,
    )
    status = RunStatus.FAILED
    try:
        try:
            with quiet_collector():
                asyncio.run(_drive(driver, display, tuple(test.plan.fleet.lanes.values())))
            status = _status(driver)
        finally:
            sink.finish()
            steps = _steps(driver)
            if steps:
                store.add_load_steps(run.id, test.asking.suite, lane.name, steps)
            finished = datetime.now(UTC)
            store.finish_run(run.id, status, finished)
    finally:
        sink.close()
    return LoadOutcome(
        run=replace(run, status=status, finished_at=finished),
        steps=steps,
        stopped=driver.stopped,
        not_live=driver.not_live,
    )


def _status(driver: Driver) -> RunStatus:
    if driver.stopped == "interrupted":
        return RunStatus.INTERRUPTED
    if driver.stopped:
        return RunStatus.STOPPED
    return RunStatus.COMPLETE


def _steps(driver: Driver) -> tuple[LoadStep, ...]:
    steps = load_steps(driver.steps, driver.profile, driver.ended_s)
    if steps and driver.stopped:
        return (*steps[:-1], replace(steps[-1], stopped=driver.stopped))
    return steps


async def _drive(driver: Driver, display: Display, lanes: Sequence[Lane]) -> None:
    loop = asyncio.get_running_loop()

    def first(name: str) -> None:
        driver.stop("interrupted")
        display.note(f"{name}: no new requests; what was measured follows (again to quit at once)")

    def second() -> None:
        display.stop()
        # not sys.exit: a target that refuses to be cancelled must not hold the process
        os._exit(ExitCode.INTERRUPTED)

    board = Board(tallies=[driver.tally], in_flight=lambda _: driver.in_flight)
    with signals(lambda name: loop.call_soon_threadsafe(first, name), second):
        try:
            failed = await driver.warm_up(datetime.now(UTC))
            if failed is not None:
                raise InfrastructureError(
                    f"the first request failed ({failed.error_class}):"
                    f" {driver.veil.text(failed.message)}",
                    hint="a load test begins when one request is answered",
                )
            if not driver.stopped:
                board.started = time.monotonic()
                display.start(board)
                await driver.run(datetime.now(UTC))
        finally:
            display.stop()
            for lane in lanes:
                async with asyncio.timeout(5.0):
                    await lane.aclose()


def stored_outcome(store: Store, run: Run) -> LoadOutcome:
    """How a stored load test ended."""
    steps = store.load_steps(run.id)
    stopped = next((one.stopped for one in steps if one.stopped), "")
    return LoadOutcome(run=run, steps=steps, stopped=stopped, not_live=0)


def stored_objectives(run: Run) -> tuple[Objective, ...]:
    """The objectives a stored load test was made with."""
    found = run.settings.get("objectives")
    pairs: Any = found if isinstance(found, list) else []
    return tuple(Objective(metric, limit) for metric, limit in pairs)
