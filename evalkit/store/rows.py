"""Rows of the store as the values they were: runs with their versions, trials with their scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from evalkit.errors import ErrorClass
from evalkit.model import (
    CONFIRMING,
    JSON,
    Case,
    DatasetVersion,
    Evidence,
    GitState,
    InterToken,
    Leg,
    Message,
    Origin,
    Output,
    PromptVersion,
    Provenance,
    Run,
    RunKind,
    RunStatus,
    Score,
    ScoreRecord,
    ScorerVersion,
    ScoreStatus,
    ScriptedTurn,
    Spend,
    TargetVersion,
    ToolCall,
    Trial,
    TrialStatus,
    Turn,
    Usage,
)
from evalkit.store import arrays
from evalkit.store.columns import INTER_TOKEN, USAGE
from evalkit.store.reads import each, fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = Mapping[str, Any]


def rows_of(run: Run) -> dict[str, list[Row]]:
    """The rows of a run and of everything it used, by table."""
    git = run.git

    def used(versions: Sequence[Any], *names: str, **made: Callable[[Any], Any]) -> list[Row]:
        return [
            {
                "run_id": run.id,
                "position": position,
                **{name: getattr(one, name) for name in names},
                **{name: make(one) for name, make in made.items()},
            }
            for position, one in enumerate(versions)
        ]

    return {
        "runs": [
            {
                "run_id": run.id,
                "project": run.project,
                "status": run.status,
                "started_at": run.started_at,
                "finished_at": run.finished_at,
                "planned": run.planned,
                "suites": run.suites,
                "suite_hashes": run.suite_hashes,
                "slices": run.slices,
                "seed": run.seed,
                "settings": arrays.as_json(run.settings),
                "evalkit_version": run.evalkit_version,
                "git_commit": git.commit if git else None,
                "git_branch": git.branch if git else None,
                "git_dirty": git.dirty if git else None,
                "user_name": run.user,
                "kind": run.kind,
            }
        ],
        "targets": used(
            run.targets,
            "kind",
            "content_hash",
            "model",
            "prompt_version",
            target=lambda one: one.name,
            options=lambda one: arrays.as_json(one.options),
            price=lambda one: None if one.price is None else arrays.as_json(one.price),
        ),
        "prompts": used(run.prompts, "version", "path", "label", "owner", "description", "text"),
        "datasets": used(run.datasets, "suite", "source", "version", "format", "cases", "selected"),
        "scorers": used(
            run.scorers, "suite", "name", "scorer", "signature", "direction", "unit", "metrics"
        ),
    }


def run_from(connection: DuckDBPyConnection, run_id: str) -> Run | None:
    """The run of that id with everything it used, or ``None``."""
    found = fetch(connection, "SELECT * FROM runs WHERE run_id = ?", [run_id])
    if not found:
        return None
    row = found[0]

    def used(table: str) -> list[dict[str, Any]]:
        return fetch(
            connection,
            f"SELECT * EXCLUDE (run_id, position) FROM {table}"  # noqa: S608 -- one of our tables
            " WHERE run_id = ? ORDER BY position",
            [run_id],
        )

    return Run(
        id=row["run_id"],
        project=row["project"],
        started_at=utc(row["started_at"]),
        status=RunStatus(row["status"]),
        planned=row["planned"],
        suites=tuple(row["suites"]),
        suite_hashes=dict(row["suite_hashes"]),
        targets=tuple(_target(one) for one in used("targets")),
        prompts=tuple(PromptVersion(**one) for one in used("prompts")),
        datasets=tuple(DatasetVersion(**one) for one in used("datasets")),
        scorers=tuple(
            ScorerVersion(**{**one, "metrics": tuple(one["metrics"])}) for one in used("scorers")
        ),
        slices=tuple(row["slices"]),
        seed=row["seed"],
        settings=_json(row["settings"]) or {},
        evalkit_version=row["evalkit_version"],
        git=None
        if row["git_commit"] is None
        else GitState(
            commit=row["git_commit"], branch=row["git_branch"], dirty=bool(row["git_dirty"])
        ),
        user=row["user_name"],
        finished_at=None if row["finished_at"] is None else utc(row["finished_at"]),
        kind=RunKind(row["kind"]),
    )


def utc(instant: datetime) -> datetime:
    """The instant with the standard library's UTC, whatever name Arrow gave the zone."""
    return instant.astimezone(UTC)


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _target(row: Row) -> TargetVersion:
    return TargetVersion(
        name=row["target"],
        kind=row["kind"],
        content_hash=row["content_hash"],
        options=_json(row["options"]),
        model=row["model"],
        prompt_version=row["prompt_version"],
        price=_json(row["price"]),
    )


