"""Jinja2 for prompts: strict, sandboxed, and bounded in time, steps and size.

Jinja's own sandbox keeps a template away from Python, but stops neither loops nor huge values. Here
everything that repeats or grows goes through a hook: loops, calls, filters, operators, ``~``, list
and dict literals, and every ``{{ }}``. A hook takes from the budget of its render, and methods and
filters whose result can be far larger than what they are given are bounded or not there at all.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinMethodType, MethodType
from typing import Any, TypeVar

from jinja2 import StrictUndefined, Undefined, UndefinedError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.nodes import Template as Tree
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace
from jinja2.visitor import NodeTransformer

MAX_STEPS = 1_000_000
MAX_CHARACTERS = 8_000_000
MAX_CPU_S = 2.0
MAX_RANGE = 100_000
MAX_WIDTH = 1_000

Hooked = TypeVar("Hooked", bound=Callable[..., Any])


class OverBudget(Exception):
    """A render did more than a prompt may; the text says what."""


class MissingVariable(UndefinedError):
    """A template used something that is not there: a variable, or a key of a value."""

    def __init__(self, message: str, name: str, owner: object):
        super().__init__(message)
        self.name = name
        self.owner = owner

    @property
    def is_variable(self) -> bool:
        """Whether it is a variable of the prompt, not a key of some value."""
        return self.owner is _NO_OWNER


_NO_OWNER = StrictUndefined()._undefined_obj


class _Undefined(StrictUndefined):
    """Undefined is an error that carries the name."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = _NO_OWNER,
        name: str | None = None,
        exc: Any = UndefinedError,
    ):
        def missing(message: str) -> Exception:
            return MissingVariable(message, str(name), obj)

        # the sandbox passes its own SecurityError; only a plain undefined gets the name
        super().__init__(hint, obj, name, missing if exc is UndefinedError else exc)  # type: ignore[arg-type]


class Budget:
    """What one render may still use; taken by every hook."""

    __slots__ = ("_look", "_used", "characters", "steps")

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.characters = MAX_CHARACTERS
        now = time.perf_counter()
        self._used = _current.used_by(now)
        self._look = now + MAX_CPU_S

    def step(self) -> None:
        """Take one step; the clock is read on each, for a step may touch megabytes."""
        self.steps -= 1
        if self.steps < 0:
            raise OverBudget(f"it takes more than {MAX_STEPS:,} steps")
        if time.perf_counter() > self._look:
            self._check_time()

    def _check_time(self) -> None:
        """The time of this thread decides, not a busy or sleeping machine's."""
        used = time.thread_time() - self._used
        if used > MAX_CPU_S:
            raise OverBudget(f"it takes more than {MAX_CPU_S:g} seconds")
        self._look = time.perf_counter() + MAX_CPU_S - used

    def write(self, count: int) -> None:
        """Take the characters of one written piece."""
        self.characters -= count
        if self.characters < 0:
            raise OverBudget(f"it writes more than {MAX_CHARACTERS:,} characters")


class _Current(threading.local):
    budget: Budget | None = None
    _used = 0.0
    _read = -math.inf

    def used_by(self, now: float) -> float:
        """The CPU time this thread had used, or up to a twentieth of the limit more than that.

        Reading it is a call of the system, dearer than rendering a short prompt; since the last
        reading no more CPU than wall time can have passed.
        """
        if now - self._read > MAX_CPU_S / 20:
            self._used, self._read = time.thread_time(), now
        return self._used + (now - self._read)


_current = _Current()


class Rendering:
    """A block in which templates render or compile on one budget."""

    __slots__ = ("_before", "budget")

    def __enter__(self) -> Budget:
        self._before = _current.budget
        self.budget = _current.budget = Budget()
        return self.budget

    def __exit__(self, *exc: object) -> None:
        _current.budget = self._before


def _budget() -> Budget:
    budget = _current.budget
    if budget is None:
        raise SecurityError("templates run only inside Rendering")
    return budget


