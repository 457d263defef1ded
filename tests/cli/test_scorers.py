"""``evalkit scorers`` and ``evalkit scorers show``, as a user runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from evalkit import registry
from evalkit.cards import FAMILY_TITLES
from evalkit.cli.app import run_command
from evalkit.errors import ExitCode

ROOT = Path(__file__).parents[2]
NAMES = registry.names(registry.Kind.SCORER)


@pytest.fixture(autouse=True)
def only_ours(monkeypatch):
    """What other tests declared in this process is not in the lists."""
    monkeypatch.setattr(registry._local, "found", {})


def test_every_scorer_is_listed_by_family_with_what_it_says(capsys):
    assert run_command(["scorers"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    blocks = dict(one.split("\n", 1) for one in shown.split("\n\n") if one.count("\n"))
    for name in NAMES:
        plugin = registry.get(registry.Kind.SCORER, name)
        block = blocks[FAMILY_TITLES[plugin.card.family]]
        assert re.search(rf"^  {name} +{re.escape(plugin.summary)}$", block, re.MULTILINE)
    assert "evalkit scorers show NAME" in shown


def test_the_page_of_all_cards_is_current(capsys):
    """Made anew by: evalkit scorers --markdown > docs/scorers.md."""
    assert run_command(["scorers", "--markdown"]) == ExitCode.PASS
    assert capsys.readouterr().out == (ROOT / "docs" / "scorers.md").read_text(encoding="utf-8")


def test_a_card_says_what_was_measured_and_what_is_not_seen(capsys):
    assert run_command(["scorers", "show", "grounding_model"]) == ExitCode.PASS
    shown = capsys.readouterr().out
    for part in ("cost        free", "AUROC Summary", "model unseen", "BEGIN", "blind to\n  - "):
        assert part in shown
    assert run_command(["scorers", "show", "refusal", "--json"]) == ExitCode.PASS
    facts = json.loads(capsys.readouterr().out)
    assert facts["family"] == "safety"
    assert facts["measured"][0]["figures"]["F1"] < facts["measured"][1]["figures"]["F1"]
    assert facts["blind_spots"]


def test_the_list_as_json_holds_everything(capsys):
    assert run_command(["scorers", "--json"]) == ExitCode.PASS
    facts = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert sorted(facts) == NAMES
    rouge = facts["rouge_l"]
    assert rouge["direction"] == "higher"
    assert rouge["range"] == [0.0, 1.0]
    assert rouge["parameters"][0] == {
        "name": "stemmer",
        "type": "true or false",
        "required": False,
        "default": False,
    }
    assert facts["latency"]["range"] == [0.0, None]
    assert facts["bleu"]["metrics"] == ["mean", "corpus"]
    assert facts["python"]["code"] is True


@pytest.mark.parametrize("name", NAMES)
def test_one_scorer_is_shown_with_its_whole_description(name, capsys):
    assert run_command(["scorers", "show", name]) == ExitCode.PASS
    shown = capsys.readouterr().out
    plugin = registry.get(registry.Kind.SCORER, name)
    assert plugin.doc.replace("``", "`") in shown
    assert f"{name}.{plugin.metrics[0].name}" in shown
    for parameter in plugin.parameters.values():
        assert re.search(rf"^  {parameter.name}: \S", shown, re.MULTILINE)
    assert "typing." not in shown
    assert run_command(["scorers", "show", name, "--json"]) == ExitCode.PASS
    assert json.loads(capsys.readouterr().out)["name"] == name


def test_an_unknown_scorer_is_named_with_the_nearest(capsys):
    assert run_command(["scorers", "show", "rogue_l"]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "unknown scorer 'rogue_l'" in error
    assert "rouge_l" in error


@pytest.mark.parametrize("name", NAMES)
def test_what_the_list_shows_for_a_suite_is_a_suite(name, tmp_path):
    """The example of every scorer is read by the configuration and bound."""
    from evalkit.config import load_project, load_suite
    from evalkit.scorers import bind

    plugin = registry.get(registry.Kind.SCORER, name)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "answer.json").write_text("{}")
    for model in ("deberta-nli", "lettucedetect"):
        (tmp_path / "models" / model).mkdir(parents=True)
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "mine.py").write_text("def score(case, output):\n    return 1\n")
    (tmp_path / "suites").mkdir()
    (tmp_path / "p.j2").write_text("{{ question }}")
    (tmp_path / "cases.jsonl").write_text('{"question": "?", "expected": "!"}\n')
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "judge.j2").write_text("Is it right? {{ output }}")
    (tmp_path / "prompts" / "answer.j2").write_text("{{ question }}")
    server = "base_url: http://127.0.0.1:9/v1, model: m"
    (tmp_path / "evalkit.yaml").write_text(
        "project: p\ntargets:\n  t: {kind: extractive, prompt: p.j2}\n"
        f"  grader: {{kind: openai_compatible, judge: true, {server}}}\n"
        f"  vectors: {{kind: embeddings, judge: true, {server}}}\n",
        encoding="utf-8",
    )
    (tmp_path / "suites" / "s.yaml").write_text(
        f"dataset: cases.jsonl\ntargets: [t]\nscorers:\n  - {plugin.usage or name}\n",
        encoding="utf-8",
    )
    project = load_project(tmp_path / "evalkit.yaml")
    (spec,) = load_suite(project, "s").scorers
    assert spec.scorer == name
    if "folder" in plugin.parameters:
        return  # binding loads a model: tests/scorers/test_local.py
    if plugin.asks:
        return  # binding hands it a judge: tests/runner/test_judges.py, tests/scorers/test_ragas.py
    if name.startswith("ragas_"):
        pytest.importorskip("ragas", reason="ragas is not installed: nox -s ragas")
    one = bind(spec, root=tmp_path, allow_code=True)
    assert one.signature.startswith(f"{name}|")
    assert str(tmp_path) not in one.signature


def test_scorers_of_the_project_are_listed_when_its_code_may_run(tmp_path):
    (tmp_path / "mine.py").write_text(
        '''from evalkit import Case, Output, Score, rate, scorer


@scorer(metrics=(rate,))
def polite(case: Case, output: Output, *, word: str = "thank") -> Score:
    """Whether the answer thanks."""
    return Score(value=1.0, passed=True)
''',
        encoding="utf-8",
    )
    (tmp_path / "evalkit.yaml").write_text(
        "project: p\nplugins: [mine.py]\ntargets: {t: {kind: replay, file: golden/x.jsonl}}\n"
    )

    def run(*arguments):  # in a process of its own: what is declared stays declared
        command = [sys.executable, "-m", "evalkit", "scorers", *arguments]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    without = run().stdout
    assert "polite" not in without
    assert "--allow-code" in without
    assert run("show", "polite").returncode == ExitCode.USAGE
    listed = run("--allow-code").stdout.partition("Your own")[2]
    assert re.search(r"polite +Whether the answer thanks\.", listed)
    assert 'word: text (default "thank")' in run("show", "polite", "--allow-code").stdout
