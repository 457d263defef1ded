"""Targets of a stored run, made again from what it stored, to be asked beside the present ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit import registry
from evalkit.config.spec import Price, Project, TargetSpec
from evalkit.errors import UsageError
from evalkit.gate.beside import beside, is_beside
from evalkit.model import Run, TargetVersion
from evalkit.registry import Kind, TargetPlugin
from evalkit.runner.masked import masked

if TYPE_CHECKING:
    from evalkit.store import Store


def with_baseline(project: Project, store: Store, run_id: str) -> Project:
    """The project with every target of a stored run beside the target of that name.

    Raises ``UsageError`` for targets that cannot be made again from what is stored: code, programs
    and routes, and those with a secret written in the configuration.
    """
    run = store.load_run(run_id)
    found = dict(project.targets)
    for old in run.targets:
        now = project.targets.get(old.name)
        if now is not None and not is_beside(old.name):
            found[beside(old.name)] = _again(project, run, old, now)
    return replace(project, targets=found)


def _again(project: Project, run: Run, old: TargetVersion, now: TargetSpec) -> TargetSpec:
    plugin = registry.get(Kind.TARGET, old.kind)
    assert isinstance(plugin, TargetPlugin)
    if plugin.code or plugin.children is not None:
        raise UsageError(
            f"target {old.name!r} cannot be asked as it was in {run.id}: a run stores prompts and"
            f" parameters, not what a target of kind {old.kind!r} does",
            where=now.position,
            hint="leave --interleave out: its latency is then shown and does not block",
        )
    if masked(now.options)[1]:
        raise UsageError(
            f"target {old.name!r} has a secret written in its options, which no run stores",
            where=now.position,
            hint="name an environment variable instead, as ${env:NAME}",
        )
    return TargetSpec(
        name=beside(old.name),
        kind=old.kind,
        prompt=_prompt(project, run, old),
        options=dict(old.options),
        limits=now.limits,
        price=now.price if old.model is None else _price(now, old),
        position=now.position,
    )


def _prompt(project: Project, run: Run, old: TargetVersion) -> Path | None:
    """The stored prompt as a file beside the store; a prompt is always read from one."""
    if old.prompt_version is None:
        return None
    text = next(one.text for one in run.prompts if one.version == old.prompt_version)
    path = project.store.parent / "prompts" / f"{old.prompt_version}.j2"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _price(now: TargetSpec, old: TargetVersion) -> Price | None:
    """The price the target has now, if it is the same model's; else its own is looked up."""
    return now.price if now.options.get("model") == old.model else None
