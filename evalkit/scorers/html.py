"""Whether the output is HTML without parse errors, with and without given elements."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from functools import cache
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import unfence

LONGEST = 100_000
"""Characters that are parsed within a second; a longer text is unscored."""
_XHTML = "{http://www.w3.org/1999/xhtml}"
_DEEPEST = 400


def _prepare(options: Mapping[str, Any]) -> str:
    for name in ("elements", "without"):
        for one in options[name]:
            if not one or not one.isascii() or one != one.strip().lower():
                raise ValueError(f"{name} are names of elements in lower case, not {one!r}")
    if options["errors"] < 0:
        raise ValueError(f"errors {options['errors']} is below 0")
    return ""


@cache
def _parser() -> Any:
    from tinyhtml5.parser import HTMLParser

    return HTMLParser


@scorer(
    metrics=(rate,),
    examples=[
        ("<p>Hello <b>you</b></p>", None, 1.0),
        ("<p>Hello <b>you</p>", None, 0.0),
        ("plain words", None, 0.0),
        ("", None, 0.0),
    ],
    lib="tinyhtml5",
    prepare=_prepare,
    usage="html: {elements: [table], without: [script], fenced: true}",
    card=ScorerCard(
        family="structured",
        blind=(
            "rules beyond parsing: required attributes, allowed children, accessibility",
            "scripts and styles: their content is not read",
        ),
    ),
)
def html(
    case: Case,
    output: Output,
    *,
    document: bool = False,
    elements: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
    errors: int = 0,
    fenced: bool = False,
) -> Score:
    """Whether the output is HTML without parse errors, with and without given elements.

    A parse error is what the HTML standard calls one: an element left open, an end tag too many.
    The output is a fragment, or a whole ``document`` with its doctype. ``elements`` must be there,
    ``without`` must not; so many ``errors`` are let pass. A text without any element is no HTML.
    ``fenced`` reads the only Markdown code fence. Texts above 100,000 characters are unscored.
    """
    text = unfence(output.text) if fenced else output.text
    if len(text) > LONGEST:
        raise Unscorable(f"too long to parse: {len(text):,} characters")
    if text.count("<") > _DEEPEST and _depth(text) > _DEEPEST:
        return Score(value=0.0, passed=False, reason="not HTML: nested too deeply")
    parser = _parser()()
    root = parser.parse(text) if document else parser.parse_fragment(text)
    wrong = _wrong(parser.errors, {_name(one) for one in root.iter()}, elements, without, errors)
    return Score(value=float(not wrong), passed=not wrong, reason=wrong[:300] or None)


def _wrong(
    problems: list[Any],
    found: builtins.set[str],
    elements: tuple[str, ...],
    without: tuple[str, ...],
    allowed: int,
) -> str:
    if not found - {"html", "head", "body", "DOCUMENT_FRAGMENT", ""}:
        return "not HTML: no element"
    if len(problems) > allowed:
        (line, column), code, *_ = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return f"not HTML: {code.replace('-', ' ')} at line {line} column {column}{more}"
    missing = [one for one in elements if one not in found]
    unwanted = [one for one in without if one in found]
    said = [f"no element {', '.join(missing)}"] if missing else []
    said += [f"has element {', '.join(unwanted)}"] if unwanted else []
    return "; ".join(said)


def _name(element: Any) -> str:
    tag = element.tag
    return tag.removeprefix(_XHTML).rpartition("}")[2] if isinstance(tag, str) else ""


def _depth(text: str) -> int:
    """At least how deep tags can nest: the start tags that no end tag answers, at most."""
    ends = text.count("</")
    return text.count("<") - 2 * ends if ends else text.count("<")
