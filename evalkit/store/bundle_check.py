"""What must hold between the values of a bundle, beyond their types: a first problem, in words."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import TYPE_CHECKING

from evalkit.errors import ErrorClass
from evalkit.hashing import content_id
from evalkit.model import (
    JSON,
    Provenance,
    RunKind,
    RunStatus,
    ScoreStatus,
    ScriptedTurn,
    TrialStatus,
)
from evalkit.script import identity_of
from evalkit.store.reads import fetch, single
from evalkit.store.rows import run_from

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_VEILED = re.compile("<[A-Z_]+_[0-9]+>|\\[redacted]|\N{REPLACEMENT CHARACTER}")
"""What stands in a text that is no longer as it was hashed."""

_NAMED = {
    ("runs", "status"): RunStatus,
    ("runs", "kind"): RunKind,
    ("trials", "status"): TrialStatus,
    ("trials", "error_class"): ErrorClass,
    ("trials", "provenance"): Provenance,
    ("scores", "status"): ScoreStatus,
}

_RULES = {
    "a trial is in it twice": "SELECT 1 FROM trials GROUP BY suite, target, case_id, trial"
    " HAVING count(*) > 1",
    "a score is in it twice": "SELECT 1 FROM scores GROUP BY suite, target, case_id, trial, name"
    " HAVING count(*) > 1",
    "a case is in it twice": "SELECT 1 FROM cases GROUP BY case_id HAVING count(*) > 1",
    "a trial has no case": "SELECT 1 FROM trials ANTI JOIN cases USING (case_id)",
    "a case has no trial": "SELECT 1 FROM cases ANTI JOIN trials USING (case_id)",
    "a score has no trial": "SELECT 1 FROM scores ANTI JOIN trials"
    " USING (suite, target, case_id, trial)",
    "a trial is of a suite or a target that the run does not have": "SELECT 1 FROM trials AS t"
    " WHERE NOT list_contains((SELECT suites FROM runs), t.suite)"
    " OR t.target NOT IN (SELECT target FROM targets)",
    "a score is not a finite number": "SELECT 1 FROM scores WHERE NOT isfinite(value)"
    " OR (status = 'scored') <> (value IS NOT NULL)"
    " OR len(list_filter(stats, lambda x: NOT isfinite(x))) > 0",
    "an answer has no text or no origin": "SELECT 1 FROM trials"
    " WHERE status = 'ok' AND (output IS NULL OR provenance IS NULL OR extra IS NULL)",
    "a number is not finite or below zero": "SELECT 1 FROM trials WHERE trial < 0 OR attempts < 0"
    " OR len(list_filter([latency_s, ttft_s, queue_s, total_s, cost_usd, spent_usd, assumed_usd,"
    " saved_usd], lambda x: NOT isfinite(x) OR x < 0)) > 0",
    "what was asked is no list of messages": "SELECT 1 FROM trials"
    " WHERE json_type(messages) <> 'ARRAY' OR len(list_filter(json_extract(messages, '$[*]'),"
    " lambda x: json_type(x, '$.role') IS DISTINCT FROM 'VARCHAR'"
    " OR json_type(x, '$.content') IS DISTINCT FROM 'VARCHAR' OR len(json_keys(x)) <> 2)) > 0",
    "a turn has no text, no origin, or a number below zero": "SELECT 1 FROM trials"
    " WHERE len(list_filter(turns, lambda x: x.user IS NULL OR x.output IS NULL"
    " OR x.provenance IS NULL OR x.output_context IS NULL OR x.tool_calls IS NULL"
    " OR len(list_filter([x.latency_s, x.ttft_s, x.cost_usd],"
    " lambda y: NOT isfinite(y) OR y < 0)) > 0)) > 0",
    "a turn of a case says nothing": "SELECT 1 FROM cases"
    " WHERE len(list_filter(turns, lambda x: x.user IS NULL)) > 0 OR len(turns) = 0",
    "inputs or notes are no JSON object": "SELECT 1 FROM cases WHERE json_type(inputs) <> 'OBJECT'"
    " OR json_type(metadata) <> 'OBJECT'",
}


def problem(connection: DuckDBPyConnection, run_id: str) -> str | None:
    """Why the rows cannot be those of one run, ``None`` when they can."""
    tables = [
        row["table_name"]
        for row in fetch(
            connection,
            "SELECT DISTINCT table_name FROM duckdb_columns() WHERE column_name = 'run_id'"
            " AND NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables())",
        )
    ]
    for name in tables:
        other = f'SELECT 1 FROM "{name}" WHERE run_id IS DISTINCT FROM ? LIMIT 1'  # noqa: S608 - our tables
        if single(connection, other, [run_id]):
            return f"{name} has rows of another run"
    if single(connection, "SELECT count(*) FROM runs") != 1:
        return "it does not hold exactly one run"
    for (table, column), known in _NAMED.items():
        found = _unknown(connection, table, column, known)
        if found is not None:
            return f"{table} has the {column} {found!r}, which does not exist"
    for words, sql in _RULES.items():
        if single(connection, f"{sql} LIMIT 1"):
            return words
    try:
        run_from(connection, run_id)
    except (ValueError, TypeError, KeyError) as error:
        return f"its run cannot be read ({error})"
    return _false_identity(connection)


def _unknown(
    connection: DuckDBPyConnection, table: str, column: str, known: type[StrEnum]
) -> str | None:
    for row in fetch(connection, f"SELECT DISTINCT {column} AS one FROM {table}"):  # noqa: S608 - constants
        if row["one"] is not None and row["one"] not in set(known):
            return str(row["one"])[:80]
    return None


def _false_identity(connection: DuckDBPyConnection) -> str | None:
    """A case whose content is not what its identity says, but for what was masked in it."""
    rows = connection.sql(
        "SELECT case_id, input_id, inputs::VARCHAR AS inputs, expected::VARCHAR AS expected,"
        " context, turns FROM cases"
    ).to_arrow_reader(16_384)
    for batch in rows:
        for row in batch.to_pylist():
            turns = [
                ScriptedTurn(user=one["user"], expected=_value(one["expected"]))
                for one in row["turns"] or ()
            ]
            expected, inputs = _value(row["expected"]), json.loads(row["inputs"])
            if content_id(identity_of(inputs, row["context"], turns, expected)) == row["case_id"]:
                continue
            texts = f"{row['inputs']}{row['expected']}{row['context']}{row['turns']}"
            if not _VEILED.search(texts):
                return f"case {row['case_id'][:20]!r} is not what its identity says"
    return None


def _value(text: str | None) -> JSON:
    found: JSON = None if text is None else json.loads(text)
    return found
