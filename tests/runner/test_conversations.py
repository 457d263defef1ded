"""Conversations against a real local server: several calls that make one trial."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from typing import Any

import pytest

from evalkit.errors import DatasetError, ExitCode, PromptError
from evalkit.model import RunStatus, TrialStatus
from tests.runner.projects import SmallProject, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

TALK = "system:\nYou help. The shop is {{ shop }}.\n"
ORDER = [
    "My order is 4711.",
    {"user": "What was the number of my order?", "expected": "4711"},
    {"user": "And twice that?", "expected": "9422"},
]


def talk(number: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": f"talk-{number}", "shop": f"Shop {number}", "turns": ORDER, **more}


def said(seen: Seen) -> list[tuple[str, str]]:
    return [(one["role"], one["content"]) for one in seen.body["messages"]]


def clerk(seen: Seen) -> Reply:
    """Answers from what was said before: its second answer needs the first turn."""
    messages = said(seen)
    users = [text for role, text in messages if role == "user"]
    own = [text for role, text in messages if role == "assistant"]
    number = next(word.strip(".") for word in users[0].split() if word.strip(".").isdigit())
    if len(users) == 1:
        return Reply(text="Noted.", input_tokens=10, output_tokens=2)
    if len(users) == 2:
        assert own == ["Noted."]
        return Reply(text=number, input_tokens=20, output_tokens=3)
    return Reply(text=str(2 * int(own[-1])), input_tokens=30, output_tokens=4)


def write(
    small: SmallProject, server: ModelServer, cases: list[Mapping[str, Any]], **more: Any
) -> SmallProject:
    small.write_prompt(more.pop("prompt", TALK))
    options = {"price": {"input": 1.0, "output": 2.0}, **more.pop("target", {})}
    return small.write({"t": wire(server.openai, **options)}, cases, **more)


def test_each_answer_is_given_to_the_next_turn_and_all_is_one_trial(small: SmallProject) -> None:
    with ModelServer(clerk) as server:
        write(small, server, [talk()], target={"stream": True})
        outcome = small.run()
        asked = [said(one) for one in server.seen]
    assert outcome.exit_code is ExitCode.PASS
    head = ("system", "You help. The shop is Shop 0.")
    assert asked[0] == [head, ("user", ORDER[0])]
    assert asked[2] == [
        head,
        ("user", "My order is 4711."),
        ("assistant", "Noted."),
        ("user", "What was the number of my order?"),
        ("assistant", "4711"),
        ("user", "And twice that?"),
    ]
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    output = trial.output
    assert output is not None
    assert output.text == "9422"
    assert [one.output.text for one in output.turns] == ["Noted.", "4711", "9422"]
    assert (output.usage.input_tokens, output.usage.output_tokens) == (60, 9)
    assert output.cost_usd == pytest.approx((60 * 1.0 + 9 * 2.0) / 1e6)
    assert trial.spend.usd == pytest.approx(output.cost_usd)
    latencies = [one.output.latency_s for one in output.turns]
    assert output.latency_s == pytest.approx(sum(filter(None, latencies)))
    assert output.ttft_s == max(one.output.ttft_s or 0.0 for one in output.turns)
    assert output.inter_token is None
    assert trial.attempts == 3
    assert trial.scores[0].score is not None
    assert trial.scores[0].score.value == 1.0
    rows = small.sql(
        "SELECT case_name, unnest(turns, recursive := true) FROM trials WHERE turns IS NOT NULL"
    )
    assert [(one["user"], one["output"], one["output_tokens"]) for one in rows] == [
        (ORDER[0], "Noted.", 2),
        (ORDER[1]["user"], "4711", 3),
        (ORDER[2]["user"], "9422", 4),
    ]


def test_a_prompt_says_where_a_turn_goes(small: SmallProject) -> None:
    prompt = "user:\nExample\n\nassistant:\nFine\n\nuser:\n<q>{{ turn }}</q> at {{ shop }}\n"
    with ModelServer(Reply(text="ok")) as server:
        write(small, server, [talk()], prompt=prompt)
        small.run()
        last = said(server.seen[-1])
    assert [role for role, _ in last] == ["user", "assistant"] * 3 + ["user"]
    assert last[2] == ("user", "<q>My order is 4711.</q> at Shop 0")
    assert last[-1] == ("user", "<q>And twice that?</q> at Shop 0")


def test_one_prompt_serves_single_questions_and_conversations(small: SmallProject) -> None:
    cases = [
        {"id": "one", "question": "Who?", "expected": "me"},
        {"id": "two", "turns": ["Hello", "Who?"]},
    ]
    with ModelServer(Reply(text="me")) as server:
        write(small, server, cases, prompt="Answer: {{ question }}\n")
        outcome = small.run()
        asked = sorted(said(one)[-1][1] for one in server.seen)
    assert outcome.exit_code is ExitCode.PASS
    assert asked == ["Answer: Hello", "Answer: Who?", "Answer: Who?"]
    rows = small.sql("SELECT case_name, turns IS NULL AS single, len(turns) AS n FROM trials")
    assert sorted((one["case_name"], one["single"], one["n"]) for one in rows) == [
        ("one", True, None),
        ("two", False, 2),
    ]


@pytest.mark.parametrize(
    ("prompt", "words"),
    [
        ("user:\nWhat is {{ shop }}?\n", "leaves no place for the turns"),
        ("user:\n{{ question }} {{ tone }}\n", "only one variable can stand for the turns"),
        ("system:\n{{ turn }}\n", "needs the variable 'turn'"),
    ],
)
def test_a_prompt_without_a_place_for_the_turns_is_an_error_with_the_row(
    small: SmallProject, prompt: str, words: str
) -> None:
    with ModelServer() as server:
        write(small, server, [talk()], prompt=prompt)
        with pytest.raises(PromptError, match=words) as caught:
            small.run()
        assert server.seen == []
    assert "case talk-0, row 1" in caught.value.what


@pytest.mark.parametrize(
    ("turns", "words"),
    [
        ([], "has no turn"),
        ("no list", "must be a list of turns as JSON"),
        ({"user": "x"}, "must be a list of turns"),
        (3, "must be a list of turns"),
        (["a", 3], "turn 2 must be a text or an object"),
        ([{"expected": "x"}], "turn 1 has no 'user'"),
        ([{"user": 5}], "'user' must be a text"),
        (["  "], "turn 1 says nothing"),
        ([{"role": "user", "content": "x"}], "unknown key 'role'"),
        ([{"user": "a", "expect": "x"}], "unknown key 'expect'"),
        ([{"user": "a", "metadata": "x"}], "'metadata' must be an object"),
    ],
)
def test_turns_of_a_wrong_form_are_errors_with_their_row(
    small: SmallProject, turns: Any, words: str
) -> None:
    with ModelServer() as server:
        write(small, server, [talk(), {"id": "bad", "shop": "x", "turns": turns}])
        with pytest.raises(DatasetError, match=words) as caught:
            small.run()
    assert caught.value.what.startswith("row 2: ")
    assert str(caught.value.where).endswith("cases.jsonl:2:1")


def test_what_the_last_answer_must_be_is_said_once(small: SmallProject) -> None:
    with ModelServer() as server:
        write(small, server, [talk(expected="9422")])
        with pytest.raises(DatasetError, match="said twice"):
            small.run()


def test_a_turn_that_fails_ends_the_trial_and_keeps_the_turns_before(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply | Fault:
        users = [text for role, text in said(seen) if role == "user"]
        return Fault(trouble=Trouble.CONTENT_FILTER) if len(users) == 2 else clerk(seen)

    with ModelServer(answer) as server:
        write(small, server, [talk()])
        outcome = small.run()
        assert len(server.seen) == 2
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.status is TrialStatus.ERROR
    assert trial.output is None
    assert trial.error_class == "refused"
    assert [(one.user, one.output.text) for one in trial.turns] == [(ORDER[0], "Noted.")]
    assert trial.scores == ()
    # what the turns before took is not lost
    assert trial.spend.usd is not None
    assert trial.spend.usd == pytest.approx((10 * 1.0 + 2 * 2.0) / 1e6)


def test_a_turn_is_retried_by_itself(small: SmallProject) -> None:
    failed: list[str] = []

    def answer(seen: Seen) -> Reply | Fault:
        users = [text for role, text in said(seen) if role == "user"]
        if len(users) == 2 and not failed:
            failed.append("once")
            return Fault(trouble=Trouble.OVERLOADED)
        return clerk(seen)

    with ModelServer(answer) as server:
        write(small, server, [talk()], target={"limits": {"concurrency": 1}})
        outcome = small.run()
        assert len(server.seen) == 4
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.status is TrialStatus.OK
    assert trial.attempts == 4


def test_one_deadline_holds_for_all_turns(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        time.sleep(0)
        return Reply(text="ok", first_s=0.35)

    with ModelServer(answer) as server:
        limits = {"deadline": "500ms", "max_retries": 0}
        write(small, server, [talk()], target={"limits": limits})
        started = time.monotonic()
        outcome = small.run()
        took = time.monotonic() - started
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.status is TrialStatus.ERROR
    assert trial.error_class == "timeout"
    assert len(trial.turns) == 1
    assert took < 3


def test_every_turn_is_found_in_the_cache(small: SmallProject) -> None:
    with ModelServer(clerk) as server:
        write(small, server, [talk()], cache="write")
        first = small.run()
        assert len(server.seen) == 3
        second = small.run()
        assert len(server.seen) == 3
        # the last turn alone is another question: the turns before are kept
        write(small, server, [talk(turns=[*ORDER[:2], "Three times?"])], cache="write")
        small.run()
        assert len(server.seen) == 4
    (old,) = small.store.trial(first.run_id, "talk-0")
    (new,) = small.store.trial(second.run_id, "talk-0")
    assert old.output is not None
    assert new.output is not None
    assert new.output.text == old.output.text
    assert new.output.provenance == "cache"
    assert new.output.latency_s is None
    assert new.output.origin is not None
    assert new.output.origin.run_id == first.run_id
    assert new.spend.usd == 0.0
    assert new.spend.saved_usd == pytest.approx(old.spend.usd)


def test_a_budget_ends_between_two_turns_and_nothing_is_lost(small: SmallProject) -> None:
    with ModelServer(clerk) as server:
        limits = {"concurrency": 1}
        target = {"limits": limits, "params": {"max_completion_tokens": 40}}
        write(small, server, [talk(n) for n in range(4)], target=target, cache="write")
        # the reservation of a call is an upper bound: a little more than two conversations
        outcome = small.run(max_tokens=340)
        asked = len(server.seen)
        assert outcome.exit_code is ExitCode.BUDGET
        assert outcome.status is RunStatus.STOPPED
        assert asked % 3 != 0
        (row,) = small.sql("SELECT count(*) AS n, sum(len(turns)) AS turns FROM trials")
        assert row["turns"] == 3 * row["n"]
        (run,) = small.sql("SELECT unrecorded_tokens AS tokens FROM runs")
        taken = {1: 12, 2: 12 + 23}[asked % 3]
        assert run["tokens"] == taken
        done = small.resume(max_tokens=100_000)
        assert done.status is RunStatus.COMPLETE
        # what was asked before the cap comes from the cache
        assert len(server.seen) == 12
    (row,) = small.sql("SELECT count(*) AS n, sum(len(turns)) AS turns FROM trials")
    assert (row["n"], row["turns"]) == (4, 12)


def test_a_killed_conversation_is_asked_again_whole_and_marked(small: SmallProject) -> None:
    slow = {"on": True}

    def answer(seen: Seen) -> Reply:
        users = [text for role, text in said(seen) if role == "user"]
        reply = clerk(seen)
        if len(users) == 2 and slow["on"]:
            return Reply(text=reply.text, first_s=60)
        return reply

    with ModelServer(answer) as server:
        write(small, server, [talk()])
        with small.start() as process:
            until = time.monotonic() + 30
            while len(server.seen) < 2 and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        slow["on"] = False
        outcome = small.resume()
        assert len(server.seen) == 5
    assert outcome.status is RunStatus.COMPLETE
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.after_kill
    assert [one.output.text for one in trial.turns] == ["Noted.", "4711", "9422"]
    # what the calls before the kill may have cost: at the most, those of all its turns
    assert trial.spend.assumed_tokens > 0


def test_secrets_and_personal_data_leave_no_turn(small: SmallProject) -> None:
    key = "sk-live-0123456789abcdef"

    def answer(seen: Seen) -> Reply:
        return Reply(text=f"The key is {key}, write to jane@example.org.")

    with ModelServer(answer) as server:
        turns = ["I am bob@example.org", "And the key?"]
        write(
            small,
            server,
            [talk(turns=turns)],
            target={"api_key": "${env:KEY}"},
            privacy={"mask": ["email"]},
            scorers=["length"],
        )
        small.run({"KEY": key})
    texts = [text for _, some in small.store.texts() for text in some]
    assert not [one for one in texts if key in one or "@example.org" in one]
    (row,) = small.sql(
        "SELECT t.turns[1].user AS a, t.turns[1].output AS b, c.turns[1].user AS c"
        " FROM trials AS t JOIN cases AS c USING (case_id)"
    )
    assert row["a"] == row["c"] == "I am <EMAIL_2>" or row["a"] == row["c"] == "I am <EMAIL_1>"
    assert "[redacted]" in row["b"]


def test_a_load_test_refuses_conversations(small: SmallProject) -> None:
    with ModelServer() as server:
        write(small, server, [talk()])
        with small.start("s", "--rate", "5", "--duration", "1s", command="load") as process:
            said = process.communicate(timeout=30)[1]
        assert process.returncode == 2
        assert server.seen == []
    assert "has conversations, and a load test asks single questions" in said
    assert "Traceback" not in said
