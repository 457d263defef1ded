"""The keyword-only parameters of a plugin as a strict pydantic model."""

from __future__ import annotations

import functools
import json
import operator
import types
from collections.abc import Mapping
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ForwardRef,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, create_model

from evalkit import registry
from evalkit.errors import suggestion
from evalkit.model import JSON
from evalkit.registry import Kind, Plugin

_models: dict[object, type[BaseModel]] = {}


def _seconds(value: object) -> object:
    from evalkit.config.target import seconds

    return seconds(value) if isinstance(value, str) else value


Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=float | str)]
"""A parameter that is a time: a number of seconds, or a text with its unit as ``200ms``."""


class _Options(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, arbitrary_types_allowed=False
    )


def options_model(plugin: Plugin) -> type[BaseModel]:
    """A model whose keys are the plugin's keyword-only parameters.

    Fields are named apart from their keys, so that a parameter may be called ``schema`` or
    ``model_name`` without meeting a name of pydantic.
    """
    known = _models.get(plugin.obj)
    if known is None:
        fields: dict[str, Any] = {}
        for index, one in enumerate(plugin.parameters.values()):
            annotation = _checkable(one.annotation)
            default = ... if one.required else one.default
            fields[f"field_{index}"] = (annotation, Field(default, alias=one.name))
        known = create_model(f"{plugin.name} options", __base__=_Options, **fields)
        _models[plugin.obj] = known
    return known


def complete_options(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter of the plugin with the value given for it, or its default.

    Strict as a configuration file is: "yes" is no boolean, "3" no number. Raises pydantic's
    ``ValidationError``, whose places begin with the name of the parameter.
    """
    # as JSON, because there a path is a text and a tuple is a list
    written = json.dumps(dict(options), default=str)
    checked = options_model(plugin).model_validate_json(written)
    fields = type(checked).model_fields
    return {one.alias or name: getattr(checked, name) for name, one in fields.items()}


@functools.cache
def _json_type() -> Any:
    """``evalkit.model.JSON`` as a type hint resolves it: a union that names itself inside."""

    def example(value: JSON) -> JSON:
        return value

    return get_type_hints(example)["value"]


def _checkable(annotation: Any) -> Any:
    """The annotation with ``JSON`` replaced by pydantic's own recursive JSON value."""
    if annotation == _json_type() or isinstance(annotation, str | ForwardRef):
        return JsonValue
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None or origin is Literal:
        return annotation
    if origin is Annotated:
        return Annotated[(_checkable(arguments[0]), *arguments[1:])]
    inner = tuple(_checkable(one) if one is not ... else one for one in arguments)
    if inner == arguments:
        return annotation
    if origin in {Union, types.UnionType}:
        return functools.reduce(operator.or_, inner)
    return origin[inner]


def unknown_hint(kind: Kind, name: str, unloaded: tuple[Path, ...]) -> str:
    """The nearest known name, and that a plugin file which was not run may declare this one."""
    known = registry.names(kind)
    if name.startswith("builtin:"):
        bare = name.removeprefix("builtin:")
        if bare in known:
            return f"evalkit ships no {bare!r}; write it without 'builtin:'"
        known = [f"builtin:{one}" for one in known]
    hint = suggestion(name, known)
    if unloaded:
        hint += f"; if {unloaded[0]} declares it, allow its code to run with --allow-code"
    return hint
