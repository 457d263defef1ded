"""The pipeline with small targets, scorers and a sink that are real objects of this file."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Iterable, Iterator, Sequence

import pytest

from evalkit.config.spec import Limits
from evalkit.errors import ErrorClass, PromptError, StoreError, TargetError
from evalkit.model import (
    Case,
    Message,
    Output,
    Request,
    Score,
    ScoreRecord,
    ScoreStatus,
    Trial,
    TrialStatus,
)
from evalkit.runner.engine import FINISHED_MOST, Driven, Engine
from evalkit.runner.feed import Feed, Part, trial_seed
from evalkit.runner.lane import Lane
from evalkit.runner.progress import Board, Silent, Tally
from evalkit.runner.retry import Backoff
from evalkit.runner.veil import Veil
from evalkit.secrets import Redactor


class Echo:
    """Answers what it is asked, after a while; fails as told by the case's ``fail``."""

    def __init__(self, seconds: float = 0.0):
        self.seconds = seconds
        self.now = self.most = self.calls = 0
        self.closed = False

    async def send(self, request: Request) -> Output:
        self.calls += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if self.seconds:
                await asyncio.sleep(self.seconds)
            if "fail" in request.case.inputs:
                raise TargetError(ErrorClass(str(request.case.inputs["fail"])), "as told")
            if "crash" in request.case.inputs:
                raise ZeroDivisionError("as told")
            return Output(text=f"{request.case.inputs['n']} {request.seed}")
        finally:
            self.now -= 1

    async def aclose(self) -> None:
        self.closed = True


class Length:
    """Scores an output by its length, in the loop or in a thread."""

    def __init__(self, *, is_async: bool):
        self.is_async = is_async
        self.name = "async" if is_async else "sync"
        self.signature = "length"
        self.wants_tools = False
        self.asks = False
        self.batches: list[int] = []

    def score_sync(self, pairs: Sequence[tuple[Case, Output]]) -> list[ScoreRecord]:
        assert not self.is_async
        self.batches.append(len(pairs))
        return [self._record(output) for _, output in pairs]

    async def score(self, pairs: Sequence[tuple[Case, Output]]) -> list[ScoreRecord]:
        await asyncio.sleep(0)
        return [self._record(output) for _, output in pairs]

    def _record(self, output: Output) -> ScoreRecord:
        return ScoreRecord(
            name=self.name,
            signature=self.signature,
            status=ScoreStatus.SCORED,
            score=Score(value=float(len(output.text))),
        )


class Kept:
    """Keeps trials in memory; slow or full when told."""

    def __init__(self, *, seconds: float = 0.0, full_after: int | None = None):
        self.trials: list[Trial] = []
        self.seconds, self.full_after = seconds, full_after

    def append(self, trials: Sequence[Trial]) -> None:
        time.sleep(self.seconds)
        if self.full_after is not None and len(self.trials) >= self.full_after:
            raise OSError(28, "No space left on device", "/somewhere/journal")
        self.trials.extend(trials)


def numbered(count: int, **extra: object) -> list[Case]:
    return [Case.of({"n": number, **extra}) for number in range(count)]  # type: ignore[dict-item]


def engine(
    cases: Iterable[Case],
    target: Echo,
    *,
    trials: int = 1,
    limits: Limits | None = None,
    sink: Kept | None = None,
    scorers: Sequence[Length] = (),
    done: set[tuple[str, int]] | None = None,
    render: object = None,
    redactor: Redactor | None = None,
) -> Engine:
    lane = Lane(
        name="echo",
        target=target,
        limits=limits or Limits(concurrency=8),
        render=render,  # type: ignore[arg-type]
        backoff=Backoff(first_s=0.001),
    )
    part = Part(suite="s", cases=lambda: cases, trials=trials, done=frozenset(done or ()))
    tally = Tally(suite="s", target="echo", planned=1)
    return Engine(
        run_id="run",
        driven=[
            Driven(
                lane=lane,
                feed=Feed([part], target_hash="t", seed=7, render=lane.render),
                tallies={"s": tally},
            )
        ],
        lanes=[lane],
        scorers={"s": scorers},
        sink=sink or Kept(),
        board=Board(tallies=[tally]),
        display=Silent(io.StringIO()),
        veil=Veil(redactor or Redactor()),
        grace_s=0.2,
        flush_s=0.05,
    )


