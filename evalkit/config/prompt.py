"""Prompt files: optional front matter, role sections, strict sandboxed Jinja2, a content version.

    ---
    label: v3
    owner: support team
    ---
    system:
    Answer from the passages.

    user:
    {{ question }}

A line that is only ``system:``, ``user:`` or ``assistant:`` starts a message. The source is split
before anything is rendered, so no value can start one. Blank lines around a message are layout, not
content.

In a conversation the last message, when it is a user's, is the form of every turn: ``{{ turn }}``
stands for what the user says, and so does the one variable of it that the case does not give. A
prompt that ends otherwise is followed by the turns as they are.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType
from typing import Any, Literal

from jinja2 import TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.environment import Template
from jinja2.exceptions import SecurityError
from pydantic import Field

from evalkit.config.check import Findings, Strict
from evalkit.config.env import check_references
from evalkit.config.sandbox import (
    ForbiddenTag,
    MissingVariable,
    OverBudget,
    Rendering,
    Sandbox,
)
from evalkit.config.tree import parse_yaml, read_text, shown_path
from evalkit.errors import Position, PromptError, suggestion
from evalkit.hashing import content_id
from evalkit.model import JSON, Message

PromptRole = Literal["system", "user", "assistant"]

TURN = "turn"
"""The variable that stands for what a user says in a turn of a conversation."""

VERSION_HEX = 12
_HEADER = re.compile(r"(system|user|assistant):[ \t]*\Z")
_FENCE = re.compile(r"---[ \t]*\Z")


@dataclass(frozen=True, slots=True)
class PromptPart:
    """The template of one message, and the line of the file on which it starts."""

    role: PromptRole
    source: str
    line: int


class FrontMatter(Strict):
    """What a prompt file says about itself; none of it is part of the version."""

    label: str | None = Field(None, min_length=1, description="a name for people, such as v3")
    owner: str | None = Field(None, min_length=1, description="who answers for the prompt")
    description: str = Field("", description="what the prompt is for")


@dataclass(frozen=True)
class Prompt:
    """A prompt file, split into messages and ready to render.

    ``version`` is the hash of roles and message texts with normalised line ends: label, owner and
    description are left out of it. ``text`` is the whole file as read, with normalised line ends.
    """

    path: Path
    text: str
    version: str
    label: str | None
    owner: str | None
    description: str
    parts: tuple[PromptPart, ...]

    @cached_property
    def variables(self) -> frozenset[str]:
        """The names every render needs; those tested by ``is defined`` or ``default`` are not."""
        return frozenset(name for one in self._compiled for name in one.needed)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name a render may read, needed or not."""
        return frozenset(name for one in self._compiled for name in one.names)

    @cached_property
    def _compiled(self) -> tuple[_Compiled, ...]:
        return tuple(_Compiled(self.path, one) for one in self.parts)

    def require(self, available: Collection[str]) -> None:
        """Raise ``PromptError`` at the first use of a variable that is not ``available``."""
        for one in self._compiled:
            one.require(available)

    def render(self, variables: Mapping[str, JSON]) -> tuple[Message, ...]:
        """The messages for one case's variables: its inputs, and ``context``.

        Raises ``PromptError`` with file, line and column for a variable that is missing, an
        operation that fails, and a template that needs too much time or space.
        """
        with Rendering() as budget:
            return tuple(
                Message(role=one.role, content=one.render(variables, budget.write))
                for one in self._compiled
            )

    def render_turns(
        self, variables: Mapping[str, JSON], turns: Sequence[str]
    ) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """The messages before a conversation, and the user's message of each turn.

        Raises ``PromptError`` as ``render``, and when the prompt leaves no place for the turns.
        """
        last = self._compiled[-1]
        with Rendering() as budget:
            if last.role != "user":
                before = self._compiled
                said = turns
            else:
                before = self._compiled[:-1]
                place = last.place_of_turn(variables)
                said = [last.render({**variables, place: one}, budget.write) for one in turns]
            head = [
                Message(role=one.role, content=one.render(variables, budget.write))
                for one in before
            ]
        return tuple(head), tuple(Message(role="user", content=one) for one in said)


def load_prompt(path: Path) -> Prompt:
    """Read and compile a prompt file; raises ``PromptError`` with file, line and column."""
    return parse_prompt(read_text(path, error=PromptError), path)


