"""The configuration as the rest of evalkit sees it: frozen values, every one knowing its place.

Built by the loaders of this room from YAML; nothing here reads a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeAlias

from evalkit.errors import Position
from evalkit.model import JSON
from evalkit.pii import PiiKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How hard a target may be driven; times in seconds, ``None`` is no limit.

    ``deadline_s`` bounds a trial over all its attempts, ``patience_s`` an outage, and up to half a
    minute of it the start of a target that is slow at first. ``concurrency`` is the most;
    ``adaptive`` finds out what is good below it.
    """

    concurrency: int = 16
    adaptive: bool = True
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout_s: float = 60.0
    deadline_s: float | None = None
    max_retries: int = 4
    patience_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per million tokens, and per call."""

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None
    request: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A named target: kind, prompt file, the kind's own options, limits, price.

    A ``judge`` is asked by scorers alone, and needs no prompt.

    ``options`` may hold ``${env:NAME}`` texts; they are resolved only when a run starts, and never
    stored resolved. ``where`` gives the place of the target or of one of its keys.
    """

    name: str
    kind: str
    prompt: Path | None = None
    options: Mapping[str, JSON] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    price: Price | None = None
    judge: bool = False
    position: Position | None = None
    positions: Mapping[str, Position] = field(default_factory=dict)

    def where(self, key: str = "") -> Position | None:
        """The place of one key of this target, or of the target itself."""
        return self.positions.get(key, self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """Where cases come from and which column is what.

    ``source`` is an absolute path, or a hub name when ``format`` is ``huggingface``. ``columns``
    maps evalkit's fields (``id``, ``expected``, ``context``, ``tags``, ``inputs.<name>``,
    ``tags.<name>``) to columns of the source; ``types`` declares columns that are not text.
    """

    source: str
    format: str
    columns: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, Literal["text", "integer", "number", "boolean", "json"]] = field(
        default_factory=dict
    )
    options: Mapping[str, Any] = field(default_factory=dict)
    position: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSpec:
    """A scorer as a suite uses it: ``name`` is what it is called there, ``scorer`` what it is.

    ``threshold`` makes any scorer decide: passed at or better than it, in the scorer's direction.
    ``turns`` says which answers of a conversation it judges: the ``last``, or all of them, as their
    mean (``each``) or their ``worst``.
    """

    name: str
    scorer: str
    options: Mapping[str, Any] = field(default_factory=dict)
    threshold: float | None = None
    position: Position | None = None
    turns: Literal["last", "each", "worst"] = "last"


