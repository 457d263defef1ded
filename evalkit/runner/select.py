"""Which cases of a suite run: by tag, by words, by a seeded sample, by a limit; in that order.

Tags: ``lang:es,must_not_fail``, or ``tags.lang:es`` as in a filter. Different names must all hold,
values of one name are alternatives, and a bare name means that the tag is there and is not ``no``.

Filter, as pytest's ``-k``: ``refund and not (draft or name:eu)``. A word is found in the name, the
identity or any input, whatever its case; ``name:``, ``id:``, ``inputs.<variable>:``, ``expected:``
and ``tags.<tag>:`` look in one place. Words that follow each other are one phrase.

A sample takes the cases with the smallest hash of seed and identity: reordering or adding rows
never changes which of the others are in it.
"""

from __future__ import annotations

import hashlib
import heapq
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from evalkit.errors import UsageError, suggestion
from evalkit.model import JSON, Case

Predicate = Callable[[Case], bool]

_NO = frozenset({"", "no", "false", "0"})
_FIELDS = ("name", "id", "expected", "inputs.<variable>", "tags.<tag>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The flags that choose cases; ``None`` and empty choose all."""

    tags: tuple[str, ...] = ()
    filter: str = ""
    sample: int | None = None
    limit: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for flag, value in (("--sample", self.sample), ("--limit", self.limit)):
            if value is not None and value < 1:
                raise UsageError(f"{flag} must be at least 1, not {value}")

    @property
    def everything(self) -> bool:
        """Whether no flag leaves a case out."""
        return not (self.tags or self.filter or self.sample or self.limit)

    def to_json(self) -> dict[str, JSON]:
        """The flags as stored with a run."""
        return {
            "tags": list(self.tags),
            "filter": self.filter,
            "sample": self.sample,
            "limit": self.limit,
        }


class Selector:
    """Applies a selection to a stream of cases, in constant memory when streaming.

    ``survey`` must see the cases once before ``choose`` when a sample is asked for.
    """

    def __init__(self, selection: Selection):
        self.selection = selection
        tags, words = tag_predicate(selection.tags), filter_predicate(selection.filter)
        self._holds: Predicate = lambda case: tags(case) and words(case)
        self._seed = str(selection.seed).encode() + b"\0"
        self._cutoff: int | None = None

    def survey(self, cases: Iterable[Case]) -> None:
        """Find which hashes are in the sample: memory for as many numbers as it has cases."""
        size = self.selection.sample
        if size is None:
            return
        smallest: list[int] = []
        for case in cases:
            if not self._holds(case):
                continue
            rank = -self._rank(case)
            if len(smallest) < size:
                heapq.heappush(smallest, rank)
            elif rank > smallest[0]:
                heapq.heapreplace(smallest, rank)
        self._cutoff = -smallest[0] if smallest else -1

    def choose(self, cases: Iterable[Case]) -> Iterator[Case]:
        """The selected cases, in the order they come."""
        limit = self.selection.limit
        taken = 0
        for case in cases:
            if not self._holds(case):
                continue
            if self._cutoff is not None and self._rank(case) > self._cutoff:
                continue
            yield case
            taken += 1
            if taken == limit:
                return

    def _rank(self, case: Case) -> int:
        digest = hashlib.sha256(self._seed + case.id.encode()).digest()
        return int.from_bytes(digest[:16], "big")


def tag_predicate(expressions: Sequence[str]) -> Predicate:
    """Whether a case has the tags asked for."""
    wanted: dict[str, set[str]] = {}
    present: set[str] = set()
    for one in ",".join(expressions).split(","):
        if not one.strip():
            continue
        name, colon, value = (part.strip() for part in one.partition(":"))
        name = name.removeprefix("tags.")
        if not name or (colon and not value) or ("=" in name and not colon):
            raise UsageError(
                f"--tags cannot read {one.strip()!r}", hint="write name:value or name, as lang:es"
            )
        if colon:
            wanted.setdefault(name, set()).add(value)
        else:
            present.add(name)

    def holds(case: Case) -> bool:
        tags = case.tags
        return all(tags.get(name) in values for name, values in wanted.items()) and all(
            tags.get(name, "no").lower() not in _NO for name in present
        )

    return holds if wanted or present else lambda _: True


_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<word>(?:"[^"]*"|'[^']*'|[^\s()"'])+))"""
)


