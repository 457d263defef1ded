"""Questions that are empty on purpose: the case says so, as one by oversight would not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from evalkit.datasets._rows import BadValue, shown
from evalkit.model import JSON

EMPTY = "empty_input"
"""The key of metadata by which a case or a turn says that it asks nothing on purpose."""


def is_blank(value: JSON) -> bool:
    """Whether it is a text without anything to read."""
    return isinstance(value, str) and not value.strip()


def meant_empty(metadata: Mapping[str, JSON], asked: Iterable[JSON], where: str = "") -> bool:
    """Whether the metadata say that one of the texts that are ``asked`` is empty on purpose.

    Raises ``BadValue`` where they say so and none is.
    """
    meant = metadata.get(EMPTY)
    if meant is not None and not isinstance(meant, bool):
        raise BadValue(
            f"{where}metadata.{EMPTY} must be true or false, not {shown(meant)}",
            f"correct the value, or declare types: {{metadata.{EMPTY}: boolean}}",
        )
    if meant and not any(map(is_blank, asked)):
        raise BadValue(
            f"{where}metadata.{EMPTY} is true, and nothing that is asked is an empty text",
            f'write the empty text, as in "question": "", or leave out {EMPTY!r}',
        )
    return bool(meant)
