"""Which failures ``must: pass`` gates want confirmed before they block."""

from __future__ import annotations

from collections.abc import Sequence

from evalkit.config.spec import GateSpec, SuiteSpec
from evalkit.gate.bench import Bench
from evalkit.gate.facts import to_confirm
from evalkit.gate.rules import FACT
from evalkit.gate.stored import Stored, targets_of


def unconfirmed(
    suites: Sequence[SuiteSpec], candidate: Stored
) -> dict[tuple[str, str], dict[str, int]]:
    """How many trials are still to be made by case id, by suite and target."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for suite in suites:
        for target in targets_of(candidate, suite.name):
            bench = Bench.of(suite, target, candidate, None)
            for gate in suite.gates:
                if gate.target in {"", target}:
                    found.setdefault((suite.name, target), {}).update(_of(bench, gate))
    return {key: cases for key, cases in found.items() if cases}


def _of(bench: Bench, gate: GateSpec) -> dict[str, int]:
    found: dict[str, int] = {}
    for limit in gate.limits:
        if limit.kind != "must":
            continue
        cases = bench.everything
        mask, problem = cases.chosen(gate.cases)
        if problem or bench.refusal(limit, FACT):
            continue
        question, places = bench.must(gate, limit, cases, mask)
        for row, more in to_confirm(question.after, int(limit.value)).items():
            found[cases.pairing.ids[places[row]]] = more
    return found
