"""The datasets of a suite: paths, formats and column maps, checked against what exists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from evalkit import registry
from evalkit.config.check import (
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
from evalkit.config.spec import DatasetSpec, Project
from evalkit.config.tree import Node
from evalkit.errors import UnknownName, suggestion
from evalkit.registry import DatasetPlugin, Kind

FIELDS = ("id", "expected", "context", "tags", "metadata", "turns")
NAMED_FIELDS = ("inputs", "tags", "metadata")
HUB = "huggingface"
ColumnType = Literal["text", "integer", "number", "boolean", "json"]


class DatasetModel(Strict):
    """A dataset written as a mapping."""

    path: str | None = Field(None, min_length=1, description="relative to the project")
    huggingface: str | None = Field(None, min_length=1, description="owner/name on the hub")
    format: str | None = None
    split: str | None = Field(None, min_length=1)
    columns: dict[str, str] = Field({}, description="field of a case: column of the source")
    types: dict[str, ColumnType] = Field({}, description="columns that are not text")
    options: dict[str, Any] = Field({}, description="parameters of the format's reader")


def read_datasets(findings: Findings, project: Project, root: Node) -> tuple[DatasetSpec, ...]:
    """The datasets of a suite; what is wrong with them is noted."""
    single, several = root.entries.get("dataset"), root.entries.get("datasets")
    if single is not None and several is not None:
        findings.add("a suite has 'dataset' or 'datasets', not both", several)
        return ()
    if single is not None:
        nodes: Iterable[Node] = [single.node]
    elif several is not None:
        if not several.node.items:
            findings.add(
                f"datasets in the suite must be a list, not {shown(several.node)}"
                if not isinstance(several.node.value, tuple)
                else "datasets in the suite must not be empty",
                several.node,
                "for a single one write 'dataset: golden/cases.jsonl'",
            )
        nodes = several.node.items
    else:
        findings.add(
            "the suite lacks the key 'dataset'", root, "add a line 'dataset: golden/cases.jsonl'"
        )
        return ()
    found = (_Dataset(findings, project, one).spec() for one in nodes)
    return tuple(one for one in found if one is not None)


class _Dataset:
    """One dataset of a suite, from a path or a mapping."""

    def __init__(self, findings: Findings, project: Project, node: Node):
        self._findings = findings
        self._project = project
        self._node = node

    def spec(self) -> DatasetSpec | None:
        node, findings = self._node, self._findings
        if isinstance(node.value, str) and node.value:
            return self._of(DatasetModel(path=node.value), node)
        if not isinstance(node.value, Mapping):
            findings.add(
                f"a dataset must be a path or a mapping, not {shown(node)}",
                node,
                "as in 'golden/cases.jsonl'",
            )
            return None
        model = findings.check(DatasetModel, node, "the dataset")
        if "columns" in node.entries:
            self._check_columns(node.entries["columns"].node)
        if model is None:
            return None
        if (model.path is None) == (model.huggingface is None):
            findings.add(
                "a dataset has exactly one of 'path' and 'huggingface'",
                node,
                "as in 'path: golden/cases.jsonl'",
            )
            return None
        return self._of(model, node.entries["path"].node if model.path is not None else node)

    def _of(self, model: DatasetModel, place: Node) -> DatasetSpec | None:
        if model.huggingface is not None:
            if model.format not in {None, HUB}:
                self._findings.add(
                    f"a dataset of the hub has the format {HUB!r}, not {model.format!r}",
                    self._node.entries["format"].node,
                    "remove the key 'format'",
                )
                return None
            folder = self._project.root / model.huggingface
            source = str(folder) if folder.is_dir() else model.huggingface
            return self._read_by(HUB, source, model)
        assert model.path is not None
        full = self._project.root / model.path
        if not full.exists():
            self._findings.add(
                f"no dataset file {model.path!r}", place, nearest_file(full, self._project.root)
            )
            return None
        name = model.format or _format_of(full)
        if name is None:
            self._findings.add(
                f"the format of {model.path!r} is not known from its name",
                place,
                "write {path: ..., format: NAME}; " + suggestion("", registry.names(Kind.DATASET)),
            )
            return None
        return self._read_by(name, str(full), model)

    def _read_by(self, format: str, source: str, model: DatasetModel) -> DatasetSpec | None:
        entries = self._node.entries
        try:
            plugin = registry.get(Kind.DATASET, format)
        except UnknownName:
            at = entries["format"].node if "format" in entries else self._node
            hint = unknown_hint(Kind.DATASET, format, unloaded_plugins(self._project))
            self._findings.add(f"unknown dataset format {format!r}", at, hint)
            return None
        written = dict(entries["options"].node.entries) if "options" in entries else {}
        if "split" in entries:
            written["split"] = entries["split"]
        owner = f"dataset format {format!r}"
        known = key_names(options_model(plugin))
        check_option_names(self._findings, owner, written, known)
        options = {key: one for key, one in written.items() if key in known}
        node = Node(self._node.line, self._node.column, options)
        checked = self._findings.check(options_model(plugin), node, owner)
        if checked is None:
            return None
        return DatasetSpec(
            source=source,
            format=format,
            columns=model.columns,
            types=model.types,
            options=options_of(checked),
            position=self._findings.document.at(self._node),
        )

    def _check_columns(self, node: Node) -> None:
        for key, entry in node.entries.items():
            first, dot, rest = key.partition(".")
            if key in FIELDS or (dot and rest and first in NAMED_FIELDS):
                continue
            known = [*FIELDS, *(f"{one}.{rest or first}" for one in NAMED_FIELDS)]
            self._findings.add(
                f"unknown field {key!r} of a case",
                entry,
                suggestion(key, known)
                if dot
                else suggestion(key, FIELDS)
                if suggestion(key, FIELDS).startswith("did")
                else f"an input variable is written 'inputs.{key}'",
            )


def _format_of(path: Path) -> str | None:
    """The format whose suffix the path has; a folder is a Hugging Face dataset on disk."""
    if path.is_dir():
        return HUB
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    called = suffix.removeprefix(".")
    # The reader that is called like the suffix is asked first: to find and import all takes longer.
    with suppress(UnknownName):
        if _reads(called, suffix):
            return called
    return next((one for one in registry.names(Kind.DATASET) if _reads(one, suffix)), None)


def _reads(name: str, suffix: str) -> bool:
    plugin = registry.get(Kind.DATASET, name)
    return isinstance(plugin, DatasetPlugin) and bool(suffix) and suffix in plugin.suffixes
