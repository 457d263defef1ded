"""The project's files: all of them are read, nothing is run and nothing is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from evalkit import registry
from evalkit.config.spec import Project, TargetSpec
from evalkit.doctor.check import Check, failed, ok, warning
from evalkit.errors import EvalkitError
from evalkit.registry import Kind


def suites(project: Project) -> Iterator[Check]:
    """Whether every suite can be read."""
    from evalkit.config import load_suite, suite_names

    names = suite_names(project)
    broken = 0
    for name in names:
        try:
            load_suite(project, name)
        except EvalkitError as error:
            broken += 1
            yield failed("suites", error)
    if not names:
        yield warning("suites", "there is none", f"write one into {project.suites_dir.name}/")
    elif not broken:
        yield ok("suites", f"{len(names)}: {', '.join(names)}")


def prompts(project: Project) -> Iterator[Check]:
    """Whether the prompt of every target can be read."""
    from evalkit.config import load_prompt

    paths = sorted({one.prompt for one in project.targets.values() if one.prompt is not None})
    broken = 0
    for path in paths:
        try:
            load_prompt(path)
        except EvalkitError as error:
            broken += 1
            yield failed("prompts", error)
    if not broken:
        yield ok("prompts", f"{len(paths)}, all readable" if paths else "no target uses one")


def targets(project: Project, environ: Mapping[str, str], *, allow_code: bool) -> Iterator[Check]:
    """Whether what each target needs is there: variables, and leave to run code."""
    fine = []
    for spec in project.targets.values():
        found = list(_target(spec, environ, allow_code=allow_code))
        yield from found
        if not found:
            fine.append(spec.name)
    if fine:
        yield ok("targets", f"{len(fine)} can be used: {', '.join(fine)}")


def _target(spec: TargetSpec, environ: Mapping[str, str], *, allow_code: bool) -> Iterator[Check]:
    from evalkit.config import env_names

    missing = sorted(name for name in env_names(spec.options) if not environ.get(name))
    if missing:
        yield warning(
            "targets",
            f"target {spec.name!r} needs {', '.join(missing)} in the environment ({spec.where()})",
            "set it before a run that uses this target",
        )
    try:
        plugin = registry.get(Kind.TARGET, spec.kind)
    except EvalkitError as error:
        yield failed("targets", error)
        return
    if plugin.code and not allow_code:
        yield warning(
            "targets",
            f"target {spec.name!r} runs code of the project ({spec.where()})",
            "read it, then pass --allow-code, or set EVALKIT_ALLOW_CODE=1",
        )
