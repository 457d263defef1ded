"""``evalkit run`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit.cli.app import run_command
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import Fault, ModelServer, Reply, Trouble


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    monkeypatch.chdir(tmp_path)
    return SmallProject(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command(["run", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_run_ends_with_its_result_on_standard_output(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        small.write({"t": wire(server.openai, price={"input": 1, "output": 1})}, rows(8))
        code, out, err = said(capsys, "s", "--tags", "lang:es", "--trials", "2", "-c", "3")
        assert code == 0
        assert err.startswith("estimate: 8 calls, ")
        assert err.count("\n") == 1
        run_id = small.store.resolve("latest")
        assert run_id in out
        assert len(server.seen) == 8
        code, out, err = said(capsys, "--quiet")
        assert (code, err) == (0, "")
        assert out.strip() == small.store.resolve("latest") != run_id
        code, out, _ = said(capsys, "--json", "--limit", "1")
        assert code == 0
        assert json.loads(out)


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["nosuch"], 2, "unknown suite 'nosuch'"),
        (["-t", "x"], 2, "unknown target 'x'"),
        (["--filter", "(a"], 2, "--filter '(a': a parenthesis is not closed"),
        (["--tags", "a:"], 2, "--tags cannot read 'a:'"),
        (["--limit", "0"], 2, "'--limit'"),
        (["--filter", "zebra"], 3, "nothing is selected: --filter 'zebra' leaves none of 4 cases"),
        (["--resume", "latest", "--limit", "3"], 2, "--limit cannot be given with --resume"),
        (["--resume", "latest"], 2, "there is no run store yet"),
        (["--project", "elsewhere.yaml"], 2, "the project file does not exist"),
    ],
)
def test_mistakes_are_three_lines(
    small: SmallProject,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    what: str,
) -> None:
    small.write({"t": wire("http://127.0.0.1:9/v1")}, rows(4))
    found, out, err = said(capsys, *arguments)
    assert (found, out) == (code, "")
    lines = err.splitlines()
    assert what in lines[0]
    assert lines[0].startswith("error: ")
    assert 2 <= len(lines) <= 3
    assert not small.store.exists


def test_errors_and_the_next_command_are_said_on_standard_error(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer(Fault(trouble=Trouble.UNAUTHORIZED)) as server:
        small.write({"t": wire(server.openai)}, rows(40))
        code, _, err = said(capsys)
    assert code == 4
    run_id = small.store.resolve("latest")
    last = err.splitlines()[-2:]
    assert "target 't' was given up" in last[0]
    assert last[1].endswith(f"when the target answers again: evalkit run --resume {run_id}")


def test_a_store_of_a_newer_version_is_left_alone(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    import duckdb

    with ModelServer() as server:
        small.write({"t": wire(server.openai)}, rows(2))
        assert said(capsys)[0] == 0
        seen = len(server.seen)
        path = small.folder / ".evalkit" / "evalkit.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute("INSERT INTO evalkit_schema VALUES (9999, now(), '99.0')")
        code, _, err = said(capsys)
        assert code == 2
        assert "newer" in err
        assert len(server.seen) == seen, "nothing is paid for that cannot be kept"


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--help")
    assert code == 0
    assert out.count("  $ evalkit run") >= 4
    assert "--resume RUN" in out


def test_a_dry_run_prints_its_estimate_and_calls_nobody(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        target = wire(server.openai, price={"input": 1, "output": 1})
        small.write({"t": target}, rows(8))
        code, out, err = said(capsys, "--dry-run", "--max-tokens", "100")
        assert (code, out.splitlines()[0][:20]) == (0, "estimate: 8 calls, 1")
        assert "--max-tokens: 100 tokens: will stop the run" in out
        assert "nothing bounds the length of its answers" in err
        code, out, _ = said(capsys, "--dry-run", "--json")
        assert not server.seen
    found = json.loads(out)
    assert (found["kind"], found["calls"], found["rows"][0]["target"]) == ("estimate", 8, "t")
    assert found["usd"]["low"] < found["usd"]["likely"] < found["usd"]["high"]
    assert not small.store.exists


def test_a_budget_without_a_price_is_refused_in_three_lines(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write({"t": wire("http://127.0.0.1:9/v1")}, rows(2))
    code, out, err = said(capsys, "--max-usd", "$1")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 3


def test_money_spent_ends_with_5_and_the_command_that_goes_on(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer() as server:
        price = {"input": 1_000, "output": 1_000}
        target = wire(server.openai, price=price, params={"max_completion_tokens": 10})
        small.write({"t": target}, rows(30))
        code, out, err = said(capsys, "--max-usd", "0.45")
        assert code == 5
        assert "STOPPED" in out
        last = err.splitlines()[-1].removeprefix("continue with: evalkit ").split()
        assert run_command(last) == 0
        assert len(server.seen) == 30


def test_the_time_of_a_run_is_a_duration_and_its_end_has_a_code(
    small: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    with ModelServer(Reply(first_s=0.2)) as server:
        small.write({"t": wire(server.openai, limits={"concurrency": 1})}, rows(50))
        code, out, err = said(capsys, "--max-time", "5")
        assert (code, out) == (2, "")
        assert "--max-time '5': must be a duration with its unit" in err
        assert said(capsys, "--max-time", "0s")[0] == 2
        assert not server.seen
        code, out, err = said(capsys, "--max-time", "500ms")
        assert code == 5
        assert "the 0.5 s of --max-time are over" in err
        assert "continue with: evalkit run --resume" in err
        assert "STOPPED" in out