def _sized(value: Any) -> Any:
    """The value, if it is not too large to be written out, counting everything inside it."""
    if isinstance(value, str):
        if len(value) > MAX_CHARACTERS:
            raise OverBudget(f"it builds a text of more than {MAX_CHARACTERS:,} characters")
        return value
    if not isinstance(value, list | tuple | dict | set | frozenset):
        return value
    left = MAX_CHARACTERS
    waiting: list[Any] = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            left -= len(one)
        elif isinstance(one, Mapping):
            waiting.extend(one.keys())
            waiting.extend(one.values())
            left -= len(one)
        elif isinstance(one, list | tuple | set | frozenset):
            waiting.extend(one)
            left -= len(one)
        if left < 0:
            raise OverBudget(f"it builds a value of more than {MAX_CHARACTERS:,} characters")
    return value


def _hook(function: Hooked) -> Hooked:
    """A filter put in by the compiler; taking the context keeps Jinja from folding it away."""
    return pass_context(function)


@_hook
def _each(_: Context, iterable: Iterable[Any]) -> Iterator[Any]:
    budget = _budget()
    for one in iterable:
        budget.step()
        yield one


@_hook
def _literal(_: Context, value: Any) -> Any:
    _budget().step()
    return _sized(value)


@_hook
def _joined(_: Context, pieces: tuple[Any, ...]) -> str:
    _budget().step()
    texts = [str(_sized(one)) for one in pieces]
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise OverBudget(f"it builds a text of more than {MAX_CHARACTERS:,} characters")
    return "".join(texts)


@_hook
def _written(_: Context, text: str) -> str:
    return text


@pass_context
def _finalize(_: Context, value: Any) -> Any:
    """Every ``{{ }}`` comes through here before it is turned into text."""
    if type(value) is not str:
        value = str(_sized(value))
    _budget().write(len(value))
    return value


