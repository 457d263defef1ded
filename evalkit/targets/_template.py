"""A JSON value whose texts are templates: Jinja2 in a sandbox, without loops, calls or products.

What is left cannot run long or grow: variables, fields, indices, conditions, joining with ``~``
and a few filters. A text that is one expression and nothing else keeps the type of its value, so
``"{{ messages }}"`` becomes a list and ``"{{ seed }}"`` a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from evalkit.errors import ConfigError, ErrorClass, TargetError, suggestion

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment

_ALONE = re.compile(r"\{\{[-+]?(.*?)[-+]?\}\}", re.DOTALL)
Render = Callable[[Mapping[str, Any]], Any]

VARIABLES = frozenset({"inputs", "messages", "context", "prompt", "trial", "seed"})
_FILTERS = frozenset(
    """count d default first float int join last length list lower string tojson trim truncate
    upper""".split()  # noqa: SIM905 - words read better than a list of them
)
_NODES = frozenset(
    """Template Output TemplateData Name Const Getattr Getitem Slice Filter Test If CondExpr Compare
    Operand And Or Not Neg Add Sub Concat List Tuple Dict Pair Keyword""".split()  # noqa: SIM905 - the same
)


class Template:
    """A value of templates; ``uses`` names the variables that any of them reads.

    ``fields`` are the fields of ``inputs`` that are read, ``None`` where all of it is.

    Raises ``ConfigError`` for what a template must not hold and for unknown variables.
    """

    def __init__(self, option: str, value: Any):
        self.uses: frozenset[str] = frozenset()
        self.fields: frozenset[str] | None = frozenset()
        self._option = option
        self._render = self._compiled(option, value, _environment())

    def render(self, variables: Mapping[str, Any]) -> Any:
        """The value with every template filled in; ``TargetError`` of class prompt if one fails."""
        from jinja2 import TemplateError

        try:
            return self._render(variables)
        except TemplateError as error:
            raise TargetError(ErrorClass.PROMPT, f"{self._option}: {error.message}") from None
        except (TypeError, ValueError) as error:
            raise TargetError(ErrorClass.PROMPT, f"{self._option}: {error}") from None

    def _compiled(self, where: str, value: Any, environment: SandboxedEnvironment) -> Render:
        if isinstance(value, str):
            if "{{" in value or "{%" in value or "{#" in value:
                return self._leaf(where, value, environment)
            return lambda _: value
        if isinstance(value, Mapping):
            fields = {
                str(key): self._compiled(f"{where}.{key}", one, environment)
                for key, one in value.items()
            }
            return lambda known: {key: render(known) for key, render in fields.items()}
        if isinstance(value, list | tuple):
            items = [
                self._compiled(f"{where}[{number}]", one, environment)
                for number, one in enumerate(value)
            ]
            return lambda known: [render(known) for render in items]
        return lambda _: value

    def _leaf(self, where: str, source: str, environment: SandboxedEnvironment) -> Render:
        from jinja2 import TemplateSyntaxError, Undefined, meta, nodes

        try:
            tree = environment.parse(source)
            _check(where, tree)
        except TemplateSyntaxError as error:
            raise ConfigError(f"{where}: {error.message}", hint="it is a Jinja2 template") from None
        used = meta.find_undeclared_variables(tree)
        for name in sorted(used - VARIABLES):
            hint = (
                "what a case expects is never sent to a target"
                if name == "expected"
                else suggestion(name, VARIABLES)
            )
            raise ConfigError(f"{where}: unknown variable {name!r}", hint=hint)
        self.uses |= used
        read = _fields(tree)
        self.fields = None if self.fields is None or read is None else self.fields | read
        inner = _ALONE.fullmatch(source)
        output = tree.body[0]
        if (
            inner is None
            or len(tree.body) != 1
            or not isinstance(output, nodes.Output)
            or len(output.nodes) != 1
        ):
            return environment.from_string(source).render
        expression = environment.compile_expression(inner[1], undefined_to_none=False)

        def evaluate(known: Mapping[str, Any]) -> Any:
            value = expression(known)
            # An undefined result raises the moment it is made a text.
            return str(value) if isinstance(value, Undefined) else value

        return evaluate


def _fields(tree: nodes.Template) -> frozenset[str] | None:
    """The fields of ``inputs`` that a template reads; ``None`` for all of it, or one by a name."""
    from jinja2 import nodes

    read = [(one.node, one.attr) for one in tree.find_all(nodes.Getattr)]
    read += [
        (one.node, one.arg.value)
        for one in tree.find_all(nodes.Getitem)
        if isinstance(one.arg, nodes.Const) and isinstance(one.arg.value, str)
    ]
    found = [name for of, name in read if isinstance(of, nodes.Name) and of.name == "inputs"]
    whole = sum(one.name == "inputs" for one in tree.find_all(nodes.Name))
    return frozenset(found) if len(found) == whole else None


def _check(where: str, tree: nodes.Template) -> None:
    from jinja2 import nodes

    for one in tree.find_all(nodes.Node):
        kind = type(one).__name__
        if kind not in _NODES:
            raise ConfigError(
                f"{where}: line {one.lineno}: {kind.lower()!r} is not allowed in this template",
                hint="it may use variables, fields, if, ~ and a few filters; no loops or calls",
            )
        if isinstance(one, nodes.Filter) and one.name not in _FILTERS:
            raise ConfigError(
                f"{where}: line {one.lineno}: the filter {one.name!r} is not allowed here",
                hint=suggestion(one.name, _FILTERS),
            )


def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        """Fields are keys: values here are JSON, and Python's own attributes are out of reach."""

        def getattr(self, obj: Any, attribute: str) -> Any:
            return self.getitem(obj, attribute)

        def getitem(self, obj: Any, argument: Any) -> Any:
            try:
                return obj[argument]
            except (LookupError, TypeError):
                known = (
                    f"; known: {', '.join(map(str, obj))}"[:200] if isinstance(obj, Mapping) else ""
                )
                return self.undefined(f"there is no {argument!r}{known}", obj=obj, name=argument)

    # The result is JSON, not HTML: json.dumps quotes it.
    return Environment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)
