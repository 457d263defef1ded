"""The gates that judge: those of the working tree, or those of a commit the change cannot touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from evalkit.config.spec import Project, SuiteSpec
from evalkit.config.suite import SUFFIXES, load_suite, suite_names, suite_rules, written_rules
from evalkit.config.tree import parse_yaml
from evalkit.errors import ConfigError, UsageError
from evalkit.runner.ancestry import commit_of, file_at, files_at

SHOWN = 12
"""Differences of a policy that are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The suites whose gates judge; ``said`` is worth knowing, ``problems`` let nothing pass.

    ``commit`` is where they were read, empty for the working tree.
    """

    specs: tuple[SuiteSpec, ...]
    said: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    commit: str = ""


def rules_of(
    project: Project, suites: Sequence[str], ref: str = "", *, every: bool = False
) -> Rules:
    """The gates as they are written now, or with a ``ref`` as they were there; see below."""
    return rules_at(project, ref, suites, every=every) if ref else rules_here(project, suites)


def rules_here(project: Project, suites: Sequence[str]) -> Rules:
    """The gates as they are written now."""
    known = suite_names(project)
    return Rules(specs=tuple(load_suite(project, one) for one in suites if one in known))


def rules_at(project: Project, ref: str, suites: Sequence[str], *, every: bool) -> Rules:
    """The gates as they were at a commit: a change cannot loosen what judges it.

    What the change does to them is said. A suite that is not there yet is judged by its own gates;
    one that had gates and is gone is a problem when ``every`` suite is asked for. Raises
    ``UsageError`` for a ref that git does not know.
    """
    root = project.root
    commit = commit_of(root, ref)
    if not commit:
        raise UsageError(
            f"git knows no commit {ref!r}",
            where=root,
            hint=f"fetch it first: git fetch origin {ref.removeprefix('origin/')}",
        )
    here = rules_here(project, suites)
    folder = _suites_folder(project, commit)
    known = _suites_at(root, commit, folder)
    specs: list[SuiteSpec] = []
    said: list[str] = []
    problems: list[str] = []
    for spec in here.specs:
        file = known.get(spec.name)
        if file is None:
            specs.append(spec)
            said.append(f"suite {spec.name!r} is not at {ref}: it is judged by its own gates")
            continue
        then, written = _then(project, commit, ref, spec, file)
        specs.append(then)
        now = written_rules(spec.path)
        texts = {one.id: one.query for one in spec.gates}, {one.id: one.query for one in then.gates}
        changes = [*changed_rules(written, now), *_changed_queries(*texts)]
        said += [f"policy of {spec.name} changed, {ref} judges: {one}" for one in changes]
    for name, file in sorted(known.items()):
        if name not in suites and every:
            gone = name not in suite_names(project)
            if _has_gates(root, commit, file):
                text = f"suite {name!r} has gates at {ref} and was not run"
                (problems if gone else said).append(text + (": it is gone" if gone else ""))
    if len(said) > SHOWN:
        said = [*said[:SHOWN], f"and {len(said) - SHOWN} more changes of the policy"]
    return Rules(specs=tuple(specs), said=tuple(said), problems=tuple(problems), commit=commit)


def _then(
    project: Project, commit: str, ref: str, spec: SuiteSpec, file: str
) -> tuple[SuiteSpec, Mapping[str, Any]]:
    """A suite with the gates it had at a commit, and those as written."""

    def read(path: Path) -> str | None:
        content = file_at(project.root, commit, path.relative_to(project.root).as_posix())
        return None if content is None else content.decode("utf-8", "replace")

    text = (file_at(project.root, commit, file) or b"").decode("utf-8", "replace")
    gates, policy, written = suite_rules(project, text, Path(f"{ref}:{file}"), read)
    return replace(spec, gates=gates, policy=policy), written


def _suites_folder(project: Project, commit: str) -> str:
    """Where the suites were: the change may have moved them."""
    content = file_at(project.root, commit, project.path.name)
    folder: Any = None
    if content is not None:
        try:
            root = parse_yaml(content.decode("utf-8", "replace"), project.path).root
        except ConfigError:
            return "suites"  # it could not be used then either
        entry = root.entries.get("suites_dir")
        folder = None if entry is None else entry.node.value
    return folder if isinstance(folder, str) else "suites"


def _suites_at(root: Path, commit: str, folder: str) -> dict[str, str]:
    """The file of every suite at a commit, by the suite's name."""
    return {
        Path(one).stem: f"{folder}/{one}"
        for one in files_at(root, commit, folder)
        if one.endswith(SUFFIXES) and one.count("/") <= 1  # in the folder, or in a group
    }


def _has_gates(root: Path, commit: str, file: str) -> bool:
    text = (file_at(root, commit, file) or b"").decode("utf-8", "replace")
    try:
        entries = parse_yaml(text, Path(file)).root.entries
    except ConfigError:
        return False
    kind = entries["kind"].node.value if "kind" in entries else "golden"
    return "gates" in entries and kind == "golden"


def changed_rules(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What of a suite's ``gate`` and ``gates`` differs, in words."""
    old, new = before.get("gate") or {}, after.get("gate") or {}
    found = [f"gate.{one}" for one in _changed_keys(old, new)]
    were, are = _by_name(before.get("gates")), _by_name(after.get("gates"))
    for name in dict.fromkeys([*were, *are]):
        if name not in are:
            found.append(f"gate {name!r} is taken out")
        elif name not in were:
            found.append(f"gate {name!r} is new")
        else:
            found += [f"gate {name!r} {one}" for one in _changed_keys(were[name], are[name])]
    return found


def _changed_keys(old: Any, new: Any) -> list[str]:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return [] if old == new else ["is written differently"]
    return [
        f"{key} {_said(old.get(key))} → {_said(new.get(key))}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    ]


def _by_name(gates: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in gates if isinstance(gates, list) else []:
        keys = one if isinstance(one, Mapping) else {}
        name = str(keys.get("id") or keys.get("metric") or keys.get("sql") or keys.get("cases"))
        while name in found:
            name += "'"
        found[name] = one
    return found


def _changed_queries(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    return [
        f"the query of gate {one!r} differs" for one in then if one in now and now[one] != then[one]
    ]


def _said(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_said(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_said, value)) + "]"
    return str(value)