class _Hooks(NodeTransformer):
    """Puts the hooks into a template's syntax tree, and refuses what needs other files."""

    def __init__(self) -> None:
        self._buffered = 0

    def _refuse(self, node: nodes.Node) -> nodes.Node:
        word = type(node).__name__.lower().replace("fromimport", "from ... import")
        raise ForbiddenTag(word, node.lineno)

    visit_Include = visit_Import = visit_FromImport = visit_Extends = visit_Block = _refuse  # noqa: N815 - the visitor's names

    def _buffer(self, node: nodes.Node) -> nodes.Node:
        self._buffered += 1
        visited: nodes.Node = self.generic_visit(node)
        self._buffered -= 1
        return visited

    visit_Macro = visit_CallBlock = visit_FilterBlock = visit_AssignBlock = _buffer  # noqa: N815 - the visitor's names

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - the visitor's name
        self.generic_visit(node)
        node.iter = _filtered("_each", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - the visitor's name
        self.generic_visit(node)
        pieces = nodes.Tuple(node.nodes, "load", lineno=node.lineno)
        return _filtered("_joined", pieces)

    def _build(self, node: Any) -> nodes.Node:
        self.generic_visit(node)
        is_target = getattr(node, "ctx", "load") != "load"
        built: nodes.Node = node if is_target else _filtered("_literal", node)
        return built

    visit_List = visit_Tuple = visit_Dict = _build  # noqa: N815 - the visitor's names

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802 - the visitor's name
        self.generic_visit(node)
        if self._buffered:
            # text outside of {{ }} that is kept, not sent on, must count as well
            node.nodes = [_as_written(one) for one in node.nodes]
        return node


class ForbiddenTag(Exception):
    """A tag that reads another template."""

    def __init__(self, word: str, line: int):
        super().__init__(word)
        self.word = word
        self.line = line


def _as_written(node: nodes.Expr) -> nodes.Expr:
    if not isinstance(node, nodes.TemplateData):
        return node
    return _filtered("_written", nodes.Const(node.data, lineno=node.lineno))


def _filtered(name: str, node: Any) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


_TEXT_METHODS = frozenset(
    {
        "capitalize",
        "casefold",
        "count",
        "endswith",
        "find",
        "index",
        "isalnum",
        "isalpha",
        "isdecimal",
        "isdigit",
        "islower",
        "isnumeric",
        "isspace",
        "istitle",
        "isupper",
        "join",
        "lower",
        "lstrip",
        "partition",
        "removeprefix",
        "removesuffix",
        "replace",
        "rfind",
        "rindex",
        "rpartition",
        "rsplit",
        "rstrip",
        "split",
        "splitlines",
        "startswith",
        "strip",
        "swapcase",
        "title",
        "upper",
    }
)
_METHODS: Mapping[type, frozenset[str]] = {
    str: _TEXT_METHODS,
    list: frozenset({"count", "index"}),
    tuple: frozenset({"count", "index"}),
    dict: frozenset({"get", "items", "keys", "values"}),
    float: frozenset({"is_integer"}),
}
_FILTERS = frozenset(
    {
        "abs",
        "batch",
        "capitalize",
        "center",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "first",
        "float",
        "groupby",
        "indent",
        "int",
        "items",
        "join",
        "last",
        "length",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "select",
        "selectattr",
        "slice",
        "sort",
        "string",
        "sum",
        "title",
        "tojson",
        "trim",
        "truncate",
        "unique",
        "upper",
        "urlencode",
        "wordcount",
    }
)
_MAKERS = (dict, Namespace, Cycler, Joiner)
_REPEATED = frozenset({"center", "indent", "batch", "slice", "tojson", "round"})
"""Filters whose numbers say how much they write."""


def _bounded_replace(text: str, old: str, new: str) -> None:
    times = text.count(old) if old else len(text) + 1
    if len(text) + times * len(new) > MAX_CHARACTERS:
        raise OverBudget(f"it builds a text of more than {MAX_CHARACTERS:,} characters")


def _range(*limits: int) -> range:
    """``range`` of at most 100,000 numbers."""
    numbers = range(*limits)
    if len(numbers) > MAX_RANGE:
        raise OverBudget(f"range() gives more than {MAX_RANGE:,} numbers")
    return numbers


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all prompts: no loader, nothing undefined, nothing unbounded."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(self) -> None:
        super().__init__(
            loader=None,
            undefined=_Undefined,
            autoescape=False,
            keep_trailing_newline=True,
            finalize=_finalize,
            cache_size=0,
        )
        self.globals.clear()
        self.globals.update(
            range=_range, dict=dict, namespace=Namespace, cycler=Cycler, joiner=Joiner
        )
        self.filters["tojson"] = _tojson
        self.filters = {name: _counted(name, self.filters[name]) for name in _FILTERS}
        self.filters.update(_each=_each, _literal=_literal, _joined=_joined, _written=_written)

    def hooked(self, source: str) -> Tree:
        """Parse a template and put the hooks in."""
        tree = self.parse(source)
        visited: Tree = _Hooks().visit(tree)
        return visited

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An arithmetic operator; refused when its result would be huge."""
        _budget().step()
        if operator == "*":
            left_count, right_count = _repeats(left), _repeats(right)
            if left_count is not None and isinstance(right, int):
                _grows(left_count * max(right, 0))
            elif right_count is not None and isinstance(left, int):
                _grows(right_count * max(left, 0))
            elif isinstance(left, int) and isinstance(right, int):
                _grows_digits(left.bit_length() + right.bit_length())
        elif operator == "**":
            if isinstance(left, int) and isinstance(right, int) and right > 0:
                _grows_digits(left.bit_length() * right)
        elif operator == "%" and isinstance(left, str):
            raise SecurityError("'%' does not format text in a prompt; use ~ to join texts")
        elif operator == "+":
            left_count, right_count = _repeats(left), _repeats(right)
            if left_count is not None and right_count is not None:
                _grows(left_count + right_count)
        return _sized(super().call_binop(context, operator, left, right))

    def call(self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """A call; only macros, loops, the prompt's own functions and harmless methods."""
        _budget().step()
        if __obj is _range or isinstance(__obj, Undefined | Macro):
            return super().call(__context, __obj, *args, **kwargs)
        if isinstance(__obj, LoopContext):
            counted = (_each(__context, one) for one in args)
            return super().call(__context, __obj, *counted, **kwargs)
        if isinstance(__obj, MethodType) and isinstance(
            __obj.__self__, LoopContext | Cycler | Joiner
        ):
            return super().call(__context, __obj, *args, **kwargs)
        if isinstance(__obj, Cycler | Joiner) or any(__obj is one for one in _MAKERS):
            return _sized(super().call(__context, __obj, *args, **kwargs))
        if isinstance(__obj, BuiltinMethodType):
            owner, name = __obj.__self__, __obj.__name__
            if name in _METHODS.get(type(owner), ()):
                if name == "replace" and len(args) >= 2:
                    _bounded_replace(str(owner), str(args[0]), str(args[1]))
                if name == "join" and args:
                    pieces = list(_each(__context, args[0]))
                    _grows(len(str(owner)) * len(pieces) + sum(len(str(one)) for one in pieces))
                    args = (pieces,)
                return _sized(super().call(__context, __obj, *args, **kwargs))
            raise SecurityError(f"the method {name!r} is not available in a prompt")
        name = getattr(__obj, "__name__", type(__obj).__name__)
        raise SecurityError(f"{name!r} cannot be called in a prompt")


def _repeats(value: Any) -> int | None:
    """How much one copy of a text, list or tuple takes; ``None`` for what does not repeat."""
    return max(len(value), 1) if isinstance(value, str | list | tuple) else None


def _grows(count: int) -> None:
    if count > MAX_CHARACTERS:
        raise OverBudget(f"it builds a value of more than {MAX_CHARACTERS:,} characters")


def _grows_digits(bits: int) -> None:
    if bits > 4096:
        raise OverBudget("it computes a number of more than 4,096 bits")


def _tojson(value: Any, indent: int | None = None) -> str:
    """JSON as it is, without the escapes that only HTML needs."""
    return json.dumps(_sized(value), ensure_ascii=False, indent=indent)


def _counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that takes a step, with its widths and its result bounded."""

    def filtered(*args: Any, **kwargs: Any) -> Any:
        _budget().step()
        if name in _REPEATED:
            numbers = (one for one in (*args[1:], *kwargs.values()) if isinstance(one, int))
            if any(abs(one) > MAX_WIDTH for one in numbers):
                raise OverBudget(f"{name!r} is given a number above {MAX_WIDTH:,}")
        texts = [one for one in args if isinstance(one, str)]
        if name == "replace" and len(texts) >= 3:
            _bounded_replace(*texts[:3])
        if name == "indent" and texts:
            width = next((one for one in (*args[1:], *kwargs.values()) if _is_width(one)), 4)
            per_line = len(width) if isinstance(width, str) else width
            _grows(len(texts[0]) + (texts[0].count("\n") + 1) * per_line)
        if name == "sum" and not all(
            isinstance(one, int | float | str) for one in (*args[2:], *kwargs.values())
        ):
            raise SecurityError("sum adds numbers only")
        if name == "join":
            return _bounded_join(function, args, kwargs)
        return _sized(function(*args, **kwargs))

    # Jinja reads from the function whether it wants the environment or the context first.
    for one in ("jinja_pass_arg", "jinja_async_variant"):
        if hasattr(function, one):
            setattr(filtered, one, getattr(function, one))
    return filtered


def _is_width(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _bounded_join(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Any) -> Any:
    context, items, *rest = args
    items = list(items)
    separator = str(rest[0] if rest else kwargs.get("d", ""))
    _sized(items)
    _grows(len(separator) * len(items))
    return _sized(function(context, items, *rest, **kwargs))