def parse_prompt(text: str, path: Path) -> Prompt:
    """A prompt from the text of a file; ``path`` only names it in errors."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    front, body_starts = _front_matter(lines, path)
    parts = _parts(lines, body_starts, path)
    prompt = Prompt(
        path=path,
        text=text,
        version=content_id([[one.role, one.source] for one in parts])[:VERSION_HEX],
        label=front.label,
        owner=front.owner,
        description=front.description,
        parts=parts,
    )
    _ = prompt.variables  # compiles, so that a broken template is an error now
    return prompt


def _front_matter(lines: list[str], path: Path) -> tuple[FrontMatter, int]:
    if not _FENCE.match(lines[0]):
        return FrontMatter(), 0
    number = next((n for n in range(1, len(lines)) if _FENCE.match(lines[n])), None)
    if number is None:
        raise PromptError(
            "the front matter is not closed",
            where=Position(shown_path(path), 1, 1),
            hint="end it with a line '---'",
        )
    text = "\n".join(lines[1:number])
    if not text.strip():
        return FrontMatter(), number + 1
    document = parse_yaml(text, path, first_line=2, error=PromptError)
    findings = Findings(document, PromptError)
    model = findings.check(FrontMatter, document.root, "the front matter")
    check_references(findings, document.root, allowed=False)
    findings.raise_any()
    assert model is not None
    return model, number + 1


def _parts(lines: list[str], start: int, path: Path) -> tuple[PromptPart, ...]:
    headers: list[tuple[PromptRole, int]] = []
    for number in range(start, len(lines)):
        match = _HEADER.match(lines[number])
        if match:
            role: Any = match[1]
            headers.append((role, number))
    if not headers:
        headers = [("user", start - 1)]
    else:
        for number in range(start, headers[0][1]):
            if lines[number].strip():
                raise PromptError(
                    "there is text before the first role",
                    where=Position(shown_path(path), number + 1, 1),
                    hint="put a line 'system:' or 'user:' above it",
                )
    ends = [number for _, number in headers[1:]] + [len(lines)]
    parts = []
    for (role, header), end in zip(headers, ends, strict=True):
        part = _trimmed(role, lines, header + 1, end)
        if not part.source:
            what = f"the message {role!r} is empty" if header >= start else "the prompt is empty"
            where = Position(shown_path(path), max(header, start) + 1, 1)
            raise PromptError(what, where=where, hint="write what the model is told there")
        parts.append(part)
    return tuple(parts)


def _trimmed(role: PromptRole, lines: list[str], start: int, end: int) -> PromptPart:
    while start < end and not lines[start].strip():
        start += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    return PromptPart(role, "\n".join(lines[start:end]), start + 1)


_sandbox: list[Sandbox] = []


def _environment() -> Sandbox:
    if not _sandbox:
        _sandbox.append(Sandbox())
    return _sandbox[0]


class _Compiled:
    """The compiled template of one message."""

    def __init__(self, path: Path, part: PromptPart):
        self.role = part.role
        self._part = part
        self._path = shown_path(path)
        self._lines = part.source.split("\n")
        environment = _environment()
        try:
            with Rendering():
                tree = environment.parse(part.source)
                self._uses = _uses(tree)
                self.needed = frozenset(meta.find_undeclared_variables(tree)) - _optional(tree)
                hooked = environment.hooked(part.source)
                code = environment.compile(hooked, filename=f"{path}#{part.line}")
        except ForbiddenTag as problem:
            raise PromptError(
                f"{{% {problem.word} %}} is not available in a prompt",
                where=self._at(problem.line, problem.word.partition(" ")[0]),
                hint="a prompt is one file, so that its version says everything; copy the text in",
            ) from None
        except TemplateSyntaxError as problem:
            what, hint = _syntax(problem.message or "broken template")
            raise PromptError(what, where=self._at(problem.lineno), hint=hint) from None
        except (TemplateError, SyntaxError, RecursionError, MemoryError, OverBudget) as problem:
            raise PromptError(
                f"the template cannot be compiled: {problem}", where=self._at(1)
            ) from None
        assert isinstance(code, CodeType)
        self._globals = dict(environment.make_globals(None))
        self._template = Template.from_code(environment, code, self._globals)

    def _at(self, line: int, word: str = "", *, key: bool = False) -> Position:
        """A line of the template as a place in the file, at the column of a word if it is there.

        A ``key`` is looked for behind a dot first, a variable never.
        """
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        before = r"(?<=\.)" if key else r"(?<![\w.])"
        found = re.search(rf"{before}{re.escape(word)}(?!\w)", text) if word else None
        if key and found is None:
            return self._at(line, word)
        column = found.start() + 1 if found else len(text) - len(text.lstrip()) + 1
        return Position(self._path, self._part.line + max(line, 1) - 1, column)

    @property
    def names(self) -> Iterator[str]:
        return (name for name, _ in self._uses)

    def require(self, available: Collection[str]) -> None:
        for name, line in self._uses:
            if name in self.needed and name not in available:
                raise self._missing(name, line, available)

    def place_of_turn(self, given: Collection[str]) -> str:
        """The variable that stands for a turn: ``turn``, or the only one that is not given."""
        if TURN in self.needed:
            return TURN
        open_ones = sorted(self.needed - set(given))
        if len(open_ones) == 1:
            return open_ones[0]
        what = (
            f"the case does not give {', '.join(map(repr, open_ones))}, and only one variable can"
            " stand for the turns of a conversation"
            if open_ones
            else "the prompt leaves no place for the turns of a conversation: it ends with a"
            " message of the user's that is complete without them"
        )
        raise PromptError(
            what,
            where=self._at(1),
            hint="write {{ turn }} where the user speaks, or end the prompt with another message",
        )

    def render(self, variables: Mapping[str, JSON], write: Any) -> str:
        # shared: the context's own merge of the same two looks up every global one by one
        context = self._template.new_context({**self._globals, **variables}, shared=True)
        pieces = []
        try:
            for piece in self._template.root_render_func(context):
                write(len(piece))
                pieces.append(piece)
        except MissingVariable as problem:
            line = self._line(problem)
            if problem.is_variable:
                raise self._missing(problem.name, line, variables) from None
            raise self._missing_key(problem, line) from None
        except OverBudget as problem:
            raise PromptError(
                f"the prompt does too much: {problem}",
                where=self._at(self._line(problem)),
                hint="shorten its loops or its texts",
            ) from None
        except SecurityError as problem:
            raise PromptError(
                f"not allowed in a prompt: {str(problem).rstrip('.')}",
                where=self._at(self._line(problem)),
                hint="use the case's variables, filters and loops; Python's inside is closed",
            ) from None
        except RecursionError as problem:
            raise PromptError(
                "a macro calls itself without end",
                where=self._at(self._line(problem)),
                hint="let it end at a condition, or write a loop",
            ) from None
        except (
            TemplateError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as problem:
            raise PromptError(
                f"the prompt cannot be rendered: {problem}", where=self._at(self._line(problem))
            ) from None
        return "".join(pieces)

    def _line(self, problem: BaseException) -> int:
        """The line of the template that was being rendered; 1 when the traceback does not say."""
        line, traceback = 1, problem.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_globals.get("__jinja_template__") is self._template:
                line = self._template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return line

    def _missing(self, name: str, line: int, available: Iterable[str]) -> PromptError:
        if name == "expected":
            hint = "the expected answer is never shown to the system under test"
        else:
            near = difflib.get_close_matches(name, available, n=1)
            names = ", ".join(sorted(available)) or "none"
            hint = f"did you mean {near[0]!r}?" if near else f"the case gives: {names}"
        return PromptError(
            f"the prompt needs the variable {name!r}, which the case does not give",
            where=self._at(line, name),
            hint=hint,
        )

    def _missing_key(self, problem: MissingVariable, line: int) -> PromptError:
        owner = problem.owner
        if isinstance(owner, Mapping):
            return PromptError(
                f"the value has no key {problem.name!r}",
                where=self._at(line, problem.name, key=True),
                hint=suggestion(problem.name, [str(one) for one in owner]),
            )
        kind = {"str": "text", "list": "list", "int": "number", "float": "number"}.get(
            type(owner).__name__, type(owner).__name__
        )
        return PromptError(
            f"a {kind} has no {problem.name!r}", where=self._at(line, problem.name, key=True)
        )


def _uses(tree: nodes.Template) -> list[tuple[str, int]]:
    """Every name that is read, with its line, in the order of the source."""
    found = [(one.name, one.lineno) for one in tree.find_all(nodes.Name) if one.ctx == "load"]
    return sorted(found, key=lambda one: one[1])


def _optional(tree: nodes.Template) -> frozenset[str]:
    """Names the template itself asks about before it uses them."""

    def guarded() -> Iterator[nodes.Node | None]:
        for test in tree.find_all(nodes.Test):
            if test.name in {"defined", "undefined"}:
                yield test.node
        for one in tree.find_all(nodes.Filter):
            if one.name in {"default", "d"}:
                yield one.node

    return frozenset(one.name for one in guarded() if isinstance(one, nodes.Name))


def _syntax(message: str) -> tuple[str, str]:
    """What Jinja found, and what to do about it."""
    what = message[:1].lower() + message[1:].rstrip(".")
    quoted = re.findall(r"'([^']*)'", message)
    if message.startswith("No filter named"):
        known = [one for one in _environment().filters if not one.startswith("_")]
        return f"unknown filter {quoted[0]!r}", suggestion(quoted[0], known)
    if message.startswith("No test named"):
        return f"unknown test {quoted[0]!r}", suggestion(quoted[0], _environment().tests)
    if "unknown tag" in message:
        known = ["if", "for", "set", "macro", "call", "filter", "raw"]
        return f"unknown tag {quoted[0]!r}", suggestion(quoted[0], known)
    if message.startswith("Unexpected end of template. Jinja was looking"):
        block = quoted[-1]
        return (
            f"the block {{% {block} %}} is not closed",
            f"write {{% end{block} %}} in the same message",
        )
    return what, "to write {{ or {% as text, put it between {% raw %} and {% endraw %}"
