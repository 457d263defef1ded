"""Whether the output is code that parses: Python, JSON, YAML or TOML."""

from __future__ import annotations

import ast
import tomllib
import warnings
from collections.abc import Callable
from typing import Literal, TypeAlias

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import parse_json, unfence

Language: TypeAlias = Literal["python", "json", "yaml", "toml"]
LONGEST = 500_000
"""Characters that are parsed; a longer text is unscored."""
_LONGEST_BY_HAND = 100_000
"""The same for TOML, and for YAML where PyYAML has no parser in C."""


@scorer(
    metrics=(rate,),
    examples=[
        ("def f(x):\n    return x + 1\n", None, 1.0),
        ("def f(x:\n    return x + 1\n", None, 0.0),
        ("", None, 0.0),
    ],
    usage="code: {language: yaml, fenced: true}",
    card=ScorerCard(
        family="structured",
        blind=(
            "whether it runs, or does what was asked: nothing is executed",
            "names and types: only the grammar is checked, that of the Python that runs evalkit",
        ),
    ),
)
def code(
    case: Case, output: Output, *, language: Language = "python", fenced: bool = False
) -> Score:
    """Whether the output is code that parses: Python, JSON, YAML or TOML.

    ``fenced`` reads the code from the output's only Markdown code fence. An empty text is no code;
    YAML must be a mapping or a list, since any sentence is a YAML scalar, and Python must not be a
    lone name or constant, for the same reason. The reason gives the line of the first error.
    Nothing is executed. Texts above 500,000 characters are unscored.
    """
    text = unfence(output.text) if fenced else output.text
    most = _LONGEST_BY_HAND if language == "toml" else LONGEST
    if len(text) > most:
        raise Unscorable(f"too long to parse: {len(text):,} characters")
    if not text.strip():
        return Score(value=0.0, passed=False, reason="no code")
    try:
        _CHECKS[language](text)
    except (ValueError, RecursionError, MemoryError) as error:
        said = str(error) if isinstance(error, ValueError) else "nested too deeply to read"
        return Score(value=0.0, passed=False, reason=said[:300])
    return Score(value=1.0, passed=True)


def _python(text: str) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of invalid escapes and the like
            tree = ast.parse(text)
    except SyntaxError as error:
        at = f" at line {error.lineno}" if error.lineno else ""
        raise ValueError(f"not Python: {error.msg}{at}") from None
    except UnicodeEncodeError:
        raise ValueError("not Python: it holds half a character") from None
    if not tree.body:
        raise ValueError("no code: only comments")
    only = tree.body[0] if len(tree.body) == 1 else None
    if isinstance(only, ast.Expr) and isinstance(only.value, (ast.Name, ast.Constant)):
        raise ValueError("no code: a lone name or constant")  # noqa: TRY004 - of a text, not of a type


def _json(text: str) -> None:
    parse_json(text)


def _toml(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None


def _yaml(text: str) -> None:
    import yaml

    fast = getattr(yaml, "CSafeLoader", None)
    if fast is None and len(text) > _LONGEST_BY_HAND:
        raise Unscorable(f"too long to parse: {len(text):,} characters")
    anchors: set[str] = set()
    collection = False
    try:
        # events only: nothing is built, so aliases cannot grow and tags name nothing
        for event in yaml.parse(text, Loader=fast or yaml.SafeLoader):
            anchor = getattr(event, "anchor", None)
            if isinstance(event, yaml.AliasEvent) and anchor not in anchors:
                raise ValueError(f"not YAML: undefined alias {anchor!r}")
            if isinstance(event, yaml.DocumentStartEvent):
                anchors.clear()
            collection |= isinstance(event, yaml.CollectionStartEvent)
            if anchor is not None:
                anchors.add(anchor)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = f" at line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise ValueError(f"not YAML: {error.problem or error.context}{at}") from None
    except (yaml.YAMLError, UnicodeEncodeError):
        raise ValueError("not YAML: a character that it does not allow") from None
    if not collection:
        raise ValueError("no mapping and no list: any sentence is a YAML scalar")


_CHECKS: dict[Language, Callable[[str], None]] = {
    "python": _python,
    "json": _json,
    "yaml": _yaml,
    "toml": _toml,
}
