"""Secrets that stand in the configuration itself, kept out of what is stored of a target.

A value belongs into the environment, and is written as ``${env:NAME}``; one that was written down
all the same must not travel on with the store, which is shared and uploaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from evalkit.model import JSON
from evalkit.secrets import REDACTED

CERTAIN = 16
"""Characters from which a written value is a real secret; local servers take ``EMPTY`` or ``x``."""

_NAME = re.compile(
    r"(?:key|token|secret|passw(?:or)?d|authorization|cookie|credentials?|signature)\Z",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"([?&]([^=&#\s]+)=)([^&#\s]+)")
_SCHEME = re.compile(r"\A[A-Za-z]+ ")


def masked(options: Mapping[str, JSON]) -> tuple[dict[str, JSON], frozenset[str]]:
    """The options without secrets written in them, and the values that are certainly secret.

    A text is secret by the name it stands under (``api_key``, ``Authorization``, ``...-token``), in
    a mapping or in the query of a URL. ``${env:NAME}`` stays as it is.
    """
    found = dict(_secrets(options, ""))
    return (
        {name: _without(value, name) for name, value in options.items()},
        frozenset(one for one in found if len(one) >= CERTAIN),
    )


def _secrets(value: JSON | Mapping[str, JSON], name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _secrets(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _secrets(one, name)
    elif isinstance(value, str) and "${env:" not in value:
        if _NAME.search(name):
            yield _SCHEME.sub("", value), name
        else:
            for _, key, one in _IN_URL.findall(value):
                if _NAME.search(key):
                    yield one, key


def _without(value: JSON, name: str) -> JSON:
    if isinstance(value, dict):
        return {key: _without(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_without(one, name) for one in value]
    if not isinstance(value, str) or "${env:" in value:
        return value
    if _NAME.search(name):
        return REDACTED
    return _IN_URL.sub(
        lambda part: part[1] + (REDACTED if _NAME.search(part[2]) else part[3]), value
    )
