"""``evalkit.yaml``: found, read, checked and turned into a ``Project``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from evalkit import registry
from evalkit.config.check import Finding, Findings, Strict, nearest_file
from evalkit.config.env import check_references
from evalkit.config.money import budget, cache
from evalkit.config.spec import Budget, Price, Project
from evalkit.config.target import PriceModel, Targets
from evalkit.config.tree import Node, read_yaml, shown_path
from evalkit.errors import ConfigError, Position
from evalkit.pii import PiiKind

FILE_NAMES = ("evalkit.yaml", "evalkit.yml")
_run_files: set[Path] = set()


class PrivacyModel(Strict):
    """``privacy:`` of ``evalkit.yaml``."""

    mask: list[PiiKind] = Field(
        [],
        description="personal data replaced by <EMAIL_1> and the like before anything is stored;"
        " scorers see the texts as they were",
    )


class ProjectModel(Strict):
    """The top level of ``evalkit.yaml``."""

    project: str = Field(min_length=1, description="the name of the project")
    store: str = Field(
        ".evalkit/evalkit.duckdb", min_length=1, description="the file of the run store"
    )
    seed: int = Field(0, ge=0)
    plugins: list[str] = Field([], description="Python files; run only when allowed")
    prices: dict[str, Any] = Field({}, description="US dollars per million tokens, by model")
    targets: dict[str, Any] = Field(min_length=1, description="the systems under test, by name")
    cache: Any = Field("off", description="off, read, write, refresh, or mode and path")
    budget: dict[str, Any] = Field({}, description="what a run may spend, and all of a month")
    privacy: PrivacyModel = PrivacyModel()
    suites_dir: str = Field("suites", min_length=1)
    prompts_dir: str = Field("prompts", min_length=1)


def find_project(start: Path | None = None, *, file: Path | None = None) -> Path:
    """The absolute path of the project's ``evalkit.yaml``: ``file``, or the nearest one upwards.

    Raises ``ConfigError`` when there is none.
    """
    if file is not None:
        path = file / FILE_NAMES[0] if file.is_dir() else file
        if not path.is_file():
            raise ConfigError("the project file does not exist", where=shown_path(path))
        return path.absolute()
    folder = (start or Path.cwd()).absolute()
    for one in (folder, *folder.parents):
        for name in FILE_NAMES:
            if (one / name).is_file():
                return one / name
    raise ConfigError(
        "no evalkit.yaml here or in a folder above",
        where=shown_path(folder),
        hint="'evalkit init' writes a small working project",
    )


def load_project(path: Path, *, allow_code: bool = False, brings: str = "") -> Project:
    """Read and check ``evalkit.yaml``; with ``allow_code`` run the Python files of ``plugins``.

    A prompt called ``brings`` in the folder of prompts may be missing: it is about to be written.

    Raises ``ConfigError`` with file, line and column of the first mistake, and names the others.
    """
    path = path.absolute()
    document = read_yaml(path)
    findings = Findings(document)
    model = findings.check(ProjectModel, document.root, "evalkit.yaml")
    _refuse_references(findings, document.root)
    if model is None:
        findings.raise_any()
        raise AssertionError("a refused project has findings")  # pragma: no cover
    root = path.parent
    keys = document.root.entries
    plugins = _plugins(findings, model, root, allow_code=allow_code)
    unloaded = tuple(shown_path(one) for one in plugins if one not in _run_files)
    loader = Targets(findings, root, model.prompts_dir, unloaded, brings)
    targets = loader.all(keys["targets"].node) if not findings.found or not allow_code else {}
    prices = _prices(findings, keys["prices"].node) if "prices" in keys else {}
    spent = Budget()
    if "budget" in keys:
        spent = budget(findings, keys["budget"].node, keys["targets"].node.entries)
    kept = cache(findings, keys["cache"].node if "cache" in keys else None, root)
    findings.raise_any()
    return Project(
        name=model.project,
        root=root,
        path=path,
        store=root / model.store,
        targets=targets,
        prices=prices,
        plugins=plugins,
        mask=tuple(model.privacy.mask),
        seed=model.seed,
        suites_dir=root / model.suites_dir,
        prompts_dir=root / model.prompts_dir,
        cache=kept,
        budget=spent,
        position=document.at(document.root),
    )


def _refuse_references(findings: Findings, root: Node) -> None:
    for name, entry in root.entries.items():
        if name != "targets":
            check_references(findings, entry.node, allowed=False)


def _plugins(
    findings: Findings, model: ProjectModel, root: Path, *, allow_code: bool
) -> tuple[Path, ...]:
    if not model.plugins:
        return ()
    nodes = findings.document.root.entries["plugins"].node.items
    paths = tuple(root / one for one in model.plugins)
    for path, node in zip(paths, nodes, strict=True):
        if not path.is_file():
            findings.add(f"no Python file {node.value!r}", node, nearest_file(path, root))
        elif allow_code:
            _run(findings, path, node)
    return paths


def _run(findings: Findings, path: Path, node: Node) -> None:
    try:
        registry.load_file(path)
        _run_files.add(path)
    except ConfigError as problem:
        findings.found.append(Finding(problem.what, findings.document.at(node), problem.hint))
    except SyntaxError as problem:
        where = Position(shown_path(path), problem.lineno or 0, problem.offset or 0)
        findings.found.append(Finding(f"not valid Python: {problem.msg}", where))
    except (
        ArithmeticError,
        AssertionError,
        AttributeError,
        ImportError,
        LookupError,
        NameError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as problem:
        findings.add(
            f"running {node.value!r} failed: {type(problem).__name__}: {problem}",
            node,
            f"try: python {node.value}",
        )


def unloaded_plugins(project: Project) -> tuple[Path, ...]:
    """The project's Python files that were not run, because the user did not allow it."""
    return tuple(shown_path(one) for one in project.plugins if one not in _run_files)


def _prices(findings: Findings, node: Node) -> dict[str, Price]:
    found = {}
    for name, entry in node.entries.items():
        price = findings.check(PriceModel, entry.node, f"the price of {name!r}", at=entry)
        if price is not None:
            found[name] = price.value()
    return found
