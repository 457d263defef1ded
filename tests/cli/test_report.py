from __future__ import annotations

import json
from pathlib import Path

import pytest
from stored_project import FIRST, SECOND, make_project, make_runs

from evalkit.cli.app import run_command


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(make_project(tmp_path))
    make_runs(tmp_path)
    return tmp_path


def test_two_runs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["report", "latest~1", "latest"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"reports/{SECOND}.html  0.")
    assert said.endswith("12 cases\n")
    page = (project / "reports" / f"{SECOND}.html").read_text("utf-8")
    assert FIRST in page
    assert SECOND in page


def test_one_run_alone_into_a_file(project: Path) -> None:
    assert run_command(["report", "4e77", "--out", "out/x.html"]) == 0
    page = (project / "out" / "x.html").read_text("utf-8")
    assert FIRST in page
    assert SECOND not in page


def test_json_is_rendered_again_elsewhere(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run_command(["report", "latest~1", "latest", "--json"]) == 0
    text = capsys.readouterr().out
    assert json.loads(text)["kind"] == "report"
    elsewhere = project / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "run.json").write_text(text, "utf-8")
    monkeypatch.chdir(elsewhere)
    assert run_command(["report", "--from", "run.json", "--split", "--out", "page.html"]) == 0
    assert {one.name for one in elsewhere.iterdir()} >= {"page.html", "report.js", "data"}


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["report", "nothing"], "unknown run 'nothing'"),
        (["report", "latest", "latest~1", "latest"], "a report has two runs at the most, not 3"),
        (["report", "--from", "none.json"], "the file does not exist"),
        (["report", "latest", "--from", "none.json"], "--from renders a file: it takes no runs"),
        (["report", "latest", "latest"], "is the candidate itself"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str], what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(arguments) == 2
    captured = capsys.readouterr()
    assert what in captured.err
    assert captured.out == ""
