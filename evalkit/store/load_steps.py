"""Steps of a load test as rows, and back from the JSON in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from evalkit.stats.load import LoadStep, own_limits
from evalkit.store import arrays
from evalkit.store.reads import fetch

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

_QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def step_table(run_id: str, suite: str, target: str, steps: Sequence[LoadStep]) -> pa.Table:
    """The rows of the steps; ``details`` has everything, the other columns what is asked for."""
    import pyarrow as pa

    def real(values: list[float | None]) -> Any:
        return arrays.real(values)

    def whole(values: list[int | None]) -> Any:
        return arrays.whole(values)

    why = ["; ".join(own_limits(one)) for one in steps]
    count = len(steps)
    columns = {
        "run_id": arrays.text([run_id] * count),
        "suite": arrays.text([suite] * count),
        "target": arrays.text([target] * count),
        "step": arrays.whole([one.position for one in steps], bits=32),
        "arrivals": arrays.text([one.arrivals for one in steps]),
        "offered_per_s": real([one.offered for one in steps]),
        "users": whole([one.users for one in steps]),
        "begins_s": real([one.begins_s for one in steps]),
        "ends_s": real([one.ends_s for one in steps]),
        "sent": whole([one.sent for one in steps]),
        "answered": whole([one.answered for one in steps]),
        "failed": whole([one.failed for one in steps]),
        "unfinished": whole([one.unfinished for one in steps]),
        "answered_per_s": real([one.rate for one in steps]),
        "tokens_per_s": real([one.tokens_per_s for one in steps]),
        "in_flight_mean": real([one.in_flight_mean for one in steps]),
        "in_flight_max": whole([one.in_flight_max for one in steps]),
        "delay_p95_s": real([one.delay.quantile(0.95).value for one in steps]),
        "client_cpu": real([one.cpu for one in steps]),
        "valid": arrays.flags([not one for one in why]),
        "why_not": arrays.text([one or None for one in why]),
        "details": arrays.text([arrays.as_json(one.to_json()) for one in steps]),
    }
    for name, q in _QUANTILES.items():
        columns[f"latency_{name}_s"] = real([one.latency.quantile(q).value for one in steps])
        columns[f"ttft_{name}_s"] = real([one.ttft.quantile(q).value for one in steps])
    return pa.table(columns)


def steps_from(connection: DuckDBPyConnection, run_id: str) -> tuple[LoadStep, ...]:
    """The steps of a run in order."""
    rows = fetch(
        connection, "SELECT details FROM load_steps WHERE run_id = ? ORDER BY step", [run_id]
    )
    return tuple(LoadStep.from_json(json.loads(row["details"])) for row in rows)
