"""The answers of an earlier run, for the targets that replay one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, EvalkitError
from evalkit.model import JSON

if TYPE_CHECKING:
    from evalkit.config import Prompt
    from evalkit.store import Store

_ANSWERS = """
SELECT case_id, trial, status, error_class, error, output, finish_reason, model, latency_s, ttft_s,
    cost_usd, output_context, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    tool_calls, turns
FROM trials WHERE run_id = '{run_id}' AND target = '{target}'
QUALIFY row_number() OVER (PARTITION BY case_id, trial ORDER BY suite) = 1
"""


def recorded_answers(spec: TargetSpec, store: Store | None) -> Sequence[Mapping[str, JSON]] | None:
    """What the run that a replay names answered, as lines of a replay file.

    The option is a run, or ``RUN/TARGET`` for a run of several targets; ``None`` when the target
    replays no run. Raises ``ConfigError`` when there is no such run or target in the store.
    """
    if not _replays(spec):
        return None
    store, run_id, target = _named(spec, store)
    table = store.query(_ANSWERS.format(run_id=_quoted(run_id), target=_quoted(target)))
    return [dict(_record(row)) for row in table.to_pylist()]


def recorded_prompt(spec: TargetSpec, store: Store | None) -> Prompt | None:
    """The prompt that the answers of a replayed run were given to; ``None`` where it had none."""
    from evalkit.config.prompt import parse_prompt

    if not _replays(spec):
        return None
    store, run_id, target = _named(spec, store)
    run = store.load_run(run_id)
    version = next((one.prompt_version for one in run.targets if one.name == target), None)
    found = next((one for one in run.prompts if one.version == version), None)
    return None if found is None else parse_prompt(found.text, Path(found.path))


def _replays(spec: TargetSpec) -> bool:
    replay = spec.kind.removeprefix("builtin:") == "replay"
    return replay and isinstance(spec.options.get("run"), str)


def _named(spec: TargetSpec, store: Store | None) -> tuple[Store, str, str]:
    """The store, the run and the target whose answers are replayed."""
    named = str(spec.options["run"])
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
    return store, run_id, target


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
