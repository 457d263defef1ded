"""What a reviewer decides in the page becomes a change of golden data and an audit event."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess

import pytest

from evalkit.cli.app import run_command
from evalkit.report.page_json import read_report
from evalkit.store import Store

BROWSER = os.environ.get("EVALKIT_BROWSER") or shutil.which("chromium") or ""
FILES = {
    "evalkit.yaml": "project: box\ntargets:\n  bot: {kind: replay, file: answers.jsonl}\n",
    "suites/boxes.yaml": "dataset: golden/boxes.jsonl\ntargets: [bot]\nscorers: [exact_match]\n",
    "golden/boxes.jsonl": "".join(
        json.dumps({"id": f"box-{one}", "question": f"Code of box {one}?", "expected": f"c{one}"})
        + "\n"
        for one in range(6)
    ),
}


def answers(folder, wrong):
    lines = [
        {"case": f"box-{one}", "text": "none" if one in wrong else f"c{one}"} for one in range(6)
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project under git whose second run answers two boxes worse, and its report."""
    folder = tmp_path_factory.mktemp("box")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as said:
        answers(folder, ())
        assert run_command(["run", "--quiet"]) == 0
        answers(folder, (2, 4))
        assert run_command(["run", "--quiet"]) == 0
        assert run_command(["report", "latest~1", "latest", "--out", "report.html"]) == 0
        said.truncate(0)
        said.seek(0)
        assert run_command(["report", "latest~1", "latest", "--json"]) == 0
        (folder / "report.json").write_text(said.getvalue())
    for command in (["init", "-q"], ["add", "golden"], ["-c", "user.name=A", "-c", "user.email=a@b",
                    "commit", "-qm", "golden"]):  # fmt: skip
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


@pytest.fixture
def box(made, tmp_path, monkeypatch):
    folder = tmp_path / "box"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def applied(folder, capsys):
    """Apply ``decisions.json``; the events it left, and what git says changed."""
    assert run_command(["review", "apply", "decisions.json", "--as", "Grace"]) == 0
    assert "2 decisions recorded" in capsys.readouterr().out
    events = Store(folder / ".evalkit" / "evalkit.duckdb").events("case.")
    changed = subprocess.run(
        ["git", "status", "--porcelain", "golden"], capture_output=True, text=True, check=True
    ).stdout.split()
    return [(one.kind, one.actor) for one in events], changed


def flagged(folder):
    (line,) = (folder / "golden/boxes.flagged.jsonl").read_text().splitlines()
    return json.loads(line)


def test_from_the_report_to_golden_data_without_a_browser(box, capsys):
    rows = read_report(box / "report.json").rows
    chosen = [at for at, code in enumerate(rows.outcome) if rows.outcomes[code] == "regressed"]
    assert sorted(rows.name[at] for at in chosen) == ["box-2", "box-4"]
    view = read_report(box / "report.json")
    assert view.baseline is not None
    body = {
        "kind": "evalkit.decisions", "format": 1, "baseline": view.baseline.run_id,
        "candidate": view.candidate.run_id,
        "decisions": [
            {"suite": "boxes", "target": "bot", "case_id": rows.id[at], "decision": what,
             "note": "the key is lost"}
            for at, what in zip(chosen, ("flag", "accept"), strict=True)
        ],
    }  # fmt: skip
    (box / "decisions.json").write_text(json.dumps(body))
    events, changed = applied(box, capsys)
    assert events == [("case.flagged", "Grace"), ("case.accepted", "Grace")]
    assert changed == ["??", "golden/boxes.flagged.jsonl"]
    assert flagged(box)["id"] == rows.name[chosen[0]]


@pytest.mark.skipif(not BROWSER, reason="no Chromium: set EVALKIT_BROWSER")
def test_from_the_page_to_golden_data(box, capsys):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page()
        tab.goto((box / "report.html").as_uri())
        tab.wait_for_selector("html[data-ready]")
        tab.focus("#list")
        for key in ("Home", "Enter"):
            tab.keyboard.press(key)
        tab.wait_for_selector("#panel .name")
        name = tab.text_content("#panel .name")
        tab.focus("#list")
        tab.keyboard.press("x")
        tab.wait_for_selector("#panel input")
        tab.fill("#panel input", "the key is lost")
        tab.press("#panel input", "Tab")
        tab.focus("#list")
        for key in ("j", "a"):
            tab.keyboard.press(key)
        tab.wait_for_selector("#tally:has-text('1 accepted')")
        tab.click("#copy")
        tab.wait_for_selector("#how:has-text('evalkit review apply')")
        (box / "decisions.json").write_text(tab.input_value("#copied"))
        browser.close()
    events, changed = applied(box, capsys)
    assert events == [("case.flagged", "Grace"), ("case.accepted", "Grace")]
    assert changed == ["??", "golden/boxes.flagged.jsonl"]
    row = flagged(box)
    assert (row["id"], row["metadata"]["flagged"]["note"]) == (name, "the key is lost")
