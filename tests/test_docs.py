"""What docs/ci.md and docs/baselines.md show is true: the files load, the commands run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def blocks(name, language):
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(name):
    lines = "".join(blocks(name, "console")).splitlines()
    return [one.removeprefix("$ ") for one in lines]


def test_the_workflow_uses_what_the_action_takes():
    workflow = yaml.safe_load(blocks("ci.md", "yaml")[0])
    (step,) = [one for one in workflow["jobs"]["gate"]["steps"] if "evalkit" in one["uses"]]
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert set(step["with"]) <= set(action["inputs"])
    checkout = workflow["jobs"]["gate"]["steps"][0]
    assert checkout["with"]["fetch-depth"] == 0


def test_the_gitlab_file_sets_what_the_template_reads():
    given = yaml.safe_load(blocks("ci.md", "yaml")[1])["evalkit"]["variables"]
    template = yaml.safe_load((ROOT / "templates/evalkit.gitlab-ci.yml").read_text("utf-8"))
    assert set(given) <= set(template["evalkit"]["variables"])
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    named = yaml.safe_load(blocks("ci.md", "yaml")[2])["repos"][0]["hooks"]
    assert [one["id"] for one in named] == [hook["id"]]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    evalkit(folder, "init", ".")
    for arguments in (["init", "-qb", "main"], ["add", "-A"], ["commit", "-qm", "the project"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True, capture_output=True)
    subprocess.run([*git, "branch", "origin/main"], cwd=folder, check=True, capture_output=True)
    evalkit(folder, "run", "--quiet")
    return folder


def evalkit(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "EVALKIT_ALLOW_CODE": "0"},
    )


@pytest.mark.parametrize("name", ["ci.md", "baselines.md"])
def test_every_command_runs(project, name):
    for line in commands(name):
        done = evalkit(project, *shlex.split(line)[1:])
        assert done.returncode in {0, 3}, f"{line}: {done.stderr}"
        assert done.returncode == 0 or "gate" in line


def test_the_policy_loads_and_the_query_runs(project):
    from evalkit.config import load_project, load_suite

    suite = project / "suites" / "documented.yaml"
    body = "dataset: golden/example.jsonl\ntargets: [span]\nscorers: [contains]\n"
    suite.write_text(body + blocks("baselines.md", "yaml")[0], encoding="utf-8")
    policy = load_suite(load_project(project / "evalkit.yaml"), "documented").policy
    suite.unlink()
    assert (policy.anchor.ref, policy.anchor.budget) == ("tag:v1.4", 0.03)
    (query,) = blocks("baselines.md", "sql")
    assert evalkit(project, "sql", query).returncode == 0
