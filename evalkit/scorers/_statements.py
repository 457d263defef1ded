"""An answer as statements with their places, and the evidence that verdicts on them make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evalkit.model import Evidence, Output
from evalkit.scorers._grounding_text import sentences, tokens
from evalkit.scorers._verdict import InvalidVerdict, read_object
from evalkit.scorers._votes import text_of

MOST = 200
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, and the part of the answer that it was taken from."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """What one judge said of one statement; ``quote`` is what it rests on in the context."""

    supported: bool
    reason: str
    quote: str


def read_statements(output: Output, answer: str) -> list[Statement]:
    """The statements a judge found in an answer; raises ``InvalidVerdict``."""
    given = read_object(output, "statements")["statements"]
    if not isinstance(given, list) or len(given) > MOST:
        raise InvalidVerdict(f"'statements' is no list of at most {MOST}")
    found: list[Statement] = []
    spans = sentences(answer)
    for one in given:
        told, quote = one, None
        if isinstance(one, dict):
            told, quote = one.get("statement"), one.get("quote")
        text = text_of(told)
        if not text:
            raise InvalidVerdict("a statement is empty or no text")
        found.append(Statement(text, *place(answer, quote, text, spans)))
    return found


def place(
    answer: str, quote: object, statement: str, spans: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    """Where the quote stands, or else the sentence that shares the most words."""
    if isinstance(quote, str) and quote.strip():
        at = answer.find(quote.strip())
        if at >= 0:
            return at, at + len(quote.strip())
    wanted = {one.stem for one in tokens(statement)}
    best, shared = (0, len(answer)), 0.0
    for start, end in spans:
        words = {one.stem for one in tokens(answer[start:end])}
        both = len(words & wanted) / (len(words | wanted) or 1)
        if both > shared:
            best, shared = (start, end), both
    return best


def read_rulings(output: Output, count: int) -> list[Ruling]:
    """A ruling on every statement, in order; raises ``InvalidVerdict`` when one is missing."""
    given = read_object(output, "verdicts")["verdicts"]
    if not isinstance(given, list):
        raise InvalidVerdict("'verdicts' is no list")
    found: dict[int, Ruling] = {}
    for one in given:
        if not isinstance(one, dict):
            raise InvalidVerdict("a verdict is no object")
        number, verdict = one.get("statement"), one.get("verdict")
        if isinstance(number, str) and number.strip().isdecimal():
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= count:
            raise InvalidVerdict(f"a verdict is on no statement from 1 to {count}")
        if verdict not in {"supported", "unsupported"}:
            raise InvalidVerdict("a verdict is neither 'supported' nor 'unsupported'")
        if number in found:
            raise InvalidVerdict(f"there are two verdicts on statement {number}")
        quote = one.get("quote")
        found[number] = Ruling(
            verdict == "supported",
            text_of(one.get("reason"))[:_SHOWN],
            quote.strip() if isinstance(quote, str) else "",
        )
    if len(found) < count:
        raise InvalidVerdict(f"{count - len(found)} of {count} statements have no verdict")
    return [found[number] for number in range(1, count + 1)]


def rows(
    statement: Statement, rulings: Sequence[Ruling], doubt: float, answer: str, parts: Sequence[str]
) -> list[Evidence]:
    """A row for the statement and, where a quote is found in the context, one for what it rests on.

    The value of the first is how doubtful it is, as in the rows of ``grounding``.
    """
    against = [one for one in rulings if not one.supported]
    reason = next((one.reason for one in against or rulings if one.reason), "")
    said = f"{statement.text}: {reason}" if reason else statement.text
    found = [
        Evidence(
            source="output",
            start=statement.start,
            end=statement.end,
            text=answer[statement.start : statement.end][:_SHOWN],
            reason=said[:_SHOWN],
            value=doubt,
        )
    ]
    for quote in dict.fromkeys(one.quote for one in rulings if one.quote):
        for number, part in enumerate(parts):
            at = part.find(quote)
            if at >= 0:
                found.append(
                    Evidence(
                        source=f"context:{number}",
                        start=at,
                        end=at + len(quote),
                        text=quote[:_SHOWN],
                        reason=f"nearest to output {statement.start}–{statement.end}",
                        value=1.0 - doubt,
                    )
                )
                return found
    return found
