"""Which files of a dataset repository belong to a split: its README's configs, else file names.

The conventions are those of the Hugging Face hub, resolved on names alone: nothing is opened, and a
repository cannot point out of itself.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from evalkit.errors import DatasetError, UnknownName

FORMATS: Mapping[str, str] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
}
"""The reader of a data file by its ending."""

_WORDS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
}
_SHARD = re.compile(r"(\w+(?:[.-]\w+)*)-\d{5}-of-\d{5}(?:-\w+)?")


def reader_of(name: str) -> str | None:
    """The reader of a file by its ending, gzipped or not; nothing for a file without rows."""
    path = PurePosixPath(name.lower().removesuffix(".gz"))
    return FORMATS.get(path.suffix)


def front_matter(text: str) -> Mapping[str, Any]:
    """The YAML at the top of a README; nothing when there is none."""
    import yaml

    found = re.match(r"\ufeff?---\s*\n(.*?)\n---\s*(?:\n|$)", text, re.DOTALL)
    try:
        value = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:
        return {}
    return value if isinstance(value, dict) else {}


def split_files(
    names: Iterable[str],
    readme: Mapping[str, Any],
    *,
    split: str | None,
    config: str | None,
    where: str,
) -> list[str]:
    """The data files of one split, in the order of their names; raises ``DatasetError``.

    Without ``split`` there must be one only; without ``config`` the default one is taken.
    """
    kept = [one for one in names if not any(part[0] in "._" for part in one.split("/"))]
    data = sorted(one for one in kept if reader_of(one))
    if not data:
        raise DatasetError(
            "no CSV, JSON, Parquet or Arrow files in the dataset",
            where=where,
            hint="convert it to Parquet, or name a folder written by save_to_disk",
        )
    splits = _declared(data, _config(readme, config, where), where)
    if splits is None:
        splits = _by_name(data)
    if split is None:
        if len(splits) == 1:
            return next(iter(splits.values()))
        raise DatasetError(
            "the dataset has several splits and none is chosen",
            where=where,
            hint=f"set split to one of: {', '.join(sorted(splits))}",
        )
    if split not in splits:
        raise UnknownName("split", split, splits, where=where)
    return splits[split]


def _config(readme: Mapping[str, Any], name: str | None, where: str) -> Mapping[str, Any] | None:
    listed = readme.get("configs")
    configs = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    by_name = {str(one.get("config_name", "default")): one for one in configs}
    if name is not None:
        if name not in by_name:
            raise UnknownName("dataset config", name, by_name, where=where)
        return by_name[name]
    if not by_name:
        return None
    marked = [one for one in by_name.values() if one.get("default") is True]
    if marked:
        return marked[0]
    if "default" in by_name:
        return by_name["default"]
    if len(by_name) == 1:
        return next(iter(by_name.values()))
    raise DatasetError(
        "the dataset has several configs and none is chosen",
        where=where,
        hint=f"set config to one of: {', '.join(sorted(by_name))}",
    )


def _declared(
    data: Sequence[str], config: Mapping[str, Any] | None, where: str
) -> dict[str, list[str]] | None:
    if config is None:
        return None
    folder = str(config.get("data_dir") or "").strip("/")
    inside = [one for one in data if not folder or one.startswith(f"{folder}/")]
    entries = config.get("data_files")
    if entries is None:
        return _by_name(inside) if inside else None
    if isinstance(entries, dict):
        entries = [{"split": key, "path": value} for key, value in entries.items()]
    elif not isinstance(entries, list):
        entries = [entries]
    splits: dict[str, list[str]] = {}
    for entry in entries:
        given = entry if isinstance(entry, dict) else {"split": "train", "path": entry}
        patterns = given.get("path")
        for pattern in patterns if isinstance(patterns, list) else [patterns]:
            prefix = f"{folder}/" if folder else ""
            matched = [one for one in inside if _matches(one, prefix + str(pattern))]
            splits.setdefault(str(given.get("split", "train")), []).extend(matched)
    found = {split: sorted(set(files)) for split, files in splits.items() if files}
    if not found:
        raise DatasetError(
            "the files that the README's configs name are not there",
            where=where,
            hint="download the dataset again, or correct 'data_files' in its README.md",
        )
    return found


def _matches(name: str, pattern: str) -> bool:
    """Whether a glob fits a name: ``*`` stays within a folder, ``**`` does not.

    Follows every way at once instead of trying one after the other, so no pattern can stall it.
    """
    pieces = re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]/]+\]|.", pattern.removeprefix("./"), re.DOTALL)
    ends = {0}
    for piece in pieces:
        if not ends:
            return False
        if piece == "**":
            ends = set(range(min(ends), len(name) + 1))
        elif piece == "**/":
            ends |= {at for at in range(min(ends) + 1, len(name) + 1) if name[at - 1] == "/"}
        elif piece == "*":
            ends = {at for start in ends for at in range(start, _folder_end(name, start) + 1)}
        else:
            ends = {at + 1 for at in ends if at < len(name) and _is_one(name[at], piece)}
    return len(name) in ends


def _folder_end(name: str, start: int) -> int:
    end = name.find("/", start)
    return len(name) if end < 0 else end


def _is_one(letter: str, piece: str) -> bool:
    if piece == "?" or (len(piece) > 1 and piece[0] == "["):
        return letter != "/" and (piece == "?" or fnmatch.fnmatchcase(letter, piece))
    return letter == piece


def _by_name(data: Sequence[str]) -> dict[str, list[str]]:
    splits: dict[str, list[str]] = {}
    for name in data:
        splits.setdefault(_split_in(name), []).append(name)
    # As on the hub, files that name no split are the training split when no other file names one.
    unnamed = splits.pop("", [])
    return splits or {"train": unnamed}


def _split_in(name: str) -> str:
    parts = name.split("/")
    stem = parts[-1].partition(".")[0]
    shard = _SHARD.fullmatch(stem)
    if shard and parts[-2:-1] == ["data"]:
        return shard[1]
    for part in (stem, *reversed(parts[:-1])):
        for word in re.split(r"[^a-zA-Z]+", part):
            if word.lower() in _WORDS:
                return _WORDS[word.lower()]
    return ""
