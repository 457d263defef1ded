"""Which cases a gate is about, known before any of them was asked."""

from __future__ import annotations

from collections.abc import Iterable

from evalkit.config.spec import GateSpec, SuiteSpec
from evalkit.model import Case

_NO = {"", "no", "false", "0"}


def chosen(gate: GateSpec, cases: Iterable[Case]) -> list[Case]:
    """The cases that a gate names, by name, id or tag; none when it names none."""
    return [case for case in cases if any(_is(case, one) for one in gate.cases)]


def must_pass(spec: SuiteSpec, cases: Iterable[Case]) -> dict[str, Case]:
    """The cases that must pass by any gate of a suite, by id, in their order for each gate."""
    gates = [one for one in spec.gates if any(limit.kind == "must" for limit in one.limits)]
    listed = list(cases) if gates else []
    return {case.id: case for gate in gates for case in chosen(gate, listed)}


def _is(case: Case, wanted: str) -> bool:
    if not wanted.startswith("tag:"):
        return wanted in {case.id, case.name}
    name, has_value, value = wanted.removeprefix("tag:").partition("=")
    tag = case.tags.get(name)
    return tag == value if has_value else (tag or "").lower() not in _NO
