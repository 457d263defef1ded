"""A part of a YAML tree against a pydantic model, every finding in the user's words and place.

Models are strict and forbid unknown keys. They are checked in pydantic's JSON mode, so a list may
become a tuple and a text a path, but never ``"3"`` a number or ``no`` a boolean.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from evalkit.config.tree import Document, Entry, ErrorType, Node, Step, dotted
from evalkit.errors import ConfigError, Position, suggestion

NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
"""What a target or a scorer may be called."""

OWASP = r"^LLM(0[1-9]|10)(:2025)?$"
"""An id of the OWASP Top 10 for LLM applications, 2025."""

ATLAS = r"^AML\.T[0-9]{4}(\.[0-9]{3})?$"
"""An id of a technique of MITRE ATLAS."""

SHA256 = r"^[0-9a-f]{64}$"
"""The whole hash of a file."""

BASELINES = r"^(?:merge-base|rolling|latest(?:~[0-9]+)?|(?:run|file|tag):.+)$"
"""What a suite may name as its baseline."""

ANCHORS = r"^(?:run|file|tag):.+$"
"""What drift may be counted from."""

_PATTERNS = {
    NAME: "must be a name of letters, digits, '-', '_' and '.', at most 64",
    OWASP: "must be an id from LLM01 to LLM10",
    ATLAS: "must be an id as AML.T0051 or AML.T0051.001",
    BASELINES: "must be merge-base, rolling, latest, latest~1, run:ID, file:PATH or tag:NAME",
    ANCHORS: "must be run:ID, file:PATH or tag:NAME",
    SHA256: "must be a hash of 64 digits and letters from a to f",
}

_CARD = ".card.yaml"
_SECRET = re.compile(r"key|token|secret|password|authorization|credential", re.IGNORECASE)

SHOWN = 5
"""How many findings of one file are shown at once."""

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A model of a configuration file: no unknown keys, no conversions, never changed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, populate_by_name=True)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: what, where, and what to do.

    ``lacks`` is the key that is missing in ``owner``, ``meant`` the key an unknown one is nearest
    to: together they are one typing mistake, not two.
    """

    what: str
    where: Position
    hint: str = ""
    owner: str = ""
    lacks: str = ""
    meant: str = ""


