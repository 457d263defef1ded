"""JSON Schemas of the files a user writes, for editors: with every scorer and every kind of target.

Whatever the loaders accept, the schema accepts; the loaders know more, such as which files exist.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, get_args

from pydantic import BaseModel

from evalkit import registry
from evalkit.config.card import CardModel
from evalkit.config.check import NAME
from evalkit.config.gates import GateModel, PolicyModel
from evalkit.config.money import BudgetModel, CacheModel, CapModel
from evalkit.config.options import options_model
from evalkit.config.pair_template import OWN, RESERVED, PairCaseModel, PairsModel
from evalkit.config.project import ProjectModel
from evalkit.config.prompt import FrontMatter
from evalkit.config.spec import CacheMode
from evalkit.config.suite import SuiteModel
from evalkit.config.suite_dataset import FIELDS, NAMED_FIELDS, DatasetModel
from evalkit.config.target import LimitsModel, PriceModel, TargetModel
from evalkit.registry import Kind, Plugin, ScorerPlugin, TargetPlugin

SchemaKind: TypeAlias = Literal["project", "suite", "card", "prompt", "pairs"]
SCHEMA_KINDS: tuple[SchemaKind, ...] = get_args(SchemaKind)
Schema: TypeAlias = dict[str, Any]

_TITLES = {
    "project": "evalkit.yaml",
    "suite": "An evalkit suite",
    "card": "The card of a golden dataset",
    "prompt": "The front matter of a prompt",
    "pairs": "A template of counterfactual pairs",
}


def json_schema(kind: SchemaKind) -> Schema:
    """The JSON Schema (draft 2020-12) of one kind of file, with the plugins known right now."""
    definitions: Schema = {}
    if kind == "project":
        body = _project(definitions)
    elif kind == "suite":
        body = _suite(definitions)
    elif kind == "pairs":
        body = _pairs(definitions)
    else:
        body = _own(CardModel if kind == "card" else FrontMatter)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **body,
        "title": _TITLES[kind],
    }
    if definitions:
        schema["$defs"] = definitions
    return schema


def _own(model: type[BaseModel], definitions: Schema | None = None, prefix: str = "") -> Schema:
    """A model's schema without generated titles, its definitions moved to the shared ones."""
    schema = model.model_json_schema(by_alias=True)
    own = schema.pop("$defs", {})
    names = {name: name if name == "JsonValue" else f"{prefix}{name}" for name in own}
    _tidy(schema, names)
    if definitions is not None:
        for name, one in own.items():
            _tidy(one, names)
            definitions[names[name]] = one
    return schema


def _tidy(schema: Any, names: dict[str, str]) -> None:
    for one in _subschemas(schema):
        if isinstance(one.get("title"), str):
            del one["title"]
        reference = one.get("$ref")
        if isinstance(reference, str):
            name = reference.removeprefix("#/$defs/")
            one["$ref"] = f"#/$defs/{names.get(name, name)}"


def _subschemas(schema: Any) -> Iterator[Schema]:
    """Every schema inside a schema; the names below ``properties`` are no keywords."""
    if isinstance(schema, list):
        for one in schema:
            yield from _subschemas(one)
    elif isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            if key == "properties":
                for one in value.values():
                    yield from _subschemas(one)
            elif key not in {"default", "enum", "const", "examples"}:
                yield from _subschemas(value)


def _project(definitions: Schema) -> Schema:
    schema = _own(ProjectModel, definitions)
    definitions["limits"] = _own(LimitsModel)
    definitions["price"] = _own(PriceModel)
    common = _own(TargetModel)["properties"]
    common["limits"] = {"$ref": "#/$defs/limits"}
    common["price"] = {"$ref": "#/$defs/price"}
    kinds = []
    for name in registry.names(Kind.TARGET):
        plugin = registry.get(Kind.TARGET, name)
        assert isinstance(plugin, TargetPlugin)
        definitions[f"target {name}"] = _target(name, plugin, common, definitions)
        kinds.append({"$ref": f"#/$defs/target {name}".replace(" ", "%20")})
    properties = schema["properties"]
    properties["targets"] |= {
        "additionalProperties": {"anyOf": kinds} if kinds else {"type": "object"},
        "propertyNames": {"pattern": NAME},
    }
    properties["prices"]["additionalProperties"] = {"$ref": "#/$defs/price"}
    definitions["cap"] = _own(CapModel)
    budget = _own(BudgetModel)
    budget["properties"]["targets"]["additionalProperties"] = {"$ref": "#/$defs/cap"}
    budget["properties"]["judges"] = {"$ref": "#/$defs/cap"}
    properties["budget"] = budget
    properties["cache"] = {"anyOf": [{"enum": list(get_args(CacheMode))}, _own(CacheModel)]}
    return schema