def run(one: Engine) -> list[Trial]:
    asyncio.run(one.run())
    assert isinstance(one.sink, Kept)
    return one.sink.trials


def test_every_trial_of_every_case_is_answered_scored_and_recorded_once() -> None:
    target, scorers = Echo(0.001), [Length(is_async=False), Length(is_async=True)]
    cases = numbered(700)
    trials = run(engine(cases, target, trials=2, scorers=scorers))
    assert {one.key for one in trials} == {
        ("s", "echo", case.id, index) for case in cases for index in range(2)
    }
    assert len(trials) == 1_400
    assert target.calls == 1_400
    assert target.most == 8, "as many at once as the limit allows"
    assert target.closed
    for one in trials:
        assert one.output is not None
        assert one.output.latency_s is not None
        assert one.seed == trial_seed(7, one.case.id, one.index)
        assert [score.name for score in one.scores] == ["sync", "async"]
        assert all(s.score and s.score.value == len(one.output.text) for s in one.scores)
    assert max(scorers[0].batches) > 20, "scored in batches"


def test_an_error_is_a_trial_and_what_can_pass_is_tried_again() -> None:
    target = Echo()
    cases = [
        *numbered(3),
        *numbered(1, fail="server"),
        *numbered(1, fail="refused"),
        *numbered(1, crash=True),
    ]
    limits = Limits(concurrency=2, max_retries=3)
    trials = {str(one.case.inputs): one for one in run(engine(cases, target, limits=limits))}
    server = trials["{'n': 0, 'fail': 'server'}"]
    assert (server.status, server.error_class, server.attempts) == (
        TrialStatus.ERROR,
        ErrorClass.SERVER,
        4,
    )
    assert trials["{'n': 0, 'fail': 'refused'}"].attempts == 1
    crash = trials["{'n': 0, 'crash': True}"]
    assert crash.error_class is ErrorClass.CRASH
    assert crash.error == "ZeroDivisionError: as told"
    assert sum(one.status is TrialStatus.OK for one in trials.values()) == 3


def test_an_attempt_ends_at_its_timeout() -> None:
    one = engine(
        numbered(2), Echo(30.0), limits=Limits(concurrency=2, timeout_s=0.05, max_retries=0)
    )
    begun = time.perf_counter()
    trials = run(one)
    assert time.perf_counter() - begun < 5
    assert {(t.error_class, t.error) for t in trials} == {
        (ErrorClass.TIMEOUT, "no answer within 0.05 s")
    }


def test_trials_that_are_stored_already_are_not_made_again() -> None:
    cases = numbered(10)
    done = {(case.id, 0) for case in cases[:9]} | {(cases[9].id, 1)}
    target = Echo()
    trials = run(engine(cases, target, trials=2, done=done))
    assert target.calls == 10
    assert {one.key[2:] for one in trials} == {
        (case.id, index) for case in cases for index in range(2)
    } - done


def test_a_case_that_the_prompt_cannot_render_is_an_error_of_that_trial_alone() -> None:
    def render(case: Case) -> tuple[Message, ...]:
        if case.inputs["n"] == 3:
            raise PromptError("'x' is undefined", where="prompts/a.j2:4")
        return (Message(role="user", content=str(case.inputs["n"])),)

    target = Echo()
    trials = run(engine(numbered(6), target, render=render))
    bad = [one for one in trials if one.status is TrialStatus.ERROR]
    assert [(one.error_class, one.attempts) for one in bad] == [(ErrorClass.PROMPT, 0)]
    assert "prompts/a.j2:4" in (bad[0].error or "")
    assert target.calls == 5
    assert len({one.request_hash for one in trials}) == 6


