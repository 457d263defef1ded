"""Two runs that differ in known ways, built from values, and the page that shows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from evalkit.gate.decide import attacked, compare
from evalkit.gate.fairness import fair
from evalkit.gate.stored import Stored
from evalkit.gate.table import case_tables
from evalkit.model import (
    Case,
    DatasetVersion,
    ErrorClass,
    Evidence,
    GitState,
    Message,
    Output,
    PromptVersion,
    Run,
    RunStatus,
    Score,
    ScoreRecord,
    ScorerVersion,
    ScoreStatus,
    TargetVersion,
    Trial,
    TrialStatus,
    Usage,
)
from evalkit.report.page import ReportView
from evalkit.report.page_build import Context, Past, report_view
from evalkit.report.view import RunView
from evalkit.report.view_build import run_view
from evalkit.store import Store

START = datetime(2026, 11, 20, 9, tzinfo=UTC)
BEFORE, AFTER = "20261120-090000-aaaaaa", "20261121-090000-bbbbbb"
PROMPTS = {
    BEFORE: "Answer from the passages only.\nIf they hold no answer, say so.\n",
    AFTER: "Answer from the passages and what you know.\nIf they hold no answer, say so.\n",
}

HOSTILE = {
    "script": "</script><script>window.hurt=1</script>",
    "handler": '<img src=x onerror="window.hurt=2"><svg onload=window.hurt=3>',
    "template": "{{7*7}} {% raw %} ${7*7} <%= 7*7 %>",
    "bidi": "price \u202e001\u202c euro \u2066x\u2069 \u200bzero\u200d width",
    "ansi": "\x1b[31mred\x1b[0m \x1b]8;;http://example.org\x07link\x1b]8;;\x07",
    "nul": "a\x00b\x07c",
    "surrogate": "half \ud83d of a pair",
    "arabic": "خلال خمسة وأربعين يومًا",
    "emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 ok",
    "markdown": "![x](http://example.org/x.png) [link](javascript:window.hurt=4)",
    "comment": "<!-- --> ]]> &lt;b&gt; <base href=http://example.org/>",
}


def case_of(number: int, name: str | None = None) -> Case:
    tags = {"lang": ("en", "es", "ar")[number % 3], "topic": f"t{number % 4}"}
    return Case.of(
        {"question": f"What is the answer to question {number}?"},
        expected=f"answer {number}",
        context=[f"The answer to {number} is answer {number}, says the handbook."],
        name=name or f"case-{number:03d}",
        tags=tags,
        row=number + 1,
    )


def run_of(run_id: str, *, planned: int, targets: tuple[str, ...] = ("bot",)) -> Run:
    later = run_id == AFTER
    return Run(
        id=run_id,
        project="support-bot",
        started_at=START + timedelta(days=1 if later else 0),
        finished_at=START + timedelta(days=1 if later else 0, seconds=95),
        status=RunStatus.COMPLETE,
        planned=planned,
        suites=("support",),
        suite_hashes={"support": "h"},
        targets=tuple(
            TargetVersion(
                name=name,
                kind="openai_compatible",
                content_hash=f"{name}{run_id}",
                options={"params": {"temperature": 0.4 if later else 0.2}},
                model="m-1",
                prompt_version=f"p-{run_id[-1]}",
            )
            for name in targets
        ),
        prompts=(
            PromptVersion(
                version=f"p-{run_id[-1]}", path="prompts/answer.j2", text=PROMPTS[run_id]
            ),
        ),
        datasets=(
            DatasetVersion(
                suite="support", source="golden/x.jsonl", version="d", format="jsonl",
                cases=planned, selected=planned,
            ),
        ),
        scorers=(
            ScorerVersion(
                suite="support", name="exact_match", scorer="exact_match",
                signature="exact_match|v:1", direction="higher", unit="", metrics=("rate",),
            ),
        ),
        slices=("lang",),
        evalkit_version="0.1.0",
        git=GitState(commit="d4e5f6a7b8", branch="pr-482")
        if later
        else GitState(commit="a1b2c3d4e5", branch="main"),
    )  # fmt: skip


def trial_of(
    run_id: str,
    case: Case,
    text: str | None,
    *,
    index: int = 0,
    target: str = "bot",
    passed: bool | None = None,
    reason: str | None = None,
    evidence: tuple[Evidence, ...] = (),
) -> Trial:
    good = (text == case.expected) if passed is None else passed
    score = Score(value=float(good), passed=good, reason=reason, evidence=evidence)
    record = ScoreRecord(
        name="exact_match", signature="exact_match|v:1", status=ScoreStatus.SCORED, score=score
    )
    return Trial(
        run_id=run_id,
        suite="support",
        target=target,
        case=case,
        index=index,
        status=TrialStatus.OK if text is not None else TrialStatus.ERROR,
        started_at=START,
        request_hash="r",
        messages=(Message(role="user", content=str(case.inputs["question"])),),
        output=None
        if text is None
        else Output(
            text=text,
            latency_s=0.2 + case.row / 1000,
            ttft_s=0.1,
            cost_usd=0.001,
            usage=Usage(input_tokens=40, output_tokens=6),
        ),
        error_class=ErrorClass.TIMEOUT if text is None else None,
        error="no answer within 60 s" if text is None else None,
        scores=() if text is None else (record,),
    )


def stored(folder: Path, trials: dict[str, list[Trial]], **changes: object) -> Store:
    """A store with one run or two."""
    store = Store(folder / "evalkit.duckdb")
    for run_id, made in trials.items():
        targets = tuple(dict.fromkeys(one.target for one in made)) or ("bot",)
        run = run_of(run_id, planned=len(made), targets=targets)
        store.create_run(replace(run, **changes))  # type: ignore[arg-type]
        store.append(made)
        store.finish_run(run_id, RunStatus.COMPLETE, run.finished_at)
    return store


def view_of(store: Store, *, alone: bool = False, room: int = 10_000_000) -> ReportView:
    """The report of what ``stored`` made; without gates."""

    def side(run_id: str) -> Stored:
        return Stored(run=store.load_run(run_id), sides=store.sides(run_id))

    def run_alone(run_id: str) -> RunView:
        with store.samples(run_id) as (run, samples):
            return run_view(run, samples)

    new = side(AFTER)
    old = None if alone else side(BEFORE)
    past = [
        Past(
            run_id=one.run_id,
            started_at=one.started_at,
            commit=one.git_commit,
            scorer=one.scorer,
            scores=dict(one.scores),
        )
        for one in store.runs()
    ]
    return report_view(
        candidate=new,
        baseline=old,
        verdict=None,
        compared=() if old is None else compare(new.run.suites, new, old)[0],
        run=replace(
            run_alone(AFTER),
            attacks=attacked(new.run.suites, new, old),
            fairness=fair(new.run.suites, new, old),
        ),
        before=None if old is None else run_alone(BEFORE),
        tables=case_tables(new.run.suites, new, old),
        context=Context(past={"support": past}, releases={}),
        texts=lambda ids: store.cases(AFTER, ids),
        texts_before=None if alone else lambda ids: store.cases(BEFORE, ids),
        room=room,
    )
