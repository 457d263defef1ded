"""Reading what a judge wrote: a JSON object, or a last line that names the verdict; nothing else.

Whatever is ambiguous is no verdict: two objects that disagree, a key given twice, a label that is
not on the scale, an answer that was cut off.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from evalkit.errors import Unscorable
from evalkit.model import JSON, AnswerSchema, Message, Output
from evalkit.scorers._panel import Panel

LONGEST_VERDICT = 100_000
"""Characters of a judge's answer that are read; a longer one is no verdict."""
_ECHO = 4_000
_OBJECTS = 200
_DEEP = re.compile(r"[\[{]{40}")
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.DOTALL)
_LINE = re.compile(r"(?:final )?verdict\W{0,4}[:=]\W{0,4}(.{1,60}?)\W{0,4}", re.IGNORECASE)

T = TypeVar("T")


class InvalidVerdict(Exception):
    """What a judge wrote cannot be read as a verdict; says why."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The labels a judge chooses from, the best first, with the value of each from 0 to 1."""

    labels: tuple[str, ...]
    values: tuple[float, ...]
    passing: float

    @classmethod
    def of(
        cls, scale: str | Sequence[str] | Mapping[str, float], pass_at: str | float | None
    ) -> Scale:
        """The scale of a configuration; raises ``ValueError`` for one that cannot be used."""
        if isinstance(scale, Mapping):
            pairs = sorted(scale.items(), key=lambda one: -one[1])
            if any(not 0 <= value <= 1 for _, value in pairs):
                raise ValueError("scale: the values of labels go from 0 to 1")
        else:
            labels = _labels(scale) if isinstance(scale, str) else list(scale)
            if len(labels) < 2:
                raise ValueError("scale: give at least two labels, the best first")
            last = len(labels) - 1
            pairs = [(one, (last - at) / last) for at, one in enumerate(labels)]
        names = tuple(name for name, _ in pairs)
        if len({one.strip().casefold() for one in names}) < max(2, len(names)) or not all(
            one.strip() for one in names
        ):
            raise ValueError("scale: the labels must be at least two, and all different")
        values = tuple(float(value) for _, value in pairs)
        passing = 0.75
        if pass_at is not None:
            wanted = f"{pass_at:g}" if isinstance(pass_at, int | float) else pass_at
            if wanted not in names:
                raise ValueError(f"pass_at: {wanted!r} is none of {', '.join(names)}")
            passing = values[names.index(wanted)]
        return cls(names, values, passing)

    def read(self, label: object) -> str:
        """The label as the scale writes it; raises ``InvalidVerdict``."""
        if isinstance(label, bool) or not isinstance(label, str | int | float):
            raise InvalidVerdict(f"the verdict is no label but {_short(label)}")
        said = f"{label:g}" if isinstance(label, int | float) else label
        plain = said.strip().strip("\"'`*_. ").casefold()
        for one in self.labels:
            if one.strip().casefold() == plain:
                return one
        raise InvalidVerdict(f"the verdict {_short(said)} is none of {', '.join(self.labels)}")

    def value(self, label: str) -> float:
        """The value of a label."""
        return self.values[self.labels.index(label)]

    def passes(self, value: float) -> bool:
        """Whether so much is enough."""
        return value >= self.passing - 1e-9


def _labels(scale: str) -> list[str]:
    if scale == "pass_fail":
        return ["pass", "fail"]
    found = re.fullmatch(r"(\d{1,3})\s*[-–]\s*(\d{1,3})", scale)
    if found is None:
        raise ValueError(f"scale: {scale!r} is neither 'pass_fail' nor a range such as '1-5'")
    low, high = int(found[1]), int(found[2])
    if not low < high <= low + 100:
        raise ValueError(f"scale: {scale!r} does not go up, or has more than 101 steps")
    return [str(one) for one in range(high, low - 1, -1)]


