"""What gates said of runs: one row a rule, as it was decided; decided again, it is a row more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from evalkit.store import arrays

if TYPE_CHECKING:
    import pyarrow as pa

_INSTANT, _WHOLE = "decided_at", {"position", "n"}
_NUMBERS = {"value", "low", "high", "threshold"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One rule of a gate as it was decided: a row of the table ``gates``."""

    run_id: str
    baseline_run_id: str | None
    position: int
    suite: str
    target: str | None
    gate: str
    metric: str | None
    mode: str
    verdict: str
    value: float | None
    low: float | None
    high: float | None
    threshold: float | None
    n: int
    reason: str
    decided_at: datetime


def gate_table(rows: Sequence[GateRow]) -> pa.Table:
    """The rows as columns."""
    import pyarrow as pa

    def column(name: str) -> pa.Array:
        values = [getattr(one, name) for one in rows]
        if name == _INSTANT:
            return arrays.instants(values)
        if name in _NUMBERS:
            return arrays.real(values, finite=False)
        if name in _WHOLE:
            return arrays.whole(values, bits=32 if name == "position" else 64)
        return arrays.text([None if one is None else arrays.storable(one) for one in values])

    return pa.table({one.name: column(one.name) for one in fields(GateRow)})
