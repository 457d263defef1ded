"""Templates of counterfactual pairs: the same question, with one thing about the person changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from evalkit.config.check import NAME, Findings, Strict, nearest_file
from evalkit.config.tree import Node, read_yaml, shown_path
from evalkit.errors import ConfigError, suggestion
from evalkit.model import JSON

Name = Annotated[str, Field(pattern=NAME)]
Values = Annotated[list[str], Field(min_length=1)]
OWN = frozenset({"sort", "axis", "group", "pair", "base"})
"""Tags that every variant is given."""
RESERVED = OWN | {"category", "severity", "transform", "lang"}
"""What no axis may be called: tags that have a meaning elsewhere."""
_SLOT = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_]*)\}|[{}]")


class PairCaseModel(Strict):
    """One question; ``{slot}`` stands for what a group says there."""

    id: Name
    axes: list[Name] | None = Field(None, min_length=1, description="all of them without")
    inputs: dict[str, str] = Field(min_length=1, description="as question: '{about} How long?'")
    context: list[str] = Field([])
    expected: Any = None
    tags: dict[str, str] = Field({})


class PairsModel(Strict):
    """The whole template: who it is of, the axes with their groups, and the questions."""

    licence: str = Field(min_length=1)
    origin: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    description: str = Field(min_length=1)
    languages: list[str] = Field([])
    axes: dict[Name, dict[Name, dict[Name, str | Values]]] = Field(
        min_length=1, description="axis: group: slot: a text, or a list of as many as the others"
    )
    cases: list[Any] = Field(min_length=1, description="the questions")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCase:
    """One variant of a question: for a group of an axis, with the ``number`` of its values."""

    base: str
    axis: str
    group: str
    number: int
    values: Mapping[str, str]
    inputs: Mapping[str, str]
    context: tuple[str, ...]
    expected: JSON
    tags: Mapping[str, str]

    @property
    def pair(self) -> str:
        """What the variants that differ in the group alone have in common."""
        return f"{self.base}.{self.axis}.{self.number}"

    @property
    def name(self) -> str:
        """What the case is called."""
        return f"{self.pair}.{self.group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairTemplate:
    """A template that was read, and what its card says."""

    path: Path
    model: PairsModel
    questions: tuple[PairCaseModel, ...]

    def cases(self) -> Iterator[PairCase]:
        """Every question for every value of every group of its axes, pairs side by side."""
        for case in self.questions:
            for axis in case.axes or list(self.model.axes):
                groups = self.model.axes[axis]
                for number in range(_many(groups)):
                    for group, slots in groups.items():
                        values = {
                            key: one if isinstance(one, str) else one[number]
                            for key, one in slots.items()
                        }
                        yield PairCase(
                            base=case.id,
                            axis=axis,
                            group=group,
                            number=number + 1,
                            values=values,
                            inputs={key: _filled(one, values) for key, one in case.inputs.items()},
                            context=tuple(_filled(one, values) for one in case.context),
                            expected=_expected(case.expected, values),
                            tags=case.tags,
                        )


def _many(groups: Mapping[str, Mapping[str, str | list[str]]]) -> int:
    """How many values the slots of an axis have; texts stand for as many as the lists."""
    return max(
        (len(one) for slots in groups.values() for one in slots.values() if isinstance(one, list)),
        default=1,
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    def one(found: re.Match[str]) -> str:
        return values[found[1]] if found[1] else found[0][0]

    return _SLOT.sub(one, text)


def _expected(value: Any, values: Mapping[str, str]) -> JSON:
    if isinstance(value, str):
        return _filled(value, values)
    if isinstance(value, list):
        return [_expected(one, values) for one in value]
    found: JSON = value
    return found


def read_pairs(path: Path) -> PairTemplate:
    """Read and check a template; raises ``ConfigError`` with the place of the first mistake."""
    if not path.is_file():
        hint = nearest_file(path.absolute(), Path.cwd())
        raise ConfigError("the template does not exist", where=shown_path(path), hint=hint)
    document = read_yaml(path)
    findings = Findings(document)
    model = findings.check(PairsModel, document.root, "the template")
    questions: list[PairCaseModel] = []
    if model is not None:
        _check_axes(findings, model, document.root.entries["axes"].node)
        for number, item in enumerate(document.root.entries["cases"].node.items, 1):
            one = findings.check(PairCaseModel, item, f"case {number}")
            if one is not None and not findings.found:
                _check_case(findings, one, model, item, seen={each.id for each in questions})
            questions += [] if one is None else [one]
    findings.raise_any()
    assert model is not None
    return PairTemplate(path=path, model=model, questions=tuple(questions))


def _check_axes(findings: Findings, model: PairsModel, node: Node) -> None:
    for axis, groups in model.axes.items():
        entry = node.entries[axis]
        if axis in RESERVED:
            findings.add(f"an axis cannot be called {axis!r}", entry, "that tag has a meaning")
        if len(groups) < 2:
            findings.add(
                f"axis {axis!r} has one group, and nothing to compare it with",
                entry,
                "add a second group",
            )
        first = next(iter(groups.values()), {})
        many = _many(groups)
        for group, slots in groups.items():
            place = entry.node.entries[group]
            if set(slots) != set(first):
                other = min(set(slots) ^ set(first))
                findings.add(
                    f"the groups of axis {axis!r} have different slots: {other!r} is not in all",
                    place,
                    "give every group the same slots",
                )
            for slot, values in slots.items():
                if isinstance(values, list) and len(values) != many:
                    findings.add(
                        f"{slot!r} of {group!r} has {len(values)} values, others have {many}",
                        place.node.entries[slot],
                        "give every list of the axis as many",
                    )


def _check_case(
    findings: Findings, case: PairCaseModel, model: PairsModel, item: Node, *, seen: set[str]
) -> None:
    if case.id in seen:
        findings.add(f"two cases are called {case.id!r}", item, "give one another id")
    for tag in case.tags:
        if tag in OWN or tag in model.axes:
            findings.add(
                f"the tag {tag!r} of case {case.id!r} is one that every variant gets",
                item.entries["tags"].node.entries[tag],
                "call it something else",
            )
    for axis in case.axes or model.axes:
        if axis in model.axes:
            _check_slots(findings, case, axis, model, item)
        else:
            what = f"unknown axis {axis!r} in case {case.id!r}"
            findings.unknown(what, axis, model.axes, item.entries["axes"].node)


def _check_slots(
    findings: Findings, case: PairCaseModel, axis: str, model: PairsModel, item: Node
) -> None:
    known = set(next(iter(model.axes[axis].values())))
    used = set()
    for key, part in (("inputs", case.inputs.values()), ("context", case.context)):
        for text in part:
            for found in _SLOT.finditer(text):
                if found[0] in {"{", "}"}:
                    findings.add(
                        f"a lone {found[0]!r} in case {case.id!r}",
                        item.entries[key],
                        f"write {2 * found[0]} to mean the character",
                    )
                elif found[1] and found[1] not in known:
                    findings.add(
                        f"axis {axis!r} has no slot {found[1]!r}, which case {case.id!r} uses",
                        item.entries[key],
                        f"{suggestion(found[1], known)}; or name the case's axes: axes: [...]",
                    )
                used.add(found[1])
    if not used & known:
        findings.add(
            f"case {case.id!r} uses no slot of axis {axis!r}, so its variants would be the same",
            item,
            f"write one into its inputs: {', '.join('{' + one + '}' for one in sorted(known))}",
        )
