"""Words and normal forms that several scorers share, for any language."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from evalkit.errors import Unscorable
from evalkit.model import Case

if TYPE_CHECKING:
    import regex

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@cache
def _words() -> regex.Pattern[str]:
    # Scripts written without spaces give one token a character with its marks, every other run of
    # letters, digits and marks is a word: nothing here knows a language.
    import regex

    unspaced = (
        r"\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}"
        r"\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}"
    )
    return regex.compile(
        rf"[{unspaced}]\p{{M}}*|(?:[[\p{{L}}\p{{N}}\p{{M}}]--[{unspaced}]])+", regex.V1
    )


def words(text: str) -> list[str]:
    """The words of a text in any language: NFKC, case folded, without punctuation."""
    found: list[str] = _words().findall(unicodedata.normalize("NFKC", text).casefold())
    return found


def squad_normal(text: str) -> str:
    """SQuAD's normal form: lower case, no ASCII punctuation, no English articles, single spaces."""
    lowered = text.lower().translate(_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lowered).split())


def unicode_normal(text: str) -> str:
    """NFKC with every run of white space as one space; case is kept."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def references(case: Case) -> tuple[str, ...]:
    """Every acceptable answer of a case; ``Unscorable`` when there is none."""
    if not case.references:
        raise Unscorable("the case expects nothing")
    return case.references


def parse_json(text: str) -> object:
    """The JSON value a text holds.

    Raises ``ValueError`` with a reason for a reader: not JSON, NaN or Infinity (which are not
    JSON), a number too long or a nesting too deep to read.
    """
    try:
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise ValueError(f"not JSON: {error.msg} at {place}") from None
    except RecursionError:
        raise ValueError("not readable as JSON: nested too deeply") from None


def _no_constant(name: str) -> object:
    raise ValueError(f"not JSON: {name} is no JSON number")


_FENCE = re.compile(r"```[A-Za-z0-9]*[ \t]*\r?\n(.*?)\r?\n?```", re.DOTALL)


def unfence(text: str) -> str:
    """What stands in the only Markdown code fence of a text, or the text when there is not one."""
    found = _FENCE.findall(text) if text.count("```") == 2 else []
    return str(found[0]) if len(found) == 1 else text
