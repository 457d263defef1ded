"""Whatever a server or a network does wrong has its class, and nothing answered is lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from evalkit.config import load_project
from evalkit.errors import ExitCode, StoreError
from evalkit.model import RunStatus
from evalkit.report.view_build import run_view
from evalkit.runner.outcome import Outcome
from evalkit.runner.plan import RunOptions
from evalkit.runner.progress import Silent
from evalkit.runner.session import start_run
from evalkit.store import Store
from tests.runner.projects import SmallProject, wire
from tests.servers import Fault, ModelServer, Raw, Reply, Seen, Trouble
from tests.servers._server import Answer

MOST = 1024 * 1024
GOOD = 12


@cache
def big_answer(size: int) -> Raw:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x" * size}}
    body = json.dumps({"model": "m", "choices": [{**choice, "finish_reason": "stop"}]}).encode()
    return Raw(chunks=[body[at : at + 1_000_000] for at in range(0, len(body), 1_000_000)])


def again(seconds: float) -> str:
    """A time to come back, as an HTTP date: whole seconds."""
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


# what is wrong -> class in the store (None: it is answered in the end), and calls made
ANSWERS: dict[str, tuple[str | None, int]] = {
    "unauthorized": ("auth", 1),
    "forbidden": ("auth", 1),
    "no_model": ("not_found", 1),
    "bad_request": ("bad_request", 1),
    "context_length": ("bad_request", 1),
    "quota": ("quota", 1),
    "content_filter": ("refused", 1),
    "filtered": ("refused", 1),
    "redirect": ("bad_request", 1),
    "server_error": ("server", 2),
    "overloaded": ("server", 2),
    "html_error": ("server", 2),
    "html": ("invalid_response", 1),
    "empty": ("invalid_response", 2),
    "truncated_json": ("invalid_response", 2),
    "cut_stream": ("invalid_response", 2),
    "error_in_200": ("rate_limit", 2),
    "no_done": (None, 1),
    "reset": ("connection", 2),
    "drop": ("connection", 2),
    "stall": ("timeout", 2),
    "silent": ("timeout", 2),
    "endless_comments": ("timeout", 2),
    "huge": ("invalid_response", 1),
    "rate_limit": ("rate_limit", 2),
    "slow_for_ever": ("timeout", 2),
    "twenty_megabytes": ("invalid_response", 1),
    "limit_in_seconds": (None, 2),
    "limit_as_date": (None, 2),
    "limit_without_a_wait": (None, 2),
    "limit_until_tomorrow": ("rate_limit", 1),
    "one_500": (None, 2),
}


class Moody:
    """Fails as the question asks it to."""

    def __init__(self) -> None:
        self.asked: dict[str, int] = {}

    def __call__(self, seen: Seen) -> Answer:
        kind = seen.text.split("<")[1].split(">")[0]
        first = self.asked.setdefault(kind, 0) == 0
        self.asked[kind] += 1
        if kind.startswith("good"):
            return Reply()
        if kind == "twenty_megabytes":
            return big_answer(20_000_000)
        if kind == "slow_for_ever":
            return Reply(pieces=("on ",) * 10_000, gap_s=0.05)
        if kind == "limit_until_tomorrow":
            return Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": again(86_400)})
        passing = {
            "limit_in_seconds": Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": "1"}),
            "limit_as_date": Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": again(2)}),
            "limit_without_a_wait": Fault(trouble=Trouble.RATE_LIMIT),
            "one_500": Fault(trouble=Trouble.SERVER_ERROR),
        }
        if kind in passing:
            return passing[kind] if first else Reply()
        return Fault(trouble=Trouble(kind))


def questions(kinds: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": one, "question": f"Do <{one}>.", "expected": "The answer is 42."} for one in kinds
    ]


def good(count: int = GOOD) -> list[str]:
    return [f"good-{n}" for n in range(count)]


def stored(small: SmallProject) -> dict[str, dict[str, Any]]:
    rows = small.sql("SELECT * FROM trials")
    return {row["case_name"]: row for row in rows}


@pytest.mark.parametrize("stream", [True, False])
def test_every_fault_of_an_answer_has_its_class_and_the_others_are_answered(
    small: SmallProject, stream: bool
) -> None:
    moody = Moody()
    kinds = [*good(), *ANSWERS, *[f"{one}-late" for one in good()]]
    with ModelServer(moody) as server:
        # as long as a busy machine needs for the good ones
        limits = {"concurrency": 24, "timeout": "4s", "max_retries": 1}
        target = wire(server.openai, stream=stream, limits=limits, max_answer_bytes=MOST)
        small.write({"t": target}, questions(kinds))
        outcome = small.run()
    rows = stored(small)
    assert set(rows) == set(kinds), "every trial is stored, failed or not"
    found = {kind: (rows[kind]["error_class"], rows[kind]["attempts"]) for kind in ANSWERS}
    assert found == ANSWERS
    assert all(rows[one]["output"] == "The answer is 42." for one in kinds if "good" in one)
    for kind, (error_class, calls) in ANSWERS.items():
        assert moody.asked[kind] == calls
        assert (rows[kind]["status"] == "ok") is (error_class is None)
        assert (rows[kind]["error"] is None) is (error_class is None)
        if error_class is not None:
            # one whose own timer had no turn is ended by the lane, which knows no address
            assert "127.0.0.1" in rows[kind]["error"] or error_class == "timeout"
            assert len(rows[kind]["error"]) < 500
    failed = sum(one is not None for one, _ in ANSWERS.values())
    assert (outcome.errors, outcome.answered) == (failed, len(kinds) - failed)
    assert outcome.status is RunStatus.COMPLETE
    assert outcome.exit_code is ExitCode.PASS, "the gates judge an error rate"
    assert f"{failed} trials failed" in outcome.lines()[0]
    assert rows["limit_in_seconds"]["total_s"] >= 1.0
    assert rows["limit_as_date"]["total_s"] >= 0.9
    waited = rows["limit_as_date"]
    assert waited["total_s"] - waited["latency_s"] >= 0.8, "waiting is no latency"


@pytest.mark.parametrize(
    ("trouble", "error_class", "given_up"),
    [
        (Trouble.UNAUTHORIZED, "auth", True),
        (Trouble.FORBIDDEN, "auth", True),
        (Trouble.NO_MODEL, "not_found", True),
        (Trouble.QUOTA, "quota", True),
        (Trouble.DROP, "connection", True),
        (Trouble.HTML, "invalid_response", True),
        (Trouble.SERVER_ERROR, "server", True),
        (Trouble.CONTENT_FILTER, "refused", False),
    ],
)
def test_when_nothing_is_answered_the_run_fails(
    small: SmallProject, trouble: Trouble, error_class: str, given_up: bool
) -> None:
    with ModelServer(Fault(trouble=trouble)) as server:
        limits = {"concurrency": 4, "max_retries": 0}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(60)))
        outcome = small.run()
        assert (len(server.seen) < 60) is given_up
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert outcome.status is RunStatus.FAILED
    assert {row["error_class"] for row in stored(small).values()} == {error_class}
    assert len(stored(small)) == outcome.errors


@contextmanager
def accepting() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that accepts connections and says nothing: its address, and who came."""
    came: list[socket.socket] = []

    def accept() -> None:
        # until it is closed
        with contextlib.suppress(OSError):
            while True:
                came.append(listening.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", came
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in came:
                one.close()


HANGS = {"concurrency": 16, "timeout": "500ms", "patience": "600ms"}
ROUNDS = 16 + 2
"""The calls that were under way together, and two tries after them."""


@pytest.mark.parametrize(
    "answer",
    [Fault(trouble=Trouble.SILENT), Reply(pieces=("on ",) * 10_000, gap_s=0.05)],
    ids=["silent", "endless"],
)
def test_a_target_that_hangs_from_the_start_is_given_up_after_one_round_and_two_tries(
    small: SmallProject, answer: Answer
) -> None:
    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai, limits=HANGS)}, questions(good(60)))
        first = small.run()
        # a call may come again before the third has run out of time
        assert ROUNDS - 1 <= len(server.seen) <= ROUNDS + 2
        assert first.exit_code is ExitCode.INFRASTRUCTURE
        assert first.status is RunStatus.FAILED
        assert first.given_up["t"].startswith("the first calls were not answered, nor 2 tries in")
        assert "target 't' does not answer its first calls; it is tried" in small.said.getvalue()
        server.answer = Reply()
        second = small.resume()
    assert (second.kept, second.answered, second.exit_code) == (0, 60, ExitCode.PASS)


