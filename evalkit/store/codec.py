"""A trial as one line of JSON and back, without losing anything.

Lone surrogates are written as the three bytes that encode them (``surrogatepass``), NUL and line
breaks as JSON escapes, so a line is a line and every Python text comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from evalkit.errors import ErrorClass
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


encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False, default=plain
).encode


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
    )


def spend_json(spend: Spend) -> tuple[float | None, ...]:
    """What a trial spent, as ``trial_line`` writes it."""
    return (
        spend.usd,
        spend.tokens,
        spend.assumed_usd,
        spend.assumed_tokens,
        spend.saved_usd,
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


def _usage_json(usage: Usage) -> tuple[int | None, ...]:
    return (
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
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


def output_json(output: Output) -> dict[str, Any]:
    """Everything an answer is; what is empty is left out."""
    value: dict[str, Any] = {
        "text": output.text,
        "finish_reason": output.finish_reason,
        "model": output.model,
        "usage": _usage_json(output.usage),
        "latency_s": output.latency_s,
        "ttft_s": output.ttft_s,
        "cost_usd": output.cost_usd,
        "provenance": output.provenance,
    }
    if output.tool_calls:
        value["tool_calls"] = [(one.name, one.arguments, one.id) for one in output.tool_calls]
    if output.context:
        value["context"] = output.context
    if output.inter_token is not None:
        gaps = output.inter_token
        value["inter_token"] = (gaps.count, gaps.mean_s, gaps.p95_s, gaps.max_s)
    if output.legs:
        value["legs"] = _legs_json(output.legs)
    if output.extra:
        value["extra"] = output.extra
    if output.origin is not None:
        origin = output.origin
        value["origin"] = (origin.run_id, origin.answered_at.astimezone(UTC).isoformat())
    return value


def _legs_json(legs: Iterable[Leg]) -> list[tuple[Any, ...]]:
    return [
        (
            one.target,
            one.model,
            _usage_json(one.usage),
            one.cost_usd,
            one.latency_s,
            one.error_class,
        )
        for one in legs
    ]


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
    """The answer that ``output_json`` wrote."""
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


def _record_json(record: ScoreRecord) -> dict[str, Any]:
    value: dict[str, Any] = {
        "name": record.name,
        "signature": record.signature,
        "status": record.status,
        "elapsed_s": record.elapsed_s,
    }
    if record.reason is not None:
        value["reason"] = record.reason
    if record.score is not None:
        value["score"] = _score_json(record.score)
    return value


def _record_from(value: Mapping[str, Any]) -> ScoreRecord:
    score = value.get("score")
    return ScoreRecord(
        name=value["name"],
        signature=value["signature"],
        status=ScoreStatus(value["status"]),
        score=None if score is None else _score_from(score),
        reason=value.get("reason"),
        elapsed_s=value["elapsed_s"],
    )


def _score_json(score: Score) -> dict[str, Any]:
    value: dict[str, Any] = {"value": score.value}
    if score.passed is not None:
        value["passed"] = score.passed
    if score.label is not None:
        value["label"] = score.label
    if score.reason is not None:
        value["reason"] = score.reason
    if score.evidence:
        value["evidence"] = [
            (one.source, one.start, one.end, one.text, one.reason, one.value)
            for one in score.evidence
        ]
    if score.stats:
        value["stats"] = score.stats
    if score.cost_usd is not None:
        value["cost_usd"] = score.cost_usd
    return value


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
