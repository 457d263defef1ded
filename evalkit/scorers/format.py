"""Whether the output keeps to a form: words, lines, lists, headings, tables, code, Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeAlias

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._text import words

Kind: TypeAlias = Literal[
    "heading", "list", "numbered_list", "table", "code", "quote", "link", "image", "emphasis"
]
LONGEST = 200_000
"""Characters that are read; a longer text is unscored."""
_TOKENS = {
    "heading_open": "heading",
    "bullet_list_open": "list",
    "ordered_list_open": "numbered_list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
    "blockquote_open": "quote",
    "link_open": "link",
    "image": "image",
    "strong_open": "emphasis",
    "em_open": "emphasis",
    "list_item_open": "item",
    "paragraph_open": "paragraph",
}


@cache
def _reader() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def _prepare(options: Mapping[str, Any]) -> str:
    for what in ("words", "lines", "items", "paragraphs"):
        low, high = options.get(f"min_{what}"), options.get(f"max_{what}")
        for name, value in (("min", low), ("max", high)):
            if value is not None and value < 0:
                raise ValueError(f"{name}_{what} {value} is below 0")
        if low is not None and high is not None and low > high:
            raise ValueError(f"min_{what} {low} is above max_{what} {high}")
    both = sorted({*options["has"]} & {*options["without"]})
    if both:
        raise ValueError(f"{both[0]} is in 'has' and in 'without'")
    if all(value in (None, (), False) for value in options.values()):
        raise ValueError("nothing is asked for, as in {max_words: 100, without: [heading]}")
    return ""


@scorer(
    metrics=(rate,),
    prepare=_prepare,
    usage="format: {max_words: 120, has: [list], without: [heading, table], max_items: 5}",
    card=ScorerCard(
        family="style",
        blind=(
            "what the words say",
            "Markdown beyond CommonMark and tables; HTML in Markdown counts as text",
        ),
    ),
)
def format(  # noqa: A001 - the word users know
    case: Case,
    output: Output,
    *,
    min_words: int | None = None,
    max_words: int | None = None,
    min_lines: int | None = None,
    max_lines: int | None = None,
    min_paragraphs: int | None = None,
    max_paragraphs: int | None = None,
    min_items: int | None = None,
    max_items: int | None = None,
    has: tuple[Kind, ...] = (),
    without: tuple[Kind, ...] = (),
    plain: bool = False,
) -> Score:
    """Whether the output keeps to a form: words, lines, lists, headings, tables, code, Markdown.

    Limits count as inside. Words are those of any language, a character each where none are
    spaced; lines are those that are not blank, items those of all lists. ``has`` and ``without``
    name parts of Markdown; ``plain`` allows none of them. The reason lists what is wrong. Texts
    above 200,000 characters are unscored.
    """
    text = output.text
    if len(text) > LONGEST:
        raise Unscorable(f"too long to read as Markdown: {len(text):,} characters")
    parts = _parts(text)
    wrong: list[str] = []
    for count, what, low, high in (
        (len(words(text)), "words", min_words, max_words),
        (sum(1 for one in text.splitlines() if one.strip()), "lines", min_lines, max_lines),
        (parts["paragraph"], "paragraphs", min_paragraphs, max_paragraphs),
        (parts["item"], "items", min_items, max_items),
    ):
        if low is not None and count < low:
            wrong.append(f"{count} {what}, at least {low} wanted")
        if high is not None and count > high:
            wrong.append(f"{count} {what}, at most {high} wanted")
    wrong += [f"no {one.replace('_', ' ')}" for one in has if not parts[one]]
    unwanted = [one for one in dict.fromkeys(_TOKENS.values()) if one not in {"item", "paragraph"}]
    for one in unwanted if plain else without:
        if parts[one]:
            wrong.append(f"has {one.replace('_', ' ')}")
    return Score(value=float(not wrong), passed=not wrong, reason="; ".join(wrong)[:300] or None)


def _parts(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for token in _reader().parse(text):
        for one in (token, *(token.children or ())):
            name = _TOKENS.get(one.type)
            # a paragraph inside a list's item is that item
            if name and not (name == "paragraph" and token.level):
                found[name] += 1
    return found
