"""Runs that must not leave the machine: refused before the first call, or caught in the act."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from evalkit.config import load_project
from evalkit.errors import ConfigError, DatasetError, ExitCode
from evalkit.offline import active
from evalkit.runner.outcome import Outcome
from evalkit.runner.plan import RunOptions
from evalkit.runner.progress import Silent
from evalkit.runner.session import start_run
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import ModelServer

PYTHON = {"kind": "python", "function": "mine.py:answer"}
CURIOUS = """
import socket, subprocess

def answer(request):
    try:
        socket.create_connection(("192.0.2.7", 443), timeout=1)
    except OSError as error:
        if {swallow}:
            return "The answer is 42."
        raise
"""


def allowed(small: SmallProject) -> Outcome:
    return start_run(
        load_project(small.folder / "evalkit.yaml", allow_code=True),
        RunOptions(allow_code=True, offline=True),
        small.store,
        display=Silent(small.said),
        environ={},
    )


def test_a_target_of_this_machine_is_asked_and_nothing_else_happens(small: SmallProject) -> None:
    with ModelServer() as server:
        url = server.openai.replace("127.0.0.1", "localhost")
        small.write({"t": wire(url)}, rows(5))
        outcome = small.run(offline=True)
        assert (outcome.exit_code, outcome.answered, outcome.refused) == (ExitCode.PASS, 5, {})
    assert active() is None
    assert os.environ.get("HF_HUB_OFFLINE") is None
    run = small.store.load_run(outcome.run_id)
    assert run.settings["offline"] is True


def test_it_is_continued_offline(small: SmallProject) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(5))
        small.run(offline=True)
        small.write_project({"t": wire("https://api.example.org/v1")})
        with pytest.raises(ConfigError, match="cannot be run with --offline"):
            small.resume()


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (wire("https://api.example.org/v1"), "evalkit.yaml:7:16"),
        (wire("http://10.0.0.7:8000/v1"), "evalkit.yaml:7:16"),
        (
            {k: v for k, v in wire("").items() if k != "base_url"} | {"api_key": "k"},
            "evalkit.yaml:4",
        ),
        ({"kind": "http", "url": "http://example.org", "body": "{{ prompt }}", "answer": "$"}, ""),
        ({"kind": "fallback", "targets": ["near", "far"]}, ""),
    ],
)
def test_a_target_elsewhere_is_refused_before_the_first_call(
    small: SmallProject, target: dict[str, Any], place: str
) -> None:
    near, far = wire("http://127.0.0.1:9/v1"), wire("https://api.example.org/v1")
    small.write({"t": target, "near": near, "far": far}, rows(2))
    with pytest.raises(ConfigError, match="cannot be run with --offline") as caught:
        small.run(offline=True)
    assert place in str(caught.value.where)
    assert not small.store.exists
    assert active() is None


def test_a_program_is_refused(small: SmallProject) -> None:
    small.write({"t": {"kind": "command", "argv": ["cat"]}}, rows(2))
    with pytest.raises(ConfigError, match="runs a program"):
        allowed(small)


def test_a_dataset_of_the_hub_must_be_in_the_cache(
    small: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(small.folder / "hub"))
    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(1))
        suite = {"dataset": {"huggingface": "evalkit-tests/nothing-here"}, "targets": ["t"]}
        small.write_suite({**suite, "scorers": ["length"]})
        with pytest.raises(DatasetError, match="not in the cache"):
            small.run(offline=True)


@pytest.mark.parametrize("swallow", [False, True])
def test_code_of_the_project_is_caught_even_if_it_says_nothing(
    small: SmallProject, swallow: bool
) -> None:
    (small.folder / "mine.py").write_text(CURIOUS.replace("{swallow}", str(swallow)))
    small.write({"t": PYTHON}, rows(3))
    outcome = allowed(small)
    assert outcome.exit_code is ExitCode.INFRASTRUCTURE
    assert outcome.refused == {"a connection to 192.0.2.7:443": 3}
    assert "offline: a connection to 192.0.2.7:443 was refused 3 times" in outcome.lines()
    found = small.sql("SELECT DISTINCT status, error_class, error FROM trials")
    if swallow:
        assert found == [{"status": "ok", "error_class": None, "error": None}]
    else:
        assert found[0]["error_class"] == "crash"
        assert "192.0.2.7:443 was refused: this run is offline" in found[0]["error"]


def test_another_port_of_this_machine_is_no_target(small: SmallProject) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code = f"""
import urllib.request
def answer(request):
    return urllib.request.urlopen("http://127.0.0.1:{port}/", timeout=1).read().decode()
"""
        (small.folder / "mine.py").write_text(code)
        small.write({"t": PYTHON}, rows(1))
        outcome = allowed(small)
    assert outcome.refused == {f"a connection to 127.0.0.1:{port}": 1}


def test_the_commit_is_noted_all_the_same(small: SmallProject) -> None:
    import subprocess

    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *words], cwd=small.folder, check=True)

    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(1))
        git("init", "-q")
        git("add", "-A")
        git("commit", "-qm", "x")
        outcome = small.run(offline=True)
    assert small.store.load_run(outcome.run_id).git is not None
