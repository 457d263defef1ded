"""An answer from one line of JSON; ``lines`` writes it, and nothing is lost on the way.

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
    InterToken,
    Leg,
    Origin,
    Output,
    Provenance,
    ToolCall,
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