def test_a_server_that_accepts_and_says_nothing_is_given_up_as_soon(small: SmallProject) -> None:
    with accepting() as (url, came):
        small.write({"t": wire(url, limits=HANGS)}, questions(good(60)))
        outcome = small.run()
        assert ROUNDS - 1 <= len(came) <= ROUNDS + 2
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert {row["error_class"] for row in stored(small).values()} == {"timeout"}


def test_a_target_that_is_slow_at_first_is_waited_for(small: SmallProject) -> None:
    def answer(seen: Seen) -> Answer:
        return Fault(trouble=Trouble.SILENT) if len(server.seen) < ROUNDS else Reply()

    with ModelServer(answer) as server:
        limits = {**HANGS, "timeout": "2s", "patience": "1m"}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(60)))
        outcome = small.run()
        assert len(server.seen) <= 60 + ROUNDS + 2
    assert (outcome.answered, outcome.errors, outcome.given_up) == (60, 0, {})
    assert "target 't' answers now" in small.said.getvalue()


def test_a_target_that_only_asks_to_come_again_is_waited_for(small: SmallProject) -> None:
    busy = [
        Fault(trouble=trouble, headers={"Retry-After": "1"})
        for trouble in (Trouble.RATE_LIMIT, Trouble.OVERLOADED)
    ]
    with ModelServer([*busy * 8, Reply()]) as server:
        small.write({"t": wire(server.openai, limits={"concurrency": 16})}, questions(good(60)))
        outcome = small.run()
        assert len(server.seen) == 60 + 16
    assert (outcome.answered, outcome.errors, outcome.given_up) == (60, 0, {})
    assert "does not answer" not in small.said.getvalue()


