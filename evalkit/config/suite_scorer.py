"""The scorers of a suite: names, options and thresholds, checked against the registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from evalkit import registry
from evalkit.config.check import (
    NAME,
    Findings,
    Strict,
    check_option_names,
    key_names,
    nearest_file,
    options_of,
    shown,
)
from evalkit.config.options import options_model, unknown_hint
from evalkit.config.project import unloaded_plugins
from evalkit.config.spec import Project, ScorerSpec
from evalkit.config.tree import Entry, Node
from evalkit.errors import UnknownName
from evalkit.registry import Kind, ScorerPlugin


class ScorerModel(Strict):
    """The keys beside the scorer's own in one item of ``scorers``."""

    name: str | None = Field(None, alias="as", pattern=NAME)


class CommonModel(Strict):
    """The options that every scorer has."""

    threshold: float | None = Field(None, allow_inf_nan=False)
    turns: Literal["last", "each", "worst"] = "last"


_COMMON = tuple(CommonModel.model_fields)


def read_scorers(findings: Findings, project: Project, node: Node) -> tuple[ScorerSpec, ...]:
    """The scorers of a suite; what is wrong with them is noted."""
    found: dict[str, ScorerSpec] = {}
    for item in node.items:
        spec = _Scorer(findings, project, item).spec()
        if spec is None:
            continue
        if spec.name in found:
            findings.add(
                f"two scorers are called {spec.name!r}",
                item,
                f"give one a name of its own: {{{spec.scorer}: {{...}}, as: other_name}}",
            )
        found[spec.name] = spec
    return tuple(found.values())


class _Scorer:
    """One item of ``scorers``: a name, or a mapping of the name to its options."""

    def __init__(self, findings: Findings, project: Project, item: Node):
        self._findings = findings
        self._project = project
        self._item = item

    def spec(self) -> ScorerSpec | None:
        item, findings = self._item, self._findings
        if isinstance(item.value, str):
            return self._of(item.value, item, Node(item.line, item.column, {}), item.value)
        if not isinstance(item.value, Mapping):
            findings.add(
                f"a scorer must be a name or a mapping, not {shown(item)}",
                item,
                "as in 'rouge_l' or 'rouge_l: {threshold: 0.4}'",
            )
            return None
        names = [key for key in item.entries if key != "as"]
        if len(names) != 1:
            self._wrong_shape(names)
            return None
        scorer, entry = names[0], item.entries[names[0]]
        options = entry.node
        if options.value is None:
            options = Node(options.line, options.column, {})
        name = scorer
        if "as" in item.entries:
            alias = Node(item.line, item.column, {"as": item.entries["as"]})
            model = findings.check(ScorerModel, alias, f"scorer {scorer!r}")
            if model is not None and model.name is not None:
                name = model.name
        return self._of(scorer, entry, options, name)

    def _wrong_shape(self, names: list[str]) -> None:
        entries = self._item.entries
        if not names:
            self._findings.add("a scorer has a name beside 'as'", self._item)
            return
        first, second = names[0], names[1]
        if entries[first].node.value is None:
            self._findings.add(
                f"{second!r} stands beside the scorer {first!r}, not below it",
                entries[second],
                f"indent the options of {first!r} by two more spaces",
            )
        else:
            self._findings.add(
                f"one item names two scorers, {first!r} and {second!r}",
                entries[second],
                "start the second with '- ' on a line of its own",
            )

    def _of(self, scorer: str, at: Node | Entry, options: Node, name: str) -> ScorerSpec | None:
        findings = self._findings
        try:
            plugin = registry.get(Kind.SCORER, scorer)
        except UnknownName:
            hint = unknown_hint(Kind.SCORER, scorer, unloaded_plugins(self._project))
            findings.add(f"unknown scorer {scorer!r}", at, hint)
            return None
        assert isinstance(plugin, ScorerPlugin)
        owner = f"scorer {scorer!r}"
        if not isinstance(options.value, Mapping):
            findings.add(
                f"the options of {owner} must be a mapping, not {shown(options)}",
                options,
                f"as in '{scorer}: {{threshold: 0.4}}'",
            )
            return None
        common = self._common(plugin, options, owner)
        model = options_model(plugin)
        own = {key: one for key, one in options.entries.items() if key not in _COMMON}
        check_option_names(findings, owner, own, [*key_names(model), *_COMMON])
        known = {key: one for key, one in own.items() if key in key_names(model)}
        node = Node(options.line, options.column, known, options.size)
        checked = findings.check(model, node, owner, at=at)
        if checked is None:
            return None
        given = options_of(checked)
        for asked in plugin.asked(given):
            if asked not in self._project.targets:
                place = next((known[one].node for one in plugin.asks if one in known), options)
                what = f"unknown target {asked!r} in {owner}"
                findings.unknown(what, asked, self._project.targets, place)
        return ScorerSpec(
            name=name.removeprefix("builtin:"),
            scorer=scorer,
            options=self._located(given, known),
            threshold=common.threshold,
            turns=common.turns,
            position=findings.document.at(at),
        )

    def _located(self, options: dict[str, Any], written: Mapping[str, Entry]) -> dict[str, Any]:
        """The options with every path made absolute; files are relative to the project."""
        root = self._project.root
        for key, value in options.items():
            if isinstance(value, Path):
                options[key] = root / value
                if not (root / value).exists():
                    hint = nearest_file(root / value, root)
                    self._findings.add(f"no file {str(value)!r}", written[key].node, hint)
        return options

    def _common(self, plugin: ScorerPlugin, options: Node, owner: str) -> CommonModel:
        """What every scorer may be told; the defaults where it is wrong, and noted."""
        given = {key: one for key, one in options.entries.items() if key in _COMMON}
        node = Node(self._item.line, self._item.column, given)
        model = self._findings.check(CommonModel, node, owner) if given else None
        if model is None:
            return CommonModel()
        if model.threshold is None:
            return model
        low, high = plugin.range
        if not low <= model.threshold <= high:
            self._findings.add(
                f"threshold in {owner} is outside its range",
                given["threshold"].node,
                f"it goes from {low:g} to {high:g}, {_better(plugin)}",
            )
        return model


def _better(plugin: ScorerPlugin) -> str:
    if plugin.direction == "neutral":
        return "neither end is better"
    return f"{plugin.direction} is better"
