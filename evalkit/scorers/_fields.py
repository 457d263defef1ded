"""What a case says a detector should look for: texts under a field such as ``metadata.secret``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evalkit.errors import Unscorable
from evalkit.model import Case, Output

_PARTS = ("metadata", "inputs", "tags")
_MOST = 100


def check_field(options: Mapping[str, Any]) -> str:
    """Raise ``ValueError`` for a field that no case can have."""
    part, _, name = options["field"].partition(".")
    if options["field"] != "expected" and (part not in _PARTS or not name):
        raise ValueError(
            f"field {options['field']!r} is no place in a case: write metadata.NAME, inputs.NAME,"
            " tags.NAME or expected"
        )
    return ""


def value_of(case: Case, field: str) -> Any:
    """What stands there, ``None`` when nothing does; a name may hold dots."""
    if field == "expected":
        return case.expected
    part, _, name = field.partition(".")
    found: Mapping[str, Any] = getattr(case, part)
    return found.get(name)


def texts_of(case: Case, field: str) -> tuple[str, ...]:
    """The texts that stand there, one or a list; raises ``Unscorable`` when there is none."""
    found = value_of(case, field)
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, Sequence) or not all(isinstance(one, str) for one in found):
        raise Unscorable(f"the case has no text, or list of texts, in {field}")
    kept = [one for one in found if one.strip()]
    if not kept:
        raise Unscorable(f"the case has nothing in {field}")
    if len(kept) > _MOST:
        raise Unscorable(f"more than {_MOST} texts in {field}")
    return tuple(kept)


def said(output: Output) -> str:
    """All that the target handed over: its text, and the arguments of its tool calls."""
    return "\n".join([output.text, *(one.arguments for one in output.tool_calls)])


def quoted(text: str) -> str:
    """A text as a reason shows it."""
    plain = " ".join(text.split())
    return repr(plain if len(plain) <= 60 else plain[:59] + "…")
