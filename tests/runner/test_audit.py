"""Who acted, and from which commit."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.config import load_project
from evalkit.runner.audit import acting, note
from evalkit.store import Store


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("LOGNAME", "system-user")
    return tmp_path


def _git(root: Path, *words: str) -> None:
    subprocess.run(("git", *words), cwd=root, check=True, capture_output=True)


def test_who_acts_is_whom_they_say_then_git_then_the_system(root: Path) -> None:
    assert acting(root) == "system-user"
    _git(root, "init", "--quiet")
    _git(root, "config", "user.name", "Grace Hopper")
    assert acting(root) == "Grace Hopper"
    assert acting(root, "  ") == "Grace Hopper"
    assert acting(root, " Ada ") == "Ada"


def test_a_note_knows_its_commit(root: Path) -> None:
    (root / "evalkit.yaml").write_text(
        "project: p\ntargets: {reader: {kind: builtin:extractive, prompt: a.j2}}\n",
        encoding="utf-8",
    )
    (root / "a.j2").write_text("{{ question }}\n", encoding="utf-8")
    _git(root, "init", "--quiet")
    _git(root, "config", "user.name", "Grace Hopper")
    _git(root, "config", "user.email", "g@example.org")
    _git(root, "add", ".")
    _git(root, "commit", "--quiet", "-m", "one")
    project = load_project(root / "evalkit.yaml")
    store = Store(root / "store.duckdb")
    written = note(project, store, "baseline.promoted", run_id="r1", file="baselines/main.json")
    assert written.git_commit is not None
    assert len(written.git_commit) == 40
    (back,) = store.events()
    assert back == replace(written, evalkit_version=back.evalkit_version)
    assert back.actor == "Grace Hopper"
    assert back.details == {"file": "baselines/main.json"}
