"""Chains of transforms as they are typed: read, checked for their order, and applied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from evalkit import registry
from evalkit.config.options import options_model
from evalkit.datasets._dice import Changed, Dice
from evalkit.errors import EvalkitError, UnknownName, UsageError, suggestion
from evalkit.registry import STAGES, Kind, TransformPlugin

_PLAIN = ("words", "letters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One transform with its parameters, as ``wrap:email,lang=de`` writes it."""

    written: str
    plugin: TransformPlugin
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Transforms in the order they are applied; ``written`` is what cases are tagged with."""

    steps: tuple[Step, ...]

    @property
    def written(self) -> str:
        """The chain as it can be typed again."""
        return "+".join(one.written for one in self.steps)

    @property
    def versions(self) -> list[str]:
        """What made a text: every transform with its version."""
        return [f"{one.plugin.name} v{one.plugin.version}" for one in self.steps]

    def apply(self, text: str, *, case: str, seed: int) -> Changed:
        """The text after every step; ``seed`` and ``case`` alone decide what chance does.

        Raises ``ValueError`` naming the step that cannot work on it.
        """
        tags: dict[str, str] = {}
        turns: tuple[str, ...] = ()
        for place, one in enumerate(self.steps):
            dice = Dice(seed, case, place, one.plugin.name)
            try:
                made = one.plugin.obj(text, dice, **one.options)
            except ValueError as error:
                raise ValueError(f"{one.plugin.name}: {error}") from None
            if isinstance(made, Changed):
                tags |= made.tags
                text, turns = made.text, made.turns
            elif isinstance(made, str):
                text = made
            else:
                turns = tuple(made)
        if not turns and not text.strip():
            raise ValueError("nothing is left of it")
        return Changed(text=text, turns=turns, tags=tags)


def transform_plugin(name: str) -> TransformPlugin:
    """The transform of a name, with ``-`` for ``_``; raises ``UnknownName``."""
    plugin = registry.get(Kind.TRANSFORM, name.replace("-", "_"))
    assert isinstance(plugin, TransformPlugin)
    return plugin


def read_chain(text: str) -> Chain:
    """A chain as ``rot13+wrap:email``; raises ``UsageError`` for what is unknown or out of order.

    What stands behind ``:`` are a transform's parameters, as ``wrap:place=email,lang=de``; the
    first may be written without its name.
    """
    chain = Chain(steps=tuple(_step(one.strip(), text) for one in text.split("+")))
    _check_order(chain)
    return chain


def _step(written: str, chain: str) -> Step:
    name, colon, rest = written.partition(":")
    if not name or (colon and not rest):
        raise UsageError(
            f"--with {chain!r} has an empty step",
            hint="join the names of transforms with '+', as in rot13+wrap:email",
        )
    try:
        plugin = transform_plugin(name)
    except UnknownName as error:
        known = registry.names(Kind.TRANSFORM)
        raise UsageError(
            f"unknown transform {name!r} in --with {chain!r}",
            hint=f"{suggestion(error.name, known)}; all: evalkit attack transforms",
        ) from None
    given = _given(plugin, rest, chain) if rest else {}
    shown = plugin.name + (f":{rest}" if rest else "")
    return Step(written=shown, plugin=plugin, options=_checked(plugin, given, chain))


def _given(plugin: TransformPlugin, rest: str, chain: str) -> dict[str, str]:
    names = list(plugin.parameters)
    found: dict[str, str] = {}
    for place, part in enumerate(rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals and place == 0 and names:
            key, value = names[0], part
        if key not in names:
            raise UsageError(
                f"{plugin.name} in --with {chain!r} has no parameter {key!r}",
                hint=suggestion(key, names) if names else "it takes none",
            )
        if key in found:
            raise UsageError(f"{plugin.name} in --with {chain!r} has {key!r} twice")
        found[key] = value
    return found


def _checked(plugin: TransformPlugin, given: Mapping[str, str], chain: str) -> dict[str, Any]:
    from pydantic import ValidationError

    model = options_model(plugin)
    try:
        checked = model.model_validate_strings(dict(given), strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "missing":
            raise UsageError(
                f"{plugin.name} in --with {chain!r} needs {key!r}",
                hint=f"as in {plugin.name}:{key}=...",
            ) from None
        expected = first.get("ctx", {}).get("expected")
        kind = next((one for one in ("number", "integer", "boolean") if one in first["msg"]), "")
        wanted = f"must be {expected}" if expected else f"must be a {kind or 'right value'}"
        raise UsageError(
            f"{key} of {plugin.name} in --with {chain!r} {wanted}, not {given.get(key)!r}",
            hint=f"see 'evalkit attack transforms {plugin.name}'",
        ) from None
    fields = type(checked).model_fields
    return {one.alias or name: getattr(checked, name) for name, one in fields.items()}


def _check_order(chain: Chain) -> None:
    """Refuse an order in which a step works on what an earlier one left no text in."""
    steps = chain.steps
    ordered = sorted(steps, key=lambda one: STAGES.index(one.plugin.stage))
    works = "+".join(one.written for one in ordered)
    for before, after in pairwise(steps):
        if STAGES.index(after.plugin.stage) >= STAGES.index(before.plugin.stage):
            continue
        what = f"{after.plugin.name} cannot follow {before.plugin.name} in --with {chain.written!r}"
        if after.plugin.stage in _PLAIN and before.plugin.stage == "code":
            what += ": it needs plain text"
        raise UsageError(what, hint=f"this order works: {works}")
    for place, one in enumerate(steps):
        again = one.plugin.name in {two.plugin.name for two in steps[:place]}
        alone = one.plugin.stage in {"wrap", "turns"}
        twice = alone and any(two.plugin.stage == one.plugin.stage for two in steps[:place])
        if (again and not one.plugin.repeats) or twice:
            kept = [two.written for number, two in enumerate(steps) if number != place]
            raise UsageError(
                f"{one.plugin.name} in --with {chain.written!r} comes a second time,"
                " which undoes or hides the first",
                hint=f"leave one out: {'+'.join(kept)}",
            )


def described() -> list[tuple[TransformPlugin, str]]:
    """Every transform with what it makes of a short text, in the order in which they can follow."""
    found = []
    for name in registry.names(Kind.TRANSFORM):
        try:
            plugin = transform_plugin(name)
        except EvalkitError:
            continue  # somebody else's entry point that is none; using it says so
        found.append((plugin, example(plugin)))
    return sorted(found, key=lambda one: (STAGES.index(one[0].stage), one[0].name))


EXAMPLE = "Please say the word PELICAN."


def example(plugin: TransformPlugin) -> str:
    """What it makes of a short text; empty for one that needs a parameter."""
    if any(one.required for one in plugin.parameters.values()):
        return ""
    chain = Chain(steps=(Step(written=plugin.name, plugin=plugin),))
    try:
        made = chain.apply(EXAMPLE, case="example", seed=0)
    except ValueError:
        return ""
    return " / ".join(made.turns) or made.text


def written_chains(texts: Sequence[str]) -> list[Chain]:
    """The chains of all ``--with``; raises ``UsageError`` for one that is given twice."""
    found: dict[str, Chain] = {}
    for one in texts:
        chain = read_chain(one)
        if chain.written in found:
            raise UsageError(f"--with {chain.written!r} is given twice", hint="leave one out")
        found[chain.written] = chain
    return list(found.values())
