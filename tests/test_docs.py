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


def evalkit(folder, *arguments, key=""):
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "EVALKIT_ALLOW_CODE": "0", "OPENAI_API_KEY": key},
    )


@pytest.mark.parametrize("name", ["ci.md", "baselines.md"])
def test_every_command_runs(project, name):
    for line in commands(name):
        done = evalkit(project, *shlex.split(line)[1:])
        assert done.returncode in {0, 3}, f"{line}: {done.stderr}"
        assert done.returncode == 0 or "gate" in line


def test_the_attack_suites_are_added_run_and_written_as_shown(tmp_path):
    from evalkit.config import load_project, load_suite
    from evalkit.datasets import open_dataset
    from tests.servers import ModelServer, desk

    targets, suite, gates, template = blocks("attacks.md", "yaml")
    attack = blocks("attacks.md", "json")[0]
    with ModelServer(desk.guarded) as server:
        local = f"    base_url: {server.openai}\n    prompt:"
        (tmp_path / "evalkit.yaml").write_text(
            "project: a\n" + targets.replace("    prompt:", local)
        )
        for path, text in (
            ("prompts/assistant.j2", (ROOT / "prompts/assistant.j2").read_text("utf-8")),
            ("suites/adversarial/discounts.yaml", suite),
            ("golden/adversarial/discounts.jsonl", attack),
            ("suites/adversarial/gated.yaml", suite.partition("gates:")[0] + gates),
            ("golden/people.yaml", template),
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text, encoding="utf-8")
        spec = load_suite(load_project(tmp_path / "evalkit.yaml"), "discounts")
        (case,) = open_dataset(spec.datasets[0]).cases()
        assert case.tags["sort"] == "attack"
        assert case.metadata["marker"] in str(case.inputs["question"])
        gated = load_suite(load_project(tmp_path / "evalkit.yaml"), "gated")
        assert gated.gates[0].waivers[0].cases == (case.name,)
        for name in ("discounts", "gated"):
            (tmp_path / f"suites/adversarial/{name}.yaml").unlink()
        first, *rest = commands("attacks.md")
        assert first == "evalkit run adversarial"
        for line in rest:
            done = evalkit(tmp_path, *shlex.split(line)[1:], key="sk-0123456789abcdef")
            assert done.returncode == 0, f"{line}: {done.stdout} {done.stderr}"


def test_the_tables_of_attacks_name_what_there_is():
    text = (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8")
    for path in (ROOT / "suites" / "adversarial").glob("*.yaml"):
        rows = (ROOT / "golden/adversarial" / f"{path.stem}.jsonl").read_text("utf-8").splitlines()
        attacks = sum('"sort": "attack"' in one for one in rows)
        assert f"| `{path.stem}` | {attacks} | {len(rows) - attacks} |" in text, path.stem


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


def test_the_judges_load_and_their_rubric_is_bound(tmp_path, monkeypatch):
    from evalkit.config import load_project, load_suite
    from evalkit.runner.fleet import build_fleet
    from evalkit.runner.judges import judges_of
    from evalkit.scorers import bind

    project, scorers, _, embedders = blocks("judges.md", "yaml")
    targets = embedders.split("targets:\n")[1]
    project = project.replace("targets:\n", f"project: docs\ntargets:\n{targets}", 1)
    model = tmp_path / "models/all-MiniLM-L6-v2/modules.json"
    for path, text in (
        ("evalkit.yaml", project),
        ("suites/s.yaml", f"dataset: golden/c.jsonl\ntargets: [support]\n{scorers}"),
        ("golden/c.jsonl", '{"question": "q", "expected": "a"}\n'),
        ("prompts/answer.j2", "{{ question }}\n"),
        ("prompts/judge.j2", blocks("judges.md", "jinja")[0]),
        (str(model), "[]"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    loaded = load_project(tmp_path / "evalkit.yaml")
    assert loaded.targets["grader"].judge
    assert loaded.budget.judges.max_usd == 2
    fleet = build_fleet(
        loaded,
        ["grader", "vectors", "here"],
        environ={"OPENAI_API_KEY": "sk-0123456789abcdef"},
        allow_code=False,
        concurrency=None,
        store=None,
        judging=True,
    )
    judges = judges_of(fleet, 0)
    specs = load_suite(loaded, "s").scorers
    bound = [bind(one, root=tmp_path, judges=judges) for one in specs]
    names = [one.name for one in bound]
    assert names == ["judge", "polite", "clear", "faithfulness", "preference", "cascade"]
    assert bound[0].signature.startswith("judge|judges:gpt-5#")
    assert "|rubric:judge.j2#" in bound[0].signature
