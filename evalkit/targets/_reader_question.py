"""What a question asks: its language, the type of its answer, and the terms that carry it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from evalkit.targets._reader_text import QUESTION_MARKS, normalise, sentences, tokens, words

AnswerType: TypeAlias = Literal[
    "yes-no", "name", "place", "date", "time", "duration", "money", "number", "reason", "list",
    "phrase",
]  # fmt: skip
_SITUATION = 0.5
"""What a word of an earlier sentence counts: it tells in which situation something is asked."""


@dataclass(frozen=True, slots=True)
class Language:
    """The small words and patterns of one language, ready to use."""

    code: str
    small: frozenset[str]
    letters: frozenset[str]
    yes: str
    no: str
    negation: re.Pattern[str]
    unless: re.Pattern[str]
    contrast: re.Pattern[str]
    places: tuple[str, ...]
    asks_yes: re.Pattern[str] | None
    questions: tuple[tuple[AnswerType, re.Pattern[str]], ...]
    reasons: tuple[tuple[str, re.Pattern[str]], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question understood.

    ``terms`` are the keys of its content words with their weights; ``noun`` is the key of the word
    asked about, as ``devices`` in "how many devices", which is a question that ``counts``.
    """

    text: str
    lang: Language
    type: AnswerType
    terms: Mapping[str, float]
    noun: str | None
    counts: bool
    years: frozenset[str]


@lru_cache(maxsize=16)
def language(code: str) -> Language:
    """One language of the word lists, its patterns compiled."""
    told = words()[code]
    yes, no = told["answers"]
    return Language(
        code=code,
        small=frozenset(normalise(one) for one in told["small"].split()),
        letters=frozenset(told.get("letters", "")),
        yes=yes,
        no=no,
        negation=re.compile(told["negation"]),
        unless=re.compile(told["unless"]),
        contrast=re.compile(told["contrast"], re.IGNORECASE),
        places=tuple(told["places"].split()),
        asks_yes=re.compile(told["asks_yes"]) if told["asks_yes"] else None,
        questions=tuple((kind, re.compile(pattern)) for kind, pattern in told["questions"]),
        reasons=tuple(
            (side, re.compile(pattern, re.IGNORECASE)) for side, pattern in told["reasons"]
        ),
    )


@lru_cache(maxsize=1)
def _dense_small() -> tuple[frozenset[str], frozenset[str]]:
    shared = words()["shared"]
    return frozenset(shared["dense_small"].split()), frozenset(shared["dense_function"])


@lru_cache(maxsize=1)
def _counting() -> re.Pattern[str]:
    return re.compile(words()["shared"]["counting"])


_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]")),
    ("ar", re.compile("[\u0600-\u06ff]")),
    ("hi", re.compile("[\u0900-\u097f]")),
)
_LATIN = ("en", "es", "de", "fr", "pt")
LANGUAGES = (*_LATIN, *(code for code, _ in _SCRIPTS))
"""The codes of the languages it knows."""
_WORD = re.compile(r"[^\W\d_]+")
_ASIDE = re.compile(r"\([^()]*\)|（[^（）]*）")
_LONGEST = 2000
"""Of a question that is longer, its last characters: what is asked stands at the end."""
_YEAR = re.compile(r"[12]\d{3}")


def language_of(text: str, beside: str = "") -> str:
    """The language of a text among the ten known ones, by script, small words and letters.

    ``beside`` is other text, probably in the same language, that decides where those do not.
    """
    for code, pattern in _SCRIPTS:
        if pattern.search(text):
            return code
    votes = _votes(text)
    most = max(votes.values())
    tied = [code for code in _LATIN if votes[code] == most]
    if len(tied) > 1 and beside:
        others = _votes(beside)
        return max(tied, key=lambda code: others[code])
    return tied[0]


def _votes(text: str) -> dict[str, int]:
    said = [normalise(one) for one in _WORD.findall(text)]
    letters = set(text.casefold())
    return {
        code: sum(one in language(code).small for one in said)
        + len(letters & language(code).letters)
        for code in _LATIN
    }


@lru_cache(maxsize=4096)
def understand(text: str, beside: str = "") -> Question:
    """The question as the reader searches for its answer; ``beside`` as for ``language_of``."""
    text = text[-_LONGEST:]
    known = language(language_of(text, beside))
    plain = _ASIDE.sub(" ", text).strip() or text
    # Of several sentences the last one asks; what stands before it is its situation.
    asking = (sentences(plain) or [plain])[-1]
    kind, end = _type(asking, known)
    terms = _terms(asking, known, 1.0)
    for key, weight in _terms(plain.removesuffix(asking), known, _SITUATION).items():
        terms.setdefault(key, weight)
    after = [one for one in tokens(asking[end:]) if one.key in terms]
    years = frozenset(one for one in terms if _YEAR.fullmatch(one))
    counts = kind == "number" and _counting().search(asking.casefold()) is not None
    return Question(text, known, kind, terms, after[0].key if after else None, counts, years)


def _type(asking: str, known: Language) -> tuple[AnswerType, int]:
    """The type of the answer, and where the words end that ask for it."""
    asked = asking.casefold()
    bare = asked.lstrip("¿¡ «\"'")
    if known.asks_yes is not None and known.asks_yes.search(bare):
        return "yes-no", 0
    for kind, pattern in known.questions:
        found = pattern.search(asked)
        if found is not None:
            # Patterns may look ahead to a later word; the asking word itself is what counts.
            first = re.match(r"\S+(?:\s+(?:many|much|viele?|de)\b)?", asked[found.start() :])
            return kind, found.start() + (first.end() if first else 0)
    asks = asking.rstrip().endswith(QUESTION_MARKS) or known.code == "ja"
    return ("yes-no" if asks else "phrase"), 0


def _terms(text: str, known: Language, share: float) -> dict[str, float]:
    terms: dict[str, float] = {}
    for place, one in enumerate(tokens(text)):
        weight = 1.0
        if one.script == "dense":
            pairs, characters = _dense_small()
            if one.text in pairs or not characters.isdisjoint(one.text):
                continue
            weight = 0.5
        elif one.script == "number":
            weight = 1.2
        else:
            # A single capital letter inside a sentence is a name ("Ferry A"), not an article.
            letter = len(one.text) == 1 and one.text.isupper() and place > 0 and one.text != "I"
            if normalise(one.text) in known.small and not letter:
                continue
            if one.text[0].isupper() and place > 0 and known.code != "de":
                weight = 1.3
        terms.setdefault(one.key, weight * share)
    return terms
