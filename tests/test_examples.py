"""Every example in the help of every command runs, in a project as ``evalkit init`` writes it."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import pytest

from evalkit.cli.app import COMMANDS, run_command
from evalkit.config import load_project
from evalkit.config.shipped import copy_suites


def help_of(words, capsys):
    assert run_command([*words, "--help"]) == 0
    return capsys.readouterr().out


def examples(words, capsys):
    """The example lines in a command's help, and in those of its own commands."""
    text = help_of(words, capsys)
    found = [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("$ evalkit")]
    if "COMMAND [ARGS]" in text:
        listed = text.partition("Commands:")[2].partition("Examples:")[0].splitlines()
        inner = [line.split()[0] for line in listed if re.match(r"  \S", line)]
        for name in inner:
            found += examples([*words, name], capsys)
    return found


def git(*arguments, cwd):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=cwd, check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with runs and labels in its store and two versions of its prompt in git."""
    folder = tmp_path_factory.mktemp("examples")
    evalkit(["init", "."], folder)
    with (folder / "golden" / "example.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(fee(number) for number in range(8))
    attacks(folder)
    for shard in ("1/2", "2/2"):
        evalkit(["run", "--quiet", "--shard", shard], folder)
        evalkit(["export", "latest", "--to", "shards"], folder)
    evalkit(["export", "latest", "--to", "nightly.zip"], folder)
    shutil.rmtree(folder / ".evalkit")
    policy = "benchmarks: {gsm8k: {tier: critical, max_drop: 0.02}}\n"
    (folder / "nemo-policy.yaml").write_text(policy, "utf-8")
    git("init", "-q", cwd=folder)
    for text, runs in (("first", 2), ("second", 1)):
        prompt = folder / "prompts" / "answer.j2"
        prompt.write_text(prompt.read_text("utf-8") + f"\nThis is the {text}.\n", "utf-8")
        git("add", "-A", cwd=folder)
        git("commit", "-qm", text, cwd=folder)
        for _ in range(runs):
            evalkit(["run", "--quiet"], folder)
    judge(folder)
    return folder


def fee(number):
    passage = f"The fee for room {number} is {10 + number} crowns a day."
    case = {"question": f"What is the fee for room {number}?", "context": [passage]}
    return json.dumps({**case, "expected": [f"{10 + number} crowns" if number % 2 else "x"]}) + "\n"


def attacks(folder):
    """The suites that come along, and a template of pairs."""
    copy_suites(load_project(folder / "evalkit.yaml"), "span", force=False)
    (folder / "golden" / "pairs.yaml").write_text(
        "licence: CC0-1.0\norigin: made up\nowner: me\ndescription: two ages\n"
        "axes: {age: {young: {years: '20'}, old: {years: '80'}}}\n"
        "cases: [{id: one, inputs: {question: 'I am {years}. May I come?'}}]\n",
        "utf-8",
    )


def judge(folder):
    """Labels of every answer as a file and in the store, and decisions as a report writes them."""
    sql = (
        "SELECT run_id, case_id, target, trial, passed FROM results WHERE scorer = 'contains'"
        " AND run_id = (SELECT max(run_id) FROM runs) ORDER BY ALL"
    )
    rows = json.loads(evalkit(["sql", "--json", sql], folder))
    lines = [f"{one['case_id']},{one['target']},{one['trial']},{one['passed']}" for one in rows]
    text = "\n".join(["case,target,trial,passed", *lines]) + "\n"
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    evalkit(["review", "import", "labels.csv", "--question", "contains"], folder)
    run = rows[0]["run_id"]
    flagged = {"case_id": rows[0]["case_id"], "suite": "example", "target": rows[0]["target"]}
    decisions = {
        "kind": "evalkit.decisions",
        "format": 1,
        "baseline": run,
        "candidate": run,
        "decisions": [{**flagged, "decision": "flag", "note": "why"}],
    }
    (folder / "decisions.json").write_text(json.dumps(decisions), encoding="utf-8")


def evalkit(arguments, folder):
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "EVALKIT_ALLOW_CODE": "0"},
    )
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("command", [name for group in COMMANDS.values() for name in group])
def test_every_example_in_help_runs(command, project, tmp_path, capsys):
    lines = examples([command], capsys)
    assert lines, f"evalkit {command} --help shows no example"
    folder = tmp_path / "project"
    shutil.copytree(project, folder)
    for line in lines:
        words = shlex.split(line)[1:]
        named = [
            sorted(map(str, folder.glob(one))) if one.endswith("/*") else [one] for one in words
        ]
        evalkit([one for each in named for one in each], folder)
