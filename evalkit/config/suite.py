"""``suites/*.yaml``: datasets, targets, scorers and gates, checked against what exists.

A folder in ``suites/`` is a group: its name stands for every suite in it.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from evalkit.config.check import Findings, Strict, nearest_file
from evalkit.config.env import check_references
from evalkit.config.gates import Reader, read_gates, read_policy
from evalkit.config.spec import GatePolicy, GateSpec, Project, SuiteSpec
from evalkit.config.suite_dataset import read_datasets
from evalkit.config.suite_scorer import read_scorers
from evalkit.config.tree import Node, parse_yaml, read_yaml, shown_path
from evalkit.errors import ConfigError, UnknownName, UsageError, suggestion
from evalkit.hashing import content_id

SUFFIXES = (".yaml", ".yml")


class SuiteModel(Strict):
    """The top level of a suite."""

    description: str = ""
    kind: Literal["golden", "adversarial"] = "golden"
    dataset: Any = None
    datasets: Any = None
    targets: list[str] = Field(min_length=1, description="names of targets in evalkit.yaml")
    trials: int = Field(1, ge=1, le=1000, description="how often each case is asked")
    scorers: list[Any] = Field(min_length=1, description="what judges the answers")
    slices: list[str] = Field([], description="tags by which results are also shown")
    attack_in: list[str] = Field(
        [],
        description="where attacks hide: inputs, or context; a model that is not shown it"
        " was not attacked",
    )
    gate: Any = None
    gates: Any = None


def suite_names(project: Project) -> list[str]:
    """The names of the project's suites, those in groups too, sorted."""
    return sorted({one.stem for one in _files(project)})


def group_names(project: Project) -> list[str]:
    """The names of the folders that hold suites, sorted."""
    folders = {one.parent for one in _files(project)} - {project.suites_dir}
    return sorted(one.name for one in folders)


def suites_in(project: Project, name: str) -> list[str]:
    """The suites of a group, sorted; the name alone when no group is called so.

    Raises ``ConfigError`` when a suite has the group's name.
    """
    folder = project.suites_dir / name
    found = sorted({one.stem for one in _files(project) if one.parent == folder})
    if not found or "/" in name:
        return [name]
    twins = [one for one in _files(project) if one.stem == name]
    if twins:
        raise ConfigError(
            f"{name!r} is a suite and a group of suites",
            where=shown_path(twins[0]),
            hint=f"rename the file or the folder {shown_path(folder)}",
        )
    return found


def golden_names(project: Project) -> list[str]:
    """The names of the golden suites: what runs when none is named.

    A suite that says at the start of a line that it is adversarial is not read any further.
    """
    by_name: dict[str, list[Path]] = {}
    for one in _files(project):
        by_name.setdefault(one.stem, []).append(one)
    return sorted(
        name for name, files in by_name.items() if len(files) > 1 or not _is_attack(files[0])
    )


_ATTACK = re.compile(rb"^kind:[ \t]*[\"']?adversarial\b", re.MULTILINE)


def _is_attack(file: Path) -> bool:
    try:
        return _ATTACK.search(file.read_bytes()) is not None
    except OSError:
        return False  # whoever loads it says what is wrong


def _files(project: Project) -> list[Path]:
    """The files of all suites: in the folder of suites and in the folders in it."""
    if not project.suites_dir.is_dir():
        return []
    found = list(project.suites_dir.iterdir())
    groups = [one for one in found if one.is_dir() and not one.name.startswith(".")]
    found += [file for group in groups for file in group.iterdir()]
    return sorted(one for one in found if one.suffix in SUFFIXES and one.is_file())


def load_suite(project: Project, name_or_path: str) -> SuiteSpec:
    """Read and check one suite, by its name or by the path of its file.

    Raises ``UnknownName`` for a name that is no suite, and ``ConfigError`` with file, line and
    column of the first mistake.
    """
    path = _file(project, name_or_path)
    document = read_yaml(path)
    findings = Findings(document)
    root = document.root
    model = findings.check(SuiteModel, root, "the suite")
    check_references(findings, root, allowed=False)
    entries = root.entries
    if "targets" in entries:
        _check_targets(findings, project, entries["targets"].node)
    datasets = read_datasets(findings, project, root)
    scorers = (
        read_scorers(findings, project, entries["scorers"].node) if "scorers" in entries else ()
    )
    if "slices" in entries:
        _no_twice(findings, "slice", entries["slices"].node)
    gates = read_gates(findings, project, root, scorers)
    policy = read_policy(findings, root, gates)
    findings.raise_any()
    assert model is not None
    # what is measured, not how it is judged: a new gate makes no run incomparable
    measured = {key: one for key, one in root.plain().items() if key not in {"gate", "gates"}}
    return SuiteSpec(
        name=path.stem,
        path=path,
        kind=model.kind,
        description=model.description,
        datasets=datasets,
        targets=tuple(model.targets),
        scorers=scorers,
        trials=model.trials,
        slices=tuple(model.slices),
        attack_in=tuple(model.attack_in),
        gates=gates,
        policy=policy,
        content_hash=content_id(measured),
        position=document.at(root),
    )


