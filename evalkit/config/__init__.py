"""YAML to frozen configuration values; every error names file, line and column.

The names below are imported when they are first used: pydantic, PyYAML and Jinja2 take their time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evalkit.config.card import Card, load_card
    from evalkit.config.env import env_names, resolve_env
    from evalkit.config.project import find_project, load_project
    from evalkit.config.prompt import Prompt, PromptPart, load_prompt, parse_prompt
    from evalkit.config.schema import json_schema
    from evalkit.config.suite import load_suite, suite_names

_HOMES = {
    "Card": "card",
    "Prompt": "prompt",
    "PromptPart": "prompt",
    "env_names": "env",
    "find_project": "project",
    "json_schema": "schema",
    "load_card": "card",
    "load_project": "project",
    "load_prompt": "prompt",
    "load_suite": "suite",
    "parse_prompt": "prompt",
    "resolve_env": "env",
    "suite_names": "suite",
}

__all__ = [
    "Card",
    "Prompt",
    "PromptPart",
    "env_names",
    "find_project",
    "json_schema",
    "load_card",
    "load_project",
    "load_prompt",
    "load_suite",
    "parse_prompt",
    "resolve_env",
    "suite_names",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