GateMode: TypeAlias = Literal["prove", "guard", "advisory"]
LimitKind: TypeAlias = Literal[
    "max_drop", "max_rise", "min", "max", "total", "max_gap", "must", "sql"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLimit:
    """One rule of a gate.

    ``value`` is in the metric's own unit: a share of one, seconds, US dollars, a plain score; a
    count for ``sql``; the number of confirming trials for ``must``. ``relative`` makes it a share
    of the baseline.
    """

    kind: LimitKind
    value: float
    relative: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """Who lets a gate fail, why, and until which day (included); or only some of its cases."""

    owner: str
    reason: str
    until: date
    cases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A release that drift is counted from, and the share it may add up to."""

    ref: str
    budget: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSpec:
    """One gate of a suite: a metric, a ``sql`` query or chosen ``cases``, and what they must meet.

    ``prove`` fails closed, ``guard`` blocks only on proof of harm, ``advisory`` never blocks.
    ``target`` is empty for all targets. ``cases`` are names, ids and ``tag:NAME[=VALUE]``; empty is
    all. ``by`` are tags: the gate is judged in each of their groups of ``min_cases`` and more.
    ``sql`` is the file of a query, ``query`` its text as it was when the gate was read. ``waivers``
    name cases; ``left_out`` are those of the waivers in force, and the gate is judged without them.
    """

    id: str
    metric: str = ""
    mode: GateMode = "guard"
    limits: tuple[GateLimit, ...]
    target: str = ""
    cases: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    min_cases: int = 30
    sql: Path | None = None
    query: str = ""
    block_when: Literal["harm", "margin_exceeded"] = "harm"
    waiver: Waiver | None = None
    waivers: tuple[Waiver, ...] = ()
    left_out: tuple[str, ...] = ()
    position: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """When a gated run may end before all its cases were asked.

    It is looked at ``looks`` times, from ``min_cases`` cases on, and ``spending`` says how much of
    α each look may use up; ``anytime`` judges by bets that hold whenever they are looked at.
    ``stop`` names what ends it: ``both`` answers, or only a FAIL. When the end decides nothing,
    trials are added until each target was called ``max_calls`` times; 0 adds none.
    """

    looks: int = 10
    spending: Literal["rho2", "obrien_fleming", "pocock", "anytime"] = "rho2"
    min_cases: int = 30
    stop: Literal["both", "fail"] = "both"
    max_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GatePolicy:
    """How the gates of a suite are judged together.

    ``alpha`` is the chance of error of one direction and family, ``cluster`` a tag whose cases hang
    together, ``max_missing`` the share of cases that may lack a result, ``anchor`` the release that
    drift is counted from, ``sequential`` whether a run may end early or be extended, ``unchanged``
    whether a case is asked that asks what the baseline's run asked. ``content_hash`` covers the
    policy, every gate and every query.
    """

    alpha: float = 0.05
    baseline: str = "merge-base"
    baseline_runs: int = 5
    estimand: Literal["auto", "suite", "population"] = "auto"
    on_inconclusive: Literal["block", "warn", "pass"] = "block"
    max_missing: float = 0.02
    cluster: str = ""
    anchor: Anchor | None = None
    sequential: Sequential | None = None
    unchanged: Literal["ask", "skip"] = "ask"
    content_hash: str = ""
    position: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteSpec:
    """One suite: datasets, targets, scorers, gates."""

    name: str
    path: Path
    kind: Literal["golden", "adversarial"] = "golden"
    description: str = ""
    datasets: tuple[DatasetSpec, ...]
    targets: tuple[str, ...]
    scorers: tuple[ScorerSpec, ...]
    trials: int = 1
    slices: tuple[str, ...] = ()
    attack_in: tuple[str, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    policy: GatePolicy = field(default_factory=GatePolicy)
    content_hash: str = ""
    position: Position | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """The most that may be spent: US dollars and tokens, ``None`` is no limit."""

    max_usd: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a run may spend: all in all, on each target, on scoring; and all runs of a month.

    ``monthly_usd`` holds for calendar months in UTC. ``where`` gives the place of one cap, as
    ``max_usd`` or ``targets.support``.
    """

    whole: Cap = field(default_factory=Cap)
    monthly_usd: float | None = None
    targets: Mapping[str, Cap] = field(default_factory=dict)
    judges: Cap = field(default_factory=Cap)
    positions: Mapping[str, Position] = field(default_factory=dict)

    def where(self, key: str) -> Position | None:
        """The place of one cap."""
        return self.positions.get(key)


CacheMode: TypeAlias = Literal["off", "read", "write", "refresh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSpec:
    """Whether answers are kept and used again, and the file they are kept in.

    ``read`` uses what is kept and keeps nothing new, ``write`` uses it and keeps what is new,
    ``refresh`` uses nothing and keeps every new answer in place of the old; ``off`` does neither.
    """

    path: Path
    mode: CacheMode = "off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Everything ``evalkit.yaml`` says; paths are absolute.

    ``mask`` names the kinds of personal data that are replaced before anything is stored.
    """

    name: str
    root: Path
    path: Path
    store: Path
    targets: Mapping[str, TargetSpec]
    prices: Mapping[str, Price] = field(default_factory=dict)
    plugins: tuple[Path, ...] = ()
    mask: tuple[PiiKind, ...] = ()
    seed: int = 0
    suites_dir: Path
    prompts_dir: Path
    cache: CacheSpec
    budget: Budget = field(default_factory=Budget)
    position: Position | None = None
