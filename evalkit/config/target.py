"""The targets of ``evalkit.yaml``: kinds, options, limits, prices, and routes among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from evalkit import registry
from evalkit.config.check import NAME, Findings, Strict, key_names, nearest_file, shown
from evalkit.config.env import check_references
from evalkit.config.options import options_model, unknown_hint
from evalkit.config.spec import Limits, Price, Project, TargetSpec
from evalkit.config.tree import Document, Entry, Node, as_json, dotted
from evalkit.errors import ConfigError, Position, UnknownName
from evalkit.registry import Kind, Plugin, TargetPlugin

DURATION = r"^(?:[0-9]+(?:\.[0-9]+)?)(?:ms|s|m|h)$"
_DURATION_WANTED = "must be a duration with its unit, as 200ms, 60s or 2m"
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def askable(project: Project, name: str, *, hint: str) -> TargetSpec:
    """A target that a command may ask, by its name.

    Raises ``UnknownName``, and ``ConfigError`` with ``hint`` for a judge.
    """
    if name not in project.targets:
        raise UnknownName("target", name, project.targets, where=project.path)
    found = project.targets[name]
    if found.judge:
        raise ConfigError(
            f"target {name!r} is a judge: only scorers ask it",
            where=found.where("judge"),
            hint=hint,
        )
    return found


def seconds(text: str) -> float:
    """A duration as ``200ms``, ``60s``, ``2m`` or ``1h``, in seconds; ``ValueError`` otherwise."""
    if not re.match(DURATION, text):
        raise ValueError(_DURATION_WANTED)
    number = text.rstrip("msh")
    return float(number) * _SECONDS[text[len(number) :]]


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(_DURATION_WANTED)  # noqa: TRY004 - pydantic reports no TypeError
    if not 0 < seconds(value) <= 86_400:
        raise ValueError("must be a duration of more than 0 and at most 24h")
    return value


Duration = Annotated[
    str, Field(json_schema_extra={"pattern": DURATION}), BeforeValidator(_duration)
]
Dollars = Annotated[float, Field(ge=0, description="US dollars per million tokens")]


class LimitsModel(Strict):
    """How hard a target may be driven."""

    concurrency: int = Field(16, ge=1, le=100_000, description="at most so many requests at once")
    adaptive: bool = Field(
        True, description="fewer at once when the server pushes back or queues them"
    )
    requests_per_minute: float | None = Field(None, gt=0)
    tokens_per_minute: float | None = Field(None, gt=0)
    timeout: Duration = Field("60s", description="of one attempt: 200ms, 60s, 2m")
    deadline: Duration | None = Field(None, description="of one trial over all its attempts")
    max_retries: int = Field(4, ge=0, le=100)
    patience: Duration = Field(
        "2m", description="how long a target that stopped answering is tried before it is given up"
    )

    def value(self) -> Limits:
        """The limits as the runner uses them."""
        return Limits(
            concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            adaptive=self.adaptive,
            timeout_s=seconds(self.timeout),
            deadline_s=None if self.deadline is None else seconds(self.deadline),
            max_retries=self.max_retries,
            patience_s=seconds(self.patience),
        )


class PriceModel(Strict):
    """What a model costs, in US dollars."""

    input: Dollars
    output: Dollars
    cached_input: Dollars | None = None
    cache_write: Dollars | None = None
    request: float = Field(0.0, ge=0, description="US dollars per call")

    def value(self) -> Price:
        """The price as the cost of a call is computed from it."""
        return Price(**self.model_dump())


class TargetModel(Strict):
    """The keys every target has; all others belong to its kind."""

    kind: str = Field(min_length=1)
    prompt: str | None = Field(None, min_length=1, description="the prompt file")
    judge: bool = Field(False, description="only scorers ask it: it needs no prompt")
    limits: Any = None
    price: Any = None


_COMMON = tuple(TargetModel.model_fields)


def _part(node: Node, entries: Mapping[str, Entry]) -> Node:
    return Node(node.line, node.column, entries, node.size)


class Targets:
    """The targets of one project, checked one after the other and then against each other."""

    def __init__(
        self,
        findings: Findings,
        root: Path,
        prompts_dir: str,
        unloaded: tuple[Path, ...],
        brings: str = "",
    ):
        self._findings = findings
        self._document: Document = findings.document
        self._root = root
        self._prompts_dir = prompts_dir
        self._unloaded = unloaded
        self._brought = root / prompts_dir / brings if brings else None

    def all(self, node: Node) -> dict[str, TargetSpec]:
        """The targets that are right, by name; what is wrong with the others is noted."""
        found = {}
        for name, entry in node.entries.items():
            target = self._one(name, entry)
            if target is not None:
                found[name] = target
        self._check_routes(node)
        return found

    def _one(self, name: str, entry: Entry) -> TargetSpec | None:
        owner = f"target {name!r}"
        if not re.match(NAME, name):
            self._findings.add(
                f"{name!r} is no name for a target",
                entry,
                "use letters, digits, '-', '_' and '.', at most 64",
            )
        if not isinstance(entry.node.value, Mapping):
            self._findings.add(
                f"{owner} must be a mapping (key: value lines), not {shown(entry.node)}", entry.node
            )
            return None
        common = {key: one for key, one in entry.node.entries.items() if key in _COMMON}
        own = {key: one for key, one in entry.node.entries.items() if key not in _COMMON}
        for one in common.values():
            check_references(self._findings, one.node, allowed=False)
        for one in own.values():
            check_references(self._findings, one.node, allowed=True)
        model = self._findings.check(TargetModel, _part(entry.node, common), owner, at=entry)
        if model is None:
            return None
        plugin = self._plugin(model.kind, common["kind"].node)
        limits = self._limits(common.get("limits"), owner)
        price = self._price(common.get("price"), owner)
        if plugin is None:
            return None
        self._options(plugin, _part(entry.node, own), entry, owner, own)
        return TargetSpec(
            name=name,
            kind=model.kind,
            prompt=self._prompt(plugin, model, common, entry, owner),
            options={key: as_json(one.node) for key, one in own.items()},
            limits=limits,
            price=price,
            judge=model.judge,
            position=self._document.at(entry),
            positions=self._positions(entry.node),
        )

    def _plugin(self, kind: str, node: Node) -> TargetPlugin | None:
        try:
            plugin = registry.get(Kind.TARGET, kind)
        except UnknownName:
            self._findings.add(
                f"unknown target kind {kind!r}",
                node,
                unknown_hint(Kind.TARGET, kind, self._unloaded),
            )
            return None
        assert isinstance(plugin, TargetPlugin)
        return plugin

    def _limits(self, entry: Entry | None, owner: str) -> Limits:
        if entry is None:
            return Limits()
        model = self._findings.check(LimitsModel, entry.node, f"limits of {owner}", at=entry)
        return Limits() if model is None else model.value()

    def _price(self, entry: Entry | None, owner: str) -> Price | None:
        if entry is None:
            return None
        model = self._findings.check(PriceModel, entry.node, f"price of {owner}", at=entry)
        return None if model is None else model.value()

    def _options(
        self, plugin: Plugin, node: Node, entry: Entry, owner: str, own: Mapping[str, Entry]
    ) -> None:
        model = options_model(plugin)
        known = key_names(model)
        unknown = [key for key in own if key not in known]
        for key in unknown:
            what = f"unknown option {key!r} of target kind {plugin.name!r}"
            self._findings.unknown(what, key, [*known, *_COMMON], own[key], owner=owner)
        rest = _part(node, {key: one for key, one in own.items() if key in known})
        self._findings.check(model, rest, owner, at=entry)

    def _prompt(
        self,
        plugin: TargetPlugin,
        model: TargetModel,
        common: Mapping[str, Entry],
        entry: Entry,
        owner: str,
    ) -> Path | None:
        prompt = model.prompt
        if prompt is None:
            if plugin.needs_prompt and not model.judge:
                self._findings.add(
                    f"{owner} lacks the key 'prompt'",
                    entry,
                    f"add a line 'prompt: {self._prompts_dir}/answer.j2', or 'judge: true' where"
                    " only scorers ask it",
                )
            return None
        node = common["prompt"].node
        if not plugin.takes_prompt:
            self._findings.add(
                f"a target of kind {plugin.name!r} takes no prompt", common["prompt"], "remove it"
            )
            return None
        path = self._root / prompt
        if not path.is_file() and path != self._brought:
            self._findings.add(f"no prompt file {prompt!r}", node, nearest_file(path, self._root))
        return path

    def _positions(self, node: Node) -> dict[str, Position]:
        """Places by dotted key: a list or mapping at its key, anything else at its value."""
        found = {}
        for path, one in node.walk():
            for key, entry in one.entries.items():
                nested = isinstance(entry.node.value, tuple | Mapping)
                place = self._document.at(entry if nested else entry.node)
                found[dotted((*path, key))] = place
            for index, item in enumerate(one.items):
                found[dotted((*path, index))] = self._document.at(item)
        return found

    def _check_routes(self, node: Node) -> None:
        """Every target that a route names exists, and no route leads back to itself."""
        routes = {name: self._children(entry.node) for name, entry in node.entries.items()}
        for name, children in routes.items():
            for child in children:
                if child.value not in node.entries:
                    what = f"unknown target {child.value!r} in the route {name!r}"
                    self._findings.unknown(what, str(child.value), node.entries, child)
        for name, children in routes.items():
            for child in children:
                if name in self._reached(routes, str(child.value)):
                    self._findings.add(
                        f"the route {name!r} leads back to itself by way of {child.value!r}", child
                    )

    def _reached(self, routes: Mapping[str, list[Node]], start: str) -> set[str]:
        reached, waiting = set[str](), [start]
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += [str(one.value) for one in routes.get(name, [])]
        return reached

    def _children(self, node: Node) -> list[Node]:
        kind = node.entries.get("kind")
        if kind is None or not isinstance(kind.node.value, str):
            return []
        try:
            plugin = registry.get(Kind.TARGET, kind.node.value)
        except UnknownName:
            return []  # already noted where the kind is read
        children = plugin.children if isinstance(plugin, TargetPlugin) else None
        if children is None or children not in node.entries:
            return []
        below = node.entries[children].node.walk()
        return [one for _, one in below if isinstance(one.value, str)]