def _target(name: str, plugin: TargetPlugin, common: Schema, definitions: Schema) -> Schema:
    schema = _own(options_model(plugin), definitions, f"{name} ")
    _describe(schema, plugin)
    properties = copy.deepcopy(common)
    properties["kind"] = {"enum": _written(plugin, name), "description": plugin.summary}
    if not plugin.takes_prompt:
        del properties["prompt"]
    required = ["kind", *schema.get("required", [])]
    if plugin.needs_prompt:
        judge = {"required": ["judge"], "properties": {"judge": {"const": True}}}
        schema["anyOf"] = [{"required": ["prompt"]}, judge]
    schema["properties"] = {**schema.get("properties", {}), **properties}
    schema["required"] = required
    return schema


def _suite(definitions: Schema) -> Schema:
    schema = _own(SuiteModel)
    definitions["dataset"] = {"anyOf": [{"type": "string", "minLength": 1}, _dataset()]}
    properties = schema["properties"]
    properties["dataset"] = {"$ref": "#/$defs/dataset"}
    properties["datasets"] = {
        "type": "array",
        "minItems": 1,
        "items": {"$ref": "#/$defs/dataset"},
    }
    properties["targets"]["uniqueItems"] = True
    properties["slices"]["uniqueItems"] = True
    definitions["gate"] = _own(GateModel, definitions, "gate-")
    definitions["gate-policy"] = _own(PolicyModel, definitions, "gate-policy-")
    properties["gate"] = {"$ref": "#/$defs/gate-policy"}
    properties["gates"] = {"type": "array", "items": {"$ref": "#/$defs/gate"}}
    schema["oneOf"] = [{"required": ["dataset"]}, {"required": ["datasets"]}]
    bare, full = [], []
    for name in registry.names(Kind.SCORER):
        plugin = registry.get(Kind.SCORER, name)
        assert isinstance(plugin, ScorerPlugin)
        options = _scorer(plugin, definitions)
        definitions[f"scorer {name}"] = options
        takes_none = not options.get("required")
        if takes_none:
            bare += _written(plugin, name)
        full.append(_scorer_item(plugin, name, takes_none=takes_none))
    properties["scorers"]["items"] = {"anyOf": [{"enum": bare}, *full]} if full else {}
    return schema


def _scorer(plugin: ScorerPlugin, definitions: Schema) -> Schema:
    schema = _own(options_model(plugin), definitions, f"{plugin.name} ")
    _describe(schema, plugin)
    low, high = plugin.range
    limits: Schema = {"type": "number"}
    if low != float("-inf"):
        limits["minimum"] = low
    if high != float("inf"):
        limits["maximum"] = high
    threshold = {
        "anyOf": [limits, {"type": "null"}],
        "description": "a score at or better than this passes",
    }
    turns = {
        "enum": ["last", "each", "worst"],
        "description": "which answers of a conversation are judged",
    }
    common = {"threshold": threshold, "turns": turns}
    schema["properties"] = {**schema.get("properties", {}), **common}
    return schema


def _scorer_item(plugin: Plugin, name: str, *, takes_none: bool) -> Schema:
    options: Schema = {"$ref": f"#/$defs/scorer%20{name}"}
    if takes_none:
        options = {"anyOf": [options, {"type": "null"}]}
    names = _written(plugin, name)
    return {
        "type": "object",
        "properties": {
            **dict.fromkeys(names, options),
            "as": {"type": ["string", "null"], "pattern": NAME},
        },
        "oneOf": [{"required": [one]} for one in names],
        "additionalProperties": False,
    }


def _written(plugin: Plugin, name: str) -> list[str]:
    """How a configuration may write a plugin's name: ``builtin:`` is for evalkit's own."""
    ours = plugin.obj.__module__.startswith("evalkit.")
    return [name, f"builtin:{name}"] if ours else [name]


def _pairs(definitions: Schema) -> Schema:
    schema = _own(PairsModel)
    definitions["question"] = _own(PairCaseModel)
    definitions["question"]["properties"]["tags"]["propertyNames"] = {"not": {"enum": sorted(OWN)}}
    properties = schema["properties"]
    properties["cases"]["items"] = {"$ref": "#/$defs/question"}
    axes = properties["axes"]
    axes["propertyNames"] = {"pattern": NAME, "not": {"enum": sorted(RESERVED)}}
    (groups,) = axes["patternProperties"].values()
    groups |= {"minProperties": 2, "propertyNames": {"pattern": NAME}}
    (slots,) = groups["patternProperties"].values()
    slots |= {"minProperties": 1, "propertyNames": {"pattern": NAME}}
    return schema


def _dataset() -> Schema:
    schema = _own(DatasetModel)
    fields = "|".join(FIELDS)
    named = "|".join(NAMED_FIELDS)
    properties = schema["properties"]
    properties["columns"]["propertyNames"] = {"pattern": rf"^(?:{fields}|(?:{named})\..+)$"}
    formats = [
        written
        for name in registry.names(Kind.DATASET)
        for written in _written(registry.get(Kind.DATASET, name), name)
    ]
    properties["format"] = {"anyOf": [{"enum": formats}, {"type": "null"}]}
    schema["oneOf"] = [
        {"required": [one], "properties": {one: {"type": "string"}}}
        for one in ("path", "huggingface")
    ]
    return schema


def _describe(schema: Schema, plugin: Plugin) -> None:
    schema["description"] = plugin.doc
