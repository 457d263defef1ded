"""``evalkit attack add``: the suites that come along, copied for a target and safe to run again."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from evalkit.cli.app import run_command
from evalkit.config import load_project, load_suite
from evalkit.config.shipped import shipped_files

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    assert run_command(["init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_wheel_takes_along_every_file_that_is_copied():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    wheel = tomllib.loads(text)["tool"]["hatch"]["build"]["targets"]["wheel"]
    taken = wheel["force-include"]
    places = dict(shipped_files())
    assert len(places) == 37
    for place, source in places.items():
        assert source == ROOT / place
        folder = place if place in taken else place.rpartition("/")[0]
        assert taken[folder] == f"evalkit/shipped/{folder}"


def test_suites_are_added_for_a_target_and_its_own_prompt(project, capsys):
    capsys.readouterr()
    assert run_command(["attack", "add", "--target", "span"]) == 0
    assert "wrote 12 files in suites/adversarial" in capsys.readouterr().out
    loaded = load_project(project / "evalkit.yaml")
    spec = load_suite(loaded, "prompt_extraction")
    assert spec.targets == ("span",)
    assert spec.scorers[0].options["prompt"] == project / "prompts/answer.j2"
    assert load_suite(loaded, "jailbreak").targets == ("span",)
    # the same again changes nothing, and an edited file is kept
    assert run_command(["attack", "add", "-t", "span", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] == 37
    edited = project / "suites/adversarial/jailbreak.yaml"
    edited.write_text(edited.read_text() + "# mine\n")
    assert run_command(["attack", "add", "-t", "span"]) == 2
    assert "already there, and not the same" in capsys.readouterr().err
    assert edited.read_text().endswith("# mine\n")
    assert run_command(["attack", "list"]) == 0
    frozen = project / "golden/adversarial/jailbreak.jsonl"
    before = frozen.read_bytes()
    frozen.write_bytes(before + before.splitlines()[0] + b"\n")
    capsys.readouterr()
    assert run_command(["attack", "list"]) == 2
    assert "edited" in capsys.readouterr().out
    assert run_command(["attack", "list", "--json"]) == 2
    frozen.write_bytes(before)
    assert run_command(["attack", "add", "-t", "span", "--force"]) == 0
    assert not edited.read_text().endswith("# mine\n")


def test_the_target_must_be_named_and_be_one(project, capsys):
    capsys.readouterr()
    assert run_command(["attack", "add"]) == 2
    assert "choose: --target NAME (span, sentence)" in capsys.readouterr().err
    assert run_command(["attack", "add", "-t", "spann"]) == 2
    assert "did you mean 'span'" in capsys.readouterr().err
    assert not (project / "suites/adversarial").exists()


def test_a_run_warns_of_what_a_prompt_never_shows(project, capsys):
    assert run_command(["attack", "add", "-t", "span"]) == 0
    capsys.readouterr()
    assert run_command(["run", "secret_leak", "--limit", "3", "--no-progress"]) == 0
    assert "never shows 'system' to its model" in capsys.readouterr().err


def test_a_target_may_name_the_prompt_that_comes_along(project, capsys):
    file = project / "evalkit.yaml"
    file.write_text(file.read_text().replace("prompts/answer.j2", "prompts/assistant.j2"))
    assert run_command(["run"]) == 2
    assert run_command(["attack", "add", "-t", "span"]) == 0
    assert "wrote 1 file in prompts" in capsys.readouterr().out
    assert load_project(file).targets["span"].prompt == project / "prompts/assistant.j2"


def test_a_name_that_is_nearly_one_says_which_and_how_it_is_added(project, capsys):
    def hint(name):
        capsys.readouterr()
        assert run_command(["run", name]) == 2
        return capsys.readouterr().err.splitlines()[-1].strip()

    for name in ("adversarial", "adverserial"):
        assert hint(name) == (
            "'adversarial' comes with evalkit; to add it: evalkit attack add --target span"
        )
    assert hint("adversarial/jailbreak").startswith("'jailbreak' comes with evalkit; to add it")
    assert hint("exampel") == "did you mean 'example'?"
    assert run_command(["attack", "add", "-t", "span"]) == 0
    assert run_command(["run", "adversarial/jailbreak", "--dry-run"]) == 0
    for name in ("adversarial/jailbrek", "jailbraek", "adv/jailbreak.yaml"):
        assert hint(name) == "did you mean 'jailbreak'?"
    for name in ("adverserial", "adversarial/", "suites/adversarial"):
        assert hint(name) == "did you mean 'adversarial'?"
