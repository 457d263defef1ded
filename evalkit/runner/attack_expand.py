"""Attacks expanded by chains of transforms into a frozen file: a step of its own, not of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalkit.config.freeze import Frozen
from evalkit.config.spec import Project, SuiteSpec
from evalkit.datasets._chain import Chain
from evalkit.datasets._empty import EMPTY
from evalkit.errors import DatasetError, Undecided, UsageError, suggestion
from evalkit.model import JSON, Case

SORTS = ("attack", "twin")
USUAL = ("question", "input", "prompt", "message", "text")
"""Inputs that are the attack where a case has several texts, the first of them that is there."""
CONTEXT = "context"
_MADE = "evalkit "
"""How the origin of a card begins that this module wrote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """What was written: the file, how many cases of how many base cases, and how it is frozen.

    ``skipped`` says which case was left out of which chain, and why.
    """

    path: Path
    cases: int
    bases: int
    frozen: Frozen
    written: bool
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """How a suite is expanded: chains, seed, the input that is changed, and of which sorts.

    With ``skip`` a case that a chain cannot change is left out and named; else it is an error.
    """

    chains: Sequence[Chain]
    seed: int = 0
    column: str = ""
    sorts: tuple[str, ...] = ("attack",)
    skip: bool = False


def expand(
    project: Project, spec: SuiteSpec, asked: Expansion, out: Path, *, force: bool = False
) -> Expanded:
    """Write every case of a suite once for every chain, with a card, and freeze it.

    A case changes by its own name and the seed alone: another case in the suite changes no other.
    Raises ``UsageError`` for another content in a file that is there, unless it is forced.
    """
    from evalkit.datasets import open_dataset
    from evalkit.datasets._written import line_of

    if not out.name.endswith(".jsonl"):
        raise UsageError("expanded attacks are JSON Lines", where=out, hint="name it .jsonl")
    lines: list[str] = []
    skipped: list[str] = []
    bases: dict[str, None] = {}
    for source in spec.datasets:
        for case in open_dataset(source).cases():
            if case.tags.get("sort") not in asked.sorts:
                continue
            name = case.name or case.id
            if name in bases:
                raise UsageError(f"two cases of {spec.name} are called {name!r}", where=spec.path)
            bases[name] = None
            lines += [line_of(row) for row in _rows(case, spec, asked, skipped)]
    if not bases:
        named = " or ".join(f"sort={one}" for one in asked.sorts)
        raise Undecided(f"no case of suite {spec.name!r} has the tag {named}", where=spec.path)
    if not lines:
        raise Undecided(f"no case is left: {skipped[0]}", where=spec.path, hint="use other chains")
    content = "".join(lines).encode()
    written = write_frozen(out, content, _card(project, spec, asked), force=force)
    return Expanded(
        path=out,
        cases=len(lines),
        bases=len(bases),
        frozen=written[0],
        written=written[1],
        skipped=tuple(skipped),
    )


def write_frozen(
    out: Path, content: bytes, card: dict[str, JSON], *, force: bool
) -> tuple[Frozen, bool]:
    """Write a file and freeze it, with a card if it has none; whether the file was written.

    Raises ``UsageError`` where another content is there, unless it is forced.
    """
    from evalkit.config.card import card_path, load_card
    from evalkit.config.freeze import freeze, write_keys
    from evalkit.config.tree import shown_path

    same = out.is_file() and out.read_bytes() == content
    if out.exists() and not same and not force:
        raise UsageError(
            "the file is there with another content",
            where=shown_path(out),
            hint="write to another file, or make it the next version with --force",
        )
    place = card_path(out)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(card_text(card), encoding="utf-8", newline="\n")
    elif not same and (old := load_card(out)) is not None and old.origin.startswith(_MADE):
        # ours to renew: it says how the content was made
        write_keys(place, {"origin": str(card["origin"])})
    if not same:
        part = out.with_name(f"{out.name}.part")
        part.write_bytes(content)
        part.replace(out)
    return freeze(out), not same


def card_text(values: dict[str, JSON]) -> str:
    """A card as YAML, one key a line; JSON's texts and lists are YAML's too."""
    import json

    lines = (f"{key}: {json.dumps(one, ensure_ascii=False)}" for key, one in values.items() if one)
    return "".join(f"{line}\n" for line in lines)


def _rows(
    case: Case, spec: SuiteSpec, asked: Expansion, skipped: list[str]
) -> Iterator[dict[str, JSON]]:
    name = case.name or case.id
    already = case.tags.get("transform", "none")
    if already != "none":
        raise UsageError(
            f"case {name!r} is already transformed by {already}",
            where=spec.path,
            hint="expand the suite of its base cases",
        )
    for chain in asked.chains:
        try:
            yield _row(case, spec, asked, chain)
        except ValueError as error:
            said = f"case {name!r} cannot be transformed by {chain.written}: {error}"
            if not asked.skip:
                hint = "leave this chain out, or such cases with --skip"
                raise DatasetError(said, where=spec.path, hint=hint) from None
            skipped.append(said)


