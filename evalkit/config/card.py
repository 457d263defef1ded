"""The card beside a golden file: licence, origin, owner, and what the data is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import Field

from evalkit.config.check import Findings, Strict
from evalkit.config.env import check_references
from evalkit.config.tree import read_yaml
from evalkit.errors import Position

SUFFIXES = (".card.yaml", ".card.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What is known about a dataset: where it comes from and how it may be used."""

    path: Path
    licence: str
    origin: str
    owner: str
    description: str
    name: str | None = None
    version: str | None = None
    languages: tuple[str, ...] = ()
    created: str | None = None
    source_url: str | None = None
    notes: str = ""
    position: Position | None = None


class CardModel(Strict):
    """A card as it is written."""

    licence: str = Field(min_length=1, description="an SPDX name, such as CC-BY-4.0")
    origin: str = Field(min_length=1, description="where the rows come from")
    owner: str = Field(min_length=1, description="who answers for the data")
    description: str = Field(min_length=1, description="what the cases are")
    name: str | None = None
    version: str | None = Field(None, description="a label; identity is the content's hash")
    languages: list[str] = Field([], description="language codes, such as en")
    created: str | None = Field(None, description="a date, such as 2026-01-31")
    source_url: str | None = None
    notes: str = ""


def load_card(dataset_path: Path) -> Card | None:
    """The card beside a dataset, as ``handbook.card.yaml`` beside ``handbook.jsonl``, or ``None``.

    Raises ``ConfigError`` with file, line and column of the first mistake.
    """
    for path in _places(dataset_path):
        if path.is_file():
            return _read(path)
    return None


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
    values["languages"] = tuple(model.languages)
    return Card(path=path, position=document.at(document.root), **values)