def suite_rules(
    project: Project, text: str, path: Path, read: Reader
) -> tuple[tuple[GateSpec, ...], GatePolicy, dict[str, Any]]:
    """The gates and the policy in another version of a suite's text, and both as written.

    ``path`` is what errors call it; ``read`` gets its queries. What else is wrong with that version
    is of no account. Raises ``ConfigError`` for gates that cannot be understood.
    """
    document = parse_yaml(text, path)
    findings, aside = Findings(document), Findings(document)
    root = document.root
    entries = root.entries
    scorers = read_scorers(aside, project, entries["scorers"].node) if "scorers" in entries else ()
    gates = read_gates(findings, project, root, scorers, read=read)
    policy = read_policy(findings, root, gates)
    findings.raise_any()
    return gates, policy, {key: entries[key].node.plain() for key in _RULES if key in entries}


_RULES = ("gate", "gates")


def written_rules(path: Path) -> dict[str, Any]:
    """The ``gate`` and ``gates`` of a suite as they are written."""
    entries = read_yaml(path).root.entries
    return {key: entries[key].node.plain() for key in _RULES if key in entries}


def _file(project: Project, name_or_path: str) -> Path:
    if name_or_path.endswith(SUFFIXES) or "/" in name_or_path:
        given = Path(name_or_path)
        # also a suite with the name of its group, as group/suite
        named = (project.suites_dir / f"{name_or_path}{one}" for one in SUFFIXES)
        for path in (given, project.root / given, *named):
            if path.is_file():
                return path.absolute()
        hint = nearest_file(project.root / given, project.root)
        if not hint.startswith("did you mean"):
            hint = _nearest(project, given.stem) or hint
        raise ConfigError("the suite does not exist", where=shown_path(given), hint=hint)
    found = [one for one in _files(project) if one.stem == name_or_path]
    if not found:
        groups = group_names(project)
        if name_or_path in groups:
            inside = suites_in(project, name_or_path)
            raise UsageError(
                f"{name_or_path!r} is a group of {len(inside)} suites, and this takes one",
                where=shown_path(project.suites_dir / name_or_path),
                hint=f"name one of them: {', '.join(inside[:12])}",
            )
        known = [*suite_names(project), *groups]
        unknown = UnknownName("suite", name_or_path, known, where=shown_path(project.suites_dir))
        unknown.hint = _nearest(project, name_or_path) or unknown.hint
        raise unknown
    if len(found) > 1:
        here = found[1].parent == found[0].parent
        names = [one.name if here else shown_path(one) for one in found[:2]]
        raise ConfigError(
            f"two files hold the suite {name_or_path!r}",
            where=shown_path(found[1]),
            hint=f"keep one of {names[0]} and {names[1]}, or rename one",
        )
    return found[0]


def _nearest(project: Project, name: str) -> str:
    """The hint for a name that is nearly a suite or a group, here or of those that come along."""
    from evalkit.config.shipped import shipped_names

    hint = suggestion(name, [*suite_names(project), *group_names(project)])
    if hint.startswith("did you mean"):
        return hint
    near = difflib.get_close_matches(name, shipped_names(), n=1)
    if not near:
        return ""
    target = next((one.name for one in project.targets.values() if not one.judge), "NAME")
    return f"{near[0]!r} comes with evalkit; to add it: evalkit attack add --target {target}"


def _check_targets(findings: Findings, project: Project, node: Node) -> None:
    for one in node.items:
        if isinstance(one.value, str) and one.value not in project.targets:
            findings.unknown(f"unknown target {one.value!r}", one.value, project.targets, one)
        elif isinstance(one.value, str) and project.targets[one.value].judge:
            findings.add(
                f"target {one.value!r} is a judge: only scorers ask it",
                one,
                "take 'judge: true' off it in evalkit.yaml, or name another target",
            )
    _no_twice(findings, "target", node)


def _no_twice(findings: Findings, what: str, node: Node) -> None:
    seen = set()
    for one in node.items:
        if isinstance(one.value, str):
            if one.value in seen:
                findings.add(f"the {what} {one.value!r} is given twice", one, "keep one of them")
            seen.add(one.value)
