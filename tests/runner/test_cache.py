"""Kept answers: what is kept, when it is found again, by many processes, killed at any moment."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import ConfigError, ExitCode, StoreVersionError
from evalkit.model import Case, InterToken, Message, Output, Provenance, Request, ToolCall, Usage
from evalkit.registry import Kind, TargetPlugin, get
from evalkit.runner.cache import AnswerCache, identity, is_complete
from evalkit.runner.cache_file import Prune, parts, prune
from evalkit.runner.veil import Veil
from evalkit.secrets import Redactor
from tests.runner.projects import ROOT, SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

KEY = "sk-test-0123456789abcdef"
PRICE = {"input": 1_000.0, "output": 1_000.0}
EACH = 0.018


def priced(url: str, **more: object) -> dict[str, object]:
    return wire(url, price=PRICE, **more)


def file_of(small: SmallProject) -> Path:
    return small.folder / ".evalkit" / "cache.sqlite"


# ---- whole runs ----------------------------------------------------------------------------------


def test_a_kept_answer_is_paid_once_and_says_nothing_of_latency(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write(
            {"t": priced(server.openai)},
            rows(12),
            scorers=["exact_match", "latency", "ttft", "cost"],
            cache="write",
        )
        first = small.run(trials=2)
        assert len(server.seen) == 24
        second = small.run(trials=2)
        assert len(server.seen) == 24, "nothing was asked again"
    assert second.exit_code is ExitCode.PASS
    found = small.sql(
        f"SELECT *, origin_at < started_at AS earlier FROM trials WHERE run_id = '{second.run_id}'"
    )
    assert len(found) == 24
    for one in found:
        assert one["provenance"] == "cache"
        assert one["output"] == "The answer is 42."
        assert (one["input_tokens"], one["output_tokens"]) == (11, 7)
        assert one["cost_usd"] == one["saved_usd"] == pytest.approx(EACH)
        assert (one["spent_usd"], one["spent_tokens"], one["attempts"]) == (0.0, 0, 0)
        assert (one["latency_s"], one["ttft_s"], one["itl_count"]) == (None, None, None)
        assert one["origin_run_id"] == first.run_id
        assert one["earlier"]
        assert "connect_s" not in json.loads(one["extra"])
    scored = small.sql(
        f"SELECT name, status, count(*) AS n, avg(value) AS v FROM scores"
        f" WHERE run_id = '{second.run_id}' GROUP BY ALL"
    )
    assert {one["name"]: (one["status"], one["v"]) for one in scored} == {
        "exact_match": ("scored", 1.0),
        "latency": ("unscored", None),
        "ttft": ("unscored", None),
        "cost": ("scored", pytest.approx(EACH)),
    }
    listed = {one.run_id: one for one in small.store.runs()}
    assert listed[second.run_id].cost_usd == 0.0
    assert listed[second.run_id].saved_usd == pytest.approx(24 * EACH)
    (part,) = parts(file_of(small))
    assert (part.target, part.answers, part.hits) == ("t", 24, 24)
    assert part.saved_usd == pytest.approx(24 * EACH)


def test_read_adds_nothing_and_refresh_replaces(small: SmallProject) -> None:
    with ModelServer(Reply(text="one")) as server:
        small.write({"t": wire(server.openai)}, rows(4))

        def outputs(**flags: Any) -> tuple[int, set[str]]:
            before = len(server.seen)
            run = small.run(**flags)
            found = small.sql(f"SELECT output FROM trials WHERE run_id = '{run.run_id}'")
            return len(server.seen) - before, {row["output"] for row in found}

        assert outputs(cache="read") == (4, {"one"})
        assert parts(file_of(small)) == []
        assert not file_of(small).exists(), "reading writes nothing at all"
        assert outputs(cache="write") == (4, {"one"})
        server.answer = Reply(text="two")
        assert outputs(cache="read") == (0, {"one"})
        assert outputs(cache="write") == (0, {"one"})
        assert outputs() == (4, {"two"})
        assert outputs(cache="read", seed=5) == (4, {"two"}), "another seed is another draw"
        assert outputs(cache="refresh") == (4, {"two"})
        assert outputs(cache="read") == (0, {"two"})


def test_what_asks_something_else_is_asked(small: SmallProject) -> None:
    with ModelServer() as server:
        target = wire(server.openai)
        small.write({"t": target}, rows(3), cache="write")

        def asked(**flags: Any) -> int:
            before = len(server.seen)
            small.run(**flags)
            return len(server.seen) - before

        assert asked() == 3
        assert asked(trials=2) == 3, "the second trial of each case is new"
        small.write_cases([{**one, "expected": "something else"} for one in rows(3)])
        assert asked() == 0, "a corrected expectation is the same question"
        small.write_prompt(
            "{# rewritten, rendered the same #}Answer in one word.\n\nQuestion: {{ question }}\n"
        )
        assert asked() == 0
        small.write_prompt("Answer in two words.\n\nQuestion: {{ question }}\n")
        assert asked() == 3
        small.write_project(
            {"t": {**target, "params": {"max_completion_tokens": 9}}}, cache="write"
        )
        assert asked() == 3
        renamed = {"t": {**target, "limits": {"concurrency": 2}, "price": PRICE}}
        small.write_project(renamed, cache="write")
        assert asked() == 0, "how hard and at what price is no part of the question"


def test_only_whole_answers_are_kept(small: SmallProject) -> None:
    replies: dict[str, Reply | Fault] = {
        "What is 0 ": Reply(finish="length"),
        "What is 1 ": Fault(trouble=Trouble.FILTERED),
        "What is 2 ": Reply(text="", refusal="I cannot do that."),
        "What is 3 ": Fault(trouble=Trouble.BAD_REQUEST),
        "What is 4 ": Reply(text=f"The key is {KEY}."),
        "What is 5 ": Reply(text="  "),
        "What is 6 ": Reply(finish="content_filter"),
        "What is 7 ": Reply(text="", tools=(("lookup", "{}"),)),
    }

    def answer(seen: Seen) -> Reply | Fault:
        return next((one for text, one in replies.items() if text in seen.text), Reply())

    environ = {"KEY": KEY}
    with ModelServer(answer) as server:
        target = wire(server.openai, api_key="${env:KEY}", limits={"max_retries": 0})
        small.write({"t": target}, rows(10), cache="write")
        small.run(environ)
        before = len(server.seen)
        small.run(environ)
        again = sorted(
            one.text[len("Answer in one word.\n\nQuestion: ") :] for one in server.seen[before:]
        )
    assert [text[:10] for text in again] == [f"What is {n} " for n in range(7)]
    for name in (".evalkit/cache.sqlite", ".evalkit/cache.sqlite-wal"):
        path = small.folder / name
        assert not path.exists() or KEY.encode() not in path.read_bytes()


def test_an_answer_with_masked_data_in_it_is_not_kept(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(text="ana@example.org" if "What is 1 " in seen.text else "nobody")

    with ModelServer(answer) as server:
        target = wire(server.openai)
        small.write({"t": target}, rows(3), cache="write", privacy={"mask": ["email"]})
        small.run()
        before = len(server.seen)
        small.run()
        assert len(server.seen) == before + 1
    kept = [path.read_bytes() for path in file_of(small).parent.glob("cache.sqlite*")]
    assert b"nobody" in b"".join(kept)
    assert b"ana@example.org" not in b"".join(kept)


@pytest.mark.parametrize("mode", ["write", "read"])
def test_answers_kept_before_the_project_masked_them_are_not_used(
    small: SmallProject, mode: str
) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(text="ana@example.org" if "What is 1 " in seen.text else "nobody")

    def kept() -> bytes:
        return b"".join(one.read_bytes() for one in file_of(small).parent.glob("cache.sqlite*"))

    with ModelServer(answer) as server:
        target = wire(server.openai)
        small.write({"t": target}, rows(3), cache="write")
        small.run()
        assert b"ana@example.org" in kept()
        small.write({"t": target}, rows(3), cache=mode, privacy={"mask": ["email"]})
        before = len(server.seen)
        assert small.estimate().calls == 1
        small.run()
        assert len(server.seen) == before + 1
    assert "answers with personal data were kept before it was masked" in small.said.getvalue()
    assert (b"ana@example.org" in kept()) is (mode == "read")
    (row,) = small.sql(
        "SELECT output, provenance FROM trials WHERE case_name = 'case-1'"
        " ORDER BY started_at DESC LIMIT 1"
    )
    assert row == {"output": "<EMAIL_1>", "provenance": "live"}


def test_a_new_key_finds_the_answers_of_the_old_and_another_server_does_not(
    small: SmallProject,
) -> None:
    with ModelServer() as server, ModelServer() as other:
        target = wire("${env:URL}", api_key="${env:KEY}")
        small.write({"t": target}, rows(3), cache="write")
        small.run({"URL": server.openai, "KEY": KEY})
        small.run({"URL": server.openai, "KEY": "sk-another-0123456789"})
        assert len(server.seen) == 3
        small.run({"URL": other.openai, "KEY": KEY})
        assert len(other.seen) == 3


def test_children_of_a_route_are_kept_and_the_route_is_not_live(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer(Fault(trouble=Trouble.UNAUTHORIZED)) as closed:
        targets = {
            "route": {"kind": "fallback", "targets": ["down", "up"]},
            "down": wire(closed.openai, price=PRICE, limits={"max_retries": 0}),
            "up": priced(server.openai),
        }
        small.write(targets, rows(4), cache="write")
        small.run()
        second = small.run()
        assert len(server.seen) == 4
    for one in small.sql(f"SELECT * FROM trials WHERE run_id = '{second.run_id}'"):
        assert (one["provenance"], one["latency_s"]) == ("cache", None)
        assert one["cost_usd"] == pytest.approx(EACH)
        assert (one["spent_usd"], one["saved_usd"]) == (0.0, pytest.approx(EACH))


def test_what_may_change_without_a_word_is_always_asked(small: SmallProject) -> None:
    with ModelServer() as server:
        target = {
            "kind": "http",
            "url": f"{server.openai}/chat/completions",
            "body": {
                "model": "m",
                "messages": [{"role": "user", "content": "{{ inputs.question }}"}],
            },
            "answer": "$.choices[0].message.content",
        }
        small.write({"t": target}, rows(2))
        small.run(cache="write")
        small.run(cache="write")
        assert len(server.seen) == 4
    assert "target 't' is always asked" in small.said.getvalue()


def test_a_cached_answer_needs_no_budget(small: SmallProject) -> None:
    with ModelServer() as server:
        target = priced(server.openai, params={"max_completion_tokens": 20})
        small.write({"t": target}, rows(5), cache="write")
        small.run()
        outcome = small.run(max_usd=0.01)
        assert len(server.seen) == 5
    assert outcome.exit_code is ExitCode.PASS
    assert outcome.answered == 5


def test_a_cache_that_breaks_meanwhile_does_not_end_the_run(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        if "What is 9 " in seen.text:
            with sqlite3.connect(file_of(small)) as connection:
                connection.execute("DROP TABLE answers")
            connection.close()
        return Reply()

    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai, limits={"concurrency": 1})}, rows(30), cache="write")
        outcome = small.run()
    assert (outcome.answered, outcome.exit_code) == (30, ExitCode.PASS)
    assert "the cache is not used any further" in small.said.getvalue()


@pytest.mark.parametrize("what", ["text", "other", "newer"])
def test_a_file_that_is_no_cache_of_ours_is_refused_before_the_first_call(
    small: SmallProject, what: str
) -> None:
    path = file_of(small)
    path.parent.mkdir()
    if what == "text":
        path.write_text("this is no database at all, and long enough to be one" * 50)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE mine (a)")
            if what == "newer":
                connection.execute("PRAGMA user_version = 99")
        connection.close()
    content = path.read_bytes()
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(2), cache="write")
        with pytest.raises(StoreVersionError if what == "newer" else ConfigError) as caught:
            small.run()
        assert not server.seen
    assert len(caught.value.lines()) == 3
    assert path.read_bytes() == content


# ---- many processes ------------------------------------------------------------------------------


def request(number: int, trial: int = 0) -> Request:
    message = Message(role="user", content=f"question {number}")
    return Request(case=Case.of({"n": number}), messages=(message,), trial=trial, seed=1)


def output(number: int) -> Output:
    return Output(
        text=f"answer {number} \N{SNOWMAN} \ud800",
        finish_reason="stop",
        usage=Usage(input_tokens=number, output_tokens=1),
        cost_usd=0.001,
        latency_s=1.0,
        extra={"connect_s": 0.1, "response_id": "r"},
    )


def cache_at(path: Path, mode: Any = "write") -> AnswerCache:
    return AnswerCache(path, mode, run_id=f"run-{os.getpid()}", seed=0, veil=Veil(Redactor()))


def _write_many(path: str, start: int, count: int) -> None:
    cache = cache_at(Path(path))
    lane = cache.of("t", "target", takes_seed=False)
    for number in range(start, start + count):
        key = lane.key(request(number))
        lane.find(key)
        lane.keep(key, output(number))
        if number % 50 == 0:
            time.sleep(0.01)
    cache.close()


def test_eight_processes_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    context = multiprocessing.get_context("spawn")
    # every answer is kept by two of them
    workers = [
        context.Process(target=_write_many, args=(str(path), 150 * n, 300)) for n in range(8)
    ]
    for one in workers:
        one.start()
    for one in workers:
        one.join(120)
    assert [one.exitcode for one in workers] == [0] * 8
    (part,) = parts(path)
    assert part.answers == 150 * 9
    cache = cache_at(path, "read")
    lane = cache.of("another name", "target", takes_seed=False)
    for number in range(150 * 9):
        found = lane.find(lane.key(request(number)))
        assert found is not None
        assert (found.text, found.provenance) == (output(number).text, Provenance.CACHE)
        assert (found.latency_s, found.extra) == (None, {"response_id": "r"})
        assert lane.find(lane.key(request(number, trial=1))) is None
    cache.close()


KILLED = """
import sys
from pathlib import Path
from tests.runner.test_cache import cache_at, output, request
cache = cache_at(Path(sys.argv[1]))
lane = cache.of("t", "target", takes_seed=False)
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    lane.keep(lane.key(request(number)), output(number))
    number += 1
    if number % 500 == 0:
        import time; time.sleep(0.005)
