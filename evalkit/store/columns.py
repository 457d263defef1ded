"""Trials as Arrow columns, ready for one ``INSERT`` each into cases, trials and scores.

Values a column cannot hold are changed visibly, never the reason to lose a row: a lone surrogate
becomes U+FFFD, a whole number beyond 64 bits and a number that is not finite become NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evalkit.model import Case, Trial, Usage
from evalkit.store import arrays

if TYPE_CHECKING:
    import pyarrow as pa

KEY = ("run_id", "suite", "target", "case_id", "trial")
"""What names a trial, in every table that speaks of one."""

USAGE = (
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
INTER_TOKEN = ("count", "mean_s", "p95_s", "max_s")
EVIDENCE: arrays.Fields = {
    "source": arrays.repeated,
    "start": arrays.whole,
    "end": arrays.whole,
    "text": arrays.text,
    "reason": arrays.text,
    "value": arrays.real,
}
TOOL_CALL: arrays.Fields = dict.fromkeys(("name", "arguments", "id"), arrays.text)
LEG: arrays.Fields = {
    "target": arrays.repeated,
    "model": arrays.repeated,
    "error_class": arrays.repeated,
    "latency_s": arrays.real,
    "cost_usd": arrays.real,
    **{f"usage.{name}": arrays.whole for name in USAGE},
}
SCRIPT: arrays.Fields = {
    "user": arrays.text,
    "expected": arrays.json_or_null,
    "metadata": arrays.json_or_null,
}
TURN: arrays.Fields = {
    "user": arrays.text,
    "output.text": arrays.text,
    "output.context": arrays.texts,
    "output.tool_calls": partial(arrays.structs, fields=TOOL_CALL),
    "output.finish_reason": arrays.repeated,
    "output.model": arrays.repeated,
    "output.provenance": arrays.repeated,
    "output.latency_s": arrays.real,
    "output.ttft_s": arrays.real,
    "output.inter_token": partial(
        arrays.struct,
        fields={"count": arrays.whole, **dict.fromkeys(INTER_TOKEN[1:], arrays.real)},
    ),
    "output.cost_usd": arrays.real,
    **{f"output.usage.{name}": arrays.whole for name in USAGE},
    "output.extra": arrays.json_or_null,
}
TURN_NAMES = {"text": "output", "context": "output_context"}
"""Fields of a turn that are called as the columns of a trial, and not as those of an answer."""
_NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class TrialColumns:
    """The three tables that a batch of trials becomes."""

    cases: pa.Table
    trials: pa.Table
    scores: pa.Table


def trial_columns(
    trials: Sequence[Trial], *, known: Mapping[str, Case] = MappingProxyType({})
) -> TrialColumns:
    """Build the columns; of trials with the same key only the last is kept.

    Cases that are ``known`` by their id, the very same ones, are left out.
    """
    distinct = {(one.run_id, one.key): one for one in trials}
    kept = trials if len(distinct) == len(trials) else list(distinct.values())
    keys = {
        "run_id": arrays.Repeated([one.run_id for one in kept]),
        "suite": arrays.Repeated([one.suite for one in kept]),
        "target": arrays.Repeated([one.target for one in kept]),
        "case_id": arrays.Repeated([one.case.id for one in kept]),
    }
    return TrialColumns(
        cases=_cases(
            one
            for one in {one.case.id: one.case for one in kept}.values()
            if known.get(one.id) is not one
        ),
        trials=_trials(kept, keys),
        scores=_scores(kept, keys),
    )


def _table(columns: Mapping[str, pa.Array]) -> pa.Table:
    """The columns as a table; one without any value has no type there, and takes no bytes."""
    import pyarrow as pa

    return pa.table(
        {
            name: one if one.null_count < len(one) else pa.nulls(len(one))
            for name, one in columns.items()
        }
    )


def _of(values: Sequence[object], name: str) -> list[Any]:
    """An attribute of each value, ``None`` of none."""
    get = attrgetter(name)
    try:
        return list(map(get, values))
    except AttributeError:
        return [None if one is None else get(one) for one in values]


def _cases(cases: Iterable[Case]) -> pa.Table:
    kept = list(cases)
    return _table(
        {
            "case_id": arrays.text([one.id for one in kept]),
            "input_id": arrays.text([one.input_id for one in kept]),
            "name": arrays.text([one.name for one in kept]),
            "inputs": arrays.text([arrays.as_json(one.inputs) for one in kept]),
            "expected": arrays.text(
                [None if one.expected is None else arrays.as_json(one.expected) for one in kept]
            ),
            "context": arrays.texts([one.context for one in kept]),
            "tags": arrays.maps([one.tags for one in kept]),
            "metadata": arrays.text([arrays.as_json(one.metadata) for one in kept]),
            "turns": _turns([one.turns for one in kept], SCRIPT),
        }
    )


def _trials(trials: Sequence[Trial], keys: Mapping[str, arrays.Repeated]) -> pa.Table:
    outputs = [one.output for one in trials]
    usages = [_NO_USAGE if one is None else one.usage for one in outputs]
    gaps = [None if one is None else one.inter_token for one in outputs]
    origins = [None if one is None else one.origin for one in outputs]

    def of_output(name: str) -> list[Any]:
        return _of(outputs, name)

    columns = {
        **{name: column.array() for name, column in keys.items()},
        "trial": arrays.whole([one.index for one in trials], bits=32),
        "case_name": arrays.text([one.case.name for one in trials]),
        "case_row": arrays.whole([one.case.row for one in trials]),
        "tags": arrays.maps([one.case.tags for one in trials]),
        "status": arrays.repeated([one.status for one in trials]),
        "error_class": arrays.repeated([one.error_class for one in trials]),
        "error": arrays.text([one.error for one in trials]),
        "http_status": arrays.whole([one.http_status for one in trials], bits=32),
        "started_at": arrays.instants([one.started_at for one in trials]),
        "latency_s": arrays.real(of_output("latency_s")),
        "ttft_s": arrays.real(of_output("ttft_s")),
        "queue_s": arrays.real([one.queue_s for one in trials]),
        "total_s": arrays.real([one.total_s for one in trials]),
        "attempts": arrays.whole([one.attempts for one in trials], bits=32),
        "cost_usd": arrays.real(of_output("cost_usd")),
        "provenance": arrays.repeated(of_output("provenance")),
        "model": arrays.repeated(of_output("model")),
        "finish_reason": arrays.repeated(of_output("finish_reason")),
        "output": arrays.text(of_output("text")),
        "output_context": arrays.texts(of_output("context")),
        "tool_calls": arrays.structs(of_output("tool_calls"), TOOL_CALL),
        "legs": arrays.structs(
            [
                (one.failed_legs or None) if one.output is None else one.output.legs
                for one in trials
            ],
            LEG,
        ),
        "extra": arrays.text(
            [None if one is None else arrays.as_json(one) for one in of_output("extra")]
        ),
        "messages": arrays.text([arrays.messages_json(one.messages) for one in trials]),
        "seed": arrays.whole([one.seed for one in trials]),
        "request_hash": arrays.text([one.request_hash for one in trials]),
        "spent_usd": arrays.real([one.spend.usd for one in trials]),
        "spent_tokens": arrays.whole([one.spend.tokens for one in trials]),
        "assumed_usd": arrays.real([one.spend.assumed_usd for one in trials]),
        "assumed_tokens": arrays.whole([one.spend.assumed_tokens for one in trials]),
        "saved_usd": arrays.real([one.spend.saved_usd for one in trials]),
        "origin_run_id": arrays.repeated([None if one is None else one.run_id for one in origins]),
        "origin_at": arrays.instants([None if one is None else one.answered_at for one in origins]),
        "step": arrays.whole([one.step for one in trials], bits=32),
        "after_kill": arrays.flags([one.after_kill for one in trials]),
        "turns": _turns(
            [one.turns_before if one.output is None else one.output.turns for one in trials], TURN
        ),
    }
    for name in USAGE:
        columns[name] = arrays.whole([getattr(one, name) for one in usages])
    for name in INTER_TOKEN:
        values = [None if one is None else getattr(one, name) for one in gaps]
        columns[f"itl_{name}"] = arrays.whole(values) if name == "count" else arrays.real(values)
    return _table(columns)


def _turns(values: Sequence[Sequence[object]], fields: arrays.Fields) -> pa.Array:
    """A column of turns; where there is none at all, as almost always, it takes no bytes."""
    import pyarrow as pa

    if not any(values):
        return pa.nulls(len(values))
    return arrays.structs([one or None for one in values], fields, names=TURN_NAMES)


def _scores(trials: Sequence[Trial], keys: Mapping[str, arrays.Repeated]) -> pa.Table:
    import numpy as np

    records = [record for one in trials for record in one.scores]
    counts = np.fromiter((len(one.scores) for one in trials), dtype=np.int64, count=len(trials))
    owner = np.repeat(np.arange(len(trials)), counts)
    firsts = np.cumsum(counts) - counts
    found = [one.score for one in records]

    def of_score(name: str) -> list[Any]:
        return _of(found, name)

    indices = np.array([one.index for one in trials], dtype=np.int32)
    columns = {
        **{name: column.array(owner) for name, column in keys.items()},
        "trial": arrays.numbers(indices[owner], bits=32),
        "position": arrays.numbers(np.arange(len(records)) - firsts[owner], bits=32),
        "name": arrays.repeated([one.name for one in records]),
        "status": arrays.repeated([one.status for one in records]),
        "value": arrays.real(of_score("value")),
        "passed": arrays.flags(of_score("passed")),
        "label": arrays.repeated(of_score("label")),
        "reason": arrays.text(
            [one.reason if one.score is None else one.score.reason for one in records]
        ),
        "signature": arrays.repeated([one.signature for one in records]),
        "evidence": arrays.structs(of_score("evidence"), EVIDENCE),
        "stats": arrays.reals(of_score("stats")),
        "cost_usd": arrays.real([one.cost_usd for one in records]),
        "elapsed_s": arrays.real([one.elapsed_s for one in records]),
        "models": arrays.texts([one.models for one in records]),
    }
    return _table(columns)
