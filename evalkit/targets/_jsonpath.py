"""The part of JSONPath (RFC 9535) that points: names, indices and wildcards, nothing that searches.

``$.choices[0].message.content``, ``$['a b'][-1]``, ``$.parts[*].text``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from evalkit.errors import ConfigError

_STEP = re.compile(
    r"""\.(?P<name>[^\W\d][\w-]*)
      | (?P<all>\.\*|\[\*\])
      | \[(?P<index>-?(?:0|[1-9]\d{0,8}))\]
      | \['(?P<single>(?:[^'\\]|\\.)*)'\]
      | \["(?P<double>(?:[^"\\]|\\.)*)"\]""",
    re.VERBOSE,
)
_ESCAPED = re.compile(r"\\(.)")


class Missing(Enum):
    """What a path finds where there is nothing; JSON's null is something."""

    MISSING = "missing"


class _All(Enum):
    ALL = "*"


class Path:
    """A parsed path; ``ConfigError`` shows the place of a mistake."""

    __slots__ = ("_steps", "text", "wild")

    def __init__(self, option: str, text: object):
        self._steps: list[str | int | _All] = []
        if not isinstance(text, str) or not text.startswith("$"):
            raise ConfigError(
                f"{option}: {text!r} is not a JSONPath", hint="it starts with $, as $.answer.text"
            )
        self.text = text
        at = 1
        while at < len(text):
            step = _STEP.match(text, at)
            if step is None:
                raise ConfigError(
                    f"{option}: cannot read the JSONPath {text!r} at character {at + 1}",
                    hint="evalkit reads .name, ['name'], [0], [-1] and [*]",
                )
            self._steps.append(_step(step))
            at = step.end()
        self.wild = _All.ALL in self._steps

    def find(self, value: Any) -> Any:
        """What the path points at, ``MISSING`` if nothing; with a wildcard the list of all."""
        if not self.wild:
            return _follow(value, self._steps)
        found = [value]
        for step in self._steps:
            if step is _All.ALL:
                found = [one for each in found for one in _children(each)]
            else:
                found = [
                    one for each in found if (one := _follow(each, [step])) is not Missing.MISSING
                ]
        return found


def _step(found: re.Match[str]) -> str | int | _All:
    if found["name"] is not None:
        return found["name"]
    if found["all"] is not None:
        return _All.ALL
    if found["index"] is not None:
        return int(found["index"])
    quoted = found["single"] if found["single"] is not None else found["double"]
    return _ESCAPED.sub(r"\1", quoted)


def _follow(value: Any, steps: list[str | int | _All]) -> Any:
    for step in steps:
        if isinstance(step, str):
            if not isinstance(value, Mapping) or step not in value:
                return Missing.MISSING
            value = value[step]
        elif isinstance(step, int):
            if not isinstance(value, list) or not -len(value) <= step < len(value):
                return Missing.MISSING
            value = value[step]
    return value


def _children(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, Mapping) else []
