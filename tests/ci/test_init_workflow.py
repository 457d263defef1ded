"""The workflow that ``evalkit init`` writes, on the first pull requests of a repository."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from tests.ci.repository import environment


@pytest.fixture
def project(tmp_path):
    """A project as init writes it, committed on main, with main as its own origin."""
    work = tmp_path / "work"
    work.mkdir()
    git(work, "init", "-qb", "main")
    evalkit(work, "init")
    (work / ".gitignore").write_text(".evalkit/\n")
    commit(work, "the project")
    git(work, "remote", "add", "origin", str(work))
    return work


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder, name):
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", name)


def evalkit(folder, *arguments):
    command = [sys.executable, "-m", "evalkit", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment())


def pull_request(project, tmp_path, name):
    """Run the steps of the workflow's shell lines on a branch; code, output and summary."""
    git(project, "fetch", "-q", "origin")
    git(project, "checkout", "-q", "-B", name)
    workflow = yaml.safe_load((project / ".github/workflows/evalkit.yml").read_text("utf-8"))
    summary = tmp_path / f"{name}.md"
    summary.touch()
    said = ""
    for step in workflow["jobs"]["evalkit"]["steps"]:
        if "run" not in step or "install" in step["name"].lower():
            continue
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=project, capture_output=True, text=True, check=False, timeout=120,
            env=environment(BASE="origin/main", GITHUB_STEP_SUMMARY=str(summary)),
        )  # fmt: skip
        said += done.stdout + done.stderr
        if done.returncode:
            break
    return done.returncode, said, summary.read_text("utf-8")


def test_the_first_pull_requests(project, tmp_path):
    # without a baseline nothing is judged, which is said and blocks nobody
    code, said, summary = pull_request(project, tmp_path, "first")
    assert code == 0, said
    assert "::warning title=evalkit judged nothing::nothing to compare with" in said
    assert "evalkit baseline promote latest" in summary
    # what it says to do is enough
    git(project, "checkout", "-q", "main")
    evalkit(project, "run")
    evalkit(project, "baseline", "promote", "latest")
    commit(project, "a baseline")
    code, said, summary = pull_request(project, tmp_path, "unchanged")
    assert code == 0, said
    assert "PASS" in summary
    # a change that breaks the answers is blocked by the gates of main, whatever it does to its own
    prompt = project / "prompts/answer.j2"
    prompt.write_text(prompt.read_text().replace("{{ question }}", "nothing"))
    suite = project / "suites/example.yaml"
    suite.write_text(suite.read_text().replace("total: $1.00", "total: $2.00"))
    commit(project, "worse")
    code, said, summary = pull_request(project, tmp_path, "worse")
    assert "policy of example changed, origin/main judges" in summary
    assert "FAIL" in summary, said
    assert code == 1
