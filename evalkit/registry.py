"""The one extension mechanism: a decorated function or class, found by its file's name.

``evalkit/scorers/exact_match.py`` holds the scorer ``exact_match`` and is imported only when a
suite asks for it. Other packages add theirs through the entry-point groups ``evalkit.scorers``,
``evalkit.targets``, ``evalkit.datasets``, ``evalkit.renderers`` and ``evalkit.transforms``; a
project names its own Python files under ``plugins:`` in ``evalkit.yaml``. Keyword-only parameters
are the configuration schema.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from evalkit.cards import ScorerCard
from evalkit.errors import ConfigError, UnknownName
from evalkit.hashing import content_id
from evalkit.model import Direction, Metric, mean
from evalkit.own_code import load_module, plain_name

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Obj = TypeVar("Obj", bound=Callable[..., Any])


class Kind(StrEnum):
    """What can be extended."""

    SCORER = "scorer"
    TARGET = "target"
    DATASET = "dataset"
    RENDERER = "renderer"
    TRANSFORM = "transform"


_PACKAGES = {
    Kind.SCORER: "evalkit.scorers",
    Kind.TARGET: "evalkit.targets",
    Kind.DATASET: "evalkit.datasets",
    Kind.RENDERER: "evalkit.report.formats",
    Kind.TRANSFORM: "evalkit.datasets._transforms",
}
_MARK = "__evalkit_plugin__"


class Required(StrEnum):
    """The default of a parameter that has none."""

    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One configurable parameter: its name, resolved type and default."""

    name: str
    annotation: Any
    default: Any = Required.REQUIRED

    @property
    def required(self) -> bool:
        """Whether a configuration must give it."""
        return self.default is Required.REQUIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """One registered scorer, target, dataset reader or renderer."""

    kind: Kind
    name: str
    obj: Callable[..., Any]
    version: int = 1
    lib: str | None = None
    code: bool = False
    """Whether it runs code or programs that the configuration names."""

    @property
    def doc(self) -> str:
        """The whole docstring; a function without one falls back on its module's."""
        own = inspect.getdoc(self.obj)
        if own:
            return own
        module = sys.modules.get(self.obj.__module__)
        return inspect.cleandoc(module.__doc__) if module and module.__doc__ else ""

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """The keyword-only parameters, in the order they are written."""
        function = self.obj.__init__ if inspect.isclass(self.obj) else self.obj
        written = {name: one for name, one in function.__annotations__.items() if name != "return"}
        # only the parameters: what a plugin says it returns need not be importable
        hints = typing.get_type_hints(
            types.SimpleNamespace(__annotations__=written),
            globalns=function.__globals__,
            include_extras=True,
        )
        found = {}
        for one in inspect.signature(self.obj).parameters.values():
            if one.kind is inspect.Parameter.KEYWORD_ONLY:
                default = (
                    Required.REQUIRED if one.default is inspect.Parameter.empty else one.default
                )
                found[one.name] = Parameter(one.name, hints.get(one.name, Any), default)
        return found

    def signature(self, options: Mapping[str, Any]) -> str:
        """What made a score, as ``rouge_l|stemmer:no|lib:rouge-score 0.1.2|v:1``."""
        parts = [self.name]
        for name, parameter in self.parameters.items():
            parts.append(f"{name}:{_short(options.get(name, parameter.default))}")
        if self.lib is not None:
            from importlib import metadata

            parts.append(f"lib:{self.lib} {metadata.version(self.lib)}")
        parts.append(f"v:{self.version}")
        return "|".join(parts)


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    if len(text) > 40 or "|" in text or "\n" in text:
        return "#" + content_id(text)[:12]
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerPlugin(Plugin):
    """A scorer: what it needs of a case, what it aggregates to, and which way is better.

    ``examples`` are ``(output, expected, value)`` triples that the contract test runs; ``usage`` is
    what a suite writes when the bare name says too little. ``prepare``
    is called once with the options when a suite is bound: it raises ``ValueError`` for values that
    cannot work together, and returns what the signature must also say, such as sacrebleu's own.
    ``asks`` names the parameters that hold targets to ask, and ``calls`` says how often a trial
    asks one of them: a scorer with it takes a third argument, whom it may ask.
    ``card`` says what it costs, what was measured of it and what it cannot see. ``reference`` is
    the library whose values these are, as a plain scorer of the same parameters: it scores instead
    when a run asks for it. ``deadline_s`` bounds a scorer that is not evalkit's own.
    ``question`` is what people are asked whose answer the score estimates; yes is a pass.
    ``rubrics`` are the prompt files it brings along, for options that name none.
    """

    needs: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = (mean,)
    range: tuple[float, float] = (0.0, 1.0)
    direction: Direction = "higher"
    unit: str = ""
    examples: tuple[tuple[str, Any, float], ...] = ()
    batch: bool = False
    usage: str = ""
    prepare: Callable[[Mapping[str, Any]], str] | None = None
    card: ScorerCard = field(default_factory=ScorerCard)
    reference: Callable[..., Any] | None = None
    deadline_s: float | None = None
    asks: tuple[str, ...] = ()
    calls: Callable[[Mapping[str, Any]], float] | None = None
    question: str = ""
    rubrics: tuple[Path, ...] = ()

    @property
    def estimates(self) -> bool:
        """Whether it stands in for people's judgement, so that it needs their labels to be trusted.

        Judges and detectors do; whatever checks a fact does not.
        """
        detects = any(one.kind == "rate" and not one.counts for one in self.metrics)
        return bool(self.question) or detects

    def asked(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """The targets that the scorer asks with these options, in order."""
        found: list[str] = []
        for name in self.asks:
            given = options.get(name)
            found += [given] if isinstance(given, str) else list(given or ())
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlugin(Plugin):
    """A kind of target: ``children`` names the parameter that lists other targets, if it routes.

    ``needs_prompt`` says that a configuration must name a prompt: not so for kinds that take one
    but can also work from the case's inputs alone. ``cacheable`` says that the configuration tells
    what answers, as a model's name does: not so for code, or an application behind a URL, which
    change without a word. ``calls_tools`` is false for a kind whose answers never hold a tool call.
    """

    network: bool = False
    takes_prompt: bool = True
    needs_prompt: bool = True
    children: str | None = None
    cacheable: bool = False
    calls_tools: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetPlugin(Plugin):
    """A reader of rows from a file or a hub, chosen by ``suffixes`` or by name.

    ``counts`` says what the numbers it yields are: lines of a text file, or rows.
    """

    suffixes: tuple[str, ...] = ()
    counts: Literal["lines", "rows"] = "lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class RendererPlugin(Plugin):
    """A renderer of a report view into text."""

    suffix: str = ""


Stage: TypeAlias = Literal["words", "letters", "code", "frame", "wrap", "turns"]
"""What a transform works on, in the order in which several can follow each other."""
STAGES: tuple[Stage, ...] = typing.get_args(Stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformPlugin(Plugin):
    """A step that turns the text of an attack into another; ``repeats`` may follow itself."""

    stage: Stage
    repeats: bool = False


def _mark(obj: Obj, plugin: Plugin) -> Obj:
    setattr(obj, _MARK, plugin)
    return obj


def scorer(
    *,
    needs: Sequence[str] = (),
    metrics: Sequence[Metric] = (mean,),
    range: tuple[float, float] = (0.0, 1.0),
    direction: Direction = "higher",
    unit: str = "",
    examples: Sequence[tuple[str, Any, float]] = (),
    batch: bool = False,
    version: int = 1,
    lib: str | None = None,
    code: bool = False,
    usage: str = "",
    prepare: Callable[[Mapping[str, Any]], str] | None = None,
    card: ScorerCard | None = None,
    reference: Callable[..., Any] | None = None,
    deadline_s: float | None = None,
    question: str = "",
    asks: Sequence[str] = (),
    calls: Callable[[Mapping[str, Any]], float] | None = None,
    rubrics: Sequence[Path] = (),
) -> Callable[[Obj], Obj]:
    """Declare a scorer: ``(case, output, *, parameters) -> Score``, sync or async.

    With ``asks``, the parameters that name targets of the project, it is asynchronous and takes
    ``(case, output, panel, *, parameters)``; ``panel`` asks those targets.

    With ``batch`` it takes a sequence of ``(case, output)`` pairs and returns as many results, each
    a ``Score`` or an ``Unscorable``. ``needs`` names fields of the case that must be there
    (``expected``, ``context``, ``inputs.<name>``), or ``tools``, a need of the target: answers of
    one that cannot call any are unscored. Raise ``Unscorable`` where no number is honest.
    ``deadline_s`` is the time one answer may take, or one batch: 60 seconds unless you say more.
    After it the score is an error, and after three of them the scorer is asked no more.
    """

    def wrap(obj: Obj) -> Obj:
        return _mark(
            obj,
            ScorerPlugin(
                kind=Kind.SCORER,
                name=obj.__name__,
                obj=obj,
                needs=tuple(needs),
                metrics=tuple(metrics),
                range=range,
                direction=direction,
                unit=unit,
                examples=tuple(examples),
                batch=batch,
                version=version,
                lib=lib,
                code=code,
                usage=usage,
                prepare=prepare,
                card=card or ScorerCard(),
                reference=reference,
                deadline_s=deadline_s,
                rubrics=tuple(rubrics),
                question=question,
                asks=tuple(asks),
                calls=calls,
            ),
        )

    return wrap


def target(
    *,
    name: str | None = None,
    network: bool = False,
    takes_prompt: bool = True,
    needs_prompt: bool | None = None,
    children: str | None = None,
    cacheable: bool = False,
    calls_tools: bool = True,
    version: int = 1,
    code: bool = False,
) -> Callable[[Obj], Obj]:
    """Declare a kind of target: a class whose keyword-only parameters are its configuration.

    ``needs_prompt`` follows ``takes_prompt`` where the code is evalkit's own; code of the project
    may do without one. A ``cacheable`` kind that never sends the trial's own seed says so by an
    attribute ``takes_seed`` that is false; one that sends ``Request.schema`` along says so by an
    attribute ``takes_schema`` that is true. A static method ``load_ahead`` imports what the first
    call takes, in a thread and while the store is opened. A static method ``sent`` says of options
    which inputs of a case are sent, where that is not all.
    """

    def wrap(obj: Obj) -> Obj:
        return _mark(
            obj,
            TargetPlugin(
                kind=Kind.TARGET,
                name=name or plain_name(obj.__module__),
                obj=obj,
                network=network,
                takes_prompt=takes_prompt,
                needs_prompt=takes_prompt and not code if needs_prompt is None else needs_prompt,
                children=children,
                cacheable=cacheable,
                calls_tools=calls_tools,
                version=version,
                code=code,
            ),
        )

    return wrap


def dataset(
    *,
    suffixes: Sequence[str] = (),
    name: str | None = None,
    counts: Literal["lines", "rows"] = "lines",
    version: int = 1,
) -> Callable[[Obj], Obj]:
    """Declare a reader: ``(source, *, parameters)`` that yields ``(number, row)``.

    The number is the line a row starts on, or the row's own count where there are no lines. A row
    is a mapping of columns to JSON values, or the ``DatasetError`` that says why it is not one.
    """

    def wrap(obj: Obj) -> Obj:
        return _mark(
            obj,
            DatasetPlugin(
                kind=Kind.DATASET,
                name=name or obj.__name__,
                obj=obj,
                suffixes=tuple(suffixes),
                counts=counts,
                version=version,
            ),
        )

    return wrap


def renderer(*, suffix: str = "", name: str | None = None) -> Callable[[Obj], Obj]:
    """Declare a renderer: ``(view, *, parameters) -> str``."""

    def wrap(obj: Obj) -> Obj:
        return _mark(
            obj,
            RendererPlugin(kind=Kind.RENDERER, name=name or obj.__name__, obj=obj, suffix=suffix),
        )

    return wrap


def transform(
    *, stage: Stage, name: str | None = None, version: int = 1, repeats: bool = False
) -> Callable[[Obj], Obj]:
    """Declare a transform: ``(text, dice, *, parameters)`` that returns the attack's new text.

    It may also return a list of texts, the turns of a conversation, or a ``Changed``. ``dice`` is
    all the chance there is: the same case, seed and parameters give the same text for ever; raise
    ``version`` when they do not any more. ``words`` need plain text, ``letters`` change how it is
    written, ``code`` encodes it; then come ``frame``, ``wrap`` and ``turns``. Raise ``ValueError``
    for a text or a parameter it cannot work on.
    """

    def wrap(obj: Obj) -> Obj:
        return _mark(
            obj,
            TransformPlugin(
                kind=Kind.TRANSFORM,
                name=name or obj.__name__,
                obj=obj,
                version=version,
                stage=stage,
                repeats=repeats,
            ),
        )

    return wrap


@dataclass(slots=True)
class _Local:
    """Plugins of the project's own files, by kind and name."""

    found: dict[tuple[Kind, str], Plugin] = field(default_factory=dict)


_local = _Local()


@cache
def _builtin_names(kind: Kind) -> tuple[str, ...]:
    try:
        package = importlib.import_module(_PACKAGES[kind])
    except ModuleNotFoundError:
        return ()
    modules = pkgutil.iter_modules(package.__path__)
    return tuple(one.name for one in modules if not one.name.startswith("_"))


def _entry_points(kind: Kind) -> dict[str, EntryPoint]:
    from importlib import metadata

    return {one.name: one for one in metadata.entry_points(group=f"evalkit.{kind}s")}


def names(kind: Kind) -> list[str]:
    """Every known name of a kind, sorted; nothing is imported to answer."""
    local = [name for one, name in _local.found if one is kind]
    return sorted({*_builtin_names(kind), *_entry_points(kind), *local})


def get(kind: Kind, name: str) -> Plugin:
    """The plugin of that name; ``builtin:`` in front means the one shipped with evalkit.

    Raises ``UnknownName`` with the nearest known name.
    """
    builtin_only = name.startswith("builtin:")
    bare = name.removeprefix("builtin:")
    if not builtin_only and (kind, bare) in _local.found:
        return _local.found[kind, bare]
    if bare.isidentifier() and not bare.startswith("_") and bare in _builtin_names(kind):
        module = importlib.import_module(f"{_PACKAGES[kind]}.{bare}")
        found = _marked(module, kind)
        if bare in found:
            return found[bare]
    if not builtin_only:
        entry = _entry_points(kind).get(bare)
        if entry is not None:
            loaded = getattr(entry.load(), _MARK, None)
            if isinstance(loaded, Plugin) and loaded.kind is kind:
                return loaded
            raise ConfigError(
                f"entry point {entry.value!r} is not a {kind}",
                hint=f"decorate it with @evalkit.{kind}(...)",
            )
    raise UnknownName(str(kind), name, names(kind))


def _marked(module: object, kind: Kind) -> dict[str, Plugin]:
    plugins = (getattr(one, _MARK, None) for one in vars(module).values())
    return {one.name: one for one in plugins if isinstance(one, Plugin) and one.kind is kind}


def load_file(path: Path) -> list[Plugin]:
    """Run a project's Python file and register every plugin decorated in it.

    The caller has asked the user: this runs code. Raises ``ConfigError`` when there is none.
    """
    if not path.is_file():
        raise ConfigError(f"no Python file {str(path)!r}", hint="check the path under 'plugins:'")
    module = load_module(path, "plugin")
    found = [one for kind in Kind for one in _marked(module, kind).values()]
    if not found:
        raise ConfigError(
            "the file declares no scorer, target, dataset, renderer or transform",
            where=path,
            hint="decorate a function with @evalkit.scorer(...)",
        )
    for one in found:
        _local.found[one.kind, one.name] = one
    return found
