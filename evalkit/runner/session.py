"""From a plan to a stored run: the engine, the record, and how it ended."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from evalkit.config.spec import Project
from evalkit.errors import EvalkitError, ExitCode, StoreError
from evalkit.gate.beside import beside
from evalkit.model import RunStatus
from evalkit.offline import Guard, offline_if
from evalkit.runner.budget import Ledger, added
from evalkit.runner.cache import AnswerCache
from evalkit.runner.done import NOTHING_DONE, Done
from evalkit.runner.engine import Driven, Engine
from evalkit.runner.engines import MakeEngine, Runs, engine_of
from evalkit.runner.estimate import Estimate, estimate, worth_estimating
from evalkit.runner.feed import Feed, Part
from evalkit.runner.flight import SUFFIX, Flight
from evalkit.runner.funds import fund
from evalkit.runner.outcome import Outcome, ScorerErrors
from evalkit.runner.pace import Pace
from evalkit.runner.plan import LooksAsked, Plan, RunOptions, build_plan, planned_of
from evalkit.runner.privacy import masker_of, new_masker
from evalkit.runner.process import quiet_collector, signals
from evalkit.runner.progress import Board, Display, Tally
from evalkit.runner.record import clean_run, is_clean
from evalkit.runner.recorder import Recorder
from evalkit.runner.resume import Resumed, stored_options, take_up
from evalkit.runner.resume import resume as resume_plan
from evalkit.runner.shown import shown_by
from evalkit.runner.unchanged import Unchanged, left_out
from evalkit.runner.veil import Veil
from evalkit.secrets import process_redactor, redact

if TYPE_CHECKING:
    # what judges is imported when a run is judged while it is made
    from evalkit.runner.looks import Looks
    from evalkit.store import Store


def start_run(
    project: Project,
    options: RunOptions,
    store: Store,
    *,
    display: Display,
    environ: Mapping[str, str] = os.environ,
) -> Outcome:
    """Plan, check and make a new run; raises before the first call for whatever can be known."""
    with offline_if(options.offline) as guard:
        with display.busy("reading what is to be asked"):
            plan = build_plan(project, options, environ=environ, store=store)
        # what a run that died spent counts for the month
        _recover(store, display)
        return _with_refused(_make(plan, options, store, display, None), guard)


def estimate_run(
    project: Project,
    options: RunOptions,
    store: Store,
    *,
    resume: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Estimate:
    """What a run, or the rest of a stored one, will take; calls and stores nothing."""
    run = None if resume is None else store.load_run(store.resolve(resume))
    if run is not None:
        options = stored_options(run, options)
    with offline_if(options.offline):
        plan = build_plan(project, options, environ=environ, store=store)
        resumed = None
        if run is not None:
            plan, resumed = resume_plan(plan, run, store)
        ledger, warnings = fund(plan, options, store, resumed=resumed is not None)
        with _cache(plan, options, lambda _: None, write=False):
            return estimate(
                plan, store, resumed=resumed, ledger=ledger, warnings=(*plan.warnings, *warnings)
            )


def _make(
    plan: Plan, options: RunOptions, store: Store, display: Display, resumed: Resumed | None
) -> Outcome:
    """Fund the run, say what it may cost, and make it."""
    from evalkit.store.journal import few_heaps

    few_heaps()
    _load_ahead(plan)
    ledger, warnings = fund(plan, options, store, resumed=resumed is not None)
    _say((*plan.warnings, *warnings), display)
    store.prepare()
    with (
        engine_of(plan, options) as make,
        _cache(plan, options, lambda text: display.note(redact(text))),
    ):
        if worth_estimating(plan):
            guess = estimate(plan, store, resumed=resumed, ledger=ledger)
            for text in guess.notes():
                display.note(text)
        return execute(
            plan,
            store,
            display=display,
            resumed=resumed,
            ledger=ledger,
            max_time_s=options.max_time_s,
            make=make,
            looks=options.looks,
        )


def _load_ahead(plan: Plan) -> None:
    """Let targets import, in a thread, what their first call takes: the store is opened as long."""
    lanes = (*plan.fleet.lanes.values(), *plan.judging.lanes.values())
    found = (getattr(one.target, "load_ahead", None) for one in lanes)
    loads: set[Callable[[], object]] = {one for one in found if callable(one)}

    def load() -> None:
        # what cannot be imported is said by the first call
        with suppress(ImportError):
            for one in loads:
                one()

    if loads:
        threading.Thread(target=load, name="evalkit-load").start()


@contextmanager
def _cache(
    plan: Plan, options: RunOptions, note: Callable[[str], object], *, write: bool = True
) -> Iterator[None]:
    """Let the lanes of the plan use the cache while the block runs."""
    spec = plan.project.cache
    mode = options.cache or spec.mode
    if not write and mode in {"write", "refresh"}:
        mode = "read" if mode == "write" else "off"
    if mode == "off":
        yield
        return
    kept = AnswerCache(
        spec.path,
        mode,
        run_id=plan.run.id,
        seed=plan.run.seed,
        veil=Veil(process_redactor(), new_masker(plan)),
        note=note,
    )
    try:
        noted = set[str]()
        used = [
            (name, one, fleet.lanes[name])
            for fleet in (plan.fleet, plan.judging)
            for name, one in fleet.targets.items()
        ]
        for name, target, lane in used:
            if target.identity is not None:
                takes_seed = getattr(lane.target, "takes_seed", True) is not False
                lane.cache = kept.of(
                    name,
                    target.identity,
                    takes_seed=takes_seed,
                    takes_schema=lane.takes_schema,
                )
            elif write and not target.free and name not in noted:
                noted.add(name)
                note(
                    f"target {name!r} is always asked: nothing tells whether what answers"
                    " there has changed, so its answers are not kept"
                )
        yield
    finally:
        kept.close()


def resume_run(
    project: Project,
    name: str,
    store: Store,
    *,
    display: Display,
    options: RunOptions | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Outcome:
    """Continue a stored run with the trials that are missing or failed.

    ``name`` is an id, a part of one, or ``latest``; of ``options`` count those that do not choose
    trials. Raises ``UsageError`` when the project changed since, naming what.
    """
    from evalkit.gate.looks import ended_early

    _recover(store, display)
    run = store.load_run(store.resolve(name))
    options = stored_options(run, options or RunOptions())
    with offline_if(options.offline) as guard:
        with display.busy("reading what is to be asked, and what was answered"):
            plan, resumed = resume_plan(
                build_plan(project, options, environ=environ, store=store), run, store
            )
        kept = sum(map(len, resumed.done.values()))
        early = ended_early(run)
        whole = kept >= run.planned and not resumed.unpaid
        if run.status is RunStatus.COMPLETE and (early or whole):
            # the run keeps the end it had; its duration is not the time until someone asked again
            _say(plan.warnings, display)
            why = (
                "its gates were decided before all cases were asked"
                if early
                else "nothing is missing"
            )
            display.note(f"run {run.id} is complete: {why}")
            return Outcome(
                run_id=run.id,
                status=run.status,
                planned=run.planned,
                kept=kept,
                answered=0,
                errors=0,
                given_up={},
                elapsed_s=0.0,
            )
        return _with_refused(_make(plan, options, store, display, resumed), guard)


def _with_refused(outcome: Outcome, guard: Guard | None) -> Outcome:
    return outcome if guard is None else replace(outcome, refused=dict(guard.refused))


def _say(warnings: Sequence[str], display: Display) -> None:
    for text in warnings:
        display.note(redact(f"warning: {text}"))


def _recover(store: Store, display: Display) -> None:
    recovered = store.recover()
    if recovered.trials:
        display.note(
            f"{recovered.trials:,} finished trials of {', '.join(recovered.runs)}, which ended"
            " without saying so, are now in the store"
        )


def execute(
    plan: Plan,
    store: Store,
    *,
    display: Display,
    resumed: Resumed | None = None,
    ledger: Ledger | None = None,
    max_time_s: float | None = None,
    make: MakeEngine = Engine,
    looks: LooksAsked | None = None,
) -> Outcome:
    """Make the trials of a plan and store them; the run is in the store whatever happens.

    When a purse of the ``ledger`` is empty, calls under way end as they would and nothing new is
    called. After ``max_time_s`` nothing new is called either, and calls under way have a moment.
    With ``looks`` the gates may end the run before all is asked: then it is complete.

    SIGINT and SIGTERM end it early with everything finished stored; a second one ends the process
    at once, and the journal keeps what was finished. Raises ``StoreError`` when the run cannot be
    recorded, saying what is kept.
    """
    run_id = plan.run.id
    veil = Veil(process_redactor(), masker_of(plan, store, resumed=resumed is not None))
    if resumed is None:
        store.create_run(clean_run(plan.run, process_redactor()))
    recorder = Recorder(store, run_id, fresh=resumed is None)
    flight = Flight(
        store.journal_directory / f"{run_id}{SUFFIX}", lambda output: is_clean(output, veil)
    )
    ledger = ledger or Ledger()
    watch: Looks | None = None
    done = left_out(plan, {} if resumed is None else resumed.settled)
    try:
        if resumed is not None:
            store.reopen_run(run_id, judged_again=len(resumed.unpaid))
            take_up(flight, plan, resumed, note=display.note)
        if looks is not None:
            from evalkit.runner.looks import Looks

            watch = Looks.of(
                plan.project,
                store,
                plan,
                looks,
                recorder,
                done=done,
                note=lambda text: display.note(redact(text)),
            )
        engine, tallies = _engine(
            plan,
            watch or recorder,
            display,
            done,
            veil=veil,
            ledger=ledger,
            make=make,
            watch=watch,
        )
        engine.flight = flight
        if resumed is not None and resumed.unpaid:
            engine.unpaid = resumed.unpaid
            display.note(
                f"{len(resumed.unpaid):,} stored answers lack a verdict that the budget of judges"
                " did not pay for: judges are asked again, targets are not"
            )
        begun = time.monotonic()
        try:
            with quiet_collector():
                over = asyncio.run(_drive(run_id, engine, display, max_time_s, watch))
        except EvalkitError as error:
            _finish_failed(recorder, engine, flight)
            raise _with_kept(error, run_id, tallies, engine) from error
        except OSError:
            _finish_failed(recorder, engine, flight)
            raise
        outcome = _outcome(
            plan,
            engine,
            tallies,
            time.monotonic() - begun,
            overtime_s=max_time_s if over else None,
            certain=watch is not None and bool(watch.ended),
        )
        try:
            with display.busy("storing the last answers"):
                recorder.settle()
            kept = None
            if watch is not None and outcome.status is RunStatus.COMPLETE:
                kept = watch.settings()
            unrecorded = engine.ledger.unrecorded
            if outcome.status is not RunStatus.COMPLETE:
                unrecorded = added(unrecorded, flight.untold)
            recorder.finish(outcome.status, unrecorded=unrecorded, settings=kept)
        except StoreError as error:
            raise _with_kept(error, run_id, tallies, engine) from error
    finally:
        recorder.close()
        flight.close(ended=recorder.ended)
    return outcome


def _finish_failed(recorder: Recorder, engine: Runs, flight: Flight) -> None:
    try:
        unrecorded = added(engine.ledger.unrecorded, flight.untold)
        recorder.finish(RunStatus.FAILED, unrecorded=unrecorded)
    except EvalkitError:
        # what ended the run is worth saying, not that its end cannot be written either; the next
        # command that opens the store finds the journal
        return


def _with_kept(
    error: EvalkitError, run_id: str, tallies: Sequence[Tally], engine: Runs
) -> EvalkitError:
    """The error with what is safe and how to go on as its third line."""
    kept = sum(one.kept for one in tallies) + engine.recorded
    first = "repair the store or free space" if isinstance(error, StoreError) else error.hint
    error.hint = (
        f"{first + ', then ' if first else ''}continue with: evalkit run --resume {run_id}"
        f" ({kept:,} trials are kept)"
    )
    return error


def _engine(
    plan: Plan,
    sink: Recorder | Looks,
    display: Display,
    done: Mapping[tuple[str, str], Done],
    *,
    veil: Veil,
    ledger: Ledger,
    make: MakeEngine,
    watch: Looks | None,
) -> tuple[Runs, list[Tally]]:
    tallies: list[Tally] = []
    driven: list[Driven] = []
    paces = _paces(plan)
    kept = Unchanged.kept(plan.run.settings)
    for name, lane in plan.fleet.lanes.items():
        suites = [one for one in plan.suites if name in one.targets and one.survey.mine]
        if not suites:
            continue
        mine = {
            one.name: Tally(
                suite=one.name,
                target=name,
                planned=planned_of(one, name, kept),
                kept=len(done.get((one.name, name), NOTHING_DONE)),
            )
            for one in suites
        }
        parts = (
            [
                Part(
                    suite=one.name,
                    cases=one.cases.__iter__,
                    trials=one.trials,
                    done=done.get((one.name, name), NOTHING_DONE),
                    first=one.first_trial,
                )
                for one in suites
            ]
            if watch is None
            else watch.parts(name, done)
        )
        feed = Feed(
            parts,
            target_hash=plan.fleet.targets[name].version.content_hash,
            seed=plan.run.seed,
            render=lane.render,
            pace=paces.get(name),
        )
        driven.append(Driven(lane=lane, feed=feed, tallies=mine))
        tallies += mine.values()
    order = {one.name: place for place, one in enumerate(plan.suites)}
    tallies.sort(key=lambda one: order[one.suite])
    engine = make(
        run_id=plan.run.id,
        driven=driven,
        lanes=tuple(plan.fleet.lanes.values()),
        judges=tuple(plan.judging.lanes.values()),
        scorers={one.name: one.scorers for one in plan.suites},
        shown=shown_by(plan.fleet, [one.spec for one in plan.suites]),
        sink=sink,
        board=Board(
            tallies=tallies,
            in_flight=lambda target: plan.fleet.lanes[target].in_flight,
            longest_s=lambda target: plan.fleet.lanes[target].longest_s(),
            held_s=lambda target: plan.fleet.lanes[target].held_s,
            in_outage=lambda target: plan.fleet.lanes[target].in_outage,
        ),
        display=display,
        veil=veil,
        ledger=ledger,
    )
    for lane in plan.fleet.lanes.values():
        lane.note = display.note
    ledger.on_empty = lambda purse: display.note(
        f"the budget {'is too small' if purse.hopeless else 'is reached'} ({purse.said}): no new"
        f" calls"
        f"{'' if purse.whole else ' to those it pays for'}; answers under way are waited for"
    )
    return engine, tallies


def _paces(plan: Plan) -> dict[str, tuple[Pace, int]]:
    """The pace of every target that is asked beside another, and its side of it."""
    found = {}
    asked = {name for one in plan.suites for name in one.targets if one.survey.total}
    for name, lane in plan.fleet.lanes.items():
        other = plan.fleet.lanes.get(beside(name))
        if other is not None and {name, other.name} <= asked:
            pace = Pace(max(lane.limits.concurrency, other.limits.concurrency))
            found[name], found[other.name] = (pace, 0), (pace, 1)
    return found


def _outcome(
    plan: Plan,
    engine: Runs,
    tallies: list[Tally],
    elapsed_s: float,
    *,
    overtime_s: float | None,
    certain: bool,
) -> Outcome:
    given_up = {one.target: one.given_up for one in tallies if one.given_up}
    answered = sum(one.answered for one in tallies)
    errors = sum(one.errors for one in tallies)
    kept = sum(one.kept for one in tallies)
    made = kept + answered + errors
    overtime = overtime_s if made < plan.run.planned else None
    unpaid = 0 if certain else sum(one.unpaid for one in engine.scored.values())
    if certain:
        status = RunStatus.COMPLETE
    elif overtime is not None:
        status = RunStatus.STOPPED
    elif engine.stopped and made < plan.run.planned:
        status = RunStatus.INTERRUPTED
    elif engine.ledger.empty and made < plan.run.planned:
        status = RunStatus.STOPPED
    elif plan.run.planned and not kept + answered:
        status = RunStatus.FAILED
    elif given_up or unpaid:
        status = RunStatus.STOPPED
    else:
        status = RunStatus.COMPLETE
    return Outcome(
        run_id=plan.run.id,
        status=status,
        planned=plan.run.planned,
        kept=kept,
        answered=answered,
        errors=errors,
        failed=next((one.failed for one in tallies if one.failed), ""),
        given_up=given_up,
        elapsed_s=elapsed_s,
        empty=engine.ledger.empty if made < plan.run.planned or unpaid else (),
        unpaid=unpaid,
        scorer_errors=tuple(
            ScorerErrors(
                suite=suite, name=name, failed=one.failed, asked=one.asked, reason=one.reason[:200]
            )
            for (suite, name), one in engine.scored.items()
            if one.failed
        ),
        overtime_s=None if certain else overtime,
    )


async def _drive(
    run_id: str, engine: Runs, display: Display, max_time_s: float | None, watch: Looks | None
) -> bool:
    """Run the engine; whether ``max_time_s`` ended it."""
    loop = asyncio.get_running_loop()
    overtime = False

    def time_out() -> None:
        nonlocal overtime
        if not engine.stopped:
            overtime = True
            display.note("the time of the run is over: no new calls")
            engine.stop()

    if watch is not None:
        watch.on_certain = lambda: loop.call_soon_threadsafe(engine.stop)
        # a run that is resumed may have all that a look needs
        await asyncio.to_thread(watch.look)

    if max_time_s is not None:
        loop.call_later(max_time_s, time_out)

    def first(name: str) -> None:
        engine.stop()
        display.note(
            f"{name}: no new calls; waiting up to {engine.grace_s:g} s for answers under way"
            " (again to quit at once)"
        )

    def second() -> None:
        display.stop()
        display.note(f"quit; continue with: evalkit run --resume {run_id}")
        # not sys.exit: a target that refuses to be cancelled must not hold the process
        os._exit(ExitCode.INTERRUPTED)

    with signals(lambda name: loop.call_soon_threadsafe(first, name), second):
        await engine.run()
    return overtime
