"""The card beside a dataset: licence, origin, owner, what the data is, and for attacks the threat.

A card that holds ``sha256`` freezes its file: another content is refused wherever it is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field

from evalkit.config.check import ATLAS, OWASP, SHA256, Findings, Strict
from evalkit.config.env import check_references
from evalkit.config.tree import read_yaml
from evalkit.errors import Position

SUFFIXES = (".card.yaml", ".card.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known about a dataset: where it comes from and how it may be used.

    ``threat``, ``expected`` and ``success`` speak of attacks: what is tried, what the target should
    do, and how it is told that it succeeded. ``owasp`` and ``atlas`` are ids of their lists.
    ``sha256`` is that of the frozen file's bytes, ``None`` for one that is not frozen.
    """

    path: Path
    licence: str
    origin: str
    owner: str
    description: str
    name: str | None = None
    version: int | str | None = None
    languages: tuple[str, ...] = ()
    created: str | None = None
    source_url: str | None = None
    notes: str = ""
    threat: str = ""
    expected: str = ""
    success: str = ""
    owasp: tuple[str, ...] = ()
    atlas: tuple[str, ...] = ()
    sha256: str | None = None
    position: Position | None = None


class CardModel(Strict):
    """A card as it is written."""

    licence: str = Field(min_length=1, description="an SPDX name, such as CC-BY-4.0")
    origin: str = Field(min_length=1, description="where the rows come from")
    owner: str = Field(min_length=1, description="who answers for the data")
    description: str = Field(min_length=1, description="what the cases are")
    name: str | None = None
    version: Annotated[int, Field(ge=1)] | str | None = Field(
        None, description="a number that freezing counts, or a label"
    )
    languages: list[str] = Field([], description="language codes, such as en")
    created: str | None = Field(None, description="a date, such as 2026-01-31")
    source_url: str | None = None
    notes: str = ""
    threat: str = Field("", description="what an attacker tries")
    expected: str = Field("", description="what a safe target does")
    success: str = Field("", description="how it is told that an attack succeeded")
    owasp: list[Annotated[str, Field(pattern=OWASP)]] = Field(
        [], description="ids of the OWASP Top 10 for LLM applications 2025, such as LLM01"
    )
    atlas: list[Annotated[str, Field(pattern=ATLAS)]] = Field(
        [], description="ids of MITRE ATLAS techniques, such as AML.T0051"
    )
    sha256: str | None = Field(
        None, pattern=SHA256, description="of the frozen file; 'evalkit attack freeze' writes it"
    )


def load_card(dataset_path: Path) -> Card | None:
    """The card beside a dataset, as ``handbook.card.yaml`` beside ``handbook.jsonl``, or ``None``.

    Raises ``ConfigError`` with file, line and column of the first mistake.
    """
    path = card_path(dataset_path)
    return _read(path) if path.is_file() else None


def card_path(dataset_path: Path) -> Path:
    """The card's file beside a dataset; the one to write where there is none."""
    places = _places(dataset_path)
    return next((one for one in places if one.is_file()), places[0])


def _places(dataset_path: Path) -> list[Path]:
    name = dataset_path.name
    stems = dict.fromkeys((name.removesuffix(".gz").rpartition(".")[0] or name, name))
    return [dataset_path.with_name(stem + suffix) for stem in stems for suffix in SUFFIXES]


def _read(path: Path) -> Card:
    document = read_yaml(path)
    findings = Findings(document)
    model = findings.check(CardModel, document.root, "the card")
    check_references(findings, document.root, allowed=False)
    findings.raise_any()
    assert model is not None
    values = model.model_dump()
    for key in ("languages", "owasp", "atlas"):
        values[key] = tuple(values[key])
    return Card(path=path, position=document.at(document.root), **values)
