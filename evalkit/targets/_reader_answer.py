"""Which words of a sentence are the answer: typed candidates, ranked by what stands around them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from evalkit.targets._reader_question import AnswerType, Language, Question
from evalkit.targets._reader_rank import Hit, Piece, Weights
from evalkit.targets._reader_spans import Span, clauses, joints, spans
from evalkit.targets._reader_text import Token, normalise, tokens

_FIRST: dict[AnswerType, tuple[AnswerType, ...]] = {
    "money": ("money", "number"),
    "date": ("date", "time"),
    "time": ("time", "date"),
}
_EARLIER, _LATER = 0.9, 0.2
"""What a word counts for a candidate when it stands in an earlier or a later part of the sentence.

A later part leaves out what the earlier ones said ("a full charge takes 5 hours; with the fast
charger, 3 hours"), so earlier words still speak for its candidate, and hardly the reverse.
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """A possible answer; ``typed`` when it is of the type the question asks for."""

    text: str
    hit: Hit
    score: float
    typed: bool


def choices(asked: Question, hit: Hit, weights: Weights) -> list[Choice]:
    """Every possible answer in one unit."""
    unit = hit.piece.unit
    if unit.kind == "row":
        return _cells(asked, hit, weights)
    if asked.type == "reason":
        return _reason(asked, hit, weights)
    for kind in _kinds(asked):
        found = _typed(asked, hit, weights, kind)
        if found:
            return found
    if asked.type == "place":
        found = _places(asked, hit, weights)
        if found:
            return found
    named = _beside_noun(asked, hit.piece, weights) if asked.type in ("name", "phrase") else ""
    rest = named or _rest(asked, hit.piece, weights)
    if not rest:
        return []
    fits = asked.type in ("phrase", "list") or bool(named) or asked.lang.code in ("zh", "ja")
    return [Choice(rest, hit, hit.score + (0.2 if named else 0.0), fits)]


def denies(asked: Question, hit: Hit, weights: Weights) -> bool:
    """Whether a sentence says no to a question: it negates and the question does not.

    An exception that the question speaks of turns the answer round.
    """
    known = asked.lang
    text = hit.piece.unit.text
    part = _part_about(hit.piece, weights)
    negated = known.negation.search(part.casefold()) is not None
    asked_not = known.negation.search(asked.text.casefold()) is not None
    exception = known.unless.search(text.casefold())
    if exception is not None and exception.start() > 0:
        after = [one for one in hit.piece.tokens if one.start >= exception.end()]
        before = known.negation.search(text[: exception.start()].casefold()) is not None
        if any(one.key in weights.by_key for one in after):
            return not before
        negated = before
    return negated and not asked_not


def _part_about(piece: Piece, weights: Weights) -> str:
    """The stretch between semicolons or full stops that holds most of the question's words."""
    text = piece.unit.text
    cuts = [0, *(one for one in clauses(text) if text[one] in ";；؛"), len(text)]
    best, most = text, -1.0
    for low, high in pairwise(cuts):
        said = {one.key for one in piece.tokens if low <= one.start < high}
        found = sum(weights.by_key[key] for key in said if key in weights.by_key)
        if found > most:
            best, most = text[low:high], found
    return best


def _kinds(asked: Question) -> tuple[AnswerType, ...]:
    """The types of candidates that answer a question, first choice first."""
    kind = asked.type
    if kind in ("phrase", "list"):
        return ()
    if kind in ("name", "place") and asked.lang.code in ("zh", "ja", "ar", "hi"):
        return ()
    return _FIRST.get(kind, (kind,))


def _typed(asked: Question, hit: Hit, weights: Weights, kind: AnswerType) -> list[Choice]:
    piece, text = hit.piece, hit.piece.unit.text
    found = [one for one in spans(text, kind) if not _repeats(asked, one, piece.tokens, weights)]
    if kind == "number":
        found = _plain_numbers(found, text)
    if not found:
        return []
    result = []
    bounds = [0, *(joints(text, one.end, two.start) for one, two in pairwise(found)), len(text)]
    for at, span in enumerate(found):
        near = _around(span, bounds[at], bounds[at + 1], piece, weights)
        near -= _other_year(asked, span, bounds[at], bounds[at + 1], piece)
        noun = _with_noun(asked, span, piece)
        full = 0.25 if kind == "date" and not span.text.isdigit() else 0.0
        first = kind == asked.type
        bonus = (0.35 if first else -0.2) + full + (0.3 if noun else 0.0)
        typed = noun if asked.counts else first or noun
        result.append(Choice(span.text, hit, hit.score + 0.6 * near + bonus, typed))
    return result


def _plain_numbers(found: list[Span], text: str) -> list[Span]:
    """Numbers that are no part of a date, a sum or a time; if there are none, those as a whole."""
    kinds: tuple[AnswerType, ...] = ("money", "duration", "time", "date")
    wider = [one for kind in kinds for one in spans(text, kind)]
    free, within = [], []
    for one in found:
        whole = next((w for w in wider if w.start <= one.start and one.end <= w.end), None)
        if whole is None:
            free.append(one)
        elif whole not in within:
            within.append(whole)
    return free or within


def _repeats(asked: Question, span: Span, said: Sequence[Token], weights: Weights) -> bool:
    inside = [one for one in said if one.start >= span.start and one.end <= span.end]
    told = [one for one in inside if normalise(one.text) not in asked.lang.small]
    return bool(inside) and all(one.key in weights.by_key for one in told)


def _around(span: Span, low: int, high: int, piece: Piece, weights: Weights) -> float:
    """How much of the question stands with a candidate: in its own part, before it, after it."""
    whole = sum(weights.by_key.values())
    if not whole:
        return 0.0
    best: dict[str, float] = {}
    for one in piece.tokens:
        weight = weights.by_key.get(one.key)
        if weight is None or span.start <= one.start < span.end:
            continue
        if low <= one.start < high:
            # Of two words in the same part the nearer one says a little more.
            away = min(abs(one.start - span.end), abs(span.start - one.end))
            share = 1.0 + 0.1 / (1 + away / 10)
        else:
            share = _EARLIER if one.start < low else _LATER
        best[one.key] = max(best.get(one.key, 0.0), weight * share)
    return sum(best.values()) / whole


def _other_year(asked: Question, span: Span, low: int, high: int, piece: Piece) -> float:
    """A penalty for a part that speaks of another year than the question does."""
    if not asked.years:
        return 0.0
    said = {
        one.key
        for one in piece.tokens
        if one.script == "number"
        and low <= one.start < high
        and not span.start <= one.start < span.end
        and len(one.key) == 4
        and one.key[0] in "12"
        and one.key.isdigit()
    }
    return 0.5 if said and not said & asked.years else 0.0


def _with_noun(asked: Question, span: Span, piece: Piece) -> bool:
    """Whether a candidate stands with the thing asked about ("15 devices", "lot L-3307")."""
    if asked.noun is None or asked.type not in ("number", "duration", "name"):
        return False
    inside = [at for at, one in enumerate(piece.tokens) if span.start <= one.start < span.end]
    if not inside:
        return False
    after = 3 if asked.type != "name" else 1
    near = piece.tokens[max(0, inside[0] - 1) : inside[-1] + after]
    return any(one.key == asked.noun for one in near)


def _reason(asked: Question, hit: Hit, weights: Weights) -> list[Choice]:
    text = hit.piece.unit.text
    for side, pattern in asked.lang.reasons:
        found = pattern.search(text)
        if found is None:
            continue
        if side == "after":
            piece = text[found.end() :]
            stop = re.search(r"[;；。]", piece)
        else:
            piece = re.split(r"[。；;]|(?<=\S)、(?=.*、)", text[: found.start()])[-1]
            stop = None
        piece = piece[: stop.start()] if stop else piece
        contrast = asked.lang.contrast.search(piece)
        if side == "after" and contrast is not None and contrast.start() > 0:
            piece = piece[: contrast.start()]
        piece = _strip(_without_end(piece, weights) if side == "after" else piece)
        if len(piece) > 1:
            return [Choice(piece, hit, hit.score + 0.5, True)]
    return [Choice(_strip(text), hit, hit.score, False)]


def _without_end(text: str, weights: Weights) -> str:
    """Without the words at the end that the question itself says ("... is closed")."""
    said = tokens(text)
    while len(said) > 1 and said[-1].key in weights.by_key and said[-1].script == "word":
        text = text[: said.pop().start]
    return text


def _strip(text: str) -> str:
    return text.strip(" ,.;:!?،。，、；：؛।()（）")


def _places(asked: Question, hit: Hit, weights: Weights) -> list[Choice]:
    """What follows a word of place ("at the ...") up to the end of its clause."""
    text, known = hit.piece.unit.text, asked.lang
    if known.code in ("ja", "hi"):
        return []
    listed = "|".join(re.escape(one) for one in known.places)
    edge = "" if known.code == "zh" else r"\b"
    ends = sorted({*clauses(text), len(text)})
    result = []
    for one in re.finditer(rf"{edge}(?:{listed}){edge}\s*", text, re.IGNORECASE):
        stop = next(end for end in ends if end >= one.end())
        piece = _trim(text[one.end() : stop], known)
        said = tokens(piece)
        if not said or all(each.key in weights.by_key for each in said):
            continue
        if said[0].script == "number":
            continue
        near = _around(Span(one.end(), stop, piece), one.start(), stop, hit.piece, weights)
        result.append(Choice(piece, hit, hit.score + 0.3 * near + 0.2, True))
    return result


def _beside_noun(asked: Question, piece: Piece, weights: Weights) -> str:
    """The noun a question asks about with the words that qualify it: "the blue book"."""
    if asked.noun is None:
        return ""
    key = weights.known.get(asked.noun)
    text = piece.unit.text
    for at, one in enumerate(piece.tokens):
        if one.key != key or one.script != "word":
            continue
        begin = one.start
        for before in reversed(piece.tokens[:at]):
            gap = text[before.end : begin]
            if gap.strip() or before.key in weights.by_key:
                break
            if normalise(before.text) in asked.lang.small or before.script != "word":
                break
            begin = before.start
        if begin < one.start:
            return text[begin : one.end]
    return ""


def _rest(asked: Question, piece: Piece, weights: Weights) -> str:
    """The longest stretch of a sentence that the question does not already say."""
    text = piece.unit.text
    marks = [one for one in piece.tokens if one.key in weights.by_key]
    if not marks:
        return _strip(text)
    colon = re.search(r"[:：]\s*", text)
    if colon and marks[0].start < colon.start() and colon.end() < len(text):
        return _until_stop(text[colon.end() :], asked)
    cuts = sorted({0, len(text), *(one.start for one in marks), *(one.end for one in marks)})
    best, most = "", 0.0
    for low, high in pairwise(cuts):
        if any(one.start < high and one.end > low for one in marks):
            continue
        stretch = _until_stop(text[low:high], asked) if low > 0 else text[low:high]
        stretch = _trim(stretch, asked.lang)
        # What is said of something stands behind it more often than before it.
        size = len(tokens(stretch)) * (1.5 if low > 0 else 1.0)
        if size > most:
            best, most = stretch, size
    return best


def _until_stop(text: str, asked: Question) -> str:
    """Up to where the thought ends; a list goes on after a comma, a phrase does not."""
    text = text.lstrip(" ,،，、:：")
    contrast = asked.lang.contrast.search(text)
    if contrast is not None and contrast.start() > 0:
        text = text[: contrast.start()]
    marks = ";；؛。" if asked.type == "list" else ";；؛。,،，:："
    stop = next((at for at in clauses(text) if text[at] in marks and at > 0), len(text))
    return _strip(text[:stop])


_DENSE_HEAD = re.compile(r"^[はがをのにでともやか是为在叫于则的了、]+")
_DENSE_TAIL = re.compile(
    r"(?:です|である|であった|でした|ます|ました|とされる)+$|[はがをのにでと的了]$"
)


def _trim(stretch: str, known: Language) -> str:
    """Without the small words at its edges."""
    stretch = _strip(stretch)
    if known.code in ("zh", "ja"):
        return _strip(_DENSE_TAIL.sub("", _DENSE_HEAD.sub("", stretch)))
    while True:
        head, _, tail = stretch.partition(" ")
        if tail and normalise(head) in known.small:
            stretch = _strip(tail)
            continue
        front, _, last = stretch.rpartition(" ")
        if front and normalise(last) in known.small:
            stretch = _strip(front)
            continue
        return stretch


@lru_cache(maxsize=4096)
def _keys(text: str) -> frozenset[str]:
    return frozenset(one.key for one in tokens(text))


def _cells(asked: Question, hit: Hit, weights: Weights) -> list[Choice]:
    """The cells of a table row, by how well their column, their row and their type fit."""
    unit, matched = hit.piece.unit, weights.by_key
    whole = sum(matched.values()) or 1.0
    said = [_share(_keys(cell), matched) for cell in unit.cells]
    result = []
    for at, (cell, header) in enumerate(zip(unit.cells, unit.headers, strict=False)):
        keys = _keys(cell)
        if not keys or keys <= matched.keys():
            continue
        column = _share(_keys(header), matched) + 0.2 * whole * _run(header, asked.text)
        row = sum(one for place, one in enumerate(said) if place != at)
        score = hit.score + 0.9 * (column + row) / whole
        typed = _fits(asked, cell)
        result.append(Choice(cell, hit, score + (0.3 if typed else -0.1), typed))
    return result


def _run(header: str, question: str) -> float:
    """How much of a header the question says word for word, small words too ("from 1 June")."""
    said = [normalise(one.text) for one in tokens(header)]
    asked = [normalise(one.text) for one in tokens(question)]
    best = 0
    for start in range(len(said)):
        for end in range(start + best + 1, len(said) + 1):
            run = said[start:end]
            if not any(asked[at : at + len(run)] == run for at in range(len(asked))):
                break
            best = end - start
    return best / len(said) if said else 0.0


def _share(keys: frozenset[str], matched: Mapping[str, float]) -> float:
    """The weight of the question's words in a cell, less for a cell that says much else."""
    if not keys:
        return 0.0
    known = [matched[key] for key in sorted(keys) if key in matched]
    return sum(known) * (0.5 + 0.5 * len(known) / len(keys))


def _fits(asked: Question, cell: str) -> bool:
    kinds = _kinds(asked)
    if kinds and kinds[0] not in ("name", "place"):
        return any(spans(cell, kind) for kind in kinds)
    return not cell[:1].isdigit()
