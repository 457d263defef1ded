"""YAML read as a tree in which every key and every value knows its line and column.

Stricter than YAML 1.1 on purpose: only ``true`` and ``false`` are booleans (``no`` stays text, so
``min: no`` is a type error and never 0), a number is a decimal number as JSON writes it (``00123``,
``1:30``, ``1_000`` and ``2024-05-01`` stay text), and duplicate keys, tags, tabs, several documents
and expansions without end are refused where they stand.
"""

from __future__ import annotations

import functools
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from evalkit.errors import ConfigError, Position, PromptError
from evalkit.model import JSON

_EMPTY = "'evalkit init' writes one of each kind into an empty folder, to start from"
MAX_BYTES = 4_000_000
MAX_DEPTH = 64
MAX_NODES = 200_000
_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

ErrorType: TypeAlias = type[ConfigError] | type[PromptError]
Scalar: TypeAlias = str | int | float | bool | None
Step: TypeAlias = str | int

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z")
_WORDS: Mapping[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_BIGGEST = 2**63 - 1
_KINDS = {
    "flow sequence": "list '['",
    "flow node": "bracket",
    "flow mapping": "mapping '{'",
    "block sequence": "indentation of the list",
    "block collection": "indentation of the list",
    "block mapping": "indentation of the mapping",
    "quoted scalar": "quoted text",
    "simple key": "line, it needs 'key: value',",
}


@dataclass(frozen=True, slots=True)
class Node:
    """One value; ``size`` counts the values below it, an alias counting each time it is used."""

    line: int
    column: int
    value: Scalar | tuple[Node, ...] | Mapping[str, Entry]
    size: int = 1

    def plain(self) -> Any:
        """The value without its places: only dict, list, str, int, float, bool and None."""
        if isinstance(self.value, tuple):
            return [one.plain() for one in self.value]
        if isinstance(self.value, Mapping):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        return self.value

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The keys of a mapping; empty for anything else."""
        return self.value if isinstance(self.value, Mapping) else {}

    @property
    def items(self) -> Sequence[Node]:
        """The items of a list; empty for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    def walk(self, path: tuple[Step, ...] = ()) -> Iterator[tuple[tuple[Step, ...], Node]]:
        """Itself and every node below it, each with its path from here."""
        yield path, self
        for index, item in enumerate(self.items):
            yield from item.walk((*path, index))
        for key, entry in self.entries.items():
            yield from entry.node.walk((*path, key))


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of a mapping with its own place, and its value."""

    line: int
    column: int
    node: Node


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its tree, and the path by which errors name it."""

    path: Path
    root: Node

    def at(self, node: Node | Entry) -> Position:
        """The place of a key or a value."""
        return Position(self.path, node.line, node.column)


def shown_path(path: Path) -> Path:
    """The path as errors show it: relative to the working directory when it lies inside it."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
    try:
        return absolute.relative_to(Path.cwd())
    except (ValueError, OSError):
        return absolute


def read_text(path: Path, *, error: ErrorType = ConfigError) -> str:
    """A whole UTF-8 file without its byte order mark, line ends as written.

    Raises ``error`` for a file that is missing, unreadable, not UTF-8 (with the line and column of
    the first wrong byte), or over 4 MB.
    """
    shown = shown_path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise error("the file does not exist", where=shown) from None
    except IsADirectoryError:
        raise error("this is a folder, not a file", where=shown) from None
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise error(
            f"the file cannot be read: {reason}", where=shown, hint="check its permissions"
        ) from None
    if len(content) > MAX_BYTES:
        raise error(f"the file is larger than {MAX_BYTES // 1_000_000} MB", where=shown)
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as problem:
        before = content[: problem.start].decode("utf-8")
        raise error(
            f"the file is not UTF-8: byte 0x{content[problem.start]:02x}",
            where=place(shown, before),
            hint="save it as UTF-8",
        ) from None


def place(path: Path, before: str, first_line: int = 1) -> Position:
    """The place right after the text ``before``."""
    ends = [one.end() for one in _BREAK.finditer(before)]
    return Position(path, first_line + len(ends), len(before) - (ends[-1] if ends else 0) + 1)


def read_yaml(path: Path, *, error: ErrorType = ConfigError) -> Document:
    """Parse a YAML file whose top level is a mapping; raises ``error`` with the exact place."""
    return parse_yaml(read_text(path, error=error), path, error=error)


def parse_yaml(
    text: str, path: Path, *, first_line: int = 1, error: ErrorType = ConfigError
) -> Document:
    """Parse YAML text whose top level is a mapping.

    ``first_line`` is the line of the file on which the text starts.
    """
    shown = shown_path(path)
    bad = _UNPRINTABLE.search(text)
    if bad:
        raise error(
            f"YAML does not allow the character U+{ord(bad[0]):04X}",
            where=place(shown, text[: bad.start()], first_line),
            hint="remove it, or write it as an escape inside double quotes",
        )
    return Document(shown, _Builder(text, shown, first_line, error).document())


@functools.cache
def _loader() -> Any:
    import yaml

    # libyaml parses about eight times faster; both give the same events and the same marks.
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Builder:
    """Events of the parser to a tree, without PyYAML's constructors and YAML 1.1 resolvers.

    Working on events, not on composed nodes, stops at the first deep or endless structure instead
    of after the parser has built it. Loader, events and marks are ``Any``: their stubs are untyped.
    """

    def __init__(self, text: str, path: Path, first_line: int, error: ErrorType):
        self._text = text
        self._path = path
        self._first = first_line
        self._error = error
        self._anchors: dict[str, Node | None] = {}

    def document(self) -> Node:
        import yaml

        loader = _loader()(self._text)
        try:
            return self._one_document(loader)
        except yaml.MarkedYAMLError as problem:
            raise self._syntax(problem) from None
        except yaml.YAMLError as problem:
            raise self._error(f"not valid YAML: {problem}", where=self._path) from None
        finally:
            loader.dispose()

    def _one_document(self, loader: Any) -> Node:
        import yaml

        loader.get_event()  # the start of the stream
        if loader.check_event(yaml.StreamEndEvent):
            raise self._error(
                "the file is empty", where=Position(self._path, self._first, 1), hint=_EMPTY
            )
        loader.get_event()  # the start of the document
        root = self._node(loader, 0)
        loader.get_event()  # its end
        if not loader.check_event(yaml.StreamEndEvent):
            second = loader.get_event()
            raise self._error(
                "the file holds more than one YAML document",
                where=self._at(second.start_mark),
                hint="remove the line '---' and what follows, or split the file",
            )
        if root.value is None:
            raise self._error("the file is empty", where=self._where(root), hint=_EMPTY)
        if not isinstance(root.value, Mapping):
            kind = "a list" if isinstance(root.value, tuple) else "a single value"
            raise self._error(
                f"the file must hold a mapping (key: value lines), not {kind}",
                where=self._where(root),
            )
        return root

    def _node(self, loader: Any, depth: int) -> Node:
        import yaml

        event = loader.get_event()
        if depth > MAX_DEPTH:
            raise self._error(_TOO_DEEP, where=self._at(event.start_mark))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if event.tag is not None:
            raise self._error(
                f"YAML tags are not used here: {event.tag!r}",
                where=self._at(event.start_mark),
                hint="to make a value text, put it in quotes",
            )
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        line, column = self._place(event.start_mark)
        value: Scalar | tuple[Node, ...] | Mapping[str, Entry]
        size = 1
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not loader.check_event(yaml.SequenceEndEvent):
                items.append(self._node(loader, depth + 1))
                size = self._grown(size, items[-1])
            loader.get_event()
            value = tuple(items)
        else:
            entries = self._mapping(loader, depth)
            for entry in entries.values():
                size = self._grown(size, entry.node)
            value = entries
        node = Node(line, column, value, size)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _grown(self, size: int, child: Node) -> int:
        if size + child.size > MAX_NODES:
            raise self._error(
                f"the file expands to more than {MAX_NODES:,} values",
                where=self._where(child),
                hint="use fewer aliases (*name)",
            )
        return size + child.size

    def _alias(self, event: Any) -> Node:
        if event.anchor not in self._anchors:
            raise self._error(
                f"no anchor '&{event.anchor}' before this alias",
                where=self._at(event.start_mark),
                hint="a text that starts with '*' must be quoted",
            )
        node = self._anchors[event.anchor]
        if node is None:
            raise self._error(
                f"the alias '*{event.anchor}' stands inside its own anchor",
                where=self._at(event.start_mark),
            )
        return node

    def _mapping(self, loader: Any, depth: int) -> dict[str, Entry]:
        import yaml

        own: dict[str, Entry] = {}
        merged: list[Node] = []
        while not loader.check_event(yaml.MappingEndEvent):
            key = loader.get_event()
            line, column = self._place(key.start_mark)
            if not isinstance(key, yaml.ScalarEvent) or key.tag is not None:
                raise self._error(
                    "a key must be plain text",
                    where=self._at(key.start_mark),
                    hint="a value that starts with '{', '[' or '*' must be quoted",
                )
            if not key.value:
                raise self._error("a key is missing before ':'", where=self._at(key.start_mark))
            if key.value in own:
                first = own[key.value].line
                raise self._error(
                    f"the key {key.value!r} is given twice",
                    where=self._at(key.start_mark),
                    hint=f"it is already on line {first}; keep one of them",
                )
            value = self._node(loader, depth + 1)
            if key.value == "<<" and key.implicit[0]:
                merged += self._merge(value)
                continue
            own[key.value] = Entry(line, column, value)
        loader.get_event()
        for one in merged:
            for name, entry in one.entries.items():
                own.setdefault(name, entry)
        return own

    def _merge(self, value: Node) -> list[Node]:
        sources = list(value.items) if isinstance(value.value, tuple) else [value]
        for one in sources:
            if not isinstance(one.value, Mapping):
                raise self._error(
                    "'<<' takes a mapping or a list of mappings",
                    where=self._where(one),
                    hint="as in: <<: *name",
                )
        return sources

    def _scalar(self, event: Any) -> Scalar:
        text: str = event.value
        if not event.implicit[0]:
            if any("\ud800" <= one <= "\udfff" for one in text):
                raise self._error(
                    "half of a surrogate pair is not a character",
                    where=self._at(event.start_mark),
                )
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.match(text):
            whole = int(text) if len(text) <= 20 else _BIGGEST + 1
            if abs(whole) > _BIGGEST:
                raise self._not_a_number("is larger than 64 bits", event)
            return whole
        if _NUMBER.match(text):
            number = float(text)
            if not math.isfinite(number):
                raise self._not_a_number("is too large", event)
            return number
        if _NOT_FINITE.match(text):
            raise self._not_a_number("is not finite", event)
        return text

    def _not_a_number(self, why: str, event: Any) -> Exception:
        short = event.value if len(event.value) <= 30 else event.value[:27] + "..."
        return self._error(
            f"the number {short} {why}",
            where=self._at(event.start_mark),
            hint="to mean the text, put it in quotes",
        )

    def _syntax(self, problem: Any) -> Exception:
        mark = problem.problem_mark or problem.context_mark
        if mark is None:
            return self._error(f"not valid YAML: {problem.problem}", where=self._path)
        lines = _BREAK.split(self._text)
        line = lines[mark.line] if mark.line < len(lines) else ""
        indent = line[: len(line) - len(line.lstrip())]
        column = line.find("\t") if "\t" in indent else mark.column
        if line[column : column + 1] == "\t":
            where = Position(self._path, self._first + mark.line, column + 1)
            return self._error("YAML does not allow a tab here", where=where, hint="use spaces")
        if "nesting depth" in (problem.problem or ""):  # libyaml reads ahead, to a limit of its own
            return self._error(_TOO_DEEP, where=self._at(mark))
        what = (problem.problem or "").replace("'\\t'", "a tab") or "the structure is broken"
        return self._error(
            f"not valid YAML: {what}", where=self._at(mark), hint=self._advice(problem)
        )

    def _advice(self, problem: Any) -> str:
        text = problem.problem or ""
        if "mapping values are not allowed" in text:
            return "a text that contains ': ' must be quoted"
        if "cannot start any token" in text:
            return "a text that starts with this character must be quoted"
        if problem.context_mark is not None and problem.context:
            start = self._first + problem.context_mark.line
            kind = problem.context.rpartition(" a ")[2].strip()
            return f"check the {_KINDS.get(kind, kind)} that starts on line {start}"
        return "check the indentation and the quotes"

    def _place(self, mark: Any) -> tuple[int, int]:
        return self._first + mark.line, mark.column + 1

    def _at(self, mark: Any) -> Position:
        return Position(self._path, *self._place(mark))

    def _where(self, node: Node) -> Position:
        return Position(self._path, node.line, node.column)


def dotted(path: Sequence[Step]) -> str:
    """A path as users read it: ``params.stop[0]``."""
    text = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)
    return text.removeprefix(".")


def as_json(node: Node) -> JSON:
    """The plain value of a node; always representable in JSON."""
    value: JSON = node.plain()
    return value