def read_object(output: Output, key: str) -> dict[str, Any]:
    """The one JSON object with that key in a judge's answer; raises ``InvalidVerdict``."""
    text = _said(output)
    found = [one for one in _objects(text) if key in one]
    if not found:
        if key == "verdict":
            lines = [
                match[1]
                for line in text.split("\n")
                if len(line) <= 200 and (match := _LINE.fullmatch(line.strip(" \t\r*_#>-")))
            ]
            if len({one.casefold() for one in lines}) == 1 and "{" not in text:
                return {"reason": text[: text.rfind(lines[0])].strip()[-2_000:], key: lines[0]}
        raise _without(output, f"no JSON object with {key!r}")
    if any(one != found[0] for one in found[1:]):
        raise InvalidVerdict(f"the answer has {len(found)} verdicts that differ")
    return found[0]


def read_shape(output: Output, shape: Callable[[dict[str, Any]], T]) -> T:
    """The one JSON object in a judge's answer that has a shape; raises ``InvalidVerdict``.

    ``shape`` raises ``ValueError`` for an object that has not.
    """
    found, wrong = [], ""
    for one in _objects(_said(output)):
        try:
            found.append(shape(one))
        except ValueError as error:
            wrong = wrong or str(error).replace("\n", " ")[:200]
    if not found:
        raise _without(output, f"no JSON object of the shape asked for {wrong}".rstrip())
    if any(one != found[0] for one in found[1:]):
        raise InvalidVerdict(f"the answer has {len(found)} objects that differ")
    return found[0]


def _said(output: Output) -> str:
    text = output.text
    if len(text) > LONGEST_VERDICT:
        raise InvalidVerdict(f"the answer has {len(text):,} characters")
    text = _THOUGHT.sub("", text, count=1) if text.lstrip().startswith("<think>") else text
    if not text.strip():
        raise InvalidVerdict("the answer is empty")
    return text


def _without(output: Output, what: str) -> InvalidVerdict:
    cut = output.finish_reason == "length"
    return InvalidVerdict("the answer was cut off" if cut else f"the answer has {what}")


def _objects(text: str) -> list[dict[str, Any]]:
    if _DEEP.search(text):
        raise InvalidVerdict("the answer is nested too deeply")
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number, strict=False)
    found: list[dict[str, Any]] = []
    at = tried = 0
    while tried < _OBJECTS and (at := text.find("{", at)) >= 0:
        tried += 1
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
        else:
            found.append(value)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidVerdict("the answer gives a key twice")
    return found


def _no_number(word: str) -> Any:
    raise InvalidVerdict(f"the answer holds {word}, which is no number")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def strict(**properties: JSON) -> dict[str, JSON]:
    """The schema of an object with exactly these keys, in this order."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def schema_of(scale: Scale) -> AnswerSchema:
    """The form of a verdict: the reason first, then one label of the scale."""
    return strict(
        reason={"type": "string"},
        quotes={"type": "array", "items": {"type": "string"}},
        verdict={"type": "string", "enum": list(scale.labels)},
    )


async def ask_for(
    panel: Panel,
    name: str,
    messages: Sequence[Message],
    read: Callable[[Output], T],
    *,
    form: str,
    schema: AnswerSchema | None = None,
    trial: int = 0,
) -> T:
    """What a judge's answer is read as, after one attempt to have it repaired.

    ``form`` says in words what ``schema`` says to servers that hold a model to one.
    Raises ``Unscorable`` when it cannot be read twice, and ``TargetError``.
    """
    output = await panel.ask(name, messages, trial=trial, schema=schema)
    try:
        return read(output)
    except InvalidVerdict as first:
        said = output.text[:_ECHO].strip() or "(nothing)"
        again = (
            *messages,
            Message(role="assistant", content=said),
            Message(role="user", content=f"That cannot be used: {first}.\n\n{form}"),
        )
    output = await panel.ask(name, again, trial=trial, schema=schema)
    try:
        return read(output)
    except InvalidVerdict as second:
        raise Unscorable(f"judge {name!r} gave no verdict, asked twice: {second}") from None
