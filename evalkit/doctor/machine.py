"""The machine: Python, libraries, open files, the disk."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from evalkit.config.spec import Project
from evalkit.doctor.check import Check, State, ok, warning
from evalkit.errors import ExitCode

_LITTLE_DISK, _NO_DISK = 500_000_000, 50_000_000
_OTHER_FILES = 64
"""Files that are open beside the connections: store, journal, libraries."""


def versions() -> Iterator[Check]:
    """What runs here, and whether its libraries are those it asks for."""
    from evalkit import __version__

    here = f"evalkit {__version__}, Python {platform.python_version()} on {sys.platform}"
    try:
        asked = metadata.requires("evalkit") or []
    except metadata.PackageNotFoundError:
        yield ok("environment", f"{here}, not installed as a package")
        return
    wrong = list(_wrong_libraries(asked))
    if wrong:
        yield Check(
            name="environment",
            state=State.FAILED,
            said=f"{here}; {'; '.join(wrong)}",
            hint="install evalkit again: pip install --force-reinstall evalkit",
            code=ExitCode.USAGE,
        )
    else:
        yield ok("environment", f"{here}, every library as asked")


def _wrong_libraries(asked: list[str]) -> Iterator[str]:
    from packaging.requirements import Requirement

    for one in map(Requirement, asked):
        if one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            found = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            yield f"{one.name} is not installed"
            continue
        if not one.specifier.contains(found, prereleases=True):
            yield f"{one.name} {found} is not {one.specifier}"


def open_files(project: Project) -> Iterator[Check]:
    """Whether as many connections can be open as the targets may use together."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = sum(one.limits.concurrency for one in project.targets.values()) + _OTHER_FILES
    if limit != resource.RLIM_INFINITY and wanted > limit:
        yield warning(
            "open files",
            f"{wanted:,} may be needed when all targets run at once, {limit:,} are allowed",
            f"ulimit -n {wanted}, or lower the targets' concurrency",
        )
    else:
        yield ok("open files", f"{wanted:,} may be needed, {limit:,} are allowed")


def disk(folder: Path) -> Iterator[Check]:
    """Whether the store's disk has room."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB free for the store"
    if free < _NO_DISK:
        yield Check(
            name="disk", state=State.FAILED, said=said, hint="free space before you run",
            code=ExitCode.INFRASTRUCTURE,
        )  # fmt: skip
    elif free < _LITTLE_DISK:
        yield warning("disk", said, "free space before a long run")
    else:
        yield ok("disk", said)
