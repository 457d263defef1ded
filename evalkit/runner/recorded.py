"""The answers of an earlier run, for the targets that replay one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, EvalkitError
from evalkit.model import JSON

if TYPE_CHECKING:
    from evalkit.store import Store

_ANSWERS = """
SELECT case_id, trial, status, error_class, error, output, finish_reason, model, latency_s, ttft_s,
    cost_usd, output_context, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    tool_calls, turns
FROM trials WHERE run_id = '{run_id}' AND target = '{target}'
QUALIFY row_number() OVER (PARTITION BY case_id, trial ORDER BY suite) = 1
"""


class Recorded(NamedTuple):
    """Whose answers are replayed: the target of a stored run."""

    run_id: str
    target: str


def recorded_answers(spec: TargetSpec, store: Store | None) -> Sequence[Mapping[str, JSON]] | None:
    """What the run that a replay names answered, as lines of a replay file.

    The option is a run, or ``RUN/TARGET`` for a run of several targets; ``None`` when the target
    replays no run. Raises ``ConfigError`` when there is no such run or target in the store.
    """
    found = recorded_of(spec, store)
    if found is None:
        return None
    assert store is not None
    run_id, target = map(_quoted, found)
    table = store.query(_ANSWERS.format(run_id=run_id, target=target))
    return [dict(_record(row)) for row in table.to_pylist()]


def recorded_of(spec: TargetSpec, store: Store | None) -> Recorded | None:
    """The run and the target whose answers are replayed; ``None`` where none is.

    Raises ``ConfigError`` as ``recorded_answers`` does.
    """
    named = spec.options.get("run")
    if spec.kind.removeprefix("builtin:") != "replay" or not isinstance(named, str):
        return None
    if store is None or not store.exists:
        raise ConfigError(
            f"target {spec.name!r} replays run {named!r}, and there is no run store",
            where=spec.where("run"),
            hint="make a run first, or replay a file",
        )
    name, _, target = named.partition("/")
    try:
        run_id = store.resolve(name)
        answered = _targets(store, run_id)
    except EvalkitError as error:
        error.where = spec.where("run")
        raise
    if not target and len(answered) == 1:
        target = answered[0]
    if target not in answered:
        raise ConfigError(
            f"run {run_id!r} has answers of {', '.join(answered) or 'no target'}"
            + (f", not of {target!r}" if target else ""),
            where=spec.where("run"),
            hint=f"name the run and the target, as {name}/{answered[0]}" if answered else "",
        )
    return Recorded(run_id, target)


def _targets(store: Store, run_id: str) -> list[str]:
    table = store.query(
        f"SELECT DISTINCT target FROM trials WHERE run_id = '{_quoted(run_id)}' ORDER BY target"  # noqa: S608 - quoted
    )
    return [str(one) for one in table.column("target").to_pylist()]


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def _record(row: Mapping[str, Any]) -> Iterator[tuple[str, JSON]]:
    yield "case", row["case_id"]
    yield "trial", row["trial"]
    if row["turns"] is not None:
        yield "turns", [dict(_answer(one)) for one in row["turns"]]
    if row["status"] != "ok":
        yield "error_class", row["error_class"]
        yield "error", row["error"] or ""
        return
    if row["turns"] is None:
        yield from _answer(row)


def _answer(row: Mapping[str, Any]) -> Iterator[tuple[str, JSON]]:
    yield "text", row["output"]
    if row["tool_calls"]:
        yield "tool_calls", [dict(one) for one in row["tool_calls"]]
    for name in ("finish_reason", "model", "latency_s", "ttft_s", "cost_usd"):
        if row[name] is not None:
            yield name, row[name]
    if row["output_context"]:
        yield "context", list(row["output_context"])
    usage = {
        name: row[name]
        for name in ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens")
        if row[name] is not None
    }
    if usage:
        yield "usage", usage
