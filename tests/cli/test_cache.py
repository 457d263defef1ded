"""``evalkit cache`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evalkit.cli.app import run_command
from tests.runner.projects import SmallProject, rows, wire
from tests.servers import ModelServer


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    monkeypatch.chdir(tmp_path)
    return SmallProject(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command(["cache", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_stats_and_prune(small: SmallProject, capsys: pytest.CaptureFixture[str]) -> None:
    with ModelServer() as server:
        target = wire(server.openai, price={"input": 1_000, "output": 1_000})
        small.write({"t": target}, rows(6), cache="write")
        code, out, err = said(capsys, "stats")
        assert (code, out) == (0, "")
        assert "no answers are kept in .evalkit/cache.sqlite (mode write)" in err
        small.run()
        small.run(limit=2)
    code, out, _ = said(capsys, "stats")
    assert code == 0
    head, row, *_ = out.splitlines()
    assert head.split()[:5] == ["target", "answers", "size", "used", "saved"]
    assert row.split()[:2] == ["t", "6"]
    assert ".evalkit/cache.sqlite" in out.splitlines()[-1]
    code, out, _ = said(capsys, "stats", "--json")
    found = json.loads(out)
    assert (found["answers"], found["mode"], found["targets"][0]["hits"]) == (6, "write", 2)
    assert found["saved_usd"] == pytest.approx(2 * 0.018)
    code, out, _ = said(capsys, "prune", "--older-than", "1d")
    assert (code, out) == (0, "0 answers taken out (0 bytes)\n")
    code, out, _ = said(capsys, "prune", "--target", "t", "--dry-run", "--json")
    assert json.loads(out) == {"answers": 6, "bytes": found["bytes"], "dry_run": True}
    code, out, _ = said(capsys, "prune", "--max-size", "0.001kB")
    assert out.startswith("6 answers taken out (")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "say which answers to take out"),
        (["--older-than", "30"], "must be an age with its unit, not '30'"),
        (["--max-size", "big"], "must be a size, not 'big'"),
        (["--all", "--target", "t"], "--all takes no other choice"),
    ],
)
def test_a_wrong_choice_is_refused(
    small: SmallProject, capsys: pytest.CaptureFixture[str], arguments: list[str], what: str
) -> None:
    small.write({"t": wire("http://127.0.0.1:9/v1")}, rows(1))
    code, out, err = said(capsys, "prune", *arguments)
    assert (code, out) == (2, "")
    assert what in err
