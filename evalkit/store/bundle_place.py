"""Where bundles lie: folders and files of this machine, or any place fsspec knows, as ``s3://``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evalkit.errors import InfrastructureError, UsageError


def is_remote(place: str) -> bool:
    """Whether a place is an address rather than a path."""
    return "://" in place


def fetched(place: str, folder: Path) -> Path:
    """The bundle as a path of this machine, copied into ``folder`` when it is an address."""
    if not is_remote(place):
        return Path(place)
    local = folder / (place.rstrip("/").rpartition("/")[2] or "bundle")
    with _filesystem(place) as (files, path):
        if not files.exists(path):
            raise UsageError("there is no such bundle", where=place, hint="write: evalkit export")
        if not files.isdir(path):
            files.get_file(path, str(local))
            return local
        local.mkdir()
        for one in files.ls(path, detail=False):
            # names of our own folder only, whatever the other side calls its files
            name = str(one).rstrip("/").rpartition("/")[2]
            if name and name not in {".", ".."}:
                files.get_file(one, str(local / name))
    return local


def send(local: Path, place: str) -> None:
    """Copy a bundle to an address; its manifest comes last, so half a bundle is none."""
    with _filesystem(place) as (files, path):
        if local.is_file():
            files.put_file(str(local), path)
            return
        files.makedirs(path, exist_ok=True)
        names = sorted(
            (one.name for one in local.iterdir()), key=lambda name: (".json" in name, name)
        )
        for name in names:
            files.put_file(str(local / name), f"{path}/{name}")


@contextmanager
def _filesystem(place: str) -> Iterator[tuple[Any, str]]:
    """What fsspec knows of an address; what it raises is the network's or a package's fault."""
    scheme = place.partition("://")[0]
    try:
        import fsspec

        files, path = fsspec.core.url_to_fs(place)
        yield files, path
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"{scheme}:// needs a package that is not installed: {error}",
            where=place,
            hint=f"install the one fsspec names for {scheme!r}, or copy the bundle to a local path",
        ) from error
    except OSError as error:
        raise InfrastructureError(
            f"the address cannot be reached: {error}", where=place, hint="check address and rights"
        ) from error
