"""Conversations against a real local server: several calls that make one trial."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import DatasetError, ExitCode, PromptError
from evalkit.model import Case, RunStatus, ScriptedTurn, Trial, TrialStatus
from evalkit.runner.decisions import Decision, _row
from evalkit.runner.unchanged import _request
from tests.runner.projects import SmallProject, wire
from tests.servers import Fault, ModelServer, Raw, Reply, Seen, Trouble

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
    number = next(filter(None, re.findall(r"[0-9]+", users[0])))
    if len(users) == 1:
        return Reply(text="Noted.", input_tokens=10, output_tokens=2)
    if len(users) == 2:
        assert own[0].startswith("Noted.")
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


def test_a_killed_conversation_goes_on_where_it_was_and_is_marked(small: SmallProject) -> None:
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
        assert len(server.seen) == 4, "the second turn alone was under way"
    assert outcome.status is RunStatus.COMPLETE
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.after_kill
    assert [one.output.text for one in trial.turns] == ["Noted.", "4711", "9422"]
    assert trial.spend.tokens == sum(one.output.usage.total_tokens for one in trial.turns)
    # and what the call under way may have cost
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
    # the dataset's values are numbered first, in its order
    assert row["a"] == row["c"] == "I am <EMAIL_1>"
    assert "<EMAIL_2>" in row["b"]
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


PROGRAM = """
import json, sys
asked = json.load(sys.stdin)
said = [one["content"] for one in asked["messages"]]
roles = "".join(one["role"][0] for one in asked["messages"])
json.dump({"text": f"{roles} {len(said)} {said[-1]} {asked['inputs']['shop']}"}, sys.stdout)
"""

FUNCTION = """
def answer(request):
    return f"{len(request.answers)} {request.messages[-1].content} after {request.answers[-1:]}"
