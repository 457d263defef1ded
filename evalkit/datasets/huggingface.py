"""Rows of a Hugging Face dataset: a local folder, a saved-to-disk dataset, or a name on the hub."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn

from evalkit.datasets import _splits
from evalkit.datasets._arrow import check_names, table_rows
from evalkit.datasets._rows import Row
from evalkit.datasets.csv import read_csv
from evalkit.datasets.jsonl import jsonl
from evalkit.datasets.parquet import parquet
from evalkit.errors import DatasetError, UnknownName, suggestion
from evalkit.registry import dataset

_BATCH = 1_024
_TIMEOUT_S = 5.0
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
_README = "README.md"


@dataset(counts="rows", version=1)
def huggingface(
    source: str,
    *,
    split: str | None = None,
    config: str | None = None,
    revision: str | None = None,
) -> Iterator[Row]:
    """Rows of a Hugging Face dataset: a local folder, a saved-to-disk dataset, or a hub name.

    The files of ``split`` are read by evalkit's own readers, so texts stay as written; of a hub
    dataset they alone are downloaded, at one commit, into the hub's cache. With ``HF_HUB_OFFLINE``
    only the cache is used. Code in a dataset is never run. Raises ``DatasetError``.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        yield from _folder(path, split, config)
    elif path.is_absolute() or source.startswith("."):
        raise _no_folder(path)
    else:
        folder = _download(source, split, config, revision, offline=_offline())
        yield from _folder(folder, split, config, hub=source)


def _no_folder(path: Path) -> DatasetError:
    if path.exists():
        return DatasetError(
            "the dataset is a file, not a folder", where=path, hint="give it as 'path:'"
        )
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    folders = [one.name for one in beside if one.is_dir()]
    return DatasetError(
        "no such dataset folder",
        where=path,
        hint=suggestion(path.name, folders) if folders else f"there is none in {path.parent}",
    )


def _folder(
    path: Path, split: str | None, config: str | None, *, hub: str | None = None
) -> Iterator[Row]:
    if (path / "dataset_dict.json").is_file():
        saved = sorted(one.name for one in path.iterdir() if (one / "state.json").is_file())
        if split is None and len(saved) != 1:
            raise DatasetError(
                "the dataset has several splits and none is chosen",
                where=path,
                hint=f"set split to one of: {', '.join(saved)}",
            )
        name = split or saved[0]
        if name not in saved:
            raise UnknownName("split", name, saved, where=path)
        yield from _saved(path / name)
    elif (path / "state.json").is_file():
        yield from _saved(path)
    else:
        yield from _files(path, split, config, where=hub or str(path))


def _saved(path: Path) -> Iterator[Row]:
    """Rows of a folder written by ``save_to_disk``; memory-mapped, never loaded whole."""
    import datasets
    import pyarrow as pa

    try:
        table = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DatasetError(
            f"not a whole saved dataset: {_first_line(error)}",
            where=path,
            hint="write it again with save_to_disk",
        ) from error
    check_names(table.column_names, path)
    first = 1
    for batch in table.with_format("arrow").iter(batch_size=_BATCH):
        yield from table_rows(batch, first)
        first += batch.num_rows


def _arrow(source: str) -> Iterator[Row]:
    import datasets
    import pyarrow as pa

    try:
        table = datasets.Dataset.from_file(source)
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(
            f"not a whole Arrow file: {_first_line(error)}",
            where=source,
            hint="write the file again",
        ) from error
    first = 1
    for batch in table.with_format("arrow").iter(batch_size=_BATCH):
        yield from table_rows(batch, first)
        first += batch.num_rows


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "csv": read_csv,
    "jsonl": jsonl,
    "parquet": parquet,
    "arrow": _arrow,
}


def _files(path: Path, split: str | None, config: str | None, *, where: str) -> Iterator[Row]:
    names = [one.relative_to(path).as_posix() for one in path.rglob("*") if one.is_file()]
    number = 0
    for name in _choose(names, path, split, config, where=where):
        reader = _READERS[str(_splits.reader_of(name))]
        for _, row in reader(str(path / name)):
            number += 1
            yield number, row


def _choose(
    names: Iterable[str], folder: Path | None, split: str | None, config: str | None, *, where: str
) -> list[str]:
    """The files of a split among ``names``, by the README that lies in ``folder``, if any."""
    readme = folder / _README if folder else None
    card = readme.read_text("utf-8", "replace") if readme and readme.is_file() else ""
    return _splits.split_files(
        names, _splits.front_matter(card), split=split, config=config, where=where
    )


