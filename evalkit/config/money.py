"""What ``evalkit.yaml`` says of money: budgets, and the cache that saves some."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias, get_args

from pydantic import BeforeValidator, Field

from evalkit.config.check import Findings, Strict, shown
from evalkit.config.spec import Budget, CacheMode, CacheSpec, Cap
from evalkit.config.tree import Entry, Node
from evalkit.errors import Position, suggestion

DOLLARS = r"^\$[0-9]+(?:\.[0-9]+)?$"
_WANTED = "must be an amount of US dollars, as 5 or $5.00"
CACHE_FILE = ".evalkit/cache.sqlite"


def _dollars(value: object) -> object:
    if isinstance(value, str):
        if not re.match(DOLLARS, value):
            raise ValueError(_WANTED)
        return float(value[1:])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(_WANTED)  # noqa: TRY004 - pydantic reports no TypeError
    if value < 0:
        raise ValueError(_WANTED)
    return float(value)


Dollars: TypeAlias = Annotated[
    float,
    Field(
        json_schema_extra={
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": DOLLARS},
            ],
            "type": ["number", "string"],
        }
    ),
    BeforeValidator(_dollars),
]
Tokens: TypeAlias = Annotated[int, Field(ge=0)]


class CapModel(Strict):
    """The most that may be spent."""

    max_usd: Dollars | None = Field(None, description="US dollars, as 5 or $5.00")
    max_tokens: Tokens | None = Field(None, description="tokens sent and answered")

    def value(self) -> Cap:
        """The cap as the runner uses it."""
        return Cap(max_usd=self.max_usd, max_tokens=self.max_tokens)


class BudgetModel(CapModel):
    """What a run may spend, and all runs of a month."""

    monthly_usd: Dollars | None = Field(
        None, description="US dollars of all runs of a calendar month, in UTC"
    )
    targets: dict[str, Any] = Field({}, description="caps of single targets, by name")
    judges: Any = Field(None, description="the cap of what scoring itself costs")


class CacheModel(Strict):
    """Whether answers are kept and used again."""

    mode: CacheMode = Field("off", description="off, read, write (and read), refresh")
    path: str = Field(CACHE_FILE, min_length=1, description="the file answers are kept in")


def budget(findings: Findings, node: Node, targets: Mapping[str, Entry]) -> Budget:
    """The budget of a project; what is wrong with it is noted."""
    model = findings.check(BudgetModel, node, "budget")
    if model is None:
        return Budget()
    positions = {name: _place(findings, entry) for name, entry in node.entries.items()}
    caps: dict[str, Cap] = {}
    if model.targets:
        for name, entry in node.entries["targets"].node.entries.items():
            positions[f"targets.{name}"] = _place(findings, entry)
            if name not in targets:
                findings.add(f"unknown target {name!r} in budget", entry, suggestion(name, targets))
            cap = findings.check(CapModel, entry.node, f"budget of target {name!r}", at=entry)
            if cap is not None:
                caps[name] = cap.value()
    judges = Cap()
    if "judges" in node.entries:
        entry = node.entries["judges"]
        cap = findings.check(CapModel, entry.node, "budget of judges", at=entry)
        judges = Cap() if cap is None else cap.value()
    return Budget(
        whole=model.value(),
        monthly_usd=model.monthly_usd,
        targets=caps,
        judges=judges,
        positions=positions,
    )


def cache(findings: Findings, node: Node | None, root: Path) -> CacheSpec:
    """Where and how answers are kept; a bare word is the mode."""
    if node is None:
        return CacheSpec(path=root / CACHE_FILE)
    if not isinstance(node.value, Mapping):
        modes: tuple[CacheMode, ...] = get_args(CacheMode)
        for mode in modes:
            if node.value == mode:
                return CacheSpec(path=root / CACHE_FILE, mode=mode)
        what = f"cache must be one of {', '.join(modes)}, or a mapping with 'mode'"
        near = suggestion(node.value, modes) if isinstance(node.value, str) else ""
        findings.add(f"{what}, not {shown(node)}", node, near)
        return CacheSpec(path=root / CACHE_FILE)
    model = findings.check(CacheModel, node, "cache")
    if model is None:
        return CacheSpec(path=root / CACHE_FILE)
    return CacheSpec(path=root / model.path, mode=model.mode)


def _place(findings: Findings, entry: Entry) -> Position:
    return findings.document.at(entry)
