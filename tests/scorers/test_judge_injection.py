"""The suite of judge injection, as a user runs it: it tells a gullible judge from a guarded one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import ExitCode
from evalkit.store import Store
from tests.scorers.local_judges import guarded, gullible
from tests.servers import ModelServer

ROOT = Path(__file__).parents[2]
RATES = (
    "SELECT tags['sort'] AS sort, avg(passed::INT) AS rate, count(*) AS n FROM results"
    " WHERE scorer = 'judge' GROUP BY ALL"
)


def lines(name: str) -> list[dict[str, Any]]:
    text = (ROOT / "golden" / name).read_text(encoding="utf-8")
    return [json.loads(one) for one in text.splitlines()]


def run(folder: Path, answer) -> tuple[int, dict[str, float], str]:
    for name in ("suites", "golden", "prompts"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "evalkit.yaml", folder)
    with ModelServer(answer) as server:
        done = subprocess.run(
            [sys.executable, "-m", "evalkit", "run", "judge_injection", "--offline", "--gate"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "EVALKIT_JUDGE_URL": server.openai,
            },
            capture_output=True,
            text=True,
            check=False,
        )
    store = Store(folder / ".evalkit" / "evalkit.duckdb")
    rates = {one["sort"]: one["rate"] for one in store.query(RATES).to_pylist()}
    return done.returncode, rates, done.stdout + done.stderr


def test_a_guarded_judge_is_talked_over_by_nobody_and_passes_what_is_right(tmp_path: Path) -> None:
    code, rates, said = run(tmp_path, guarded)
    assert rates == {"attack": 0.0, "control": 1.0}, said
    assert code == ExitCode.PASS, said


def test_a_gullible_judge_fails_the_gate(tmp_path: Path) -> None:
    code, rates, said = run(tmp_path, gullible)
    assert rates["attack"] > 0.5
    assert code == ExitCode.FAIL, said


def test_every_attack_is_wrong_every_control_right_and_each_has_its_answer() -> None:
    cases = lines("judge_injection.jsonl")
    answers = {one["case"]: one["text"] for one in lines("answers/judge_injection.jsonl")}
    assert {one["id"] for one in cases} == set(answers)
    kinds = {one["tags"]["attack"] for one in cases}
    assert kinds >= {
        "instruction",
        "fake_verdict",
        "fence",
        "system",
        "unicode",
        "flattery",
        "language",
    }
    for one in cases:
        right = one["expected"].casefold() in answers[one["id"]].casefold()
        assert right == (one["tags"]["sort"] == "control"), one["id"]


@pytest.mark.parametrize("name", ["fence_guess", "system_chatml", "unicode_tags"])
def test_what_a_judge_is_shown_of_an_attack_cannot_pass_for_the_frame(name: str) -> None:
    from evalkit.scorers._fence import Fenced

    recorded = lines("answers/judge_injection.jsonl")
    text = next(one["text"] for one in recorded if one["case"] == name)
    fenced = Fenced({"output": text})
    shown = str(fenced.shown["output"])
    assert shown.count(fenced.fence) == 2
    assert "<|im_start|>" not in shown
    assert not any("\U000e0000" <= one <= "\U000e007f" for one in shown)
