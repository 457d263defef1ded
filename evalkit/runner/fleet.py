"""The targets of a run, built: options resolved, secrets known, prompts compiled, prices found.

Children of routes come first, so that a route is handed calls that are limited, retried and costed
like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalkit import registry
from evalkit.config.spec import Project, TargetSpec
from evalkit.errors import ConfigError, UnknownName
from evalkit.hashing import canonical, content_id
from evalkit.model import JSON, Case, Message, TargetVersion
from evalkit.registry import Kind, TargetPlugin
from evalkit.runner.budget import Bound
from evalkit.runner.cache import identity
from evalkit.runner.lane import Lane, Priced
from evalkit.runner.masked import masked
from evalkit.runner.recorded import recorded_answers, recorded_of
from evalkit.runner.rendering import Render
from evalkit.runner.window import Window, window_of
from evalkit.secrets import SHORTEST, register

if TYPE_CHECKING:
    from evalkit.config import Prompt
    from evalkit.store import Store

_SENT = ("tools", "response_format", "body")
"""Options that are sent along with every request, and read by the model."""
_OUTPUT_LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTarget:
    """A target that is used: what is stored of it, its prompt, and whom it asks.

    ``address`` is the URL of one that is reached over the network, where its options say it.
    ``window`` is all that its model sees of cases, of a replay what the model of that run saw;
    ``None`` where whole requests are sent.
    ``identity`` names what answers in the cache, ``None`` when answers cannot be kept. ``bound``
    is the most that a call can take; a ``free`` target calls nobody who could be paid.
    """

    spec: TargetSpec
    version: TargetVersion
    prompt: Prompt | None
    window: Window | None
    children: tuple[str, ...]
    identity: str | None
    bound: Bound
    free: bool
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Every target of a run by name, children before the routes that ask them."""

    targets: Mapping[str, PlannedTarget]
    lanes: Mapping[str, Lane]
    warnings: tuple[str, ...]

    def reached(self, names: Iterable[str]) -> tuple[str, ...]:
        """These targets and all that they ask, directly or not."""
        found: dict[str, None] = {}
        for name in names:
            found[name] = None
            found |= dict.fromkeys(self.reached(self.targets[name].children))
        return tuple(found)


def build_fleet(
    project: Project,
    names: Sequence[str],
    *,
    environ: Mapping[str, str],
    allow_code: bool,
    concurrency: int | None,
    store: Store | None,
    judging: bool = False,
) -> Fleet:
    """Build the named targets and those they ask.

    For ``judging`` none renders a prompt of its own.

    Raises ``ConfigError`` for a missing environment variable, for options a target refuses and for
    code that is not allowed; no connection is made.
    """
    builder = _Builder(project, environ, allow_code, concurrency, store, judging=judging)
    for name in names:
        builder.add(name, None)
    return Fleet(targets=builder.targets, lanes=builder.lanes, warnings=tuple(builder.warnings))


