"""The attack suites of a project: how many cases and twins each has, and whether it is frozen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from evalkit.config.spec import DatasetSpec, Project, SuiteSpec
from evalkit.errors import EvalkitError, UnknownName
from evalkit.model import JSON
from evalkit.runner.suites import Scans, shown_source

FrozenState: TypeAlias = Literal["frozen", "not frozen", "edited"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackFile:
    """A dataset of an attack suite: its card's version and whether it is what was frozen."""

    path: str
    state: FrozenState
    version: int | str | None = None
    sha256: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackSuite:
    """One attack suite. What is counted is ``None`` where a file cannot be read.

    ``pairs`` are the variants of counterfactual pairs.
    """

    name: str
    description: str
    categories: tuple[str, ...]
    transforms: tuple[str, ...]
    attacks: int | None
    twins: int | None
    pairs: int | None
    files: tuple[AttackFile, ...]

    @property
    def state(self) -> FrozenState:
        """Edited when one of its files is, frozen when all are."""
        states = {one.state for one in self.files}
        if "edited" in states:
            return "edited"
        return "frozen" if states == {"frozen"} else "not frozen"

    @property
    def problem(self) -> str:
        """What is wrong with the first file that is."""
        return next((one.problem for one in self.files if one.problem), "")

    def to_json(self) -> dict[str, JSON]:
        """What ``evalkit attack list --json`` prints of it."""
        return {**asdict(self), "state": self.state}


def attack_specs(project: Project) -> list[SuiteSpec]:
    """The project's suites of the kind ``adversarial``."""
    from evalkit.config import load_suite, suite_names

    found = (load_suite(project, one) for one in suite_names(project))
    return [one for one in found if one.kind == "adversarial"]


def attack_spec(project: Project, name: str) -> SuiteSpec:
    """The attack suite of a name or file; raises ``UnknownName`` for any other suite."""
    from evalkit.config import load_suite
    from evalkit.config.tree import shown_path

    spec = load_suite(project, name)
    if spec.kind != "adversarial":
        known = [one.name for one in attack_specs(project)]
        raise UnknownName("attack suite", name, known, where=shown_path(spec.path))
    return spec


def attack_suites(project: Project, specs: Sequence[SuiteSpec]) -> list[AttackSuite]:
    """What each suite holds; a file that cannot be read is a problem of its line."""
    scans = Scans()
    return [_listed(project, one, scans) for one in specs]


def _listed(project: Project, spec: SuiteSpec, scans: Scans) -> AttackSuite:
    files, sorts, categories, transforms = [], Counter[str](), set[str](), set[str]()
    total = 0
    for dataset in spec.datasets:
        file = _file(project, dataset)
        if not file.problem:
            try:
                _, info = scans.of(dataset)
            except EvalkitError as error:
                file = AttackFile(path=file.path, state=file.state, problem=error.what)
            else:
                total += info.cases
                sorts.update(info.tags.get("sort", {}))
                categories.update(info.tags.get("category", {}))
                transforms.update(info.tags.get("transform", {}))
        files.append(file)
    broken = any(one.problem for one in files)
    return AttackSuite(
        name=spec.name,
        description=spec.description,
        categories=tuple(sorted(categories)),
        transforms=tuple(sorted(transforms)),
        attacks=None if broken else sorts["attack"],
        twins=None if broken else sorts["twin"],
        pairs=None if broken else sorts["pair"],
        files=tuple(files),
    )


def _file(project: Project, dataset: DatasetSpec) -> AttackFile:
    from evalkit.config.card import load_card
    from evalkit.config.freeze import check_frozen

    path = shown_source(dataset.source, project)
    if not Path(dataset.source).is_file():
        return AttackFile(path=path, state="not frozen")
    try:
        card = load_card(Path(dataset.source))
    except EvalkitError as error:
        return AttackFile(path=path, state="not frozen", problem=error.what)
    if card is None or card.sha256 is None:
        version = None if card is None else card.version
        return AttackFile(path=path, state="not frozen", version=version)
    state: FrozenState = "frozen"
    problem = ""
    try:
        check_frozen(Path(dataset.source))
    except EvalkitError as error:
        state, problem = "edited", error.what
    return AttackFile(
        path=path, state=state, version=card.version, sha256=card.sha256, problem=problem
    )