def test_stopping_keeps_what_finishes_in_time_and_drops_the_rest() -> None:
    async def main() -> tuple[list[Trial], Echo, float]:
        target = Echo(0.1)
        one = engine(numbered(1_000), target)
        loop = asyncio.get_running_loop()
        loop.call_later(0.25, one.stop)
        begun = loop.time()
        await one.run()
        return one.sink.trials, target, loop.time() - begun  # type: ignore[attr-defined]

    trials, target, took = asyncio.run(main())
    assert took < 3.0, "nobody waits for the end of the time that answers have"
    assert len(trials) == target.calls, "what was in flight had time to finish"
    assert 8 <= target.calls <= 24
    assert {one.status for one in trials} == {TrialStatus.OK}


def test_stopping_does_not_wait_for_an_answer_that_does_not_come() -> None:
    async def main() -> tuple[list[Trial], float]:
        cases: list[Case] = numbered(5)
        one = engine(cases, Echo(600.0))
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, one.stop)
        begun = loop.time()
        await one.run()
        return one.sink.trials, loop.time() - begun  # type: ignore[attr-defined]

    trials, took = asyncio.run(main())
    assert took < 20, "a call under way takes ten minutes"
    assert trials == [], "a dropped call is missing, so that a resumed run makes it"


def test_stopping_wakes_up_who_waits_for_a_rate_limit() -> None:
    async def main() -> float:
        one = engine(numbered(50), Echo(), limits=Limits(concurrency=8, requests_per_minute=1))
        loop = asyncio.get_running_loop()
        loop.call_later(0.1, one.stop)
        begun = loop.time()
        await one.run()
        return loop.time() - begun

    assert asyncio.run(main()) < 20, "the limit lets one through in a minute"


def test_a_target_that_never_answers_is_given_up_early() -> None:
    target = Echo()
    one = engine(numbered(1_000, fail="auth"), target, limits=Limits(concurrency=2))
    trials = run(one)
    assert 5 <= len(trials) <= 7
    assert target.calls <= 7
    assert "as told" in one.board.tallies[0].given_up
    assert "asked no more" in one.display._stream.getvalue()  # type: ignore[attr-defined]


def test_refusals_give_no_target_up() -> None:
    assert len(run(engine(numbered(200, fail="refused"), Echo()))) == 200


def test_a_full_disk_ends_the_run_and_says_so() -> None:
    target = Echo(0.002)
    one = engine(numbered(100_000), target, sink=Kept(full_after=1))
    with pytest.raises(StoreError, match="no space left on device"):
        asyncio.run(one.run())
    assert target.calls < 2_000, "nothing is asked that could not be kept"
    assert one.recorded == len(one.sink.trials) > 0  # type: ignore[attr-defined]


def test_a_dataset_that_breaks_on_the_way_keeps_what_was_answered() -> None:
    def cases() -> Iterator[Case]:
        yield from numbered(300)
        raise OSError("the disk went away")

    one = engine(cases(), Echo())
    with pytest.raises(OSError, match="went away"):
        asyncio.run(one.run())
    assert len(one.sink.trials) >= 128  # type: ignore[attr-defined]


def test_a_slow_sink_holds_the_workers_back() -> None:
    one = engine(numbered(6_000), Echo(), sink=Kept(seconds=0.3))

    async def main() -> int:
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, len(one._finished))
                await asyncio.sleep(0.001)

        watcher = asyncio.create_task(watch())
        await one.run()
        watcher.cancel()
        return most

    assert asyncio.run(main()) <= FINISHED_MOST + 8
    assert len(one.sink.trials) == 6_000  # type: ignore[attr-defined]


def test_no_secret_reaches_a_trial() -> None:
    secret = "sk-very-secret-0123456789"

    class Leaks(Echo):
        async def send(self, request: Request) -> Output:
            if request.case.inputs["n"]:
                raise TargetError(ErrorClass.BAD_REQUEST, f"{'x' * 1_990}{secret}")
            return Output(text=f"my key is {secret}", extra={"h": [secret]}, context=(secret,))

    cases = [Case.of({"n": n, "k": secret}, context=[secret]) for n in range(2)]
    trials = run(engine(cases, Leaks(), redactor=Redactor([secret])))
    assert len(trials) == 2
    assert secret not in repr(trials)
    assert secret[:12] not in repr(trials)
    assert {one.case.id for one in trials} == {one.id for one in cases}
