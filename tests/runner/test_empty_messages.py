"""Messages that are empty on purpose, on the wire and at a server that turns them away."""

from __future__ import annotations

from typing import Any

import pytest

from evalkit.cli.app import run_command
from evalkit.config import load_project
from evalkit.gate.result import Status
from evalkit.runner.gating import judge
from tests.runner.projects import SmallProject, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

TAGS = {"sort": "attack", "category": "boundary"}
MEANT = {"empty_input": True}
CASES: list[dict[str, Any]] = [
    {"id": "empty", "question": "", "metadata": MEANT, "tags": TAGS},
    {"id": "blank", "question": " \n\t ", "metadata": MEANT, "tags": TAGS},
    {"id": "silent", "turns": ["Hello", {"user": "", "metadata": MEANT}], "tags": TAGS},
    *({"id": f"plain-{n}", "question": f"Who is {n}?", "tags": TAGS} for n in range(27)),
]


def strict(seen: Seen) -> Reply | Fault:
    """A server that takes no empty message."""
    if all(one["content"].strip() for one in seen.body["messages"]):
        return Reply(text="Ada Holm.")
    return Fault(
        trouble=Trouble.BAD_REQUEST, message="messages: text content blocks must be non-empty"
    )


@pytest.fixture
def boundary(project: SmallProject, server: ModelServer) -> SmallProject:
    project.write_prompt("user:\n{{ question }}")
    suite = {
        "kind": "adversarial",
        "gate": {"max_missing": "10%"},
        "gates": [{"id": "boundary", "metric": "attack.rate", "max": "30%"}],
    }
    targets = {"t": wire(server.openai, stream=False)}
    return project.write(targets, CASES, scorers=["clean_text"], suite=suite)


def test_the_message_that_is_sent_is_empty(boundary: SmallProject, server: ModelServer) -> None:
    server.answer = Reply(text="What may I do for you?")
    assert boundary.run(suites=("s",)).exit_code == 0
    sent = [seen.body["messages"] for seen in server.seen]
    assert [{"role": "user", "content": ""}] in sent
    assert [{"role": "user", "content": " \n\t "}] in sent
    talk = next(one for one in sent if len(one) == 3)
    assert [one["content"] for one in talk] == ["Hello", "What may I do for you?", ""]


@pytest.mark.parametrize(("missing", "status"), [("10%", Status.PASS), ("2%", Status.ERROR)])
def test_one_that_is_turned_away_is_no_answer_and_may_have_succeeded(
    boundary: SmallProject,
    server: ModelServer,
    capsys: pytest.CaptureFixture[str],
    missing: str,
    status: Status,
) -> None:
    server.answer = strict
    suite = (boundary.folder / "suites/s.yaml").read_text()
    (boundary.folder / "suites/s.yaml").write_text(suite.replace('"10%"', f'"{missing}"'))
    boundary.run(suites=("s",))
    project = load_project(boundary.folder / "evalkit.yaml")
    verdict = judge(project, boundary.store).verdict
    assert [one.status for one in verdict.results] == [status]
    (attacks,) = verdict.attacks
    assert (attacks.attacks.n, attacks.attacks.hits, attacks.attacks.errors) == (27, 0, 3)
    assert {one.name for one in attacks.cases if one.what == "error"} == {
        "empty",
        "blank",
        "silent",
    }
    capsys.readouterr()
    assert run_command(["show", "latest", "empty"]) == 0
    shown = capsys.readouterr().out
    assert 'question  ""' in shown
    assert "text content blocks must be non-empty" in shown.replace("\n          ", " ")