def filter_predicate(expression: str) -> Predicate:
    """Whether a case matches words joined by ``and``, ``or``, ``not`` and parentheses.

    Raises ``UsageError`` that points at what cannot be read.
    """
    if not expression.strip():
        return lambda _: True
    return _Parser(expression).parse()


class _Parser:
    """Recursive descent: or < and < not < word or parenthesis."""

    def __init__(self, expression: str):
        self._expression = expression
        self._tokens: list[str] = []
        position = 0
        text = expression.rstrip()
        while position < len(text):
            found = _TOKEN.match(text, position)
            if found is None:
                raise self._error(f"a quote is not closed in {text[position:].strip()!r}")
            self._tokens.append(found.group().strip())
            position = found.end()
        self._next = 0

    def _error(self, what: str) -> UsageError:
        return UsageError(
            f"--filter {self._expression!r}: {what}",
            hint="example: --filter 'refund and not (name:draft or \"late delivery\")'",
        )

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def parse(self) -> Predicate:
        result = self._any()
        if self._peek():
            raise self._error(f"did not expect {self._peek()!r}")
        return result

    def _any(self) -> Predicate:
        parts = [self._all()]
        while self._peek().lower() == "or":
            self._next += 1
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda case: any(one(case) for one in parts)

    def _all(self) -> Predicate:
        parts = [self._one()]
        while self._peek().lower() == "and":
            self._next += 1
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda case: all(one(case) for one in parts)

    def _one(self) -> Predicate:
        here = self._peek()
        if here.lower() == "not":
            self._next += 1
            negated = self._one()
            return lambda case: not negated(case)
        if here == "(":
            self._next += 1
            inside = self._any()
            if self._peek() != ")":
                raise self._error("a parenthesis is not closed")
            self._next += 1
            return inside
        words = []
        while self._peek().lower() not in {"", "and", "or", "not", "(", ")"}:
            words.append(self._peek())
            self._next += 1
        if not words:
            raise self._error(f"expected a word before {here!r}" if here else "a word is missing")
        return self._word(" ".join(words))

    def _word(self, text: str) -> Predicate:
        place, colon, rest = text.partition(":")
        look = _place(place) if colon and not place.startswith(('"', "'")) else None
        if colon and look is None and re.fullmatch(r"[A-Za-z_]\w*(\.\S+)?", place):
            raise self._error(
                f"unknown place {place!r}, {suggestion(place, _FIELDS)}; a tag is"
                f" tags.{place}:{rest}; quote the word when its colon is meant"
            )
        needle = re.sub(r"""["']""", "", rest if look else text).strip().casefold()
        if not needle:
            raise self._error(f"nothing to look for in {text!r}")
        find = look or _anywhere
        return lambda case: any(needle in one.casefold() for one in find(case))


def _place(name: str) -> Callable[[Case], Iterable[str]] | None:
    room, _, key = name.partition(".")
    match room, key:
        case "name", "":
            return lambda case: (case.name or "",)
        case "id", "":
            return lambda case: (case.id,)
        case "expected", "":
            return lambda case: case.references
        case "inputs", key if key:
            return lambda case: _texts_at(case.inputs, key)
        case "tags", key if key:
            return lambda case: (case.tags.get(key, ""),)
    return None


def _anywhere(case: Case) -> Iterator[str]:
    if case.name:
        yield case.name
    yield case.id
    for value in case.inputs.values():
        yield _text(value)
    for turn in case.turns:
        yield turn.user


def _texts_at(values: Mapping[str, JSON], key: str) -> Iterable[str]:
    return (_text(values[key]),) if key in values else ()


def _text(value: JSON) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
