"""Frozen files: a dataset whose card holds the hash of its bytes, checked wherever it is read."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evalkit.config.card import Card, card_path, load_card
from evalkit.config.tree import parse_yaml, read_text, read_yaml, shown_path
from evalkit.errors import ConfigError, Position, UsageError

SHORT = 12
"""Hexadecimal digits by which an error tells two hashes apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """What freezing did: the version and hash in the card, and the hash it held before."""

    card: Path
    version: int
    sha256: str
    before: str | None = None

    @property
    def changed(self) -> bool:
        """Whether the card was written."""
        return self.sha256 != self.before


def file_sha256(path: Path) -> str:
    """The whole SHA-256 of a file's bytes; raises ``UsageError`` for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"the file cannot be read: {reason}", where=shown_path(path)) from None


def check_frozen(path: Path) -> Card | None:
    """The card beside a dataset, ``None`` without one.

    Raises ``ConfigError`` naming both hashes for a file that is not the one that was frozen.
    """
    card = load_card(path)
    if card is None or card.sha256 is None:
        return card
    where, name = _where(card, "sha256"), shown_path(path)
    if not isinstance(card.version, int):
        raise ConfigError(
            "a card with 'sha256' needs a 'version' that is a number",
            where=where,
            hint=f"write 'version: 1', or freeze it again: evalkit attack freeze {name}",
        )
    found = file_sha256(path)
    if found == card.sha256:
        return card
    raise ConfigError(
        f"{name} is not the file that was frozen as version {card.version}: its sha256"
        f" is {found[:SHORT]}..., its card says {card.sha256[:SHORT]}...",
        where=where,
        hint=f"take the edit back, or make it the next version: evalkit attack freeze {name}",
    )


def freeze(path: Path) -> Frozen:
    """Write the hash of a dataset into its card, as the next version when the content is another.

    Comments and the order of the card's lines stay. Raises ``UsageError`` where there is no card.
    """
    found = file_sha256(path)
    card = load_card(path)
    if card is None:
        raise UsageError(
            "a file without a card cannot be frozen",
            where=shown_path(path),
            hint=f"write {shown_path(card_path(path))} with licence, origin, owner and description",
        )
    version = _number(card)
    if card.sha256 == found and card.version == version:
        return Frozen(card=card.path, version=version, sha256=found, before=found)
    if card.sha256 not in {None, found}:
        version += 1
    write_keys(card.path, {"version": version, "sha256": found})
    return Frozen(card=card.path, version=version, sha256=found, before=card.sha256)


def _number(card: Card) -> int:
    """The version as a number; a frozen file is counted."""
    text = str(card.version if card.version is not None else 1)
    if re.fullmatch("[1-9][0-9]{0,8}", text):
        return int(text)
    raise ConfigError(
        f"the version of a frozen file is a number, not {text!r}",
        where=_where(card, "version"),
        hint="write 'version: 1'; 'notes' can hold the label",
    )


def write_keys(path: Path, wanted: Mapping[str, int | str]) -> None:
    """Set keys of a card, each on one line, and keep every other line as it is."""
    text = read_text(path)
    for key, value in wanted.items():
        bare = isinstance(value, int) or value.isalnum()
        written = f"{key}: {value if bare else json.dumps(value, ensure_ascii=False)}"
        line = re.compile(rf"^{key}[ \t]*:.*$", re.MULTILINE)
        if line.search(text):
            text = line.sub(lambda _, new=written: new, text, count=1)  # type: ignore[misc]
        else:
            text = f"{text.rstrip()}\n{written}\n"
    if not _holds(text, path, wanted):
        raise ConfigError(
            f"the card's {' and '.join(wanted)} cannot be written",
            where=shown_path(path),
            hint=f"put {' and '.join(map(repr, wanted))} on lines of their own, unindented",
        )
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8", newline="")
    part.replace(path)


def _holds(text: str, path: Path, wanted: Mapping[str, int | str]) -> bool:
    try:
        found = parse_yaml(text, path).root.plain()
    except ConfigError:
        return False
    return all(found.get(key) == value for key, value in wanted.items())


def _where(card: Card, key: str) -> Position:
    document = read_yaml(card.path)
    return document.at(document.root.entries[key])
