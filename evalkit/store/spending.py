"""Money and tokens that were spent, as budgets count them: known amounts and assumed ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from evalkit.model import Run
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_USD = "coalesce(spent_usd, 0) + coalesce(assumed_usd, 0)"
_TOKENS = "coalesce(spent_tokens, 0) + coalesce(assumed_tokens, 0)"

ANSWERS = 20_000
"""The latest answers that a history looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What a run spent: US dollars and tokens, all in all, by target, and on scoring.

    ``usd`` holds scoring and the calls that ended without a trial too. ``targets`` have what was
    asked of them by routes as well, so they may add up to more.
    """

    usd: float = 0.0
    tokens: int = 0
    targets: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    judges_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What answers of one target to one suite took; deviations are of single answers.

    ``prompt_version`` is that of the latest run; input tokens are of its answers alone, because
    another prompt is another length. Scoring is the mean of a trial, ``None`` when none cost.
    """

    answers: int
    prompt_version: str | None
    input_tokens: float | None
    input_deviation: float
    output_tokens: float
    output_deviation: float
    cost_usd: float | None
    cost_deviation: float
    scoring_usd: float | None


def run_spending(connection: DuckDBPyConnection, run: Run) -> Spending:
    """What the run has spent so far."""
    rows = fetch(
        connection,
        f"SELECT target, coalesce(sum({_USD}), 0) AS usd, sum({_TOKENS}) AS tokens"  # noqa: S608 -- constants
        " FROM trials WHERE run_id = ? GROUP BY target",
        [run.id],
    )
    (judged,) = fetch(
        connection,
        "SELECT coalesce(sum(cost_usd), 0) AS usd FROM scores WHERE run_id = ?",
        [run.id],
    )
    (cut,) = fetch(
        connection,
        "SELECT coalesce(unrecorded_usd, 0) AS usd, coalesce(unrecorded_tokens, 0) AS tokens"
        " FROM runs WHERE run_id = ?",
        [run.id],
    )
    # a trial of a route holds what its children spent, under the route's name
    legs = fetch(
        connection,
        "SELECT leg.target AS target, coalesce(sum(leg.cost_usd), 0) AS usd,"
        " coalesce(sum(coalesce(leg.input_tokens, 0) + coalesce(leg.output_tokens, 0)), 0)"
        " AS tokens FROM (SELECT unnest(legs) AS leg FROM trials WHERE run_id = ?)"
        " GROUP BY leg.target",
        [run.id],
    )
    targets: dict[str, tuple[float, int]] = {}
    for row in (*rows, *legs):
        usd, tokens = targets.get(row["target"], (0.0, 0))
        targets[row["target"]] = (usd + float(row["usd"]), tokens + int(row["tokens"]))
    return Spending(
        usd=sum(row["usd"] for row in rows) + judged["usd"] + cut["usd"],
        tokens=int(sum(row["tokens"] for row in rows) + cut["tokens"]),
        targets=targets,
        judges_usd=judged["usd"],
    )


def spent_since(connection: DuckDBPyConnection, instant: datetime, but: str | None) -> float:
    """US dollars of all trials begun since then, their scoring, and calls without a trial."""
    (row,) = fetch(
        connection,
        f"""
        SELECT
            (SELECT coalesce(sum({_USD}), 0) FROM trials
                WHERE started_at >= $since AND run_id IS DISTINCT FROM $but)
            + (SELECT coalesce(sum(s.cost_usd), 0) FROM scores AS s
                JOIN trials AS t USING (run_id, suite, target, case_id, trial)
                WHERE t.started_at >= $since AND s.cost_usd IS NOT NULL
                AND s.run_id IS DISTINCT FROM $but)
            + (SELECT coalesce(sum(unrecorded_usd), 0) FROM runs
                WHERE coalesce(finished_at, started_at) >= $since
                AND run_id IS DISTINCT FROM $but) AS usd
        """,  # noqa: S608 -- constants
        {"since": instant, "but": but},
    )
    return float(row["usd"])


def history(connection: DuckDBPyConnection, target: str, suite: str) -> History | None:
    """The latest answers of that target to that suite, or ``None`` when none tells its tokens."""
    (row,) = fetch(
        connection,
        """
        WITH latest AS (
            SELECT t.*, v.prompt_version FROM trials AS t
            JOIN targets AS v USING (run_id, target)
            WHERE t.target = $target AND t.suite = $suite AND t.status = 'ok'
                AND t.output_tokens IS NOT NULL AND t.input_tokens IS NOT NULL
            ORDER BY t.started_at DESC LIMIT $most
        ),
        newest AS (SELECT arg_max(prompt_version, started_at) AS version FROM latest),
        marked AS (
            SELECT latest.*, prompt_version IS NOT DISTINCT FROM newest.version AS same
            FROM latest, newest
        )
        SELECT count(*) AS answers, any_value(prompt_version) FILTER (same) AS prompt_version,
            avg(input_tokens) FILTER (same) AS input_tokens,
            coalesce(stddev_samp(input_tokens) FILTER (same), 0) AS input_deviation,
            avg(output_tokens) AS output_tokens,
            coalesce(stddev_samp(output_tokens), 0) AS output_deviation,
            avg(cost_usd) FILTER (same) AS cost_usd,
            coalesce(stddev_samp(cost_usd) FILTER (same), 0) AS cost_deviation,
            (SELECT sum(s.cost_usd) FROM scores AS s
                SEMI JOIN latest USING (run_id, suite, target, case_id, trial)
                ) / nullif(count(*), 0) AS scoring_usd
        FROM marked
        """,
        {"target": target, "suite": suite, "most": ANSWERS},
    )
    return History(**row) if row["answers"] else None