@dataclass(slots=True)
class Findings:
    """Everything wrong with one file, in the order of its lines."""

    document: Document
    error: ErrorType = ConfigError
    found: list[Finding] = field(default_factory=list)

    def add(
        self,
        what: str,
        at: Node | Entry,
        hint: str = "",
        *,
        owner: str = "",
        lacks: str = "",
        meant: str = "",
    ) -> None:
        """Note one finding at a key or a value."""
        finding = Finding(what, self.document.at(at), hint, owner, lacks, meant)
        if finding not in self.found:  # an alias shows the same mistake at the same place twice
            self.found.append(finding)

    def unknown(
        self, what: str, name: str, known: Iterable[str], at: Node | Entry, *, owner: str = ""
    ) -> None:
        """Note a name that does not exist, with the nearest that does."""
        names = list(known)
        hint = suggestion(name, names) if names else "it takes none"
        meant = hint.removeprefix("did you mean '").removesuffix("'?") if _is_near(hint) else ""
        self.add(what, at, hint, owner=owner, meant=meant)

    def raise_any(self) -> None:
        """Raise the first finding; its last lines show up to four more and count the rest."""
        if not self.found:
            return
        meant = {(one.owner, one.meant) for one in self.found if one.meant}
        found = [one for one in self.found if (one.owner, one.lacks) not in meant]
        found.sort(key=lambda one: (one.where.line, one.where.column))
        first, others = found[0], found[1:]
        lines = [first.hint] if first.hint else []
        for one in others[: SHOWN - 1]:
            hint = f" ({one.hint})" if _is_near(one.hint) else ""
            lines.append(f"also at {one.where}: {one.what}{hint}")
        if len(found) > SHOWN:
            lines.append(f"and {len(found) - SHOWN} more")
        raise self.error(first.what, where=first.where, hint="\n".join(lines))

    def check(
        self, model: type[Model], node: Node, owner: str, *, at: Node | Entry | None = None
    ) -> Model | None:
        """The node as a value of the model, or ``None`` with what is wrong noted.

        ``owner`` says whose keys these are, as in ``target 'support'``; missing keys are reported
        ``at`` its key.
        """
        if not isinstance(node.value, Mapping):
            self.add(f"{owner} must be a mapping (key: value lines), not {shown(node)}", node)
            return None
        text = json.dumps(node.plain())
        try:
            return model.model_validate_json(text)
        except ValidationError as problem:
            self._translate(problem.errors(include_url=False), model, node, owner, at or node)
            return None

    def _translate(
        self,
        errors: Sequence[ErrorDetails],
        model: type[BaseModel],
        node: Node,
        owner: str,
        at: Node | Entry,
    ) -> None:
        alternatives: dict[tuple[Step, ...], list[str]] = {}
        for one in errors:
            path = _real_path(node, one["loc"])
            if one["type"] == "extra_forbidden" and len(path) == len(one["loc"]):
                name, inside = str(path[-1]), _inside(owner, path[:-1])
                known = key_names(model) if len(path) == 1 else ()
                what = f"unknown key {name!r} in {inside}"
                self.unknown(what, name, known, _entry(node, path), owner=inside)
            elif one["type"] in {"missing", "missing_argument"}:
                missing = str(one["loc"][-1])
                parent, inside = _node(node, path), _inside(owner, path)
                self.add(
                    f"{inside} lacks the key {missing!r}",
                    at if parent is node else parent,
                    f"add a line '{missing}: ...'",
                    owner=inside,
                    lacks=missing,
                )
            else:
                alternatives.setdefault(path, []).append(_expected(one))
        deepest = [
            path
            for path in alternatives
            if not any(other != path and other[: len(path)] == path for other in alternatives)
        ]
        for path in deepest:
            value = _node(node, path)
            wanted = " or ".join(dict.fromkeys(alternatives[path]))
            what = f"{_inside(owner, path)} {wanted}"
            if any(_SECRET.search(str(step)) for step in path):
                # the value may be a key that was pasted in; errors end up in logs
                self.add(what, value, "its value is not shown here")
                continue
            given = "" if "must not be" in wanted else f", not {shown(value)}"
            self.add(f"{what}{given}", value, _advice(wanted, value))


def _is_near(hint: str) -> bool:
    return hint.startswith("did you mean")


def _inside(owner: str, path: Sequence[Step]) -> str:
    return f"{dotted(path)} in {owner}" if path else owner


def key_names(model: type[BaseModel]) -> list[str]:
    """The keys a model takes, as they are written in YAML."""
    return [one.alias or name for name, one in model.model_fields.items()]


def shown(node: Node) -> str:
    """A value as an error repeats it: short, and told apart from text that looks like it."""
    value = node.value
    if isinstance(value, tuple):
        return "a list"
    if isinstance(value, Mapping):
        return "a mapping"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= 40 else value[:37] + "..."
        return f"the text {short!r}"
    return str(value)


def nearest_file(path: Path, root: Path) -> str:
    """The hint for a file that is not there: the nearest name beside it or below the project."""
    folder = path.parent
    if not folder.is_dir():
        near = difflib.get_close_matches(
            folder.name, [one.name for one in _listing(root) if one.is_dir()], n=1
        )
        if near:
            candidate = root / near[0] / path.name
            exists = candidate.is_file()
            return (
                f"did you mean {candidate.relative_to(root).as_posix()!r}?"
                if exists
                else (f"there is no folder {folder.name!r}; did you mean {near[0]!r}?")
            )
        return f"there is no folder {_relative(folder, root)!r}"
    if path.is_dir():
        return "this is a folder"
    # a card is never what a dataset or a prompt is looked for under
    cards = () if path.name.endswith(_CARD) else (_CARD,)
    names = {
        one.name: one for one in _listing(folder) if one.is_file() and not one.name.endswith(cards)
    }
    near = difflib.get_close_matches(path.name, list(names), n=1, cutoff=0.5)
    if near:
        return f"did you mean {_relative(names[near[0]], root)!r}?"
    return f"no file of a similar name in {_relative(folder, root)!r}"


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _real_path(node: Node, loc: Sequence[str | int]) -> tuple[Step, ...]:
    """The steps of a pydantic location that exist; the names of union branches do not."""
    path: list[Step] = []
    for step in loc:
        if isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
        elif isinstance(step, str) and step in node.entries:
            node = node.entries[step].node
        else:
            continue
        path.append(step)
    return tuple(path)


