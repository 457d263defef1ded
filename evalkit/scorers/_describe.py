"""A scorer in words: the facts of its declaration and its card, as lines, JSON or Markdown.

All of it comes from the decorated function; docs/scorers.md is made from here and a test holds it.
"""

from __future__ import annotations

import json
import math
import types
import typing
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from evalkit import registry
from evalkit.cards import FAMILIES, FAMILY_TITLES, Family, Measured
from evalkit.registry import Parameter, ScorerPlugin

_DIRECTION = {"higher": "higher is better", "lower": "lower is better", "neutral": "only measured"}
_WORDS: dict[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    Path: "path",
    type(None): "nothing",
    Any: "anything",
}


def scorer_plugin(name: str) -> ScorerPlugin:
    """The scorer of that name; raises ``UnknownName``."""
    found = registry.get(registry.Kind.SCORER, name)
    assert isinstance(found, ScorerPlugin)
    return found


def by_family(plugins: Sequence[ScorerPlugin]) -> list[tuple[str, list[ScorerPlugin]]]:
    """The scorers under the titles of their families, families in their fixed order."""
    found: dict[Family, list[ScorerPlugin]] = {one: [] for one in FAMILIES}
    for one in plugins:
        found[one.card.family].append(one)
    return [(FAMILY_TITLES[family], ones) for family, ones in found.items() if ones]


def facts(plugin: ScorerPlugin) -> dict[str, Any]:
    """Everything about a scorer as JSON values."""
    return {
        "name": plugin.name,
        "summary": plugin.summary,
        "family": plugin.card.family,
        "direction": plugin.direction,
        "unit": plugin.unit,
        "range": [one if math.isfinite(one) else None for one in plugin.range],
        "needs": list(plugin.needs),
        "metrics": [one.name for one in plugin.metrics],
        "parameters": [
            {
                "name": one.name,
                "type": _type(one),
                "required": one.required,
                "default": None if one.required else _plain(one.default),
            }
            for one in plugin.parameters.values()
        ],
        "examples": [
            {"output": output, "expected": expected, "value": value}
            for output, expected, value in plugin.examples
        ],
        "suite": usage(plugin),
        "code": plugin.code,
        "version": plugin.version,
        "library": plugin.lib,
        "cost": plugin.card.cost,
        "measured": [
            {
                "what": one.what,
                "data": one.data,
                "date": one.date,
                "figures": dict(one.figures),
                "note": one.note,
            }
            for one in plugin.card.measurements()
        ],
        "blind_spots": list(plugin.card.blind),
        "doc": plugin.doc,
    }


def card(plugin: ScorerPlugin) -> Iterator[str]:
    """The card of a scorer as lines of a terminal."""
    yield from (plugin.name, "", plugin.doc.replace("``", "`"), "")
    yield f"direction   {_DIRECTION[plugin.direction]}"
    yield f"range       {_range(plugin)}"
    yield f"needs       {_needs(plugin)}"
    yield f"metrics     {', '.join(f'{plugin.name}.{one.name}' for one in plugin.metrics)}"
    yield f"cost        {plugin.card.cost}"
    yield f"version     {plugin.version}{f', {plugin.lib}' if plugin.lib else ''}"
    if plugin.code:
        yield "code        runs only with --allow-code or EVALKIT_ALLOW_CODE=1"
    yield "\nparameters" if plugin.parameters else "\nparameters  none"
    for one in plugin.parameters.values():
        yield f"  {one.name}: {_type(one)}{_default(one)}"
    yield f"\nin a suite\n  scorers:\n    - {usage(plugin)}"
    if plugin.examples:
        yield "\nit says"
        for output, expected, value in plugin.examples:
            wanted = "" if expected is None else f", expected {_json(expected)}"
            yield f"  {value:.4g}  for {_json(output)}{wanted}"
    measured = plugin.card.measurements()
    yield "\nmeasured" if measured else "\nmeasured    nothing on people's labels"
    for each in measured:
        yield f"  {each.what}: {_figures(each)}"
        yield f"    on {each.data}, {each.date}"
        if each.note:
            yield f"    {each.note}"
    if plugin.card.blind:
        yield "\nblind to"
        yield from (f"  - {one}" for one in plugin.card.blind)


