"""Whole runs against a real local server: stored, retried, given up, resumed."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from evalkit.errors import ExitCode, UsageError
from evalkit.model import RunStatus
from evalkit.targets.openai_compatible import OpenAICompatible
from tests.runner.projects import PROMPT, SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

KEY = "sk-test-0123456789abcdef"


def test_a_run_is_stored_with_times_tokens_and_cost(small: SmallProject) -> None:
    with ModelServer(Reply(first_s=0.02, gap_s=0.001)) as server:
        target = wire(server.openai, stream=True, price={"input": 1.0, "output": 2.0})
        small.write({"t": target}, rows(20), scorers=["exact_match", "rouge_l"])
        outcome = small.run(trials=2)
    assert outcome.status is RunStatus.COMPLETE
    assert outcome.exit_code is ExitCode.PASS
    assert outcome.lines() == ()
    assert (outcome.planned, outcome.answered, outcome.errors) == (40, 40, 0)
    (row,) = small.sql(
        "SELECT count(*) AS n, count(DISTINCT case_id) AS cases, min(ttft_s) AS ttft,"
        " max(ttft_s - latency_s) AS over, avg(cost_usd) AS cost, min(input_tokens) AS tokens,"
        " count(DISTINCT seed) AS seeds, min(total_s - latency_s) AS total,"
        " count(DISTINCT request_hash) AS requests FROM trials WHERE status = 'ok'"
    )
    assert (row["n"], row["cases"], row["seeds"], row["requests"]) == (40, 20, 40, 20)
    assert row["ttft"] >= 0.02
    assert row["over"] <= 0
    assert row["total"] >= 0
    assert row["cost"] == pytest.approx((11 * 1.0 + 7 * 2.0) / 1e6)
    scores = small.sql("SELECT name, avg(value) AS v, count(*) AS n FROM scores GROUP BY name")
    assert {one["name"]: (one["v"], one["n"]) for one in scores} == {
        "exact_match": (1.0, 40),
        "rouge_l": (1.0, 40),
    }
    run = small.store.load_run(outcome.run_id)
    assert run.finished_at is not None
    assert run.prompts[0].text == PROMPT
    assert not list(small.store.journal_directory.glob("*.segment"))


def test_targets_load_what_they_need_in_a_thread_while_the_store_is_opened(
    small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def load() -> None:
        loaded.append(threading.current_thread().name)
        raise ImportError("the first call says what is missing")

    monkeypatch.setattr(OpenAICompatible, "load_ahead", staticmethod(load))
    with ModelServer() as server:
        small.write({"t": wire(server.openai), "other": wire(server.openai)}, rows(2))
        outcome = small.run()
    assert outcome.exit_code is ExitCode.PASS
    assert loaded == ["evalkit-load"]


def test_what_the_server_asks_to_wait_is_waited_and_is_no_latency(small: SmallProject) -> None:
    refused: set[str] = set()

    def answer(seen: Seen) -> Reply | Fault:
        if seen.text not in refused:
            refused.add(seen.text)
            return Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": "1"})
        return Reply()

    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai, limits={"concurrency": 1})}, rows(1))
        small.run()
    (row,) = small.sql("SELECT attempts, latency_s, total_s, queue_s FROM trials")
    assert row["attempts"] == 2
    assert row["total_s"] - row["latency_s"] >= 1.0
    assert row["queue_s"] < row["total_s"] - 1.0, "waiting for a retry is not queueing"


def test_a_rate_limit_of_ours_is_queueing(small: SmallProject) -> None:
    with ModelServer() as server:
        limits = {"concurrency": 8, "requests_per_minute": 300}
        small.write({"t": wire(server.openai, limits=limits)}, rows(10))
        outcome = small.run()
    # 5 at once, then one every 0.2 s
    assert outcome.elapsed_s >= 0.9
    (row,) = small.sql(
        "SELECT max(queue_s) AS most, max(queue_s + latency_s - total_s) AS twice FROM trials"
    )
    assert row["most"] > 0.3
    assert row["twice"] < 0.01, "no time is counted as both"


def test_a_refused_connection_ends_early_with_what_is_stored(small: SmallProject) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        small.write({"t": wire(url, limits={"concurrency": 2, "max_retries": 1})}, rows(500))
        outcome = small.run()
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert outcome.status is RunStatus.FAILED
    assert outcome.errors < 10
    said = " ".join(outcome.lines())
    assert "target 't' was given up" in said
    assert "connection" in said
    assert f"evalkit run --resume {outcome.run_id}" in said
    stored = small.sql("SELECT error_class, attempts FROM trials")
    assert len(stored) == outcome.errors
    assert {(one["error_class"], one["attempts"]) for one in stored} == {("connection", 2)}


def test_one_target_down_does_not_stop_the_other(small: SmallProject) -> None:
    with ModelServer() as server, ModelServer(Fault(trouble=Trouble.UNAUTHORIZED)) as closed:
        targets = {"up": wire(server.openai), "down": wire(closed.openai)}
        small.write(targets, rows(60), suite={"targets": ["up", "down"]})
        outcome = small.run()
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert outcome.status is RunStatus.STOPPED
    assert list(outcome.given_up) == ["down"]
    assert outcome.answered == 60


def test_every_trial_failing_is_not_a_pass(small: SmallProject) -> None:
    with ModelServer(Fault(trouble=Trouble.BAD_REQUEST)) as server:
        small.write({"t": wire(server.openai)}, rows(3))
        outcome = small.run()
    assert (outcome.answered, outcome.errors) == (0, 3)
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert "every trial failed (" in outcome.lines()[0]
    assert ", the first with " in outcome.lines()[0]


def test_some_errors_are_said_and_tried_again_on_resume(small: SmallProject) -> None:
    broken = True

    def answer(seen: Seen) -> Reply | Fault:
        if broken and any(f"What is {n} " in seen.text for n in (3, 4)):
            return Fault(trouble=Trouble.BAD_REQUEST)
        return Reply()

    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai)}, rows(30))
        first = small.run()
        assert (first.answered, first.errors) == (28, 2)
        assert first.exit_code is ExitCode.PASS
        assert "2 trials failed" in first.lines()[0]
        broken = False
        before = len(server.seen)
        second = small.resume()
        assert len(server.seen) - before == 2, "only what failed is asked again"
    assert (second.run_id, second.kept, second.answered, second.errors) == (first.run_id, 28, 2, 0)
    assert second.status is RunStatus.COMPLETE
    rows_now = small.sql("SELECT status, count(*) AS n FROM trials GROUP BY status")
    assert rows_now == [{"status": "ok", "n": 30}]
    (scores,) = small.sql("SELECT count(*) AS n FROM scores")
    assert scores["n"] == 30


def test_nothing_is_asked_when_nothing_is_missing(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(5))
        first = small.run(tags=("lang:es",))
        before = len(server.seen)
        again = small.resume(first.run_id)
        assert len(server.seen) == before
    assert (again.planned, again.kept, again.answered) == (2, 2, 0)
    assert again.exit_code is ExitCode.PASS


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda p, url: p.write_prompt("Say {{ question }}"), ["prompt 'prompts/ask.j2' changed"]),
        (lambda p, url: p.write_cases(rows(6)), ["dataset 'golden/cases.jsonl (suite s)' changed"]),
        (
            lambda p, url: p.write_project({"t": wire(url, params={"max_completion_tokens": 5})}),
            ["target 't' changed"],
        ),
        (
            lambda p, url: p.write_suite(
                {
                    "dataset": "golden/cases.jsonl",
                    "targets": ["t"],
                    "scorers": [{"exact_match": {"ignore_case": True}}],
                }
            ),
            ["suite 's' changed", "scorer 'exact_match (suite s)' changed"],
        ),
    ],
)
def test_a_changed_project_is_not_continued_and_the_change_is_named(
    small: SmallProject, change: object, named: list[str]
) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(5))
        small.run()
        before = len(server.seen)
        change(small, server.openai)  # type: ignore[operator]
        with pytest.raises(UsageError, match="cannot be continued") as caught:
            small.resume()
        assert len(server.seen) == before
    assert caught.value.what.partition(": ")[2].split("; ") == named


def test_a_route_falls_back_and_each_call_is_limited_retried_and_costed(
    small: SmallProject,
) -> None:
    price = {"input": 1.0, "output": 1.0}
    with ModelServer(Fault(trouble=Trouble.UNAUTHORIZED)) as closed, ModelServer() as server:
        targets = {
            "route": {"kind": "fallback", "targets": ["down", "up"]},
            "down": wire(closed.openai, prompt="prompts/other.j2"),
            "up": wire(server.openai, price=price, limits={"concurrency": 2}),
        }
        small.write_prompt("Other: {{ question }}", "other.j2")
        small.write(targets, rows(40))
        outcome = small.run()
        assert all("Other" not in one.text for one in server.seen), "each has its own prompt"
        assert all("Other" in one.text for one in closed.seen)
        assert len(closed.seen) < 40, "a child that never answers is given up"
    assert outcome.exit_code is ExitCode.PASS
    assert outcome.answered == 40
    legs = small.sql("SELECT legs, cost_usd FROM trials LIMIT 1")[0]["legs"]
    assert [one["target"] for one in legs] == ["down", "up"]
    assert legs[0]["error_class"] == "auth"
    assert legs[1]["cost_usd"] == pytest.approx(18e-6)


def test_an_earlier_run_is_replayed(small: SmallProject) -> None:
    with ModelServer() as server:
        targets = {
            "t": wire(server.openai),
            "again": {"kind": "replay", "run": "latest/t"},
        }
        small.write_project({"t": targets["t"]})
        small.write(targets, rows(4))
        small.run()
        before = len(server.seen)
        outcome = small.run(targets=("again",))
        assert len(server.seen) == before
    assert outcome.answered == 4
    (row,) = small.sql(
        "SELECT count(*) AS n, min(provenance) AS p, min(output) AS o FROM trials"
        " WHERE target = 'again'"
    )
    assert row == {"n": 4, "p": "replay", "o": "The answer is 42."}


def test_no_secret_is_stored_or_said(small: SmallProject) -> None:
    with ModelServer(Fault(trouble=Trouble.ECHO_KEY)) as server:
        small.write({"t": wire(server.openai, api_key="${env:SMALL_KEY}")}, rows(3))
        outcome = small.run(environ={"SMALL_KEY": KEY})
        assert KEY in str(server.seen[0].headers)
    stored = repr(small.sql("SELECT * FROM trials")) + repr(small.sql("SELECT * FROM targets"))
    assert KEY not in stored + small.said.getvalue() + " ".join(outcome.lines())
    assert "${env:SMALL_KEY}" in stored


def test_a_secret_in_an_answer_is_not_stored(small: SmallProject) -> None:
    with ModelServer(Reply(text=f"the key is {KEY}!")) as server:
        small.write({"t": wire(server.openai, api_key="${env:SMALL_KEY}")}, rows(1))
        small.run(environ={"SMALL_KEY": KEY})
    assert small.sql("SELECT output FROM trials") == [{"output": "the key is [redacted]!"}]
    raw = (small.folder / ".evalkit" / "evalkit.duckdb").read_bytes()
    assert KEY.encode() not in raw


def test_a_secret_written_in_the_project_is_neither_stored_nor_said(small: SmallProject) -> None:
    written = "sk-written-down-0123456789"
    with ModelServer(Fault(trouble=Trouble.ECHO_KEY)) as server:
        url = f"{server.openai}?token=query-secret-0123456789"
        headers = {"X-Api-Key": "${env:SMALL_KEY}", "Cookie": "session=cookie-secret-0123"}
        small.write({"t": wire(url, api_key=written, headers=headers)}, rows(1))
        small.run(environ={"SMALL_KEY": KEY})
    (row,) = small.sql("SELECT options FROM targets")
    assert json.loads(row["options"])["api_key"] == "[redacted]"
    assert json.loads(row["options"])["headers"]["X-Api-Key"] == "${env:SMALL_KEY}"
    raw = (
        small.folder / ".evalkit" / "evalkit.duckdb"
    ).read_bytes() + small.said.getvalue().encode()
    for secret in (written, "query-secret-0123456789", "cookie-secret-0123", KEY):
        assert secret.encode() not in raw
    assert "a secret is written in evalkit.yaml" in small.said.getvalue()


def test_a_key_that_is_none_is_no_secret(small: SmallProject) -> None:
    """Local servers want a key and take any; the word may stand in every answer."""
    with ModelServer(Reply(text="it is EMPTY")) as server:
        small.write({"t": wire(server.openai, api_key="EMPTY")}, rows(1))
        small.run()
    assert small.sql("SELECT output FROM trials") == [{"output": "it is EMPTY"}]
    assert "secret" not in small.said.getvalue()


def test_continuing_a_complete_run_changes_nothing(small: SmallProject) -> None:
    with ModelServer(Reply(text="The answer is 42.")) as server:
        small.write({"t": wire(server.openai)}, rows(3))
        first = small.run()
        before = small.sql("SELECT * FROM runs")
        again = small.resume()
        assert len(server.seen) == 3
    assert small.sql("SELECT * FROM runs") == before
    assert (again.run_id, again.kept, again.exit_code) == (first.run_id, 3, ExitCode.PASS)
    assert "nothing is missing" in small.said.getvalue()
