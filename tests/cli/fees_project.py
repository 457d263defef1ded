"""A project whose recorded answers are right, or say things their context does not."""

from __future__ import annotations

import json
from pathlib import Path

from evalkit.cli.app import run_command

BAD = "refunded by Mr Brown in Paris"


def make_fees(folder: Path, cases: int = 30, *, gate: str = "max: 60%") -> Path:
    """Every third answer is bad; a gate limits the share of hallucinations."""
    golden, answers = [], []
    for number in range(cases):
        fee = 7 + 3 * number
        golden.append(
            {
                "id": f"fee-{number}",
                "question": f"How much is fee {number}?",
                "context": [f"Fee {number} is {fee} crowns, paid at the desk."],
                "expected": f"{fee} crowns",
            }
        )
        text = f"The fee is {fee} crowns."
        if number % 3 == 0:
            text = f"The fee is {1000 + number} dollars, {BAD}."
        answers.append({"case": f"fee-{number}", "text": text})
    for name, rows in {"golden/fees.jsonl": golden, "recorded.jsonl": answers}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    (folder / "suites").mkdir()
    (folder / "suites" / "fees.yaml").write_text(
        "dataset: golden/fees.jsonl\ntargets: [bot]\nscorers: [hallucination, exact_match]\n"
        f"gates:\n  - {{id: halluc, metric: hallucination.rate, {gate}}}\n",
        encoding="utf-8",
    )
    (folder / "evalkit.yaml").write_text(
        "project: fees\ntargets:\n  bot: {kind: replay, file: recorded.jsonl}\n", encoding="utf-8"
    )
    return folder


def run_fees(capsys) -> None:
    assert run_command(["run", "--quiet"]) == 0
    capsys.readouterr()
