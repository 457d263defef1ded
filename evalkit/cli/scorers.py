"""``evalkit scorers``: which scorers there are, and all about one of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalkit.cli.options import (
    AllowCode,
    AsJson,
    ProjectFile,
    examples,
    load_plugins,
    new_app,
)
from evalkit.errors import ExitCode

if TYPE_CHECKING:
    from evalkit.registry import Parameter, ScorerPlugin

_EXAMPLES = examples(
    "evalkit scorers", "evalkit scorers show rouge_l", "evalkit scorers show numeric --json"
)

app = new_app(
    help="List scorers with their parameters.",
    epilog=_EXAMPLES,
    invoke_without_command=True,
)

_DIRECTION = {"higher": "higher is better", "lower": "lower is better", "neutral": "only measured"}


@app.callback()
def list_scorers(
    ctx: typer.Context,
    *,
    project: ProjectFile = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> ExitCode | None:
    """List scorers with their parameters, with --allow-code those of the project's files too."""
    if allow_code:
        load_plugins(project)
    if ctx.invoked_subcommand is not None:
        return None
    plugins = _all()
    if as_json:
        typer.echo(json.dumps([_facts(one) for one in plugins], indent=2, ensure_ascii=False))
        return ExitCode.PASS
    for one in plugins:
        typer.echo(f"{one.name}  ({_DIRECTION[one.direction]})")
        typer.echo(f"    {one.summary}")
        parameters = ", ".join(map(_brief, one.parameters.values())) or "none"
        typer.echo(f"    parameters: {parameters}")
        typer.echo(f"    example:    {_example(one)}")
    typer.echo("\nAny of them decides with threshold. All about one: evalkit scorers show NAME")
    if not allow_code:
        typer.echo("Scorers of the project's own files are listed with --allow-code.")
    return ExitCode.PASS


@app.command(epilog=_EXAMPLES)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The scorer, as `rouge_l`.")],
    *,
    project: ProjectFile = None,
    allow_code: AllowCode = False,
    as_json: AsJson = False,
) -> ExitCode:
    """Show one scorer: what it says, its parameters, its metrics, how a suite uses it."""
    if allow_code:
        load_plugins(project)
    plugin = _plugin(name)
    if as_json:
        typer.echo(json.dumps(_facts(plugin), indent=2, ensure_ascii=False))
        return ExitCode.PASS
    low, high = plugin.range
    needs = ", ".join(plugin.needs) or "the output alone"
    metrics = ", ".join(f"{plugin.name}.{one.name}" for one in plugin.metrics)
    typer.echo(f"{plugin.name}\n\n{plugin.doc}\n")
    typer.echo(f"direction   {_DIRECTION[plugin.direction]}")
    typer.echo(f"range       {low:g} … {high:g}{' ' * bool(plugin.unit)}{plugin.unit}")
    typer.echo(f"needs       {needs}")
    typer.echo(f"metrics     {metrics}")
    typer.echo(f"version     {plugin.version}{f', {plugin.lib}' if plugin.lib else ''}")
    if plugin.code:
        typer.echo("code        runs only with --allow-code or EVALKIT_ALLOW_CODE=1")
    typer.echo("\nparameters" if plugin.parameters else "\nparameters  none")
    for one in plugin.parameters.values():
        typer.echo(f"  {one.name}: {_type(one)}{_default(one)}")
    typer.echo(f"\nin a suite\n  scorers:\n    - {_example(plugin)}")
    if plugin.examples:
        typer.echo("\nit says")
        for output, expected, value in plugin.examples:
            wanted = "" if expected is None else f", expected {_json(expected)}"
            typer.echo(f"  {value:.4g}  for {_json(output)}{wanted}")
    return ExitCode.PASS


def _all() -> list[ScorerPlugin]:
    from evalkit import registry

    return [_plugin(name) for name in registry.names(registry.Kind.SCORER)]


def _plugin(name: str) -> ScorerPlugin:
    from evalkit import registry

    found = registry.get(registry.Kind.SCORER, name)
    assert isinstance(found, registry.ScorerPlugin)
    return found


def _facts(plugin: ScorerPlugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "summary": plugin.summary,
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
        "suite": _example(plugin),
        "code": plugin.code,
        "version": plugin.version,
        "library": plugin.lib,
        "doc": plugin.doc,
    }


def _brief(parameter: Parameter) -> str:
    return f"{parameter.name} (required)" if parameter.required else parameter.name


def _type(parameter: Parameter) -> str:
    """The type in words of a configuration: ``one of "13a", "intl"``, ``text or mapping``."""
    import types
    import typing

    names = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        Path: "path",
        type(None): "nothing",
        Any: "anything",
    }

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
        return names.get(kind, getattr(kind, "__name__", str(kind)))

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


def _example(plugin: ScorerPlugin) -> str:
    """How a suite names it; a scorer that says nothing shows what it must be given."""
    if plugin.usage:
        return plugin.usage
    required = [one.name for one in plugin.parameters.values() if one.required]
    return (
        f"{plugin.name}: {{{', '.join(f'{one}: …' for one in required)}}}"
        if required
        else plugin.name
    )
