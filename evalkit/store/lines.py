"""The journal's lines of trials, written field by field; ``codec`` reads them.

Several times as fast as dictionaries through an encoder, and what all trials of a run or all scores
of a scorer share is written once. What is absent or empty is left out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC
from functools import lru_cache
from json.encoder import encode_basestring as quoted

from evalkit.model import (
    NOTHING_SPENT,
    Leg,
    Output,
    Score,
    ScoreRecord,
    ScoreStatus,
    Spend,
    Trial,
    Usage,
)
from evalkit.store.codec import encode

_NUMBER = "0123456789.e+-"


def trial_line(trial: Trial) -> bytes:
    """A trial as one line, its case by id alone."""
    messages = [f"[{quoted(one.role)},{quoted(one.content)}]" for one in trial.messages]
    parts = [
        _run_head(trial.run_id, trial.suite, trial.target),
        (
            f'"case":{quoted(trial.case.id)},"index":{_whole(trial.index)},"status":"{trial.status}"'
            f',"started_at":"{trial.started_at.astimezone(UTC).isoformat()}"'
            f',"request_hash":{quoted(trial.request_hash)},"messages":[{",".join(messages)}]'
            f',"attempts":{_whole(trial.attempts)},"queue_s":{_number(trial.queue_s)}'
            f',"total_s":{_number(trial.total_s)},"scores":[{",".join(map(_record, trial.scores))}]'
        ),
    ]
    if trial.seed is not None:
        parts.append(f',"seed":{_whole(trial.seed)}')
    if trial.output is not None:
        parts.append(f',"output":{_output(trial.output)}')
    if trial.error_class is not None:
        parts.append(f',"error_class":"{trial.error_class}"')
    if trial.error is not None:
        parts.append(f',"error":{quoted(trial.error)}')
    if trial.http_status is not None:
        parts.append(f',"http_status":{_whole(trial.http_status)}')
    if trial.spend != NOTHING_SPENT:
        parts.append(f',"spend":{_spend(trial.spend)}')
    if trial.failed_legs:
        parts.append(f',"failed_legs":[{",".join(map(_leg, trial.failed_legs))}]')
    if trial.step is not None:
        parts.append(f',"step":{_whole(trial.step)}')
    if trial.after_kill:
        parts.append(',"after_kill":true')
    parts.append("}]\n")
    return "".join(parts).encode("utf-8", "surrogatepass")


@lru_cache(maxsize=64)
def _run_head(run_id: str, suite: str, target: str) -> str:
    return (
        f'["trial",{{"run_id":{quoted(run_id)},"suite":{quoted(suite)},"target":{quoted(target)},'
    )


def _whole(value: int | None) -> str:
    if type(value) is int:
        return repr(value)
    return "null" if value is None else encode(value)


def _number(value: float | None) -> str:
    if type(value) is float and math.isfinite(value):
        return repr(value)
    return "null" if value is None else encode(value)


def _numbers(values: Iterable[float]) -> str:
    text = ",".join(map(repr, values))
    # NaN, and numbers that are not Python's own, have other letters
    return encode(values) if text.strip(f"{_NUMBER},") else f"[{text}]"


def _text(value: str | None) -> str:
    return "null" if value is None else quoted(value)


def _output(output: Output) -> str:
    parts = [
        (
            f'{{"text":{quoted(output.text)},"finish_reason":{_text(output.finish_reason)}'
            f',"model":{_text(output.model)},"usage":{_usage(output.usage)}'
            f',"latency_s":{_number(output.latency_s)},"ttft_s":{_number(output.ttft_s)}'
            f',"cost_usd":{_number(output.cost_usd)},"provenance":"{output.provenance}"'
        )
    ]
    if output.tool_calls:
        calls = [(one.name, one.arguments, one.id) for one in output.tool_calls]
        parts.append(f',"tool_calls":{encode(calls)}')
    if output.context:
        parts.append(f',"context":{encode(output.context)}')
    if output.inter_token is not None:
        gaps = output.inter_token
        parts.append(
            f',"inter_token":[{_whole(gaps.count)},{_number(gaps.mean_s)},{_number(gaps.p95_s)}'
            f",{_number(gaps.max_s)}]"
        )
    if output.legs:
        parts.append(f',"legs":[{",".join(map(_leg, output.legs))}]')
    if output.extra:
        parts.append(f',"extra":{encode(output.extra)}')
    if output.origin is not None:
        at = output.origin.answered_at.astimezone(UTC).isoformat()
        parts.append(f',"origin":[{quoted(output.origin.run_id)},"{at}"]')
    parts.append("}")
    return "".join(parts)


def output_line(output: Output) -> bytes:
    """An answer as one line, without what it was an answer to."""
    return _output(output).encode("utf-8", "surrogatepass") + b"\n"


def _spend(spend: Spend) -> str:
    return (
        f"[{_number(spend.usd)},{_whole(spend.tokens)},{_number(spend.assumed_usd)}"
        f",{_whole(spend.assumed_tokens)},{_number(spend.saved_usd)}]"
    )


def _usage(usage: Usage) -> str:
    return (
        f"[{_whole(usage.input_tokens)},{_whole(usage.output_tokens)}"
        f",{_whole(usage.cached_tokens)},{_whole(usage.cache_write_tokens)}"
        f",{_whole(usage.reasoning_tokens)}]"
    )


def _leg(leg: Leg) -> str:
    failed = "null" if leg.error_class is None else f'"{leg.error_class}"'
    return (
        f"[{quoted(leg.target)},{_text(leg.model)},{_usage(leg.usage)},{_number(leg.cost_usd)}"
        f",{_number(leg.latency_s)},{failed}]"
    )


@lru_cache(maxsize=1024)
def _record_head(name: str, signature: str, status: ScoreStatus) -> str:
    return f'{{"name":{quoted(name)},"signature":{quoted(signature)},"status":"{status}"'


def _record(record: ScoreRecord) -> str:
    head = _record_head(record.name, record.signature, record.status)
    reason = "" if record.reason is None else f',"reason":{quoted(record.reason)}'
    score = "" if record.score is None else f',"score":{_score(record.score)}'
    judged = ""
    if record.spent_usd is not None:
        judged = f',"spent_usd":{_number(record.spent_usd)}'
    if record.models:
        judged += f',"models":{encode(record.models)}'
    return f'{head},"elapsed_s":{_number(record.elapsed_s)}{reason}{score}{judged}}}'


def _score(score: Score) -> str:
    parts = [f'{{"value":{_number(score.value)}']
    if score.passed is not None:
        parts.append(',"passed":true' if score.passed else ',"passed":false')
    if score.label is not None:
        parts.append(f',"label":{quoted(score.label)}')
    if score.reason is not None:
        parts.append(f',"reason":{quoted(score.reason)}')
    if score.evidence:
        evidence = [
            (one.source, one.start, one.end, one.text, one.reason, one.value)
            for one in score.evidence
        ]
        parts.append(f',"evidence":{encode(evidence)}')
    if score.stats:
        parts.append(f',"stats":{_numbers(score.stats)}')
    if score.cost_usd is not None:
        parts.append(f',"cost_usd":{_number(score.cost_usd)}')
    parts.append("}")
    return "".join(parts)