class _Builder:
    def __init__(
        self,
        project: Project,
        environ: Mapping[str, str],
        allow_code: bool,
        concurrency: int | None,
        store: Store | None,
        *,
        judging: bool,
    ):
        self._judging = judging
        self._project = project
        self._environ = environ
        self._allow_code = allow_code
        self._concurrency = concurrency
        self._store = store
        self._prompts: dict[Path, Prompt] = {}
        self._open: list[str] = []
        self.targets: dict[str, PlannedTarget] = {}
        self.lanes: dict[str, Lane] = {}
        self.warnings: list[str] = []

    def add(self, name: str, asked_by: TargetSpec | None) -> None:
        """Build one target after its children, unless it is there."""
        if name in self.targets:
            return
        where = None if asked_by is None else asked_by.where()
        if name in self._open:
            raise ConfigError(f"the route {name!r} leads back to itself", where=where)
        if name not in self._project.targets:
            raise UnknownName("target", name, self._project.targets, where=where)
        self._open.append(name)
        self._build(self._project.targets[name])
        self._open.pop()

    def _build(self, spec: TargetSpec) -> None:
        from evalkit.config import resolve_env
        from evalkit.targets import build_target

        plugin = registry.get(Kind.TARGET, spec.kind)
        assert isinstance(plugin, TargetPlugin)
        options, secrets = resolve_env(spec.options, self._environ, where=spec.where)
        stored, written = masked(spec.options)
        if written:
            self.warnings.append(
                f"target {spec.name!r}: a secret is written in {self._project.path.name};"
                " name an environment variable instead, as ${env:NAME}"
            )
        refused = register(secrets | written)
        if refused:
            self.warnings.append(
                f"target {spec.name!r}: {refused} of its environment variables is shorter than"
                f" {SHORTEST} characters and cannot be kept out of stored texts"
            )
        children = self._children(spec, plugin, options)
        for one in children:
            self.add(one, spec)
        if self._concurrency is not None:
            spec = replace(spec, limits=replace(spec.limits, concurrency=self._concurrency))
        prompt = None if spec.prompt is None or self._judging else self._prompt(spec.prompt)
        target = build_target(
            spec,
            options,
            root=self._project.root,
            allow_code=self._allow_code,
            children={one: self.lanes[one].child for one in children},
            records=recorded_answers(spec, self._store),
        )
        recorded = recorded_of(spec, self._store)
        if recorded is not None:
            # another run may be the latest by the time that this one is read
            stored["run"] = "/".join(recorded)
        model = _model(plugin, options)
        price = self._price(spec, plugin, options, model)
        self.targets[spec.name] = PlannedTarget(
            spec=spec,
            version=TargetVersion(
                name=spec.name,
                kind=plugin.name,
                content_hash=content_id(
                    {
                        "kind": plugin.name,
                        "version": plugin.version,
                        "options": dict(spec.options),
                        "prompt": None if prompt is None else prompt.version,
                        "children": [self.targets[one].version.content_hash for one in children],
                    }
                ),
                options=stored,
                model=model,
                prompt_version=None if prompt is None else prompt.version,
                price=None if price is None else price.to_json(),
            ),
            prompt=prompt,
            window=window_of(spec, prompt, self._store),
            children=children,
            identity=identity(plugin, options, spec.options),
            bound=Bound(
                output_tokens=_output_tokens(plugin, options),
                overhead=_overhead(options),
            ),
            free=bool(children) or not (plugin.network or plugin.code),
            address=address_of(plugin, options),
        )
        self.lanes[spec.name] = Lane(
            name=spec.name,
            target=target,
            limits=spec.limits,
            price=price,
            render=None if prompt is None else renderer(prompt),
            children={one: self.lanes[one] for one in children},
            adapts=plugin.network and spec.limits.adaptive,
            output_tokens=_output_tokens(plugin, options),
            calls_tools=calls_tools(
                plugin, options, (self.lanes[one].calls_tools for one in children)
            ),
        )

    def _children(
        self, spec: TargetSpec, plugin: TargetPlugin, options: Mapping[str, JSON]
    ) -> tuple[str, ...]:
        if plugin.children is None:
            return ()
        named = options.get(plugin.children)
        if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
            raise ConfigError(
                f"target {spec.name!r}: {plugin.children!r} must be a list of target names",
                where=spec.where(plugin.children),
            )
        return tuple(str(one) for one in named)

    def _prompt(self, path: Path) -> Prompt:
        from evalkit.config import load_prompt

        if path not in self._prompts:
            self._prompts[path] = load_prompt(path)
        return self._prompts[path]

    def _price(
        self,
        spec: TargetSpec,
        plugin: TargetPlugin,
        options: Mapping[str, JSON],
        model: str | None,
    ) -> Priced | None:
        from evalkit.targets._prices import EMBEDDED, price_for

        override = spec.price
        if override is None and model is not None:
            override = self._project.prices.get(model)
        embedded = plugin.takes_prompt and not plugin.network and not plugin.code
        if override is None and embedded:
            return price_for(model or spec.name, provider=EMBEDDED)
        if model is None:
            return None if override is None else price_for(spec.name, override=override)
        default = plugin.parameters.get("base_url")
        base_url = options.get("base_url", None if default is None else default.default)
        found = price_for(
            model,
            base_url=base_url if isinstance(base_url, str) else None,
            override=override,
        )
        if found is None:
            self.warnings.append(
                f"target {spec.name!r}: no price is known for model {model!r}, so its cost is"
                " unknown; give one under 'prices:' in evalkit.yaml"
            )
        return found


def calls_tools(
    plugin: TargetPlugin, options: Mapping[str, JSON], children: Iterable[bool]
) -> bool:
    """Whether answers may hold calls; a kind that is given its tools must have some.

    ``children`` say it of the targets that a route asks.
    """
    if plugin.children is not None:
        return any(children)
    if "tools" not in plugin.parameters:
        return plugin.calls_tools
    extra = options.get("extra_body")
    return bool(options.get("tools") or (isinstance(extra, Mapping) and extra.get("tools")))


def renderer(prompt: Prompt) -> Render:
    """Renders a prompt for a case: its inputs, and its context as ``context``."""
    return _Renderer(prompt)


class _Renderer:
    def __init__(self, prompt: Prompt):
        self._prompt = prompt

    def __call__(self, case: Case) -> tuple[Message, ...]:
        return self._prompt.render({**case.inputs, "context": list(case.context)})

    def turns(self, case: Case) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        said = [one.user for one in case.turns]
        return self._prompt.render_turns({**case.inputs, "context": list(case.context)}, said)


def address_of(plugin: TargetPlugin, options: Mapping[str, JSON]) -> str | None:
    """The URL that a target of the network asks, ``None`` for others and where it is not known."""
    for name in ("base_url", "url") if plugin.network else ():
        default = plugin.parameters.get(name)
        value: Any = options.get(name, None if default is None else default.default)
        if isinstance(value, str) and not _is_required(value):
            return value
    return None


def _model(plugin: TargetPlugin, options: Mapping[str, JSON]) -> str | None:
    default = plugin.parameters.get("model")
    model: Any = options.get("model", None if default is None else default.default)
    return model if isinstance(model, str) and not _is_required(model) else None


def _is_required(value: object) -> bool:
    return isinstance(value, registry.Required)


def _output_tokens(plugin: TargetPlugin, options: Mapping[str, JSON]) -> int | None:
    """How long an answer may be, when the options or the kind's defaults say so."""
    params = options.get("params")
    defaults = {name: one.default for name, one in plugin.parameters.items()}
    for given in (options, params if isinstance(params, dict) else {}, defaults):
        for name in _OUTPUT_LIMITS:
            value = given.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return value
    return None


def _overhead(options: Mapping[str, JSON]) -> int:
    """Bytes of what is sent along and read by the model: tools and schemas, no single numbers."""
    sent = [options[name] for name in _SENT if name in options]
    for name in ("params", "extra_body"):
        given = options.get(name)
        if isinstance(given, dict):
            sent += [one for one in given.values() if isinstance(one, dict | list)]
    return len(canonical(sent)) if sent else 0