def test_a_route_passes_a_target_that_hangs_from_the_start(small: SmallProject) -> None:
    with accepting() as (url, came), ModelServer(Reply(text="second")) as two:
        targets = {
            "both": {"kind": "fallback", "targets": ["a", "b"], "limits": {"concurrency": 16}},
            "a": wire(url, limits=HANGS),
            "b": wire(two.openai),
        }
        small.write(targets, questions(good(60)))
        outcome = small.run()
        assert len(came) <= ROUNDS + 2
    assert (outcome.answered, outcome.errors) == (60, 0)


def test_an_outage_is_waited_for_and_costs_only_what_was_under_way(small: SmallProject) -> None:
    begun: list[float] = []

    def answer(seen: Seen) -> Answer:
        if len(server.seen) > 30:
            begun.append(time.monotonic())
        out = begun and begun[-1] < begun[0] + 0.9
        return Fault(trouble=Trouble.OVERLOADED) if out else Reply()

    with ModelServer(answer) as server:
        limits = {"concurrency": 4, "max_retries": 0}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(120)))
        outcome = small.run()
        assert len(server.seen) == 120, "every case is asked once"
    assert outcome.status is RunStatus.COMPLETE
    assert 10 <= outcome.errors <= 13, "ten in a row, and what was under way"
    assert outcome.answered == 120 - outcome.errors
    said = small.said.getvalue()
    assert "target 't' does not answer any more; it is tried now and then for 120 s" in said
    assert "target 't' answers now" in said
    (row,) = small.sql(
        "SELECT max(queue_s) AS q, max(queue_s + latency_s - total_s) AS twice FROM trials"
    )
    assert row["q"] > 0.9, "the outage is waiting"
    assert row["twice"] < 0.01, "and no latency"


def test_an_outage_without_end_is_given_up_and_the_run_goes_on_after(small: SmallProject) -> None:
    def answer(seen: Seen) -> Answer:
        return Fault(trouble=Trouble.OVERLOADED) if len(server.seen) > 30 else Reply()

    with ModelServer(answer) as server:
        limits = {"concurrency": 4, "max_retries": 1, "patience": "1500ms"}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(120)))
        first = small.run()
        assert first.answered == 30
        assert len(server.seen) < 30 + 25, "an outage is not asked 90 times"
        assert first.exit_code is ExitCode.INFRASTRUCTURE
        assert first.status is RunStatus.STOPPED
        assert "the last: server: 127.0.0.1" in first.given_up["t"]
        server.answer = Reply()
        before = len(server.seen)
        second = small.resume()
        assert len(server.seen) - before == 90, "what was answered is not paid twice"
    assert (second.kept, second.answered, second.exit_code) == (30, 90, ExitCode.PASS)
    assert {row["status"] for row in stored(small).values()} == {"ok"}


