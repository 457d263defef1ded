"""The shipped attack suites against a help desk that obeys everybody, and one that does not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from evalkit.config import load_card
from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from tests.servers import ModelServer, desk

ROOT = Path(__file__).resolve().parents[2]
CATEGORIES = sorted(one.stem for one in (ROOT / "suites/adversarial").glob("*.yaml"))


def _target(server: ModelServer, **more: object) -> dict[str, object]:
    return {
        "kind": "openai_compatible",
        "model": "desk",
        "base_url": server.openai,
        "stream": False,
        "prompt": "prompts/assistant.j2",
        **more,
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("attacked")
    for folder in ("suites/adversarial", "golden/adversarial", "prompts"):
        shutil.copytree(ROOT / folder, root / folder)
    with ModelServer(desk.vulnerable) as bad, ModelServer(desk.guarded) as good:
        targets = {
            "assistant": _target(good, tools=desk.TOOLS),
            "vulnerable": _target(bad, tools=desk.TOOLS),
            "toolless": _target(good),
            "blind": _target(good, prompt="prompts/blind.j2"),
        }
        (root / "prompts/blind.j2").write_text("system:\nBe brief.\n\nuser:\n{{ question }}\n")
        (root / "evalkit.yaml").write_text(json.dumps({"project": "attacked", "targets": targets}))
        yield root


def _gated(project: Path, *args: str) -> tuple[int, dict[str, str]]:
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", "run", *args, "--gate", "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    verdict = json.loads(done.stdout)
    return done.returncode, {one["gate"]: one["status"] for one in verdict["results"]}


def _show(project: Path, *args: str) -> str:
    command = [sys.executable, "-m", "evalkit", "show", "latest", *args]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_the_guarded_desk_passes_every_category(project):
    code, gates = _gated(project, "adversarial")
    assert set(gates) == {*CATEGORIES, *(f"{one}.twins" for one in CATEGORIES)}
    assert set(gates.values()) == {"PASS"}, gates
    assert code == 0


def test_of_many_suites_each_has_a_line_and_is_shown_whole_by_name(project):
    brief, whole = _show(project), _show(project, "--suite", "boundary")
    lines = [one.split()[0] for one in brief.splitlines() if one.strip()]
    assert [one for one in lines if one in CATEGORIES] == CATEGORIES
    assert "latency.p50" not in brief
    assert "--suite boundary" in brief
    assert "latency.p50" in whole
    assert "jailbreak" not in whole


def test_the_vulnerable_desk_fails_every_category(project):
    code, gates = _gated(project, "adversarial", "--target", "vulnerable")
    assert {gates[one] for one in CATEGORIES} == {"FAIL"}, gates
    assert code == 1


def test_a_target_without_tools_never_passes_the_tool_suite(project):
    suites = ("excessive_agency", "jailbreak", "misinformation", "unanswerable")
    code, gates = _gated(project, *suites, "--target", "toolless")
    assert gates["excessive_agency"] == "ERROR"
    assert code != 0
    shown = " ".join(_show(project).split())
    assert "tool_forbidden: 28 unscored: the target 'toolless' has no tools" in shown
    assert "marker" not in shown  # that twins have none leaves no attack open


def test_a_prompt_that_hides_the_attack_never_passes(project, tmp_path):
    code, gates = _gated(project, "indirect_injection", "--target", "blind")
    assert gates == dict.fromkeys(("indirect_injection", "indirect_injection.twins"), "ERROR")
    assert code == 3
    shown = " ".join(_show(project).split())
    assert "27 unscored: the target 'blind' never shows 'context' to its model" in shown
    files = [tmp_path / one for one in ("gate.xml", "gate.md")]
    subprocess.run(
        [sys.executable, "-m", "evalkit", "gate", "--junit", files[0], "--markdown", files[1]],
        cwd=project,
        capture_output=True,
        timeout=60,
        check=False,
    )
    for one in files:
        assert "indirect_injection.tool_result" in one.read_text(encoding="utf-8").replace("\\", "")


TECHNIQUES = {
    "indirect_injection": "document email table tool_result web_page",
    "jailbreak": "role_play hypothetical many_shot authority refusal_suppression language_switch",
    "insecure_output": "script sql shell image link",
    "boundary": "empty long control zero_width homoglyph bidi mixed_scripts emoji deep_json"
    " encoding",
}


@pytest.mark.parametrize(("name", "wanted"), TECHNIQUES.items())
def test_every_technique_of_a_category_has_two_cases_or_more(name, wanted):
    text = (ROOT / "golden/adversarial" / f"{name}.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(one) for one in text.splitlines()]
    many = Counter(one["tags"]["technique"] for one in rows if one["tags"]["sort"] == "attack")
    assert all(many[one] >= 2 for one in wanted.split()), many


def test_the_boundary_suite_asks_nothing_and_asks_in_many_scripts():
    path = ROOT / "golden/adversarial/boundary.jsonl"
    cases = list(open_dataset(DatasetSpec(source=str(path), format="jsonl")).cases())
    assert "" in {one.inputs.get("question") for one in cases}
    assert "" in {one.user for each in cases for one in each.turns}
    attacks = {one.tags["lang"] for one in cases if one.tags["sort"] == "attack"}
    assert attacks >= {"ar", "he", "th", "hi", "zh", "ja", "ko", "ru", "el"}


@pytest.mark.parametrize("name", CATEGORIES)
def test_every_category_has_its_cases_twins_and_card(name):
    path = ROOT / "golden/adversarial" / f"{name}.jsonl"
    card = load_card(path)
    assert card is not None
    assert card.threat
    assert card.expected
    assert card.success
    assert card.owasp
    assert card.atlas
    dataset = open_dataset(DatasetSpec(source=str(path), format="jsonl"))
    cases = list(dataset.cases())
    attacks = [one for one in cases if one.tags["sort"] == "attack"]
    assert len(attacks) >= 15
    assert len([one for one in cases if one.tags["sort"] == "twin"]) >= 8
    assert len({one.tags["lang"] for one in attacks}) >= 2
    for one in cases:
        assert one.tags["category"] == name
        assert one.tags["transform"] == "none"
        assert one.tags["base"] == one.name
        assert one.name.startswith(f"{name}.")
    for one in attacks:
        assert one.tags["severity"] in {"low", "medium", "high", "critical"}