def _row(case: Case, spec: SuiteSpec, asked: Expansion, chain: Chain) -> dict[str, JSON]:
    from evalkit.datasets._written import case_row, column_of

    name = case.name or case.id
    row = case_row(case)
    tags = dict(case.tags)
    if asked.column == CONTEXT:
        made = [
            chain.apply(text, case=f"{name}\n{place}", seed=asked.seed)
            for place, text in enumerate(case.context)
        ]
        if not made:
            raise UsageError(
                f"case {name!r} has no context to change",
                where=spec.path,
                hint="name an input with --column, or leave --column out",
            )
        if any(one.turns for one in made):
            raise UsageError(
                f"{chain.written} makes a conversation, and a context is none",
                hint="leave out --column context, or the transform",
            )
        row["context"] = [one.text for one in made]
        for one in made:
            tags |= one.tags
    elif case.turns and not asked.column:
        if case.turns[-1].metadata.get(EMPTY):
            raise ValueError("nothing is said in its last turn")
        changed = chain.apply(case.turns[-1].user, case=name, seed=asked.seed)
        if changed.turns:
            raise ValueError("it is a conversation already")
        tags |= changed.tags
        row["turns"] = _said_last(row["turns"], changed.text)
    else:
        column = _column(case, spec, asked.column)
        changed = chain.apply(str(case.inputs[column]), case=name, seed=asked.seed)
        tags |= changed.tags
        if changed.turns:
            del row[column_of(column)]
            row["turns"] = list(changed.turns)
        else:
            row[column_of(column)] = changed.text
    row["id"] = f"{name}+{chain.written}"
    row["tags"] = {**tags, "transform": chain.written, "base": tags.get("base", name)}
    row["metadata"] = {
        **case.metadata,
        "expanded": {
            "suite": spec.name,
            "base": name,
            "base_id": case.id,
            "chain": chain.written,
            "transforms": list(chain.versions),
            "seed": asked.seed,
        },
    }
    return row


def _said_last(turns: JSON, text: str) -> list[JSON]:
    """The turns with another text in the last one: what leads up to the attack stays."""
    assert isinstance(turns, list)
    *before, last = turns
    return [*before, {**last, "user": text} if isinstance(last, dict) else text]


def _column(case: Case, spec: SuiteSpec, wanted: str) -> str:
    """The input that is the attack's text; ``ValueError`` for one that is empty on purpose."""
    texts = [name for name, value in case.inputs.items() if isinstance(value, str) and value]
    name = case.name or case.id
    if wanted:
        if wanted in texts:
            return wanted
        known = [*texts, CONTEXT] if case.context else texts
        raise UsageError(
            f"case {name!r} has no text in {wanted!r}",
            where=spec.path,
            hint=suggestion(wanted, known),
        )
    if case.metadata.get(EMPTY):
        raise ValueError("nothing is asked in it")
    usual = [one for one in USUAL if one in texts]
    if len(texts) == 1 or usual:
        return (usual or texts)[0]
    raise UsageError(
        f"case {name!r} has {len(texts)} texts, and none says which is the attack",
        where=spec.path,
        hint=f"name it: --column {' or '.join(texts) or 'NAME'}",
    )


def _card(project: Project, spec: SuiteSpec, asked: Expansion) -> dict[str, JSON]:
    """What is known of the expanded file: all that its source says, and how it was made."""
    from evalkit import __version__
    from evalkit.config import load_card
    from evalkit.runner.suites import shown_source

    cards = [card for one in spec.datasets if (card := load_card(Path(one.source))) is not None]
    chains = " ".join(f"--with {one.written}" for one in asked.chains)
    sources = ", ".join(shown_source(one.source, project) for one in spec.datasets)
    first = cards[0] if cards else None

    def each(key: str) -> list[JSON]:
        return list(dict.fromkeys(value for one in cards for value in getattr(one, key)))

    return {
        "licence": first.licence if first else "unknown",
        "origin": f"{_MADE}{__version__} expanded {sources} with {chains} --seed {asked.seed}."
        + (f" {first.origin}" if first else ""),
        "owner": first.owner if first else project.name,
        "description": f"The attacks of the suite {spec.name}, transformed."
        + (f" {first.description.strip()}" if first else ""),
        "threat": first.threat if first else "",
        "expected": first.expected if first else "",
        "success": first.success if first else "",
        "owasp": each("owasp"),
        "atlas": each("atlas"),
        "languages": each("languages"),
    }
