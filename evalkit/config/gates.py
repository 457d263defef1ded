"""The gates of a suite: metrics, limits with their units, and the policy that judges them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, WithJsonSchema

from evalkit import registry
from evalkit.config.check import ANCHORS, BASELINES, NAME, Findings, Strict, nearest_file
from evalkit.config.gate_metrics import ATTACK_METRICS, MetricInfo, known_metrics, metric_info
from evalkit.config.spec import (
    Anchor,
    GateLimit,
    GateMode,
    GatePolicy,
    GateSpec,
    LimitKind,
    Project,
    ScorerSpec,
    Sequential,
    Waiver,
)
from evalkit.config.target import DURATION, seconds
from evalkit.config.tree import Document, Entry, Node, read_text
from evalkit.errors import EvalkitError
from evalkit.hashing import content_id
from evalkit.registry import Kind, ScorerPlugin

PERCENT = re.compile(r"^([0-9]+(?:\.[0-9]+)?) ?%$")
MONEY = re.compile(r"^\$ ?([0-9]+(?:\.[0-9]+)?)$")

Reader: TypeAlias = Callable[[Path], str | None]
"""The text of a file of the project, or ``None`` where there is none."""

Amount = Annotated[
    float | str | None,
    Field(description="as 3%, 0.02, 200ms or $0.01, in the unit of the metric"),
]
_LIMITS: tuple[LimitKind, ...] = ("max_drop", "max_rise", "min", "max", "total", "max_gap")


class WaiverModel(Strict):
    """Who lets a gate fail, why, and until when."""

    owner: str = Field(min_length=1, description="who answers for it")
    reason: str = Field(min_length=1)
    until: str = Field(description="the last day, as 2026-01-31")


class CaseWaiverModel(WaiverModel):
    """Who lets some cases fail a gate, why, and until when."""

    cases: list[str] = Field(min_length=1, description="names, ids, tag:NAME or tag:NAME=VALUE")


class GateModel(Strict):
    """One gate as it is written."""

    id: str | None = Field(None, pattern=NAME, description="what the verdict calls it")
    metric: str | None = Field(None, description="as pass.rate, rouge_l.mean, latency.p95")
    mode: GateMode | None = Field(None, description="prove fails closed, guard blocks on harm")
    max_drop: Amount = None
    max_rise: Amount = None
    min: Amount = None
    max: Amount = None
    total: Amount = None
    max_gap: Amount = None
    must: Literal["pass"] | None = None
    confirm: int = Field(0, ge=0, le=100, description="trials that confirm a failing case")
    cases: str | list[str] | None = Field(
        None, description="names, ids, tag:NAME or tag:NAME=VALUE"
    )
    by: str | list[str] | None = Field(None, description="tags: judged in each of their groups")
    min_cases: int = Field(30, ge=2, description="smaller groups are not judged")
    sql: str | None = Field(None, description="a file with a query that returns offending rows")
    target: str | None = Field(None, description="one of the suite's targets; all without")
    block_when: Literal["harm", "margin_exceeded"] = "harm"
    waiver: WaiverModel | None = None
    waivers: list[CaseWaiverModel] = Field([], description="cases it is judged without, each dated")


class AnchorModel(Strict):
    """The release that drift is counted from."""

    ref: str = Field(pattern=ANCHORS, description="as tag:v1.4")
    budget: float | str = Field(description="how far all merges together may drop, as 3%")


class SequentialModel(Strict):
    """When a gated run may end before all cases were asked."""

    looks: int = Field(10, ge=2, le=50, description="how often the run is looked at")
    spending: Literal["rho2", "obrien_fleming", "pocock", "anytime"] = Field(
        "rho2", description="how much of alpha each look may use up; anytime: bets, always valid"
    )
    min_cases: int = Field(30, ge=10, description="no look before so many cases of a suite")
    stop: Literal["both", "fail"] = Field("both", description="what ends a run early")


# read by itself, so that a wrong key in it is told as everywhere else
_LOOKS_SCHEMA = WithJsonSchema(
    {"anyOf": [SequentialModel.model_json_schema(), {"enum": ["off", "anytime"]}]}
)
ANYTIME_LOOKS = 20
"""How often a run is looked at that can be looked at for nothing."""


class PolicyModel(Strict):
    """How the gates of a suite are judged together."""

    alpha: float = Field(0.05, gt=0, le=0.2, description="chance of error a direction and family")
    baseline: str = Field("merge-base", pattern=BASELINES)
    baseline_runs: int = Field(5, ge=1, le=100, description="stored repeats pooled at most")
    estimand: Literal["auto", "suite", "population"] = "auto"
    on_inconclusive: Literal["block", "warn", "pass", "extend"] = Field(
        "block", description="extend: ask again up to max_calls, then as 'then' says"
    )
    max_calls: int = Field(0, ge=1, le=10_000_000, description="of a target, with extend")
    then: Literal["block", "warn", "pass"] = Field("block", description="after extend")
    unchanged: Literal["ask", "skip"] = Field(
        "ask", description="skip: what asks the same as the baseline is not asked again"
    )
    max_missing: float | str = Field("2%", description="share of cases that may lack a result")
    cluster: str = Field("", description="a tag whose cases hang together")
    anchor: AnchorModel | None = None
    sequential: Annotated[dict[str, Any] | Literal["off", "anytime"], _LOOKS_SCHEMA] = Field(
        "off", description="looks at a gated run before its end, as {looks: 10}; anytime; or off"
    )


def read_policy(findings: Findings, root: Node, gates: Sequence[GateSpec] = ()) -> GatePolicy:
    """The ``gate:`` block of a suite; what is wrong with it is noted."""
    parts = [root.entries[key].node.plain() for key in ("gate", "gates") if key in root.entries]
    parts += [one.query for one in gates if one.query]
    entry = root.entries.get("gate")
    if entry is None:
        return GatePolicy(content_hash=content_id(parts))
    model = findings.check(PolicyModel, entry.node, "gate", at=entry)
    if model is None:
        return GatePolicy()
    missing = _share(model.max_missing)
    if missing is None or not 0 <= missing <= 0.5:
        place = entry.node.entries["max_missing"].node
        findings.add("max_missing in gate must be a share of at most 50%", place, "as in 2%")
        missing = 0.0
    anchor = None
    if model.anchor is not None:
        budget = _share(model.anchor.budget)
        if budget is None or not 0 < budget < 1:
            place = entry.node.entries["anchor"].node.entries["budget"].node
            findings.add("budget in anchor in gate must be a share of 1", place, "as in 3%")
        else:
            anchor = Anchor(ref=model.anchor.ref, budget=budget)
    sequential = _extended(findings, entry, model, _sequential(findings, entry, model))
    read = {"max_missing": missing, "anchor": anchor, "sequential": sequential}
    given = model.model_dump(exclude={"max_calls", "then"})
    if model.on_inconclusive == "extend":
        given["on_inconclusive"] = model.then
    return GatePolicy(
        **{**given, **read},
        content_hash=content_id(parts),
        position=findings.document.at(entry),
    )


def _sequential(findings: Findings, gate: Entry, policy: PolicyModel) -> Sequential | None:
    if policy.sequential == "off":
        return None
    node = gate.node.entries["sequential"].node
    if policy.sequential == "anytime":
        return Sequential(spending="anytime", looks=ANYTIME_LOOKS)
    model = findings.check(SequentialModel, node, "sequential in gate")
    return None if model is None else Sequential(**model.model_dump())


def _extended(
    findings: Findings, gate: Entry, policy: PolicyModel, looks: Sequential | None
) -> Sequential | None:
    """The looks with what may be added at the end, which is the first where there were none."""
    entries = gate.node.entries
    if policy.on_inconclusive != "extend":
        for name in ("max_calls", "then"):
            if name in entries:
                findings.add(
                    f"{name} in gate says how a run is extended, and on_inconclusive does not",
                    entries[name].node,
                    "write on_inconclusive: extend",
                )
        return looks
    node = entries["on_inconclusive"].node
    if "max_calls" not in entries:
        findings.add(
            "on_inconclusive: extend in gate has no end",
            node,
            "add the most calls, max_calls: 1000",
        )
    elif looks is not None and looks.spending == "anytime":
        findings.add(
            "on_inconclusive: extend in gate cannot be used with sequential: anytime",
            node,
            "bets are placed on cases, and a case asked again is no new one: use {looks: 10}",
        )
    # most of α is for what was planned
    return replace(looks or Sequential(looks=1, spending="pocock"), max_calls=policy.max_calls)


def file_text(path: Path) -> str | None:
    """What a file holds now, ``None`` where there is none."""
    return read_text(path) if path.is_file() else None


def read_gates(
    findings: Findings,
    project: Project,
    root: Node,
    scorers: Sequence[ScorerSpec],
    *,
    read: Reader = file_text,
) -> tuple[GateSpec, ...]:
    """The ``gates:`` list of a suite; what is wrong with it is noted. ``read`` gets its queries."""
    entry = root.entries.get("gates")
    if entry is None:
        return ()
    if not isinstance(entry.node.value, tuple):
        findings.add("gates must be a list", entry.node, "start every gate with '- '")
        return ()
    targets = [
        one.value for one in root.entries["targets"].node.items if isinstance(one.value, str)
    ] if "targets" in root.entries else []  # fmt: skip
    kind = root.entries.get("kind")
    attacks = kind is not None and kind.node.value == "adversarial"
    known = known_metrics(_plugins(scorers), attacks=attacks)
    found: dict[str, GateSpec] = {}
    for number, item in enumerate(entry.node.items, 1):
        gate = _Gate(findings, project, item, number=number, known=known, targets=targets)
        spec = gate.spec(read)
        if spec is None:
            continue
        if spec.id in found:
            name = item.entries["id"].node if "id" in item.entries else item
            findings.add(f"two gates are called {spec.id!r}", name, "give one another id")
        _contradictions(findings, item, spec, found.values())
        found[spec.id] = spec
    return tuple(found.values())


def _plugins(scorers: Sequence[ScorerSpec]) -> dict[str, ScorerPlugin]:
    found = {}
    for one in scorers:
        try:
            plugin = registry.get(Kind.SCORER, one.scorer)
        except EvalkitError:
            continue  # noted where the scorer is written
        if isinstance(plugin, ScorerPlugin):
            found[one.name] = plugin
    return found


def _share(value: float | str) -> float | None:
    if isinstance(value, str):
        match = PERCENT.match(value)
        return float(match[1]) / 100 if match else None
    return float(value)


class _Gate:
    """One item of ``gates``."""

    def __init__(
        self,
        findings: Findings,
        project: Project,
        item: Node,
        *,
        number: int,
        known: Mapping[str, MetricInfo],
        targets: Sequence[str],
    ):
        self._findings = findings
        self._document: Document = findings.document
        self._project = project
        self._item = item
        self._number = number
        self._known = known
        self._targets = targets
        self._owner = f"gate {number}"

    def spec(self, read: Reader) -> GateSpec | None:
        """The gate, or ``None`` with what is wrong with it noted."""
        before = len(self._findings.found)
        model = self._findings.check(GateModel, self._item, self._owner)
        if model is None:
            return None
        info = self._metric(model)
        limits = self._limits(model, info)
        if len(self._findings.found) > before:
            return None
        self._check_shape(model, limits)
        by = [model.by] if isinstance(model.by, str) else model.by or []
        cases = [model.cases] if isinstance(model.cases, str) else model.cases or []
        waivers = self._waivers(model)
        waiver = next((one for one in waivers if not one.cases), None)
        sql, query = self._sql(model, read)
        if model.target is not None and model.target not in self._targets:
            self._findings.unknown(
                f"unknown target {model.target!r} in {self._owner}",
                model.target,
                self._targets,
                self._at("target"),
            )
        if len(self._findings.found) > before:
            return None
        metric = info.name if info else ""
        # a case that must pass and an offending row are facts: silence about them is no pass
        certain = model.must is not None or model.sql is not None
        return GateSpec(
            id=model.id or self._name(metric, by, limits, model),
            metric=metric,
            mode=model.mode or ("prove" if certain else "guard"),
            limits=limits,
            target=model.target or "",
            cases=tuple(cases),
            by=tuple(by),
            min_cases=model.min_cases,
            sql=sql,
            query=query,
            block_when=model.block_when,
            waiver=waiver,
            waivers=tuple(one for one in waivers if one.cases),
            position=self._document.at(self._item),
        )

    def _name(
        self, metric: str, by: Sequence[str], limits: Sequence[GateLimit], model: GateModel
    ) -> str:
        if model.sql is not None:
            return Path(model.sql).stem
        what = metric or "must-pass"
        gap = "-gap" if any(one.kind == "max_gap" for one in limits) else ""
        target = f"-{model.target}" if model.target else ""
        return f"{what}{gap}{'-by-' + '-'.join(by) if by else ''}{target}"

    def _at(self, key: str) -> Node | Entry:
        return self._item.entries[key].node if key in self._item.entries else self._item

    def _metric(self, model: GateModel) -> MetricInfo | None:
        if model.metric is None:
            if model.must is None and model.sql is None:
                self._findings.add(
                    f"{self._owner} lacks the key 'metric'",
                    self._item,
                    "add one, or 'must: pass', or 'sql: FILE'",
                )
            return None
        info = metric_info(model.metric, self._known)
        if info is None and model.metric in ATTACK_METRICS:
            lacks_kind = "attack.rate" not in self._known
            self._findings.add(
                f"{model.metric} in {self._owner} is a metric of attack suites"
                if lacks_kind
                else f"{model.metric} in {self._owner} needs a scorer that tells refusals",
                self._at("metric"),
                "write 'kind: adversarial' at the top of the suite"
                if lacks_kind
                else "add 'refusal' to the scorers",
            )
        elif info is None:
            self._findings.unknown(
                f"unknown metric {model.metric!r} in {self._owner}",
                model.metric,
                self._known,
                self._at("metric"),
            )
        return info

    def _limits(self, model: GateModel, info: MetricInfo | None) -> tuple[GateLimit, ...]:
        found = []
        for kind in _LIMITS:
            written = getattr(model, kind)
            if written is None:
                continue
            limit = self._limit(kind, written, info, counts=model.sql is not None)
            if limit is not None:
                found.append(limit)
        if model.must is not None:
            found.append(GateLimit(kind="must", value=model.confirm))
        if model.sql is not None:
            rows = [one for one in found if one.kind == "max"]
            found = [one for one in found if one.kind != "max"]
            found.append(GateLimit(kind="sql", value=rows[0].value if rows else 0))
        if not found and len(self._findings.found) == 0:
            self._findings.add(
                f"{self._owner} has no limit",
                self._item,
                "add one of: " + ", ".join((*_LIMITS, "must")),
            )
        return tuple(found)

    def _limit(
        self, kind: LimitKind, written: float | str, info: MetricInfo | None, *, counts: bool
    ) -> GateLimit | None:
        owner = f"{kind} in {self._owner}"
        if info is None:
            if counts and kind == "max" and isinstance(written, int | float) and written >= 0:
                return GateLimit(kind=kind, value=float(written))
            if counts:
                self._findings.add(
                    f"{owner} must be a number of rows", self._at(kind), "as in 'max: 0'"
                )
            return None
        wanted = info.wanted(kind)
        if wanted.problem:
            self._findings.add(f"{owner} {wanted.problem}", self._at(kind), wanted.hint)
            return None
        value = _amount(written, wanted.units)
        if value is None:
            self._findings.add(f"{owner} must be {wanted.said}", self._at(kind), wanted.hint)
            return None
        number, relative = value
        problem = info.out_of_reach(kind, number, relative=relative)
        if problem:
            self._findings.add(f"{owner} {problem[0]}", self._at(kind), problem[1])
            return None
        return GateLimit(kind=kind, value=number, relative=relative)

    def _check_shape(self, model: GateModel, limits: Sequence[GateLimit]) -> None:
        values = {one.kind: one.value for one in limits}
        if "min" in values and "max" in values and values["min"] >= values["max"]:
            self._findings.add(
                f"{self._owner} wants at least more than at most: no value can meet it",
                self._at("min"),
                "make min smaller than max",
            )
        if "max_gap" in values and model.by is None:
            self._findings.add(
                f"max_gap in {self._owner} compares groups, and it names none",
                self._at("max_gap"),
                "add the tags of the groups: by: [lang]",
            )
        if "must" in values and model.cases is None:
            self._findings.add(
                f"must in {self._owner} names no cases",
                self._at("must"),
                "add them: cases: [refund-eu-14], or cases: tag:must_not_fail",
            )
        if "must" in values and len(values) > 1:
            self._findings.add(
                f"{self._owner} has 'must: pass' beside other limits",
                self._at("must"),
                "write two gates",
            )
        if "confirm" in self._item.entries and "must" not in values:
            self._findings.add(
                f"confirm in {self._owner} belongs to 'must: pass'", self._at("confirm")
            )

    def _waivers(self, model: GateModel) -> list[Waiver]:
        """The waiver of the gate and those of its cases, with days that are days."""
        entries = self._item.entries
        written: list[tuple[WaiverModel, Node]] = []
        if model.waiver is not None:
            written.append((model.waiver, entries["waiver"].node))
        if model.waivers:
            written += zip(model.waivers, entries["waivers"].node.items, strict=True)
            if model.sql is not None:
                self._findings.add(
                    f"waivers in {self._owner} name cases, and a query has none",
                    self._at("waivers"),
                    "waive the whole gate with 'waiver', or change the query",
                )
        found = []
        for one, node in written:
            try:
                until = date.fromisoformat(one.until)
            except ValueError:
                self._findings.add(
                    f"until in waiver in {self._owner} must be a day",
                    node.entries["until"].node,
                    "as in 2026-01-31",
                )
                continue
            cases = tuple(one.cases) if isinstance(one, CaseWaiverModel) else ()
            found.append(Waiver(owner=one.owner, reason=one.reason, until=until, cases=cases))
        return found

    def _sql(self, model: GateModel, read: Reader) -> tuple[Path | None, str]:
        if model.sql is None:
            return None, ""
        root = self._project.root
        path = root / model.sql
        # errors of a query repeat a line of it, so it must not be somebody else's file
        if not path.resolve().is_relative_to(root.resolve()):
            self._findings.add(
                f"the file {model.sql!r} is outside the project", self._at("sql"), "move it inside"
            )
            return None, ""
        query = read(path)
        if query is None:
            self._findings.add(f"no file {model.sql!r}", self._at("sql"), nearest_file(path, root))
        return path, query or ""


def _amount(written: float | str, units: frozenset[str]) -> tuple[float, bool] | None:
    """A limit in the metric's unit and whether it is a share of the baseline; ``None`` is wrong."""
    if not isinstance(written, str):
        return (float(written), False) if "number" in units else None
    percent = PERCENT.match(written)
    if percent and "%" in units:
        return float(percent[1]) / 100, False
    if percent and "relative" in units:
        return float(percent[1]) / 100, True
    if "time" in units and re.match(DURATION, written):
        return seconds(written), False
    money = MONEY.match(written)
    if money and "money" in units:
        return float(money[1]), False
    return None


def _contradictions(findings: Findings, item: Node, spec: GateSpec, others: Any) -> None:
    """Note a floor above the ceiling of another gate on the same thing."""
    mine = {one.kind: one.value for one in spec.limits}
    for other in others:
        if (spec.metric, spec.target, spec.cases) != (other.metric, other.target, other.cases):
            continue
        theirs = {one.kind: one.value for one in other.limits}
        for one, two, key in ((mine, theirs, "min"), (theirs, mine, "max")):
            if "min" in one and "max" in two and one["min"] >= two["max"]:
                findings.add(
                    f"gate {spec.id!r} contradicts gate {other.id!r}: no value can meet both",
                    item.entries[key].node,
                    f"{spec.metric} cannot be at least {one['min']:g} and at most {two['max']:g}",
                )
