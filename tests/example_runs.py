"""Runs and trials as a real run would make them, for tests of store, report and commands."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from evalkit.errors import ErrorClass
from evalkit.model import (
    NOTHING_SPENT,
    Case,
    DatasetVersion,
    Evidence,
    GitState,
    InterToken,
    Leg,
    Message,
    Output,
    PromptVersion,
    Run,
    RunStatus,
    Score,
    ScoreRecord,
    ScorerVersion,
    ScoreStatus,
    Spend,
    TargetVersion,
    ToolCall,
    Trial,
    TrialStatus,
    Usage,
)

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SIGNATURES = {
    "exact_match": "exact_match|ignore_case:no|v:1",
    "rouge_l": "rouge_l|stemmer:no|lib:rouge-score 0.1.2|v:1",
    "bleu": "bleu|tokenize:13a|lib:sacrebleu 2.6.0|v:1",
}


def example_run(run_id: str = "20261121-093000-4e77", **changes: Any) -> Run:
    """A run of one suite on two targets."""
    fields: dict[str, Any] = {
        "id": run_id,
        "project": "support-bot",
        "started_at": START,
        "status": RunStatus.RUNNING,
        "planned": 48,
        "suites": ("support",),
        "suite_hashes": {"support": "5c1e"},
        "targets": (
            TargetVersion(
                name="small",
                kind="openai_compatible",
                content_hash="aa11",
                options={"model": "tiny-1", "api_key": "${env:KEY}"},
                model="tiny-1",
                prompt_version="9f2c3d4e5f60",
                price={"input": 0.25, "output": 2.0},
            ),
            TargetVersion(
                name="large", kind="openai_compatible", content_hash="bb22", options={}, model="big"
            ),
        ),
        "prompts": (
            PromptVersion(
                version="9f2c3d4e5f60",
                path="prompts/answer.j2",
                text="{{ question }}",
                label="v3",
                owner="support team",
            ),
        ),
        "datasets": (
            DatasetVersion(
                suite="support",
                source="golden/support.jsonl",
                version="d4d4",
                format="jsonl",
                cases=24,
                selected=24,
            ),
        ),
        "scorers": (
            scorer_version("exact_match", metrics=("mean", "rate")),
            scorer_version("rouge_l"),
            scorer_version("bleu", metrics=("mean", "corpus")),
        ),
        "slices": ("lang",),
        "seed": 7,
        "settings": {"trials": 1},
        "evalkit_version": "0.1.0",
        "git": GitState(commit="a1b2c3d4e5f6", branch="main", dirty=True),
        "user": "ana",
    }
    return Run(**{**fields, **changes})


def scorer_version(name: str, **changes: Any) -> ScorerVersion:
    fields: dict[str, Any] = {
        "suite": "support",
        "name": name,
        "scorer": name,
        "signature": SIGNATURES.get(name, f"{name}|v:1"),
        "direction": "higher",
        "unit": "",
        "metrics": ("mean",),
    }
    return ScorerVersion(**{**fields, **changes})


def example_case(number: int) -> Case:
    return Case.of(
        {"question": f"How many days does refund rule {number} give?"},
        expected=[f"{number} days", "a while"],
        context=(f"Rule {number}: a refund is possible within {number} days.",),
        tags={"lang": ("en", "es", "de")[number % 3], "topic": "refund"},
        metadata={"author": "ana"},
        name=f"refund-{number:03d}",
        row=number + 1,
    )


def example_trial(
    run_id: str, case: Case, target: str, index: int = 0, *, quality: float, **changes: Any
) -> Trial:
    """An answered trial; ``quality`` from 0 to 1 is its rouge_l, and decides the rest."""
    right = quality >= 0.5
    fields: dict[str, Any] = {
        "run_id": run_id,
        "suite": "support",
        "target": target,
        "case": case,
        "index": index,
        "status": TrialStatus.OK,
        "started_at": START + timedelta(seconds=case.row),
        "request_hash": f"hash-{case.row}",
        "messages": (Message(role="user", content=str(case.inputs["question"])),),
        "seed": case.row,
        "output": Output(
            text=f"It gives {case.row - 1} days." if right else "It gives a month.",
            finish_reason="stop",
            model=f"{target}-2026-01-20",
            usage=Usage(input_tokens=120 + case.row, output_tokens=18, cached_tokens=64),
            latency_s=0.4 + quality / 10 + case.row / 1000,
            ttft_s=0.1 + quality / 100,
            inter_token=InterToken(count=17, mean_s=0.01, p95_s=0.02, max_s=0.05),
            cost_usd=0.00006 if target == "small" else None,
        ),
        "spend": Spend(usd=0.00006 if target == "small" else None, tokens=138 + case.row),
        "attempts": 1,
        "queue_s": 0.001,
        "total_s": 0.6,
        "scores": (
            scored("exact_match", float(right), passed=right),
            scored("rouge_l", quality, reason=None if right else "shares no longer sequence"),
            scored("bleu", 100 * quality, stats=_bleu_stats(quality)),
        ),
    }
    return Trial(**{**fields, **changes})


def _bleu_stats(quality: float) -> tuple[float, ...]:
    right = [round(quality * total) for total in (6, 5, 4, 3)]
    return (6.0, 6.0, *map(float, right), 6.0, 5.0, 4.0, 3.0)


def scored(name: str, value: float, **fields: Any) -> ScoreRecord:
    return ScoreRecord(
        name=name,
        signature=SIGNATURES.get(name, f"{name}|v:1"),
        status=ScoreStatus.SCORED,
        score=Score(value=value, **fields),
        elapsed_s=0.00002,
    )


def failed_trial(run_id: str, case: Case, target: str, index: int = 0) -> Trial:
    return example_trial(
        run_id,
        case,
        target,
        index,
        quality=0.0,
        status=TrialStatus.ERROR,
        output=None,
        spend=NOTHING_SPENT,
        error_class=ErrorClass.TIMEOUT,
        error="no answer within 60 s",
        http_status=None,
        attempts=5,
        scores=(),
    )


def example_trials(
    run_id: str = "20261121-093000-4e77",
    *,
    cases: int = 24,
    targets: tuple[str, ...] = ("small", "large"),
    trials: int = 1,
    seed: int = 1,
) -> list[Trial]:
    """Answers of all targets to all cases, the later target the better; the last one times out."""
    dice = random.Random(seed)
    found = []
    for number in range(cases):
        case = example_case(number)
        for place, target in enumerate(targets):
            for index in range(trials):
                quality = min(1.0, dice.random() * 0.9 + 0.1 * place)
                found.append(
                    failed_trial(run_id, case, target, index)
                    if number == cases - 1 and place == 0
                    else example_trial(run_id, case, target, index, quality=round(quality, 3))
                )
    return found


def rich_trial(run_id: str = "20261121-093000-4e77") -> Trial:
    """A trial with something in every field."""
    case = example_case(3)
    plain = example_trial(run_id, case, "small", quality=0.75)
    assert plain.output is not None
    return example_trial(
        run_id,
        case,
        "small",
        quality=0.75,
        output=Output(
            text="3 days",
            finish_reason="tool_calls",
            tool_calls=(ToolCall(name="lookup", arguments='{"rule": 3}', id="call_1"),),
            context=("Rule 3 …",),
            model="tiny-1-2026-01-20",
            usage=Usage(
                input_tokens=100,
                output_tokens=20,
                cached_tokens=10,
                cache_write_tokens=5,
                reasoning_tokens=7,
            ),
            latency_s=0.5,
            ttft_s=0.1,
            inter_token=InterToken(count=3, mean_s=0.1, p95_s=0.2, max_s=0.3),
            cost_usd=0.001,
            legs=(
                Leg(target="tiny", model="t", usage=Usage(input_tokens=9), latency_s=0.1),
                Leg(target="big", cost_usd=0.1, error_class=ErrorClass.SERVER),
            ),
            extra={"region": "eu", "list": [1, 2.5, None]},
        ),
        http_status=200,
        scores=(
            scored(
                "judge",
                0.25,
                passed=False,
                label="partly",
                reason="the second claim has no source",
                evidence=(
                    Evidence(source="output", start=0, end=6, text="3 days", reason="ok"),
                    Evidence(source="context:0", start=5, end=6, text="3", value=0.5),
                ),
                stats=(1.0, 2.0),
                cost_usd=0.0001,
            ),
            ScoreRecord(
                name="bleu",
                signature="bleu|v:1",
                status=ScoreStatus.UNSCORED,
                reason="nothing is expected",
            ),
            ScoreRecord(
                name="mine",
                signature="mine|v:1",
                status=ScoreStatus.ERROR,
                reason="ZeroDivisionError: division by zero",
                elapsed_s=0.1,
            ),
        ),
    )