def trials_from(connection: DuckDBPyConnection, run_id: str, case_id: str) -> tuple[Trial, ...]:
    """Every trial of a case in a run with its scores, in the order of suite, target and trial."""
    return _trials(
        connection,
        "run_id = ? AND case_id = ?",
        [run_id, case_id],
        order="suite, target, trial",
    )


def target_trials(
    connection: DuckDBPyConnection, run_id: str, suite: str, target: str
) -> tuple[Trial, ...]:
    """Every trial of a target in a suite of a run, in the order of a side's rows."""
    return _trials(
        connection,
        "run_id = ? AND suite = ? AND target = ? AND trial < ?",
        [run_id, suite, target, CONFIRMING],
        order="case_id, trial",
    )


def case_trials(
    connection: DuckDBPyConnection, run_id: str, case_ids: Sequence[str]
) -> dict[str, tuple[Trial, ...]]:
    """Every trial of these cases in a run, by case; cases the run has not are left out."""
    trials = _trials(
        connection,
        "run_id = ? AND case_id IN (SELECT unnest(?))",
        [run_id, list(case_ids)],
        order="suite, target, trial",
    )
    found: dict[str, list[Trial]] = {}
    for one in trials:
        found.setdefault(one.case.id, []).append(one)
    return {case: tuple(mine) for case, mine in found.items()}


def _trials(
    connection: DuckDBPyConnection, where: str, given: list[Any], *, order: str
) -> tuple[Trial, ...]:
    rows = each(
        connection,
        "SELECT t.*, c.inputs, c.expected, c.context, c.metadata, c.turns AS script"  # noqa: S608 -- constant text
        f" FROM (SELECT * FROM trials WHERE {where}) AS t JOIN cases AS c USING (case_id)"
        f" ORDER BY {order}",
        given,
    )
    records: dict[tuple[str, str, str, int], list[ScoreRecord]] = {}
    for row in each(
        connection,
        f"SELECT * FROM scores WHERE {where} ORDER BY suite, target, trial, position",  # noqa: S608 -- constant text
        given,
    ):
        key = (row["suite"], row["target"], row["case_id"], row["trial"])
        records.setdefault(key, []).append(_record(row))
    return tuple(
        _trial(
            row,
            tuple(records.get((row["suite"], row["target"], row["case_id"], row["trial"]), ())),
        )
        for row in rows
    )


def _trial(row: Row, scores: tuple[ScoreRecord, ...]) -> Trial:
    messages: list[dict[str, Any]] = _json(row["messages"])
    return Trial(
        run_id=row["run_id"],
        suite=row["suite"],
        target=row["target"],
        case=Case(
            id=row["case_id"],
            name=row["case_name"],
            inputs=_json(row["inputs"]),
            expected=_json(row["expected"]),
            context=tuple(row["context"]),
            tags=dict(row["tags"]),
            metadata=_json(row["metadata"]),
            row=row["case_row"],
            turns=tuple(
                ScriptedTurn(
                    user=one["user"],
                    expected=_json(one["expected"]),
                    metadata=_json(one["metadata"]) or {},
                )
                for one in row["script"] or ()
            ),
        ),
        index=row["trial"],
        status=TrialStatus(row["status"]),
        started_at=utc(row["started_at"]),
        request_hash=row["request_hash"],
        messages=tuple(Message(**one) for one in messages),
        seed=row["seed"],
        output=None if row["output"] is None else _output(row),
        error_class=_error_class(row["error_class"]),
        error=row["error"],
        http_status=row["http_status"],
        attempts=row["attempts"],
        queue_s=row["queue_s"],
        total_s=row["total_s"],
        scores=scores,
        spend=Spend(
            usd=row["spent_usd"],
            tokens=row["spent_tokens"],
            assumed_usd=row["assumed_usd"] or 0.0,
            assumed_tokens=row["assumed_tokens"] or 0,
            saved_usd=row["saved_usd"],
        ),
        failed_legs=_legs(row["legs"]) if row["output"] is None else (),
        step=row["step"],
        after_kill=bool(row["after_kill"]),
        turns_before=_turns(row["turns"]) if row["output"] is None else (),
    )