"""


def test_a_program_and_a_function_get_the_conversation_so_far(small: SmallProject) -> None:
    (small.folder / "p.py").write_text(PROGRAM)
    (small.folder / "f.py").write_text(FUNCTION)
    targets = {
        "program": {"kind": "command", "argv": [sys.executable, "p.py"]},
        "function": {"kind": "python", "function": "f.py:answer"},
    }
    small.write(targets, [talk(turns=["a", "b"])], scorers=["length"])
    small.write_suite(
        {"dataset": "golden/cases.jsonl", "targets": list(targets), "scorers": ["length"]}
    )
    outcome = small.run(allow_code=True)
    trials = small.store.trial(outcome.run_id, "talk-0")
    assert {one.target: [turn.output.text for turn in one.turns] for one in trials} == {
        "program": ["u 1 a Shop 0", "uau 3 b Shop 0"],
        "function": ["0 a after ()", "1 b after ('0 a after ()',)"],
    }


def test_an_http_body_gets_the_conversation_and_no_two_cases_share_an_answer(
    small: SmallProject,
) -> None:
    def answer(seen: Seen) -> Raw:
        last, shop = seen.body["talk"][-1]["content"], seen.body["shop"]
        return Raw(chunks=[json.dumps({"text": f"{last} at {shop}"}).encode()])

    with ModelServer(answer) as server:
        target = {
            "kind": "http",
            "url": f"{server.url}/chat",
            "body": {"talk": "{{ messages }}", "shop": "{{ inputs.shop }}"},
            "answer": "$.text",
        }
        cases = [talk(n, turns=["a", "b"]) for n in range(2)]
        small.write({"t": target}, cases, scorers=["length"])
        small.run()
        assert [len(one.body["talk"]) for one in server.seen].count(3) == 2
        rows = small.sql("SELECT output FROM trials ORDER BY output")
        assert [one["output"] for one in rows] == ["b at Shop 0", "b at Shop 1"]
        server.seen.clear()
        # the same question again and again would be no conversation
        small.write_project({"t": {**target, "body": {"q": "{{ inputs.shop }}"}}})
        outcome = small.run()
        assert server.seen == []
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.error_class == "prompt"
    assert "no place for a conversation" in (trial.error or "")


def test_a_route_gives_every_child_the_conversation_in_its_own_prompt(
    small: SmallProject,
) -> None:
    def answer(seen: Seen) -> Reply | Fault:
        if seen.body["model"] == "first":
            return Fault(trouble=Trouble.SERVER_ERROR)
        return clerk(seen)

    with ModelServer(answer) as server:
        small.write_prompt("system:\nOwn.\n", "own.j2")
        small.write_prompt(TALK)
        limits = {"max_retries": 0}
        targets = {
            "route": {"kind": "fallback", "targets": ["first", "second"]},
            "first": wire(server.openai, model="first", limits=limits),
            "second": wire(server.openai, model="second", prompt="prompts/own.j2"),
        }
        small.write(targets, [talk()])
        outcome = small.run()
        last = said(server.seen[-1])
    assert last[0] == ("system", "Own.")
    assert len(last) == 6
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.output is not None
    assert trial.output.text == "9422"
    assert [one.target for one in trial.output.legs] == ["first", "second"] * 3


def test_an_answer_of_tool_calls_alone_is_told_as_json(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        if len(seen.body["messages"]) == 2:
            return Reply(tools=(("look", '{"n": 1}'),))
        return Reply(text="done")

    with ModelServer(answer) as server:
        write(small, server, [talk(turns=["a", "b"])], scorers=["length"])
        outcome = small.run()
        told = said(server.seen[-1])[2]
    assert told[0] == "assistant"
    assert json.loads(told[1]) == {"tool_calls": [{"name": "look", "arguments": '{"n": 1}'}]}
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    assert trial.turns[0].output.tool_calls[0].name == "look"


def test_a_recorded_run_answers_turn_by_turn_failures_too(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply | Fault:
        users = [text for role, text in said(seen) if role == "user"]
        return Fault(trouble=Trouble.CONTENT_FILTER) if "fail" in users[-1] else clerk(seen)

    cases = [talk(), talk(1, turns=["Order 1.", "now fail"])]
    with ModelServer(answer) as server:
        write(small, server, cases)
        first = small.run()
        count = len(server.seen)
        small.write({"again": {"kind": "replay", "run": first.run_id}}, cases)
        second = small.run()
        assert len(server.seen) == count
    old, new = ({t.case.name: t for t in trials_of(small, r.run_id)} for r in (first, second))
    for name in ("talk-0", "talk-1"):
        before, after = ([one.output.text for one in side[name].turns] for side in (old, new))
        assert before == after
    assert new["talk-0"].output is not None
    assert new["talk-0"].output.provenance == "replay"
    assert new["talk-1"].error_class == "refused"


def trials_of(small: SmallProject, run_id: str) -> list[Trial]:
    names = [one["case_name"] for one in small.sql("SELECT DISTINCT case_name FROM trials")]
    return [trial for name in names for trial in small.store.trial(run_id, name)]


def test_the_estimate_counts_calls_and_what_they_repeat(small: SmallProject) -> None:
    with ModelServer(clerk) as server:
        single = {"id": "one", "shop": "x", "turns": ["My order is 4711."]}
        write(small, server, [single], scorers=["length"])
        one = small.estimate()
        write(small, server, [talk()])
        three = small.estimate()
        assert server.seen == []
    assert (one.calls, three.calls) == (1, 3)
    assert three.tokens.likely > 3 * one.tokens.likely


def test_a_bundle_takes_the_turns_along(small: SmallProject, tmp_path: Path) -> None:
    with ModelServer(clerk) as server:
        write(small, server, [talk(), talk(1, turns=["Just 5."])])
        outcome = small.run()
    with small.start("latest", "--to", "bundle", command="export") as process:
        assert process.wait(60) == 0
    found = next(one for one in small.folder.rglob("trials.parquet"))
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = SmallProject(other)
    elsewhere.write_project({"t": wire("http://127.0.0.1:9/v1")})
    with elsewhere.start(str(found.parent), command="import") as process:
        assert process.wait(60) == 0
    assert elsewhere.store.trial(outcome.run_id, "talk-0") == small.store.trial(
        outcome.run_id, "talk-0"
    )


def test_labels_belong_to_the_whole_conversation(small: SmallProject) -> None:
    first = {"answer": "Noted."}

    def answer(seen: Seen) -> Reply:
        reply = clerk(seen) if len(seen.body["messages"]) > 2 else None
        return Reply(text=first["answer"]) if reply is None else Reply(text="4711")

    with ModelServer(answer) as server:
        write(small, server, [talk(turns=["Order 4711.", "Which?"])], scorers=["length"])
        small.run()
        small.run()
        first["answer"] = "Noted. (clerk)"
        small.run()
    hashes = [
        one["output_hash"]
        for one in small.sql(
            "SELECT output_hash FROM answers JOIN runs USING (run_id) ORDER BY started_at"
        )
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_flagged_conversation_is_proposed_as_the_very_case(tmp_path: Path) -> None:
    case = Case.of(
        {"shop": "Bo's", "turns": "an input of that name"},
        turns=[
            ScriptedTurn(user="a", expected="x", metadata={"n": 1}),
            ScriptedTurn(user="b", expected=["y", "z"]),
        ],
        name="talk",
    )
    decision = Decision(suite="s", target="t", case_id=case.id, decision="flag", note="look")
    path = tmp_path / "flagged.jsonl"
    path.write_text(_row(case, decision, "ana", "run"))
    (found,) = open_dataset(DatasetSpec(source=str(path), format="jsonl")).cases()
    assert found.id == case.id
    assert found.expected == ["y", "z"]
    assert found.turns[0] == case.turns[0]


def test_words_of_a_turn_select_its_case(small: SmallProject) -> None:
    with ModelServer(Reply(text="ok")) as server:
        cases = [talk(turns=["about pears", "and apples"]), talk(1, turns=["plums"])]
        write(small, server, cases, scorers=["length"])
        assert small.run(filter="apples").answered == 1
        assert len(server.seen) == 2


def test_nothing_new_is_asked_after_an_interrupt(small: SmallProject) -> None:
    def answer(seen: Seen) -> Reply:
        return Reply(text=clerk(seen).text, first_s=0.5, delay_s=0.5)

    with ModelServer(answer) as server:
        write(small, server, [talk()])
        with small.start() as process:
            until = time.monotonic() + 30
            while not server.seen and time.monotonic() < until:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            assert process.wait(15) == ExitCode.INTERRUPTED
        assert len(server.seen) == 1
        assert small.sql("SELECT count(*) AS n FROM trials") == [{"n": 0}]
        server.answer = clerk
        assert small.resume().status is RunStatus.COMPLETE


def test_a_conversation_that_asks_the_same_is_known_again(small: SmallProject) -> None:
    with ModelServer(clerk) as server:
        write(small, server, [talk()])
        outcome = small.run()
    (trial,) = small.store.trial(outcome.run_id, "talk-0")
    plan = small.plan()
    lane, version = plan.fleet.lanes["t"], plan.fleet.targets["t"].version
    assert _request(version.content_hash, trial.case, lane.render) == trial.request_hash
    small.write_prompt(TALK + "Be brief.\n")
    changed = small.plan().fleet.lanes["t"]
    assert _request(version.content_hash, trial.case, changed.render) != trial.request_hash
