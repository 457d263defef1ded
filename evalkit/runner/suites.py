"""The suites of a run: their files read, datasets scanned, scorers bound, cases selected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from evalkit import registry
from evalkit.ask import Ask
from evalkit.config.spec import DatasetSpec, Project, SuiteSpec
from evalkit.errors import Undecided, UsageError, suggestion
from evalkit.hashing import canonical
from evalkit.model import DatasetVersion
from evalkit.registry import Kind, ScorerPlugin
from evalkit.runner.cases import SuiteCases, Survey
from evalkit.runner.select import Selection
from evalkit.runner.shards import Shard

if TYPE_CHECKING:
    from evalkit.datasets import Dataset, DatasetInfo
    from evalkit.scorers import BoundScorer


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSuite:
    """One suite with its cases, targets and scorers ready to use."""

    spec: SuiteSpec
    targets: tuple[str, ...]
    trials: int
    scorers: tuple[BoundScorer, ...]
    cases: SuiteCases
    survey: Survey
    datasets: tuple[DatasetVersion, ...]
    warnings: tuple[str, ...] = ()
    first_trial: int = 0

    @property
    def name(self) -> str:
        """What the suite is called."""
        return self.spec.name

    @property
    def planned(self) -> int:
        """Trials on each of its targets."""
        return self.survey.mine * self.trials

    @property
    def turns(self) -> float:
        """Calls that a trial takes, as among the first cases: more than one in conversations."""
        first = self.survey.first
        return sum(max(1, len(one.turns)) for one in first) / len(first) if first else 1.0

    @property
    def whole(self) -> int:
        """Trials on each of its targets over all shards."""
        return self.survey.total * self.trials


def find_suites(project: Project, names: Sequence[str]) -> list[SuiteSpec]:
    """The suites of these names or files; every golden one when none is named.

    Raises ``Undecided`` when there is none, and ``UsageError`` for two of one name.
    """
    from evalkit.config.suite import golden_names, load_suite

    if not names:
        found = [load_suite(project, one) for one in golden_names(project)]
        golden = [one for one in found if one.kind == "golden"]
        if not golden:
            raise Undecided(
                "there is no golden suite to run",
                where=project.suites_dir,
                hint="write one, or name a suite: evalkit run SUITE",
            )
        return golden
    specs = {one.path: one for one in (load_suite(project, name) for name in names)}
    by_name: dict[str, SuiteSpec] = {}
    for one in specs.values():
        other = by_name.setdefault(one.name, one)
        if other is not one:
            raise UsageError(
                f"two suites are called {one.name!r}",
                where=one.path,
                hint=f"rename one file; the other is {other.path}",
            )
    return list(specs.values())


def asked_by(spec: SuiteSpec) -> list[str]:
    """The targets that the suite's scorers ask."""
    found: list[str] = []
    for one in spec.scorers:
        plugin = registry.get(Kind.SCORER, one.scorer)
        assert isinstance(plugin, ScorerPlugin)
        found += plugin.asked(one.options)
    return found


@dataclass(slots=True)
class Scans:
    """Datasets that were read, so that suites and targets that share one read it once."""

    _found: dict[bytes, tuple[Dataset, DatasetInfo]] = field(default_factory=dict)

    def of(self, spec: DatasetSpec) -> tuple[Dataset, DatasetInfo]:
        """The dataset and what it holds; raises ``DatasetError`` for its first broken row."""
        from evalkit.datasets import open_dataset

        key = canonical(
            [
                spec.source,
                spec.format,
                dict(spec.columns),
                dict(spec.types),
                {name: repr(value) for name, value in spec.options.items()},
            ]
        )
        if key not in self._found:
            dataset = open_dataset(spec)
            self._found[key] = (dataset, dataset.scan())
        return self._found[key]

    @property
    def infos(self) -> list[DatasetInfo]:
        """What every dataset read so far holds."""
        return [info for _, info in self._found.values()]


def plan_suite(
    spec: SuiteSpec,
    project: Project,
    scans: Scans,
    *,
    targets: tuple[str, ...],
    trials: int,
    selection: Selection,
    allow_code: bool,
    judges: Mapping[str, Ask],
    reference: bool,
    shard: Shard | None = None,
) -> PlannedSuite:
    """Read a suite's datasets, bind its scorers and select its cases.

    Raises the ``UsageError`` of the first thing that is wrong.
    """
    from evalkit.scorers import bind

    scanned = [scans.of(one) for one in spec.datasets]
    scorers = tuple(
        bind(
            one,
            root=project.root,
            allow_code=allow_code,
            reference=reference,
            judges=judges,
        )
        for one in spec.scorers
    )
    cases = SuiteCases(
        [dataset for dataset, _ in scanned], [info.cases for _, info in scanned], selection, shard
    )
    survey = cases.survey()
    warnings: list[str] = []
    versions: list[DatasetVersion] = []
    for dataset, (_, info), selected in zip(spec.datasets, scanned, survey.selected, strict=True):
        source = shown_source(dataset.source, project)
        versions.append(
            DatasetVersion(
                suite=spec.name,
                source=source,
                version=info.version,
                format=dataset.format,
                cases=info.cases,
                selected=selected,
            )
        )
        warnings += [f"{source}:{one.line or one.row}: {one.message}" for one in info.issues]
        if info.warnings > len(info.issues):
            warnings.append(f"{source}: and {info.warnings - len(info.issues):,} more of the kind")
    known = {name for _, info in scanned for name in info.tags}
    named = [(one, "slices") for one in spec.slices]
    named += [(one, "gate: cluster") for one in (spec.policy.cluster,) if one]
    warnings += [
        f"suite {spec.name!r}: no case has the tag {one!r} that {place!r} names;"
        f" {suggestion(one, known)}"
        for one, place in named
        if one not in known
    ]
    return PlannedSuite(
        spec=spec,
        targets=targets,
        trials=trials,
        scorers=scorers,
        cases=cases,
        survey=survey,
        datasets=tuple(versions),
        warnings=tuple(warnings),
    )


def shown_source(source: str, project: Project) -> str:
    """A path relative to the project, the same on every machine; anything else as it is."""
    path = Path(source)
    if path.is_absolute() and path.is_relative_to(project.root):
        return path.relative_to(project.root).as_posix()
    return source