def test_a_route_goes_on_while_one_of_its_targets_is_in_an_outage(small: SmallProject) -> None:
    def first(seen: Seen) -> Answer:
        return Fault(trouble=Trouble.DROP) if len(one.seen) > 5 else Reply(text="first")

    with ModelServer(first) as one, ModelServer(Reply(text="second")) as two:
        limits = {"concurrency": 2, "max_retries": 0}
        targets = {
            "both": {"kind": "fallback", "targets": ["a", "b"], "limits": limits},
            "a": wire(one.openai, limits=limits),
            "b": wire(two.openai, limits=limits),
        }
        small.write(targets, questions(good(60)))
        begun = time.monotonic()
        outcome = small.run()
        assert time.monotonic() - begun < 20
        assert outcome.answered == 60
        assert len(one.seen) < 5 + 20, "the one that is down is left alone"
    outputs = small.sql("SELECT output, count(*) AS n FROM trials GROUP BY ALL ORDER BY ALL")
    assert outputs == [{"output": "first", "n": 5}, {"output": "second", "n": 55}]


ROUTES = {
    "fallback": {"targets": ["a", "b"], "on": ["server", "bad_request"]},
    "router": {"targets": ["a", "b"], "escalate_when": {"empty": True}},
    "nested": {"kind": "fallback", "targets": ["inner", "b"]},
}


def routed(kind: str, one: ModelServer, two: ModelServer, **limits: Any) -> dict[str, Any]:
    limits = {"concurrency": 4, "max_retries": 0, **limits}
    inner = {"kind": "router", "targets": ["a", "b"], "escalate_when": {"error": True}}
    return {
        "both": {"kind": kind, **ROUTES[kind], "limits": {"concurrency": 4}},
        **({"inner": inner} if kind == "nested" else {}),
        "a": wire(one.openai, limits=limits),
        "b": wire(two.openai, limits=limits),
    }


class Both:
    """Two servers that answer, the first not always, until both break for ``lasts`` seconds."""

    def __init__(self, kind: str, lasts: float):
        self.lasts = lasts
        self.broke: float | None = None
        self.calls = itertools.count()
        self.weak = Reply(text="") if kind == "router" else Fault(trouble=Trouble.BAD_REQUEST)

    def answer(self, seen: Seen) -> Answer:
        now = time.monotonic()
        if next(self.calls) >= 30 and self.broke is None:
            self.broke = now
        out = self.broke is not None and now < self.broke + self.lasts
        return Fault(trouble=Trouble.OVERLOADED) if out else Reply()

    def first(self, seen: Seen) -> Answer:
        reply = self.answer(seen)
        weak = self.broke is None and next(self.calls) % 3 == 0
        return self.weak if weak else reply


@pytest.mark.parametrize("kind", list(ROUTES))
def test_a_route_waits_when_all_that_it_can_ask_are_in_an_outage(
    small: SmallProject, kind: str
) -> None:
    both = Both(kind, 0.9)
    with ModelServer(both.first) as one, ModelServer(both.answer) as two:
        small.write(routed(kind, one, two), questions(good(120)))
        outcome = small.run()
        assert len(one.seen) + len(two.seen) < 120 + 60, "an outage is not asked for every case"
    assert outcome.status is RunStatus.COMPLETE
    assert outcome.errors <= 14, "what was under way, and not what came after it"
    assert outcome.answered == 120 - outcome.errors