def _node(node: Node, path: Sequence[Step]) -> Node:
    for step in path:
        node = node.items[step] if isinstance(step, int) else node.entries[step].node
    return node


def _entry(node: Node, path: Sequence[Step]) -> Node | Entry:
    parent = _node(node, path[:-1])
    last = path[-1]
    return parent.items[last] if isinstance(last, int) else parent.entries[last]


_WANTED = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "sequence_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "dataclass_type": "must be a mapping",
    "path_type": "must be a path",
    "none_required": "must be empty",
}


def _expected(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _WANTED:
        return _WANTED[kind]
    if kind in {"literal_error", "enum"}:
        allowed = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        if len(allowed) == 1:
            return f"must be {allowed[0]!r}"
        if not allowed:
            return f"must be {context.get('expected')}"
        return "must be one of " + ", ".join(allowed)
    bounds = {"greater_than": ">", "greater_than_equal": "at least", "less_than": "<",
              "less_than_equal": "at most"}  # fmt: skip
    if kind in bounds:
        limit = next(iter(context.values()))
        sign = bounds[kind]
        word = {">": "more than", "<": "less than"}.get(sign, sign)
        return f"must be {word} {limit:g}" if isinstance(limit, int | float) else f"must be {limit}"
    if kind in {"too_short", "string_too_short"}:
        return "must not be empty"
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        return _PATTERNS.get(pattern, f"must match the pattern {pattern}")
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    message = error["msg"]
    return (
        "must be" + message[len("Input should be") :]
        if message.startswith("Input should be")
        else f"is wrong ({message})"
    )


def _advice(wanted: str, node: Node) -> str:
    value = node.value
    if "duration" in wanted and isinstance(value, int | float) and not isinstance(value, bool):
        return f"write {value:g}s"
    if isinstance(value, str):
        if "true or false" in wanted and value.lower() in {"yes", "no", "on", "off", "y", "n"}:
            meant = "true" if value.lower() in {"yes", "on", "y"} else "false"
            return f"write {meant}; evalkit reads YAML 1.2, where {value} is text"
        if "must be one of" in wanted:
            allowed = wanted.rpartition("must be one of ")[2].split(", ")
            near = difflib.get_close_matches(value, allowed, n=1)
            return f"did you mean {near[0]!r}?" if near else ""
        if "must be a list" in wanted:
            return f"write [{value}]" if len(value) <= 40 else "put it in [ ]"
        if "number" in wanted and re.fullmatch(r"[-+]?[\d.]+", value):
            return "remove the quotes" if "_" not in value else ""
        return ""
    if "must be text" in wanted and isinstance(value, int | float | bool):
        text = ("true" if value else "false") if isinstance(value, bool) else str(value)
        return f'put it in quotes: "{text}"'
    if "must be a list" in wanted and isinstance(value, int | float):
        return f"write [{value}]"
    if value is None:
        return "give a value, or remove the key"
    return ""


def options_of(model: BaseModel) -> dict[str, Any]:
    """The options that were written, as checked values, by the names of the plugin's parameters."""
    fields = type(model).model_fields
    return {
        fields[name].alias or name: getattr(model, name)
        for name in fields
        if name in model.model_fields_set
    }


def check_option_names(
    findings: Findings, owner: str, written: Mapping[str, Entry], known: list[str]
) -> None:
    """Note every option a plugin does not have, with the nearest that it has."""
    for key, entry in written.items():
        if key not in known:
            what = f"unknown option {key!r} of {owner}"
            findings.unknown(what, key, known, entry, owner=owner)
