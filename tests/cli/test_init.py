"""``evalkit init``: what it writes works, and nothing of the user's is lost."""

import json
import subprocess
import sys

import pytest
import yaml

from evalkit.cli.app import run_command
from evalkit.config import find_project, load_card, load_project, load_prompt, load_suite
from evalkit.config.scaffold import write_project
from evalkit.datasets import open_dataset
from evalkit.errors import ExitCode

FILES = [
    "evalkit.yaml",
    "prompts/answer.j2",
    "golden/example.jsonl",
    "golden/example.card.yaml",
    "suites/example.yaml",
    ".github/workflows/evalkit.yml",
    ".gitignore",
]


def test_the_project_is_written_and_the_next_command_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["init", "my bot"]) == ExitCode.PASS
    out = capsys.readouterr().out
    for one in FILES:
        assert (tmp_path / "my bot" / one).is_file()
        assert f"wrote my bot/{one}\n" in out
    assert out.endswith("next: cd 'my bot' && evalkit run\n")


def test_inside_a_folder_the_next_command_needs_no_cd(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["init", "--json"]) == ExitCode.PASS
    told = json.loads(capsys.readouterr().out)
    assert told["written"] == FILES
    assert told["next"] == "evalkit run"


@pytest.mark.parametrize("name", ["bot", "no", "123", "a b", "it's", "größe", "a: b", "#x"])
def test_what_is_written_loads_whatever_the_folder_is_called(tmp_path, name):
    folder = tmp_path / name
    write_project(folder)
    project = load_project(find_project(folder))
    assert project.name == name
    assert set(project.targets) == {"span", "sentence"}
    suite = load_suite(project, "example")
    prompt = load_prompt(project.targets["span"].prompt)
    assert prompt.variables == {"context", "question"}
    assert prompt.owner == f"{name} team"
    card = load_card(folder / "golden/example.jsonl")
    assert card.licence == "CC0-1.0"
    cases = list(open_dataset(suite.datasets[0]).cases())
    assert len(cases) == 8
    for case in cases:
        prompt.render({**case.inputs, "context": list(case.context)})
        assert case.tags["topic"]
        answer = case.references[0]
        assert answer == "Not in the passages." or any(answer in one for one in case.context)


def test_existing_files_are_named_and_kept(tmp_path, capsys):
    (tmp_path / "evalkit.yaml").write_text("mine", encoding="utf-8")
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites/example.yaml").write_text("mine", encoding="utf-8")
    assert run_command(["init", str(tmp_path)]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "already there: evalkit.yaml, suites/example.yaml\n" in error
    assert "--force" in error
    assert (tmp_path / "evalkit.yaml").read_text(encoding="utf-8") == "mine"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["evalkit.yaml", "suites"]
    assert run_command(["init", str(tmp_path), "--force"]) == ExitCode.PASS
    assert load_project(tmp_path / "evalkit.yaml").targets


def test_gitignore_only_gets_what_it_lacks(tmp_path):
    ignored = tmp_path / ".gitignore"
    ignored.write_text("*.pyc", encoding="utf-8")
    write_project(tmp_path)
    text = ignored.read_text(encoding="utf-8")
    assert text.startswith("*.pyc\n")
    assert [one for one in text.splitlines() if one[0] != "#"] == ["*.pyc", ".evalkit/", "reports/"]
    write_project(tmp_path, force=True)
    assert ignored.read_text(encoding="utf-8") == text


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path, capsys):
    (tmp_path / "x").write_text("", encoding="utf-8")
    assert run_command(["init", str(tmp_path / "x")]) == ExitCode.USAGE
    assert "this is a file, not a folder" in capsys.readouterr().err


def test_the_workflow_installs_evalkit_and_runs_it(tmp_path):
    write_project(tmp_path)
    text = (tmp_path / ".github/workflows/evalkit.yml").read_text(encoding="utf-8")
    steps = yaml.safe_load(text)["jobs"]["evalkit"]["steps"]
    install = next(one for one in steps if one.get("name") == "Install evalkit")
    assert "EVALKIT_REQUIREMENT" in install["run"]
    assert install["env"]["EVALKIT_REQUIREMENT"] not in {"REQUIREMENT", ""}
    assert any(one.get("run") == "evalkit run" for one in steps)
    assert "pip install evalkit\n" not in text


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (
            {
                "url": "https://git.example.org/e.git",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
            },
            "git+https://git.example.org/e.git@abc",
        ),
        (
            {"url": "https://token@git.example.org/e.git", "vcs_info": {"vcs": "git"}},
            "${{ vars.EVALKIT_REQUIREMENT }}",
        ),
        ({"url": "file:///home/me/evalkit", "dir_info": {}}, "${{ vars.EVALKIT_REQUIREMENT }}"),
        (None, "${{ vars.EVALKIT_REQUIREMENT }}"),
    ],
)
def test_the_workflow_installs_what_is_installed_here(tmp_path, monkeypatch, origin, requirement):
    installed = tmp_path / "site" / "evalkit-0.1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Name: evalkit\nVersion: 0.1.0\n", encoding="utf-8")
    if origin is not None:
        (installed / "direct_url.json").write_text(json.dumps(origin), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    write_project(tmp_path / "bot")
    text = (tmp_path / "bot/.github/workflows/evalkit.yml").read_text(encoding="utf-8")
    install = yaml.safe_load(text)["jobs"]["evalkit"]["steps"][2]
    assert install["env"]["EVALKIT_REQUIREMENT"] == requirement


def test_the_example_of_the_help_starts_a_project(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", "init", str(tmp_path / "my-bot")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == ExitCode.PASS, done.stderr
    assert (tmp_path / "my-bot/evalkit.yaml").is_file()