"""


def test_a_process_killed_at_any_moment_leaves_a_sound_file(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite"
    dice = random.Random(7)
    kept = 0
    for attempt in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path), str(attempt * 10_000_000)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        until = time.monotonic() + 60
        while sum(one.answers for one in parts(path)) <= kept and time.monotonic() < until:
            time.sleep(0.02)  # a busy machine may take its time before the first answer is kept
        time.sleep(dice.random() * 0.3)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        now = sum(one.answers for one in parts(path))
        assert now > kept, "what was kept stays kept"
        kept = now


# ---- what is what --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "whole"),
    [
        ({}, True),
        ({"finish_reason": None}, True),
        ({"text": "", "tool_calls": (ToolCall(name="f", arguments=""),)}, True),
        ({"text": " \n"}, False),
        ({"finish_reason": "length"}, False),
        ({"finish_reason": "content_filter"}, False),
        ({"finish_reason": "pause_turn"}, False),
        ({"extra": {"refusal": "no"}}, False),
        ({"provenance": Provenance.REPLAY}, False),
    ],
)  # fmt: skip
def test_what_a_whole_answer_is(changed: dict[str, Any], whole: bool) -> None:
    fields: dict[str, Any] = {"text": "yes", "finish_reason": "stop", **changed}
    assert is_complete(Output(**fields)) is whole


def plugin(name: str) -> TargetPlugin:
    found = get(Kind.TARGET, name)
    assert isinstance(found, TargetPlugin)
    return found


def test_the_identity_of_a_target_leaves_secrets_out_and_nothing_else() -> None:
    wired = plugin("openai_compatible")
    written: dict[str, Any] = {
        "model": "m",
        "base_url": "${env:URL}",
        "api_key": "${env:KEY}",
        "headers": {"X-Tenant": "${env:TENANT}", "Authorization": "Bearer ${env:KEY}"},
        "params": {"max_completion_tokens": 5, "tokenizer": "a"},
    }

    def named(key: str = "k", url: str = "u", tenant: str = "t", **changed: Any) -> str | None:
        resolved = {
            **written,
            "base_url": url,
            "api_key": key,
            "headers": {"X-Tenant": tenant, "Authorization": f"Bearer {key}"},
        }
        return identity(wired, {**resolved, **changed}, {**written, **changed})

    assert named() == named(key="another") is not None
    assert named() != named(url="elsewhere")
    assert named() != named(tenant="other")
    assert named() != named(params={"max_completion_tokens": 6, "tokenizer": "a"})
    assert named() != named(params={"max_completion_tokens": 5, "tokenizer": "b"})
    assert named() != named(model="n")
    for kind in ("python", "command", "http", "replay", "fallback", "extractive"):
        assert identity(plugin(kind), {}, {}) is None


def test_a_target_that_sends_the_seed_is_told_apart_by_it(tmp_path: Path) -> None:
    cache = cache_at(tmp_path / "c.sqlite", "read")
    one, other = request(1), Request(case=Case.of({"n": 2}), messages=request(1).messages, seed=2)
    sends = cache.of("t", "i", takes_seed=True)
    assert sends.key(one) != sends.key(other)
    ignores = cache.of("t", "i", takes_seed=False)
    assert ignores.key(one) == ignores.key(other)
    cache.close()


def filled(path: Path) -> None:
    """30 answers of two targets, 10 bytes apart in size; the first ones used last."""
    cache = cache_at(path)
    for name, numbers in (("a", range(20)), ("b", range(20, 30))):
        lane = cache.of(name, "target", takes_seed=False)
        for number in numbers:
            lane.keep(lane.key(request(number)), output(number))
    cache.close()
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE answers SET answered_at = 1010 - 10 * tokens, used_at = 5000 - tokens"
        )
    connection.close()


def left(path: Path) -> dict[str, int]:
    return {one.target: one.answers for one in parts(path)}


def test_pruning_by_age_target_and_size(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    filled(path)
    # answered at 1000 - 10 n
    assert prune(path, Prune(older_than_s=55, now=1000), dry_run=True)[0] == 24
    assert left(path) == {"a": 20, "b": 10}, "a dry run takes nothing out"
    assert prune(path, Prune(older_than_s=55, targets=("b",), now=1000))[0] == 10
    assert prune(path, Prune(older_than_s=155, now=1000))[0] == 4
    assert left(path) == {"a": 16}
    (part,) = parts(path)
    count, size = prune(path, Prune(max_bytes=part.bytes // 2))
    (rest,) = parts(path)
    assert (count, size) == (16 - rest.answers, part.bytes - rest.bytes)
    assert part.bytes // 2 - 500 < rest.bytes <= part.bytes // 2
    with sqlite3.connect(path) as connection:
        kept = [
            row[0] for row in connection.execute("SELECT tokens - 1 FROM answers ORDER BY tokens")
        ]
    connection.close()
    assert kept == list(range(len(kept))), "the longest unused went"
    assert prune(path, Prune(targets=("a",)))[0] == len(kept)
    assert parts(path) == []


def test_pruning_gives_the_room_back(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    cache = cache_at(path)
    lane = cache.of("a", "target", takes_seed=False)
    for number in range(300):
        big = Output(
            text="x" * 10_000,
            finish_reason="stop",
            inter_token=InterToken(count=1, mean_s=1, p95_s=1, max_s=1),
        )
        lane.keep(lane.key(request(number)), big)
    cache.close()
    before = path.stat().st_size
    assert before > 3_000_000
    prune(path, Prune())
    assert path.stat().st_size < before / 10