def markdown(plugins: Sequence[ScorerPlugin]) -> str:
    """The page of all scorers: an index by family, then the card of each."""
    lines = [
        "# Scorers",
        "",
        "Made by `evalkit scorers --markdown` from what stands beside each scorer's code.",
        "`evalkit scorers show NAME` prints one of these cards.",
        "",
        "| scorer | says |",
        "|---|---|",
    ]
    for title, ones in by_family(plugins):
        lines.append(f"| **{title}** | |")
        lines += [f"| [`{one.name}`](#{one.name}) | {_cell(one.summary)} |" for one in ones]
    for title, ones in by_family(plugins):
        lines += ["", f"## {title}"]
        for one in ones:
            lines += ["", *_markdown(one)]
    return "\n".join(lines) + "\n"


def _markdown(plugin: ScorerPlugin) -> Iterator[str]:
    yield from (f"### {plugin.name}", "", plugin.doc.replace("``", "`"), "")
    better = _DIRECTION[plugin.direction].capitalize()
    yield f"- {better}, {_range(plugin)}; needs {_needs(plugin)}."
    names = ", ".join(f"`{plugin.name}.{one.name}`" for one in plugin.metrics)
    yield f"- Metrics: {names}. Cost: {plugin.card.cost}."
    if plugin.parameters:
        each = (f"`{one.name}` ({_type(one)}{_default(one)})" for one in plugin.parameters.values())
        yield f"- Parameters: {'; '.join(each)}."
    yield f"- In a suite: `{usage(plugin)}`"
    for one in plugin.card.measurements():
        note = f" {one.note[0].upper()}{one.note[1:]}." if one.note else ""
        yield f"- Measured: {one.what}: {_figures(one)} ({one.data}, {one.date}).{note}"
    if plugin.card.blind:
        yield f"- Blind to: {'; '.join(plugin.card.blind)}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


def _range(plugin: ScorerPlugin) -> str:
    low, high = plugin.range
    return f"{low:g} … {high:g}{' ' * bool(plugin.unit)}{plugin.unit}"


def _needs(plugin: ScorerPlugin) -> str:
    return ", ".join(plugin.needs) or "the output alone"


def _figures(one: Measured) -> str:
    return ", ".join(
        f"{name} {value if isinstance(value, str) else format(value, '.3g')}"
        for name, value in one.figures.items()
    )


def _type(parameter: Parameter) -> str:
    """The type in words of a configuration: ``one of "13a", "intl"``, ``text or mapping``."""

    def word(kind: Any) -> str:
        origin, inside = typing.get_origin(kind), typing.get_args(kind)
        if origin is typing.Annotated:
            return word(inside[0])
        if origin is typing.Literal:
            return "one of " + ", ".join(map(_json, inside))
        if origin in {typing.Union, types.UnionType}:
            return " or ".join(word(one) for one in inside if one is not type(None))
        if origin in {list, tuple}:
            return f"list of {word(inside[0])}"
        if origin is dict:
            return "mapping"
        return _WORDS.get(kind, getattr(kind, "__name__", str(kind)))

    return word(parameter.annotation)


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return ", required"
    if parameter.default is None:
        return ""
    return f" (default {_json(_plain(parameter.default))})"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def usage(plugin: ScorerPlugin) -> str:
    """How a suite names it; a scorer that says nothing shows what it must be given."""
    if plugin.usage:
        return plugin.usage
    required = [one.name for one in plugin.parameters.values() if one.required]
    return (
        f"{plugin.name}: {{{', '.join(f'{one}: …' for one in required)}}}"
        if required
        else plugin.name
    )
