"""A trial from one line of JSON; ``lines`` writes it, and nothing is lost on the way.

Lone surrogates are written as the three bytes that encode them (``surrogatepass``), NUL and line
breaks as JSON escapes, so a line is a line and every Python text comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from evalkit.errors import ErrorClass
from evalkit.hashing import json_encoder
from evalkit.model import (
    NOTHING_SPENT,
    Case,
    Evidence,
    InterToken,
    Leg,
    Message,
    Origin,
    Output,
    Provenance,
    Score,
    ScoreRecord,
    ScoreStatus,
    Spend,
    ToolCall,
    Trial,
    TrialStatus,
    Usage,
)


def plain(value: Any) -> Any:
    """What JSON can say of a value it does not know: NumPy's numbers, mappings, sets, or a text."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    item = getattr(value, "item", None)
    return item() if callable(item) else str(value)


encode = json_encoder(allow_nan=True, default=plain)


def to_line(value: Any) -> bytes:
    """One line of JSON with its line break."""
    return encode(value).encode("utf-8", "surrogatepass") + b"\n"


def from_line(line: bytes) -> Any:
    """The value of one line; ``ValueError`` when it is torn."""
    return json.loads(line.decode("utf-8", "surrogatepass"))


def case_json(case: Case) -> dict[str, Any]:
    """Everything a case is."""
    return {
        "id": case.id,
        "name": case.name,
        "inputs": case.inputs,
        "expected": case.expected,
        "context": case.context,
        "tags": case.tags,
        "metadata": case.metadata,
        "row": case.row,
    }


def case_from(value: Mapping[str, Any]) -> Case:
    """The case that ``case_json`` wrote."""
    return Case(**{**value, "context": tuple(value["context"])})


def trial_from(value: Mapping[str, Any], case: Case) -> Trial:
    """The trial that ``lines.trial_line`` wrote, with its case given back."""
    error_class = value.get("error_class")
    output = value.get("output")
    return Trial(
        run_id=value["run_id"],
        suite=value["suite"],
        target=value["target"],
        case=case,
        index=value["index"],
        status=TrialStatus(value["status"]),
        started_at=datetime.fromisoformat(value["started_at"]),
        request_hash=value["request_hash"],
        messages=tuple(Message(role=role, content=text) for role, text in value["messages"]),
        seed=value.get("seed"),
        output=None if output is None else output_from(output),
        error_class=None if error_class is None else ErrorClass(error_class),
        error=value.get("error"),
        http_status=value.get("http_status"),
        attempts=value["attempts"],
        queue_s=value["queue_s"],
        total_s=value["total_s"],
        scores=tuple(_record_from(one) for one in value["scores"]),
        spend=_spend_from(value["spend"]) if "spend" in value else NOTHING_SPENT,
        failed_legs=_legs_from(value.get("failed_legs", ())),
        step=value.get("step"),
        after_kill=value.get("after_kill", False),
    )


def _spend_from(value: list[Any]) -> Spend:
    usd, tokens, assumed_usd, assumed_tokens, saved_usd = value
    return Spend(
        usd=usd,
        tokens=tokens,
        assumed_usd=assumed_usd,
        assumed_tokens=assumed_tokens,
        saved_usd=saved_usd,
    )


def _usage_from(value: list[int | None]) -> Usage:
    sent, answered, cached, written, reasoning = value
    return Usage(
        input_tokens=sent,
        output_tokens=answered,
        cached_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=reasoning,
    )


def _legs_from(value: Iterable[Any]) -> tuple[Leg, ...]:
    return tuple(
        Leg(
            target=target,
            model=model,
            usage=_usage_from(usage),
            cost_usd=cost,
            latency_s=latency,
            error_class=None if failed is None else ErrorClass(failed),
        )
        for target, model, usage, cost, latency, failed in value
    )


def output_from(value: Mapping[str, Any]) -> Output:
    """The answer that ``lines.output_line`` wrote."""
    origin = value.get("origin")
    gaps = value.get("inter_token")
    return Output(
        text=value["text"],
        finish_reason=value["finish_reason"],
        tool_calls=tuple(
            ToolCall(name=name, arguments=arguments, id=call_id)
            for name, arguments, call_id in value.get("tool_calls", ())
        ),
        context=tuple(value.get("context", ())),
        model=value["model"],
        usage=_usage_from(value["usage"]),
        latency_s=value["latency_s"],
        ttft_s=value["ttft_s"],
        inter_token=None
        if gaps is None
        else InterToken(count=gaps[0], mean_s=gaps[1], p95_s=gaps[2], max_s=gaps[3]),
        cost_usd=value["cost_usd"],
        provenance=Provenance(value["provenance"]),
        legs=_legs_from(value.get("legs", ())),
        extra=value.get("extra", {}),
        origin=None
        if origin is None
        else Origin(run_id=origin[0], answered_at=datetime.fromisoformat(origin[1])),
    )


def _record_from(value: Mapping[str, Any]) -> ScoreRecord:
    score = value.get("score")
    return ScoreRecord(
        name=value["name"],
        signature=value["signature"],
        status=ScoreStatus(value["status"]),
        score=None if score is None else _score_from(score),
        reason=value.get("reason"),
        elapsed_s=value["elapsed_s"],
        spent_usd=value.get("spent_usd"),
        models=tuple(value.get("models", ())),
    )


def _score_from(value: Mapping[str, Any]) -> Score:
    return Score(
        value=value["value"],
        passed=value.get("passed"),
        label=value.get("label"),
        reason=value.get("reason"),
        evidence=tuple(
            Evidence(source=source, start=start, end=end, text=text, reason=reason, value=number)
            for source, start, end, text, reason, number in value.get("evidence", ())
        ),
        stats=tuple(value.get("stats", ())),
        cost_usd=value.get("cost_usd"),
    )
