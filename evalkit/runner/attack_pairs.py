"""Counterfactual pairs from a template, written as a frozen file."""

from __future__ import annotations

from pathlib import Path

from evalkit.config.pair_template import PairCase, PairTemplate
from evalkit.errors import UsageError
from evalkit.model import JSON
from evalkit.runner.attack_expand import Expanded, write_frozen

SORT = "pair"


def write_pairs(template: PairTemplate, out: Path, *, force: bool = False) -> Expanded:
    """Write every variant of a template with its provenance and a card, and freeze the file.

    Raises ``UsageError`` for another content in a file that is there, unless it is forced.
    """
    from evalkit import __version__
    from evalkit.config.freeze import SHORT, file_sha256
    from evalkit.datasets._written import line_of

    if not out.name.endswith(".jsonl"):
        raise UsageError("pairs are JSON Lines", where=out, hint="name it .jsonl")
    source = f"{template.path.name} {file_sha256(template.path)[:SHORT]}"
    cases = list(template.cases())
    content = "".join(line_of(_row(one, source)) for one in cases).encode()
    model = template.model
    card: dict[str, JSON] = {
        "licence": model.licence,
        "origin": f"evalkit {__version__} made it from {source}. {model.origin.strip()}",
        "owner": model.owner,
        "description": model.description.strip(),
        "languages": list(model.languages),
    }
    frozen, written = write_frozen(out, content, card, force=force)
    bases = len({one.pair for one in cases})
    return Expanded(path=out, cases=len(cases), bases=bases, frozen=frozen, written=written)


def _row(case: PairCase, source: str) -> dict[str, JSON]:
    from evalkit.datasets._written import column_of

    row: dict[str, JSON] = {"id": case.name}
    row |= {column_of(name): text for name, text in case.inputs.items()}
    if case.context:
        row["context"] = list(case.context)
    if case.expected is not None:
        row["expected"] = case.expected
    # the axis is a tag too: what its groups are compared by, and no other axis's
    row["tags"] = {
        **case.tags,
        "sort": SORT,
        "axis": case.axis,
        "group": case.group,
        "pair": case.pair,
        "base": case.base,
        case.axis: case.group,
    }
    row["metadata"] = {"pair": {"template": source, "case": case.base, "values": dict(case.values)}}
    return row
