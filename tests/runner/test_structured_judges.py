"""The form of a verdict as a schema: servers that honour it, turn it away, or take no notice."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import ErrorClass, ExitCode, TargetError
from evalkit.model import AnswerSchema, Case, Message, Request
from evalkit.runner.cache import AnswerCache
from evalkit.runner.veil import Veil
from evalkit.secrets import Redactor
from evalkit.targets.anthropic import Anthropic
from evalkit.targets.openai_compatible import OpenAICompatible
from tests.runner.projects import SmallProject
from tests.runner.test_judges import CRITERIA, EACH, SCORES, judge, write
from tests.scorers.judging import said, verdict
from tests.servers import Fault, ModelServer, Raw, Reply, Seen, Trouble

SCHEMA: AnswerSchema = {"type": "object", "properties": {}}
ONE = {"limits": {"concurrency": 1}}


def filled(schema: dict[str, Any]) -> Any:
    """The first thing that a schema allows: what a server that holds its model to it must give."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        return {name: filled(one) for name, one in schema["properties"].items()}
    return {"string": "because", "array": [], "integer": 1}[schema["type"]]


def honours(seen: Seen) -> Reply:
    """Answers by the schema alone; without one, with chatter that is no verdict."""
    held = seen.body.get("response_format")
    if held is None:
        return Reply()
    assert held["json_schema"]["strict"] is True
    return said(filled(held["json_schema"]["schema"]), model="judge-1")


def openai_error(message: str) -> Raw:
    body = {"error": {"message": message, "type": "invalid_request_error", "code": None}}
    return Raw(chunks=[json.dumps(body).encode()], status=400)


def turns_away() -> Callable[[Seen], Reply | Raw]:
    error = openai_error("Invalid parameter: 'response_format' of type 'json_schema' is not taken.")
    return lambda seen: error if "response_format" in seen.body else verdict("pass")


def test_a_server_that_honours_it_gives_the_reason_and_a_label_of_the_scale(
    small: SmallProject,
) -> None:
    scorers = [
        {"judge": {"judges": "g", "criteria": CRITERIA, "scale": "1-5"}},
        {"preference": {"judges": "g"}},
    ]
    with ModelServer() as server, ModelServer(honours) as grader:
        write(small, server.openai, judge(grader.openai, **ONE), 3, scorers=scorers)
        assert small.run().exit_code is ExitCode.PASS
        assert len(grader.seen) == 3 + 2 * 3, "nothing had to be repaired"
        forms = {
            json.dumps(one.body["response_format"]["json_schema"]["schema"]["properties"])
            for one in grader.seen
        }
        assert len(forms) == 2
        assert all(next(iter(json.loads(one))) == "reason" for one in forms)
        assert not any("response_format" in one.body for one in server.seen)
    assert [(one["status"], one["value"]) for one in small.sql(SCORES)] == [("scored", 1.0)] * 3


def test_a_server_that_turns_it_away_is_asked_without_and_the_user_is_told_once(
    small: SmallProject, caplog: pytest.LogCaptureFixture
) -> None:
    with ModelServer() as server, ModelServer(turns_away()) as grader:
        write(small, server.openai, judge(grader.openai, **ONE), 6)
        with caplog.at_level(logging.WARNING):
            assert small.run().exit_code is ExitCode.PASS
        sent = ["response_format" in one.body for one in grader.seen]
        assert sent == [True] + [False] * 6
    (told,) = [one.getMessage() for one in caplog.records if "schema" in one.getMessage()]
    assert told.startswith(f"127.0.0.1:{grader.port} takes no schema for answers: ")
    assert "structured: off" in told
    found = small.sql(SCORES)
    assert [one["status"] for one in found] == ["scored"] * 6
    assert all(one["cost_usd"] == pytest.approx(EACH) for one in found), "turned away is not paid"


def test_a_server_that_takes_no_notice_is_read_and_repaired_as_ever(small: SmallProject) -> None:
    def ignores(seen: Seen) -> Reply:
        assert "response_format" in seen.body
        again = "That cannot be used" in seen.body["messages"][-1]["content"]
        return said("It is fine.\nVerdict: pass" if again else "It is fine, I think.")

    with ModelServer() as server, ModelServer(ignores) as grader:
        write(small, server.openai, judge(grader.openai, **ONE), 2)
        assert small.run().exit_code is ExitCode.PASS
        assert len(grader.seen) == 2 * 2
    assert [one["status"] for one in small.sql(SCORES)] == ["scored"] * 2


