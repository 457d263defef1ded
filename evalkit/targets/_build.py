"""From a configured target to one that answers: the only place where targets are constructed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from evalkit import registry
from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, UnknownName, UsageError, suggestion
from evalkit.model import JSON, Target
from evalkit.registry import Kind, Plugin, TargetPlugin
from evalkit.targets._setting import ChildCall, OptionError, Setting

_SHOWN = ("function", "argv", "command", "url")
"""Options that say what would run, most telling first."""


def build_target(
    spec: TargetSpec,
    options: Mapping[str, Any],
    *,
    root: Path,
    allow_code: bool,
    children: Mapping[str, ChildCall] | None = None,
    records: Sequence[Mapping[str, JSON]] | None = None,
) -> Target:
    """Construct the target that ``spec`` describes.

    ``options`` are the spec's own with every ``${env:NAME}`` resolved; ``root`` is the project's
    folder; ``children`` are the targets a route names; ``records`` are the answers of the run a
    replay names. Raises ``UnknownName`` for a kind that does not exist and ``ConfigError`` for
    options the kind does not take, for values it refuses, and for a kind that runs code while
    ``allow_code`` is false. Values of options never appear in those messages: they may be secret.
    """
    try:
        plugin = registry.get(Kind.TARGET, spec.kind)
    except UnknownName as error:
        raise UnknownName(
            "target kind", spec.kind, error.known, where=spec.where("kind")
        ) from error
    _check_options(spec, plugin, options)
    if plugin.code and not allow_code:
        raise ConfigError(
            f"target {spec.name!r} would run {_what_runs(spec)}",
            where=spec.where(),
            hint="read it, then pass --allow-code (or set EVALKIT_ALLOW_CODE=1) to permit it",
        )
    calls = _children(spec, plugin, options, children or {})
    setting = Setting(
        name=spec.name,
        root=root,
        concurrency=spec.limits.concurrency,
        children=calls,
        records=records,
    )
    arguments = (setting,) if _wants_setting(plugin) else ()
    try:
        made = plugin.obj(*arguments, **options)
    except UsageError as error:
        if error.where is None:
            error.where = spec.where(_named_place(spec, error.what, options))
        raise
    except (ValueError, TypeError) as error:
        option = getattr(error, "option", None) or _named_option(str(error), options)
        hint = error.hint if isinstance(error, OptionError) else ""
        raise ConfigError(
            f"target {spec.name!r}: {error}", where=spec.where(option), hint=hint
        ) from error
    if not (callable(getattr(made, "send", None)) and callable(getattr(made, "aclose", None))):
        raise ConfigError(
            f"target kind {spec.kind!r} made a {type(made).__name__} without send() and aclose()",
            where=spec.where("kind"),
            hint="a target has async send(request) and async aclose()",
        )
    target: Target = made
    return target


def _check_options(spec: TargetSpec, plugin: Plugin, options: Mapping[str, Any]) -> None:
    parameters = plugin.parameters
    for name in options:
        if name not in parameters:
            raise ConfigError(
                f"target {spec.name!r}: {plugin.name} takes no option {name!r}",
                where=spec.where(name),
                hint=suggestion(name, parameters),
            )
    for name, parameter in parameters.items():
        if parameter.required and name not in options:
            raise ConfigError(
                f"target {spec.name!r}: {plugin.name} needs the option {name!r}",
                where=spec.where(),
                hint=f"add '{name}:' to the target",
            )


def _what_runs(spec: TargetSpec) -> str:
    # The unresolved options are shown: a resolved one could hold a secret.
    for name in _SHOWN:
        value = spec.options.get(name)
        if value is not None:
            shown = value if isinstance(value, str) else repr(value)
            return f"code named by the configuration ({spec.kind}: {shown})"
    return f"code named by the configuration ({spec.kind})"


def _children(
    spec: TargetSpec, plugin: Plugin, options: Mapping[str, Any], children: Mapping[str, ChildCall]
) -> Mapping[str, ChildCall]:
    if not isinstance(plugin, TargetPlugin) or plugin.children is None:
        return {}
    named = options.get(plugin.children, ())
    if isinstance(named, str) or not isinstance(named, Sequence):
        raise ConfigError(
            f"target {spec.name!r}: {plugin.children!r} must be a list of target names",
            where=spec.where(plugin.children),
        )
    for one in named:
        if one not in children:
            raise UnknownName("target", str(one), children, where=spec.where(plugin.children))
    return {one: children[one] for one in named}


def _wants_setting(plugin: Plugin) -> bool:
    return any(
        one.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for one in inspect.signature(plugin.obj).parameters.values()
    )


def _named_place(spec: TargetSpec, message: str, options: Mapping[str, Any]) -> str:
    """The key that a message begins with, as ``params.temperature``, or the option it speaks of."""
    first = message.partition(" ")[0].rstrip(":")
    return first if first in spec.positions else _named_option(message, options)


def _named_option(message: str, options: Mapping[str, Any]) -> str:
    """The option a constructor's message speaks of, so that the error points at its line."""
    words = re.findall(r"\w+", message)
    return next((one for one in words if one in options), "")