def test_a_route_is_given_up_with_all_its_targets_and_the_run_goes_on_after(
    small: SmallProject,
) -> None:
    both = Both("fallback", 60)
    with ModelServer(both.first) as one, ModelServer(both.answer) as two:
        small.write(routed("fallback", one, two, patience="1500ms"), questions(good(120)))
        first = small.run()
        assert first.errors <= 14
        assert (first.exit_code, first.status) == (ExitCode.INFRASTRUCTURE, RunStatus.STOPPED)
        assert "'a': no answer for" in first.given_up["both"]
        assert "'b': no answer for" in first.given_up["both"]
        both.lasts = 0
        second = small.resume()
    assert (second.kept, second.kept + second.answered) == (first.answered, 120)
    assert second.exit_code is ExitCode.PASS


def test_an_answer_that_a_route_paid_waits_for_the_outage_of_who_is_to_do_better(
    small: SmallProject,
) -> None:
    begun: list[float] = []

    def strong(seen: Seen) -> Answer:
        if len(two.seen) > 5:
            begun.append(time.monotonic())
        out = begun and begun[-1] < begun[0] + 0.9
        return Fault(trouble=Trouble.OVERLOADED) if out else Reply(text="better")

    with ModelServer(Reply(text="")) as one, ModelServer(strong) as two:
        small.write(routed("router", one, two), questions(good(60)))
        outcome = small.run()
        assert len(one.seen) == 60, "nothing is paid twice"
    assert outcome.errors <= 14
    assert outcome.answered == 60 - outcome.errors


def test_a_third_of_all_calls_failing_is_no_outage(small: SmallProject) -> None:
    """What a storm costs is its retries: nothing is lost, nothing answered is asked again."""
    kinds = [Trouble.OVERLOADED, Trouble.RESET, Trouble.TRUNCATED_JSON, Trouble.RATE_LIMIT]
    luck, answered = random.Random(3), Counter[str]()

    def answer(seen: Seen) -> Answer:
        if luck.random() < 0.3:
            return Fault(trouble=luck.choice(kinds))
        answered[seen.text] += 1
        return Reply()

    with ModelServer(answer) as server:
        limits = {"concurrency": 16, "max_retries": 10}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(200)))
        outcome = small.run()
        asked = len(server.seen)
    assert (outcome.answered, outcome.errors) == (200, 0)
    assert set(answered.values()) == {1}, "no answer is paid twice"
    assert small.sql("SELECT sum(attempts)::INT AS n FROM trials") == [{"n": asked}]


# ---- deadlines --------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [Trouble.STALL, Trouble.ENDLESS_COMMENTS])
def test_a_stalled_stream_is_cut_though_the_call_has_time_left(
    small: SmallProject, trouble: Trouble
) -> None:
    with ModelServer([Reply(), Fault(trouble=trouble), Reply()]) as server:
        limits = {"concurrency": 1, "max_retries": 0, "timeout": "60s"}
        target = wire(server.openai, limits=limits, idle_timeout_s=0.4)
        small.write({"t": target}, questions(good(3)))
        begun = time.monotonic()
        outcome = small.run()
        assert time.monotonic() - begun < 20
    assert (outcome.answered, outcome.errors) == (2, 1)
    (row,) = [row for row in stored(small).values() if row["status"] == "error"]
    assert row["error_class"] == "timeout"
    assert "went silent for 0.4 s after" in row["error"]
    assert row["total_s"] < 5


def test_a_slow_stream_that_moves_is_not_cut(small: SmallProject) -> None:
    with ModelServer(Reply(pieces=("a ",) * 12, gap_s=0.1, comments=True)) as server:
        small.write({"t": wire(server.openai, idle_timeout_s=0.5)}, questions(good(2)))
        assert small.run().answered == 2
    assert small.sql("SELECT min(latency_s) > 1 AS slow FROM trials") == [{"slow": True}]


def test_a_trial_has_a_deadline_over_all_its_attempts(small: SmallProject) -> None:
    with ModelServer(Fault(trouble=Trouble.SILENT)) as server:
        limits = {"concurrency": 2, "timeout": "400ms", "deadline": "3s", "max_retries": 50}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(2)))
        outcome = small.run()
        asked = len(server.seen)
    assert outcome.errors == 2
    for row in stored(small).values():
        assert row["error_class"] == "timeout"
        assert row["total_s"] < 15, "51 attempts take 20 s"
        assert row["attempts"] >= 2
    assert asked == sum(row["attempts"] for row in stored(small).values())


