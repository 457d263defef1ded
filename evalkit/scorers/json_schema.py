"""Whether the output is JSON that a JSON Schema accepts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.hashing import content_id
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import parse_json, unfence


def _source(schema: Path | dict[str, Any] | bool) -> str:
    if not isinstance(schema, Path):
        return json.dumps(schema, sort_keys=True)
    try:
        return schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the schema cannot be read: {error}") from None


@lru_cache(maxsize=64)
def _validator(source: str) -> Any:
    import jsonschema_rs

    try:
        schema: Any = parse_json(source)
    except ValueError as error:
        raise ValueError(f"the schema is {error}") from None
    try:
        # offline: a $ref to the network is an error; the mask keeps the model's text out of reasons
        return jsonschema_rs.validator_for(schema, mask="the value", offline=True)
    except Exception as error:  # noqa: BLE001 - the library raises several kinds, all about the schema
        first = str(error).partition("\n")[0]
        raise ValueError(f"the schema is not valid: {first[:300]}") from None


_loaded: dict[Path, Any] = {}


def _for(schema: Path | dict[str, Any] | bool) -> Any:
    if not isinstance(schema, Path):
        return _validator(_source(schema))
    if schema not in _loaded:
        _loaded[schema] = _validator(_source(schema))
    return _loaded[schema]


def _prepare(options: Mapping[str, Any]) -> str:
    schema = options["schema"]
    if isinstance(schema, Path):
        _loaded.pop(schema, None)
        if not schema.is_file():
            raise ValueError(f"there is no schema file {str(schema)!r}")
    _for(schema)
    return "" if isinstance(schema, Path) else f"schema_id:{content_id(schema)[:12]}"


@scorer(
    metrics=(rate,),
    lib="jsonschema-rs",
    prepare=_prepare,
    usage="json_schema: {schema: schemas/answer.json}",
    card=ScorerCard(
        family="structured",
        blind=("whether the values are true: only their form is checked",),
    ),
)
def json_schema(
    case: Case, output: Output, *, schema: Path | dict[str, Any] | bool, fenced: bool = False
) -> Score:
    """Whether the output is JSON that a JSON Schema accepts.

    ``schema`` is the path of a schema file, relative to the project, or the schema itself. The
    reason gives the place of the first error as a JSON Pointer and the number of errors.
    ``fenced`` reads the JSON from the output's only Markdown code fence.
    """
    validator = _for(schema)
    try:
        value = parse_json(unfence(output.text) if fenced else output.text)
        errors = list(validator.iter_errors(value))
    except (ValueError, RecursionError) as error:
        return Score(value=0.0, passed=False, reason=str(error)[:300])
    if not errors:
        return Score(value=1.0, passed=True)
    first = errors[0]
    pointer = "".join(
        f"/{str(one).replace('~', '~0').replace('/', '~1')}" for one in first.instance_path
    )
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    reason = f"at {pointer or 'the top'}: {first.message}"[:300] + more
    return Score(value=0.0, passed=False, reason=reason)