def _turns(turns: Iterable[Row] | None) -> tuple[Turn, ...]:
    return tuple(
        Turn(
            user=one["user"],
            output=Output(
                text=one["output"],
                finish_reason=one["finish_reason"],
                tool_calls=tuple(ToolCall(**call) for call in one["tool_calls"]),
                context=tuple(one["output_context"]),
                model=one["model"],
                usage=_usage(one),
                latency_s=one["latency_s"],
                ttft_s=one["ttft_s"],
                inter_token=None
                if one["inter_token"] is None
                else InterToken(**one["inter_token"]),
                cost_usd=one["cost_usd"],
                provenance=Provenance(one["provenance"]),
                extra=_json(one["extra"]) or {},
            ),
        )
        for one in turns or ()
    )


def _legs(legs: Iterable[Row] | None) -> tuple[Leg, ...]:
    return tuple(
        Leg(
            target=one["target"],
            model=one["model"],
            usage=_usage(one),
            cost_usd=one["cost_usd"],
            latency_s=one["latency_s"],
            error_class=_error_class(one["error_class"]),
        )
        for one in legs or ()
    )


def _error_class(value: str | None) -> ErrorClass | None:
    return None if value is None else ErrorClass(value)


def _output(row: Row) -> Output:
    gaps = {name: row[f"itl_{name}"] for name in INTER_TOKEN}
    extra: dict[str, JSON] = _json(row["extra"])
    return Output(
        text=row["output"],
        finish_reason=row["finish_reason"],
        tool_calls=tuple(ToolCall(**one) for one in row["tool_calls"]),
        context=tuple(row["output_context"]),
        model=row["model"],
        usage=_usage(row),
        latency_s=row["latency_s"],
        ttft_s=row["ttft_s"],
        inter_token=None if gaps["count"] is None else InterToken(**gaps),
        cost_usd=row["cost_usd"],
        provenance=Provenance(row["provenance"]),
        legs=_legs(row["legs"]),
        extra=extra,
        origin=None
        if row["origin_run_id"] is None
        else Origin(run_id=row["origin_run_id"], answered_at=utc(row["origin_at"])),
        turns=_turns(row["turns"]),
    )


def _usage(row: Row) -> Usage:
    return Usage(**{name: row[name] for name in USAGE})


def _record(row: Row) -> ScoreRecord:
    status = ScoreStatus(row["status"])
    scored = status is ScoreStatus.SCORED and row["value"] is not None
    return ScoreRecord(
        name=row["name"],
        signature=row["signature"],
        status=status,
        score=_score(row) if scored else None,
        reason=None if scored else row["reason"],
        elapsed_s=row["elapsed_s"],
        spent_usd=row["cost_usd"] if row["models"] or not scored else None,
        models=tuple(row["models"] or ()),
    )


def _score(row: Row) -> Score:
    return Score(
        value=row["value"],
        passed=row["passed"],
        label=row["label"],
        reason=row["reason"],
        evidence=tuple(Evidence(**one) for one in row["evidence"]),
        stats=tuple(row["stats"]),
        cost_usd=row["cost_usd"],
    )