@pytest.mark.parametrize(
    "trouble", [Trouble.DROP, Trouble.RESET, Trouble.SERVER_ERROR, Trouble.RATE_LIMIT]
)
def test_no_retries_means_one_call(small: SmallProject, trouble: Trouble) -> None:
    with ModelServer([Reply(), Fault(trouble=trouble), Reply()]) as server:
        limits = {"concurrency": 1, "max_retries": 0}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(3)))
        outcome = small.run()
        assert len(server.seen) == 3
    assert (outcome.answered, outcome.errors) == (2, 1)


def test_when_the_time_of_a_run_is_over_the_rest_is_for_later(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=0.1)) as server:
        small.write({"t": wire(server.openai, limits={"concurrency": 2})}, questions(good(60)))
        first = small.run(max_time_s=0.7)
        assert first.exit_code is ExitCode.BUDGET
        assert first.status is RunStatus.STOPPED
        assert 4 <= first.answered <= 20
        assert len(server.seen) == first.answered, "what was under way was waited for"
        assert first.lines() == (
            f"the 0.7 s of --max-time are over; {first.answered} of 60 answers are stored",
            f"continue with: evalkit run --resume {first.run_id}",
        )
        server.answer = Reply()
        second = small.resume(max_time_s=60)
        assert (second.kept, second.exit_code) == (first.answered, ExitCode.PASS)
        assert len(server.seen) == 60


def test_targets_that_cannot_be_connected_do_not_hold_the_others(small: SmallProject) -> None:
    limits = {"concurrency": 2, "max_retries": 0}
    with ModelServer() as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = taken.getsockname()[1]
        targets = {
            "up": wire(server.openai, limits=limits),
            "refused": wire(f"http://127.0.0.1:{nobody}/v1", limits=limits),
            "dns": wire("http://no-such-host.invalid/v1", limits=limits),
            "tls": wire(f"https://127.0.0.1:{server.port}/v1", limits=limits),
        }
        small.write(targets, questions(good(40)), suite={"targets": list(targets)})
        outcome = small.run()
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert outcome.status is RunStatus.STOPPED
    assert set(outcome.given_up) == {"refused", "dns", "tls"}
    rows = small.sql(
        "SELECT target, error_class, any_value(error) AS error, count(*) AS n FROM trials"
        " GROUP BY ALL"
    )
    by_target = {row["target"]: row for row in rows}
    assert (by_target["up"]["n"], by_target["up"]["error_class"]) == (40, None)
    for name, words in (
        ("refused", "connection refused"),
        ("dns", "cannot find the host no-such-host.invalid"),
        ("tls", "TLS with"),
    ):
        assert by_target[name]["error_class"] == "connection"
        assert words in by_target[name]["error"]
        assert by_target[name]["n"] < 10


def test_an_answer_of_20_mb_is_kept_whole_when_it_is_allowed(small: SmallProject) -> None:
    with ModelServer(big_answer(20_000_000)) as server:
        target = wire(server.openai, stream=False, max_answer_bytes=32_000_000)
        small.write({"t": target}, questions(good(2)))
        outcome = small.run()
    assert outcome.answered == 2
    assert small.sql("SELECT DISTINCT length(output) AS n FROM trials") == [{"n": 20_000_000}]


# ---- the clock and the store -----------------------------------------------------------------


class Jumping(datetime):
    """A clock that is set back an hour, and forward a day, again and again."""

    turns = itertools.cycle((timedelta(hours=-1), timedelta(days=1), timedelta()))

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return datetime.now(tz) + next(cls.turns)


