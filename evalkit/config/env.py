"""References to environment variables: ``${env:NAME}``, in the options of targets and nowhere else.

``$${`` writes a literal ``${``, and ``$$NAME`` as a whole value writes a literal ``$NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from evalkit.config.check import Findings
from evalkit.config.tree import Node, dotted
from evalkit.errors import ConfigError, Position
from evalkit.model import JSON

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PIECE = re.compile(r"\$\$\{|\$\{env:(" + NAME + r")\}")
_OPEN = re.compile(r"(\$?)\$\{([^}]*)(\}?)")
_BARE = re.compile(r"(\$?)\$([A-Z_][A-Z0-9_]*)\Z")

Where: TypeAlias = Callable[[str], Position | None] | Position | None


def resolve_env(
    options: Mapping[str, JSON], environ: Mapping[str, str], *, where: Where = None
) -> tuple[dict[str, JSON], frozenset[str]]:
    """The options with every ``${env:NAME}`` replaced, and the values that came in: all secret.

    ``where`` gives the place of a dotted key, as ``TargetSpec.where`` does. Raises ``ConfigError``
    for a variable that is not set, or set to nothing.
    """
    secrets: set[str] = set()

    def one(value: JSON, path: tuple[str | int, ...]) -> JSON:
        if isinstance(value, str):
            return text(value, dotted(path))
        if isinstance(value, list):
            return [one(item, (*path, index)) for index, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: one(item, (*path, key)) for key, item in value.items()}
        return value

    def text(value: str, key: str) -> str:
        bare = _BARE.match(value)
        if bare and bare[1]:
            return value[1:]

        def put(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                return "${"
            given = environ.get(name)
            if not given:
                state = "is not set" if given is None else "is set to nothing"
                raise ConfigError(
                    f"the environment variable {name} {state}",
                    where=where(key) if callable(where) else where,
                    hint=f"set {name} before you run; {key!r} uses it",
                )
            secrets.add(given)
            return given

        return _PIECE.sub(put, value)

    resolved = {key: one(value, (key,)) for key, value in options.items()}
    return resolved, frozenset(secrets)


def env_names(options: JSON | Mapping[str, JSON]) -> frozenset[str]:
    """The environment variables that the texts of some options refer to."""
    if isinstance(options, str):
        return frozenset(match[1] for match in _PIECE.finditer(options) if match[1])
    if isinstance(options, Mapping):
        return frozenset(name for one in options.values() for name in env_names(one))
    if isinstance(options, list):
        return frozenset(name for one in options for name in env_names(one))
    return frozenset()


def check_references(findings: Findings, node: Node, *, allowed: bool) -> None:
    """Note every ``${`` below that is no ``${env:NAME}``, or stands where none may."""
    for _, one in node.walk():
        if isinstance(one.value, str) and "$" in one.value:
            _check_text(findings, one, one.value, allowed=allowed)


def _check_text(findings: Findings, node: Node, text: str, *, allowed: bool) -> None:
    if not allowed:
        if "${" in text:
            findings.add(
                "'${' has no meaning here",
                node,
                "environment variables are read in the options of targets only, as ${env:NAME}",
            )
        return
    bare = _BARE.match(text)
    if bare and not bare[1]:
        findings.add(
            f"{text!r} is not replaced",
            node,
            f"write ${{env:{bare[2]}}}, or $${bare[2]} to mean the text itself",
        )
    for match in _OPEN.finditer(text):
        escaped, inside, closed = match.groups()
        if escaped:
            continue
        if not closed:
            findings.add("'${' is not closed by '}'", node, "write $${ to mean the text itself")
        elif not re.fullmatch("env:" + NAME, inside):
            name = inside.removeprefix("env:").partition(":")[0].strip()
            good = name if re.fullmatch(NAME, name) else "NAME"
            findings.add(
                f"'${{{inside}}}' is not a reference evalkit knows",
                node,
                f"write ${{env:{good}}}, or $${{ to mean the text itself",
            )
