"""A run as JSON: the view itself, numbers unrounded."""

from __future__ import annotations

import json as _json
from typing import Any

from evalkit.registry import renderer
from evalkit.report.view import RunView


@renderer(suffix=".json")
def json(view: RunView, *, indent: int = 2) -> str:
    """A run as JSON; keys are the names of the view's fields, absent numbers are null."""
    return dumps(view.to_json(), indent=indent)


def dumps(value: Any, *, indent: int = 2) -> str:
    """Any plain value as the text of a JSON file."""
    return _json.dumps(value, indent=indent, ensure_ascii=False, default=str) + "\n"