def test_off_asks_in_words_alone_and_signs_as_another_instrument(small: SmallProject) -> None:
    signatures = []
    with ModelServer() as server, ModelServer(verdict("pass")) as grader:
        for more in ({}, {"structured": "auto"}, {"structured": "off"}):
            grader.seen.clear()
            write(small, server.openai, judge(grader.openai, **more), 1)
            run = small.run().run_id
            assert ("response_format" in grader.seen[0].body) == (more != {"structured": "off"})
            (row,) = small.sql(f"{SCORES} AND run_id = '{run}'")
            signatures.append(row["signature"])
    assert signatures[0] == signatures[1] != signatures[2]


def test_a_schema_belongs_to_what_a_kept_verdict_is_found_by(tmp_path: Path) -> None:
    cache = AnswerCache(
        tmp_path / "c.sqlite", "write", run_id="r", seed=0, veil=Veil(Redactor(()), None)
    )
    case = Case.of({"prompt": "p"})
    other = {"type": "object"}
    asked = [Request(case=case, schema=one) for one in (None, SCHEMA, other)]
    for takes, keys in ((True, 3), (False, 1)):
        view = cache.of("g", "identity", takes_seed=False, takes_schema=takes)
        assert len({view.key(one) for one in asked}) == keys
    cache.close()


def ask(target: Any, *, schema: AnswerSchema | None = SCHEMA, times: int = 1) -> list[Any]:
    request = Request(
        case=Case.of({"q": "x"}), messages=(Message(role="user", content="x"),), schema=schema
    )

    async def work() -> list[Any]:
        try:
            return await asyncio.gather(*(target.send(request) for _ in range(times)))
        finally:
            await target.aclose()

    return asyncio.run(work())


@pytest.mark.parametrize("stream", [True, False])
def test_the_responses_api_takes_it_beside_the_type(stream: bool) -> None:
    with ModelServer() as server:
        target = OpenAICompatible(
            model="m", base_url=server.openai, api="responses", stream=stream,
            params={"text": {"verbosity": "low"}},
        )  # fmt: skip
        ask(target)
        assert server.seen[0].body["text"] == {
            "verbosity": "low",
            "format": {
                "type": "json_schema",
                "name": "answer",
                "strict": True,
                "schema": SCHEMA,
            },
        }


def test_fastapi_servers_name_it_by_its_place_and_calls_together_decide_together(
    caplog: pytest.LogCaptureFixture,
) -> None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "no"}]
    refused = Raw(chunks=[json.dumps({"detail": detail}).encode()], status=422)
    with ModelServer(lambda seen: refused if "response_format" in seen.body else Reply()) as server:
        with caplog.at_level(logging.WARNING):
            ask(OpenAICompatible(model="m", base_url=server.openai), times=6)
        assert len(caplog.records) == 1


def test_another_bad_request_is_not_tried_again() -> None:
    with ModelServer(Fault(trouble=Trouble.BAD_REQUEST)) as server:
        with pytest.raises(TargetError) as caught:
            ask(OpenAICompatible(model="m", base_url=server.openai))
        assert caught.value.error_class is ErrorClass.BAD_REQUEST
        assert len(server.seen) == 1


def test_the_form_that_a_target_sets_itself_stays() -> None:
    own = {"type": "json_object"}
    with ModelServer() as server:
        for more in ({"response_format": own}, {"extra_body": {"response_format": own}}):
            target = OpenAICompatible(model="m", base_url=server.openai, **more)
            assert not target.takes_schema
            ask(target)
        assert [one.body["response_format"] for one in server.seen] == [own, own]


def test_anthropic_takes_it_as_output_config_until_it_is_turned_away() -> None:
    def claude(seen: Seen) -> Reply | Raw:
        if "output_config" not in seen.body or seen.body["model"] == "new":
            return Reply()
        error = {"type": "invalid_request_error", "message": "output_config.format: not supported"}
        return Raw(chunks=[json.dumps({"type": "error", "error": error}).encode()], status=400)

    with ModelServer(claude) as server:
        ask(Anthropic(model="new", base_url=server.anthropic))
        form = {"type": "json_schema", "schema": SCHEMA}
        assert server.seen[0].body["output_config"] == {"format": form}
        server.seen.clear()
        old = Anthropic(model="old", base_url=server.anthropic)
        ask(old)
        assert ["output_config" in one.body for one in server.seen] == [True, False]
        server.seen.clear()
        ask(Anthropic(model="new", base_url=server.anthropic, structured="off"))
        ask(Anthropic(model="new", base_url=server.anthropic), schema=None)
        assert not any("output_config" in one.body for one in server.seen)
