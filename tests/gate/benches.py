"""Two sides of a comparison made by hand, and gates on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from evalkit.config.spec import GateLimit, GatePolicy, GateSpec, SuiteSpec
from evalkit.gate.decide import decide
from evalkit.gate.result import GateResult, Verdict
from evalkit.gate.stored import Stored
from evalkit.model import (
    DatasetVersion,
    Run,
    RunStatus,
    ScorerVersion,
    TargetVersion,
)
from evalkit.stats.sides import Side, SideScores

TODAY = date(2026, 11, 21)
START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def limit(kind: str, value: float, **fields: Any) -> GateLimit:
    return GateLimit(kind=kind, value=value, **fields)  # type: ignore[arg-type]


def gate(metric: str = "pass.rate", *limits: GateLimit, **fields: Any) -> GateSpec:
    given = limits or (limit("max_drop", 0.05),)
    return GateSpec(**{"id": metric, "metric": metric, "limits": given, **fields})


def suite(*gates: GateSpec, **policy: Any) -> SuiteSpec:
    return SuiteSpec(
        name="support",
        path=Path("suites/support.yaml"),
        datasets=(),
        targets=("bot",),
        scorers=(),
        gates=gates,
        policy=GatePolicy(**policy),
    )


def side(
    passed: Sequence[Sequence[float | None]],
    *,
    cases: Sequence[str] | None = None,
    scores: Sequence[Sequence[float | None]] | None = None,
    latency: Sequence[float] | None = None,
    cost: Sequence[float] | None = None,
    tags: Mapping[str, Sequence[str | None]] | None = None,
    run: str = "run",
    live: bool = True,
    inputs: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    models: Mapping[str, int] | None = None,
) -> Side:
    """``passed`` has the trials of every case, ``None`` a trial that failed."""
    rows = [(case, value) for case, trials in enumerate(passed) for value in trials]
    owner = np.array([case for case, _ in rows], dtype=np.intp)
    values = np.array([np.nan if one is None else one for _, one in rows], dtype=float)
    ok = ~np.isnan(values)
    ids = list(cases) if cases is not None else [f"case-{one:05d}" for one in range(len(passed))]
    found = {
        "exact_match": SideScores(
            values=values,
            passed=np.where(ok, values > 0.5, -1).astype(np.int8),
            unscored=np.zeros(len(rows), dtype=np.bool_),
        )
    }
    if scores is not None:
        flat = [np.nan if one is None else one for trials in scores for one in trials]
        found["rouge_l"] = SideScores(
            values=np.array(flat, dtype=float),
            passed=np.full(len(rows), -1, dtype=np.int8),
            unscored=np.zeros(len(rows), dtype=np.bool_),
        )

    def column(given: Sequence[float] | None, otherwise: float) -> Any:
        full = np.full(len(rows), otherwise) if given is None else np.array(given, dtype=float)
        return np.where(ok, full, np.nan)

    return Side(
        suite="support",
        target="bot",
        runs=(run,),
        cases=ids,
        inputs=list(inputs) if inputs is not None else [f"in-{one}" for one in ids],
        names=list(names) if names is not None else [None] * len(ids),
        tags=tags or {},
        owner=owner,
        ok=ok,
        live=np.full(len(rows), live) & ok,
        latency_s=column(latency, 0.5),
        ttft_s=column(latency, 0.1),
        cost_usd=column(cost, 0.001),
        input_tokens=column(None, 100.0),
        output_tokens=column(None, 20.0),
        models=dict(models or {"tiny-1": len(rows)}),
        scores=found,
    )


def stored(one: Side, *, version: str = "d4d4", **changes: Any) -> Stored:
    fields: dict[str, Any] = {
        "id": one.runs[-1],
        "project": "support-bot",
        "started_at": START,
        "status": RunStatus.COMPLETE,
        "planned": one.trials,
        "suites": ("support",),
        "suite_hashes": {"support": "5c1e"},
        "targets": (
            TargetVersion(
                name="bot", kind="openai_compatible", content_hash="aa", options={}, model="tiny-1"
            ),
        ),
        "prompts": (),
        "datasets": (
            DatasetVersion(
                suite="support",
                source="golden/support.jsonl",
                version=version,
                format="jsonl",
                cases=len(one.cases),
                selected=len(one.cases),
            ),
        ),
        "scorers": tuple(
            ScorerVersion(
                suite="support",
                name=name,
                scorer=name,
                signature=f"{name}|v:1",
                direction="higher",
                unit="",
                metrics=("mean",),
            )
            for name in one.scores
        ),
    }
    run = Run(**{**fields, **changes})
    return Stored(run=run, sides={("support", "bot"): one}, runs=one.runs)


def verdict(
    before: Side | Stored | None, after: Side | Stored, *gates: GateSpec, **policy: Any
) -> Verdict:
    old = stored(before) if isinstance(before, Side) else before
    new = stored(after) if isinstance(after, Side) else after
    return decide([suite(*gates, **policy)], new, old, today=TODAY)


def only(found: Verdict) -> GateResult:
    (result,) = found.results
    return result


def pairs(both: int, gain: int, loss: int, neither: int) -> tuple[Side, Side]:
    """Two sides with these counts of paired passes."""
    old = [1.0] * both + [0.0] * gain + [1.0] * loss + [0.0] * neither
    new = [1.0] * both + [1.0] * gain + [0.0] * loss + [0.0] * neither
    return (
        side([[one] for one in old], run="old"),
        side([[one] for one in new], run="new"),
    )
