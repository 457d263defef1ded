"""What of a case a target's model can see: of a target as configured, and as a run stored it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from evalkit import registry
from evalkit.config.spec import TargetSpec
from evalkit.errors import UnknownName
from evalkit.model import JSON, Run
from evalkit.registry import Kind, TargetPlugin
from evalkit.runner.recorded import recorded_of

if TYPE_CHECKING:
    from evalkit.config import Prompt
    from evalkit.store import Store

Sent: TypeAlias = Callable[[Mapping[str, JSON]], tuple[bool, frozenset[str]] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What of a case a target's model can see: what a ``prompt`` shows, and what is sent beside."""

    prompt: Prompt | None
    beside: frozenset[str] = frozenset()

    def shows(self, name: str) -> bool:
        """Whether the model sees an input of that name, or the passages."""
        return name in self.beside or (self.prompt is not None and name in self.prompt.names)

    @property
    def place(self) -> str:
        """Where a template would have to be written for more to be seen."""
        return "body" if self.beside or self.prompt is None else "prompt"

    def template(self, name: str) -> str:
        """What stands for an input there."""
        return name if self.place == "prompt" or name == "context" else f"inputs.{name}"


def window_of(spec: TargetSpec, prompt: Prompt | None, store: Store | None) -> Window | None:
    """All that a target's model sees of cases, of a replayed run what the model of that run saw.

    ``None`` where whole requests are sent. Of a route that is replayed nothing is known but what
    all of its targets have in common. Raises as ``recorded_of`` does.
    """
    recorded = recorded_of(spec, store)
    if recorded is not None:
        assert store is not None
        return window_then(store.load_run(recorded.run_id), recorded.target, store)
    plugin = plugin_of(spec.kind)
    if plugin is None:
        return None
    if plugin.needs_prompt:
        return None if prompt is None else Window(prompt=prompt)
    sent: Sent | None = getattr(plugin.obj, "sent", None)
    found = None if sent is None else sent(spec.options)
    return None if found is None else Window(prompt=prompt if found[0] else None, beside=found[1])


def window_then(run: Run, target: str, store: Store) -> Window | None:
    """The window that a target of a stored run had."""
    from evalkit.config.prompt import parse_prompt

    one = next((one for one in run.targets if one.name == target), None)
    if one is None:
        return None
    children = children_then(run).get(target, ())
    if children:
        windows = [window_then(run, child, store) for child in children]
        return windows[0] if all(other == windows[0] for other in windows) else None
    kept = next((text for text in run.prompts if text.version == one.prompt_version), None)
    return window_of(
        TargetSpec(name=one.name, kind=one.kind, options=one.options),
        None if kept is None else parse_prompt(kept.text, Path(kept.path)),
        store,
    )


def children_then(run: Run) -> dict[str, tuple[str, ...]]:
    """The targets of a stored run that asked others, with those."""
    found = {}
    for one in run.targets:
        plugin = plugin_of(one.kind)
        if plugin is None or plugin.children is None:
            continue
        asked = one.options.get(plugin.children)
        found[one.name] = tuple(map(str, asked)) if isinstance(asked, list) else ()
    return found


def plugin_of(kind: str) -> TargetPlugin | None:
    """The kind of target, ``None`` if it is not there any more."""
    try:
        plugin = registry.get(Kind.TARGET, kind)
    except UnknownName:
        return None
    assert isinstance(plugin, TargetPlugin)
    return plugin
