"""The README tells the truth: its commands, the output it shows, its configuration, its code."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def evalkit(*arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        timeout=120,
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The repository's own project, without what lies around in a checkout."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(ROOT / "evalkit.yaml", folder)
    for name in ("golden", "prompts", "suites"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def steady(text):
    """The text without what differs from run to run: ids, commits, times."""
    kept = [
        line
        for line in text.splitlines()
        if not re.match(r"(latency|ttft)\.|run \d{8}-", line.strip())
    ]
    joined = "\n".join(re.sub(r" +", " ", line).strip() for line in kept)
    return re.sub(r"\d{8}-\d{6}-[0-9a-f]+", "RUN", joined)


def test_there_are_exactly_two_commands_to_paste():
    assert len(blocks("bash")) == 2
    install_and_run, test = blocks("bash")
    assert install_and_run.rstrip().endswith("evalkit run")
    assert test.rstrip().endswith("-m pytest -n auto")


def test_the_output_is_what_the_first_command_prints(project):
    done = evalkit("run", cwd=project)
    assert done.returncode == 0, done.stderr
    [shown] = blocks("text")
    assert steady(done.stdout) == steady(shown)


def test_the_commands_after_it_work(project):
    assert evalkit("run", "--quiet", cwd=project).returncode == 0
    shown = evalkit("show", "latest", "refund-heavy-member", cwd=project)
    assert shown.returncode == 0
    assert "refund-heavy-member" in shown.stdout
    query = re.search(r'evalkit sql "(.*?)"', README).group(1)
    asked = evalkit("sql", query, "--json", cwd=project)
    assert asked.returncode == 0, asked.stderr
    rates = {row["target"]: round(row["pass_rate"], 2) for row in json.loads(asked.stdout)}
    assert rates == {"reader": 0.62, "careful-reader": 0.58}


def test_the_example_target_is_a_valid_one(tmp_path, monkeypatch):
    from evalkit.config import load_project

    (tmp_path / "prompts").mkdir()
    shutil.copy(ROOT / "prompts" / "answer.j2", tmp_path / "prompts")
    [written] = blocks("yaml")
    (tmp_path / "evalkit.yaml").write_text("project: support\n" + written, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    target = load_project(tmp_path / "evalkit.yaml").targets["support"]
    assert target.kind == "openai_compatible"
    assert target.limits.concurrency == 32


def test_the_example_scorer_works(tmp_path):
    from evalkit import Case, Output, registry

    [written] = blocks("python")
    file = tmp_path / "polite_scorer.py"
    file.write_text(written, encoding="utf-8")
    [found] = registry.load_file(file)
    for text, _, value in found.examples:
        assert found.obj(Case.of({}), Output(text=text)).value == value


def test_the_example_error_is_the_real_one(tmp_path):
    assert evalkit("init", ".", cwd=tmp_path).returncode == 0
    suite = tmp_path / "suites" / "support.yaml"
    suite.write_text(
        "dataset: golden/example.jsonl\ntargets: [span]\nscorers:\n  - rogue_l\n", encoding="utf-8"
    )
    done = evalkit("run", "support", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr in README


def test_every_command_listed_exists_and_every_command_is_listed():
    from evalkit.cli.app import COMMANDS

    listed = set(re.findall(r"`evalkit (\w+)`", README.partition("## Commands")[2]))
    assert listed == {name for group in COMMANDS.values() for name in group}