def test_a_clock_that_jumps_changes_no_duration_and_loses_nothing(
    small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("lane", "recorder", "plan"):
        monkeypatch.setattr(f"evalkit.runner.{module}.datetime", Jumping)
    with ModelServer(Reply(first_s=0.02)) as server:
        limits = {"concurrency": 4, "requests_per_minute": 6_000}
        small.write({"t": wire(server.openai, limits=limits)}, questions(good(40)))
        outcome = small.run()
    assert outcome.answered == 40
    assert 0 < outcome.elapsed_s < 30
    (row,) = small.sql(
        "SELECT min(latency_s) AS a, max(total_s) AS b, min(queue_s) AS c FROM trials"
    )
    assert row["a"] >= 0.02
    assert row["b"] < 30
    assert row["c"] >= 0
    run = small.store.load_run(outcome.run_id)
    early = replace(run, finished_at=run.started_at - timedelta(seconds=1))
    with small.store.samples(run.id) as (_, samples):
        assert run_view(early, samples).elapsed_s is None


def test_an_answer_replaces_a_failure_even_when_the_clock_was_set_back(
    small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Yesterday(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) - timedelta(days=1)

    with ModelServer(Fault(trouble=Trouble.BAD_REQUEST)) as server:
        small.write({"t": wire(server.openai)}, questions(good(4)))
        assert small.run().errors == 4
        server.answer = Reply()
        monkeypatch.setattr("evalkit.runner.lane.datetime", Yesterday)
        assert small.resume().answered == 4
    assert {row["status"] for row in stored(small).values()} == {"ok"}
    assert small.sql("SELECT count(*) AS n FROM scores WHERE status = 'scored'") == [{"n": 4}]


BLOCK = 262_144
FIRST_BLOCK = 12_288


def test_a_damaged_store_is_noticed_before_anything_is_paid(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, questions(good(20)))
        small.run()
        path = small.store.path
        sound = path.read_bytes()
        noticed: list[StoreError] = []
        for at in range(FIRST_BLOCK, len(sound), BLOCK):
            path.write_bytes(sound[: at + 5_000] + bytes(4_000) + sound[at + 9_000 :])
            before = len(server.seen)
            try:
                small.run()  # a block that holds nothing may be damaged
            except StoreError as error:
                noticed.append(error)
            assert len(server.seen) == before + (0 if noticed else 20)
            path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
            if noticed:
                break
        (error,) = noticed
        assert "the run store is damaged" in error.what
        assert "backup" in error.hint
        assert error.exit_code is ExitCode.INFRASTRUCTURE
        path.write_bytes(sound)
        assert small.run().answered == 20


HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another program that has the store open for writing."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield
        finally:
            process.communicate("")


def impatient(small: SmallProject) -> Outcome:
    project = load_project(small.folder / "evalkit.yaml")
    store = Store(project.store, patience_s=0.3)
    return start_run(project, RunOptions(), store, display=Silent(small.said), environ={})


def test_a_store_that_another_program_holds_costs_nothing_when_the_run_starts(
    small: SmallProject,
) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, questions(good(4)))
        small.run()
        before = len(server.seen)
        with held(small.store.path), pytest.raises(StoreError, match="is in use") as caught:
            impatient(small)
        assert len(server.seen) == before
    assert caught.value.exit_code is ExitCode.INFRASTRUCTURE


def test_a_store_that_is_held_when_the_run_ends_loses_nothing(small: SmallProject) -> None:
    with ModelServer() as server, ExitStack() as stack:
        started = threading.Lock()

        def answer(seen: Seen) -> Answer:
            with started:
                if len(server.seen) == 1:
                    stack.enter_context(held(small.store.path))
            return Reply()

        server.answer = answer
        small.write({"t": wire(server.openai)}, questions(good(30)))
        with pytest.raises(StoreError, match="is in use") as caught:
            impatient(small)
        assert caught.value.exit_code is ExitCode.INFRASTRUCTURE
        assert "evalkit run --resume" in caught.value.hint
        assert "(30 trials are kept)" in caught.value.hint
        with pytest.raises(StoreError, match="is in use"):
            Store(small.store.path, patience_s=0.1).recover()
        stack.close()
        outcome = small.resume()
        assert (outcome.kept, outcome.answered) == (30, 0)
        assert len(server.seen) == 30, "nothing is paid twice"
    assert len(stored(small)) == 30


def test_a_run_whose_end_could_not_be_written_does_not_run_for_ever(
    small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, questions(good(5)))
        with monkeypatch.context() as patch:
            patch.setattr(Store, "finish_run", interrupted)
            with pytest.raises(KeyboardInterrupt):
                small.run()
    assert [row.status for row in small.store.runs()] == ["running"]
    small.store.recover()
    assert [row.status for row in small.store.runs()] == ["interrupted"]
    assert small.store.recover().runs == ()
    assert len(stored(small)) == 5
