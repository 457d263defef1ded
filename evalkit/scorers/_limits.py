"""Scorers of a quantity decide with ``min`` and ``max``; both count as inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.errors import Unscorable
from evalkit.model import Output, Provenance, Score


def check_limits(options: Mapping[str, Any]) -> str:
    """Raise ``ValueError`` for limits that nothing can satisfy or break."""
    low, high = options.get("min"), options.get("max")
    for name, value in (("min", low), ("max", high)):
        if value is not None and value < 0:
            raise ValueError(f"{name} {value:g} is below 0")
    if low is not None and high is not None and low > high:
        raise ValueError(f"min {low:g} is above max {high:g}")
    return ""


def within(value: float, low: float | None, high: float | None, unit: str) -> Score:
    """The quantity as a score; passed when limits are given and it lies between them."""
    if low is None and high is None:
        return Score(value=value)
    if low is not None and value < low:
        return Score(value=value, passed=False, reason=f"{value:g} {unit}, at least {low:g} wanted")
    if high is not None and value > high:
        return Score(value=value, passed=False, reason=f"{value:g} {unit}, at most {high:g} wanted")
    return Score(value=value, passed=True)


def live(output: Output) -> None:
    """Raise ``Unscorable`` unless the answer came from the target just now."""
    if output.provenance is not Provenance.LIVE:
        raise Unscorable(f"the answer came from {output.provenance}, so no time was measured")