def _offline() -> bool:
    from huggingface_hub import constants

    asked = os.environ.get("HF_HUB_OFFLINE", "").strip().lower()
    return constants.HF_HUB_OFFLINE or asked in {"1", "true", "yes", "on"}


def _failures() -> tuple[type[Exception], ...]:
    """What the hub's client raises: its own errors derive from its HTTP library's root error."""
    from huggingface_hub import errors

    roots = (one for one in errors.HfHubHTTPError.__bases__ if issubclass(one, Exception))
    # Older clients keep no list of the files of a commit, and have no error for its absence.
    return (OSError, getattr(errors, "CachedRepoTreeNotFoundError", OSError), *roots)


# Remembered, so that the check of a dataset and its run read the same commit.
@lru_cache(maxsize=64)
def _download(
    name: str, split: str | None, config: str | None, revision: str | None, *, offline: bool
) -> Path:
    """The folder in the hub's cache that holds the files of one split."""
    import huggingface_hub

    if not _HUB_NAME.fullmatch(name):
        raise DatasetError(
            f"{name!r} is neither a folder nor a hub name",
            where=name,
            hint="write owner/name, or the path of a local folder",
        )
    if offline:
        return _cached(name, split, config, revision)
    fetch: Callable[..., Any] = huggingface_hub.snapshot_download
    try:
        # One question first, with a short timeout and no retries: it says whether the hub can be
        # reached, and lists the files. The download names the branch and not the commit, because
        # that is what the cache is asked for when it is offline.
        info = huggingface_hub.HfApi().dataset_info(name, revision=revision, timeout=_TIMEOUT_S)
        names = [one.rfilename for one in info.siblings or ()]
        wanted: dict[str, Any] = {"repo_type": "dataset", "revision": revision}
        card = fetch(name, allow_patterns=[_README], **wanted) if _README in names else None
        folder = Path(card) if card else None
        chosen = _choose(names, folder, split, config, where=name)
        patterns = [_escaped(one) for one in chosen]
        return Path(fetch(name, allow_patterns=[_README, *patterns], **wanted))
    except _failures() as error:
        _explain(error, name, revision)


def _cached(name: str, split: str | None, config: str | None, revision: str | None) -> Path:
    """The folder in the hub's cache that holds every file of one split, without a connection."""
    import huggingface_hub

    known: dict[str, Any] = {"repo_type": "dataset", "revision": revision}
    try:
        path = huggingface_hub.snapshot_download(name, local_files_only=True, **known)
    except _failures() as error:
        # The client calls a snapshot incomplete that lacks other splits, and says where it is.
        path = getattr(error, "snapshot_path", None)
        if path is None:
            raise _not_cached(name) from error
    folder = Path(path)
    list_tree: Callable[..., Any] | None = getattr(huggingface_hub, "get_cached_repo_tree", None)
    try:
        names = [one.path for one in list_tree(name, **known)] if list_tree else []
    except _failures():
        names = []
    if names:
        chosen = _choose(names, folder, split, config, where=name)
        if not all((folder / one).is_file() for one in chosen):
            raise _not_cached(name)
    return folder


def _not_cached(name: str) -> DatasetError:
    return DatasetError(
        f"{name!r} is no folder of the project and not in the cache, and HF_HUB_OFFLINE is set",
        where=name,
        hint="leave them out once to download it, or name a local folder",
    )


def _escaped(name: str) -> str:
    """A file name as a pattern that fits it alone."""
    return re.sub(r"([*?\[])", r"[\1]", name)


def _explain(error: Exception, name: str, revision: str | None) -> NoReturn:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        what, hint = f"the dataset {name!r} is gated", "accept its terms, and set HF_TOKEN"
    elif isinstance(error, errors.RevisionNotFoundError):
        what, hint = f"the dataset {name!r} has no revision {revision!r}", "name a branch or commit"
    elif isinstance(error, errors.RepositoryNotFoundError):
        what = f"no dataset {name!r} on the hub"
        hint = "check owner/name; a private dataset needs HF_TOKEN; or name a local folder"
    else:
        what = (
            f"{name!r} is no folder of the project, and the hub could not be reached for it:"
            f" {_first_line(error)}"
        )
        hint = "set HF_HUB_OFFLINE=1 to use the copy in the cache, or name a local folder"
    raise DatasetError(what, where=name, hint=hint) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
