"""The answer of any endpoint: pieces gathered by JSONPath from a document, lines, events, text."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from evalkit.errors import ErrorClass
from evalkit.model import Output, Usage
from evalkit.targets._answers import count, output, text_or_none
from evalkit.targets._failure import complaint, is_html, plain
from evalkit.targets._http import Call, Decoder, EventDecoder, Wire
from evalkit.targets._jsonpath import Missing, Path
from evalkit.targets._pieces import Pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things stand in the answer."""

    answer: Path | None
    error: Path | None
    model: Path | None
    context: Path | None
    finish: Path | None
    usage: Mapping[str, Path]


class Reader:
    """Gathers the answer and what goes with it from one document or from many."""

    __slots__ = (
        "_context",
        "_counts",
        "_decode",
        "_finish",
        "_model",
        "_paths",
        "_pieces",
        "_wire",
        "parts",
    )

    def __init__(self, wire: Wire, paths: Paths) -> None:
        self._wire = wire
        self._paths = paths
        self._pieces = Pieces()
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._context: tuple[str, ...] = ()
        self._counts: dict[str, int | None] = {}
        self._finish: str | None = None
        self._model: Any = None
        self.parts: list[str] = []

    def take(self, found: Any) -> str | None:
        """Read one document; its piece of the answer, or ``None`` when it has none."""
        paths = self._paths
        if paths.error is not None:
            error = paths.error.find(found)
            if error is not Missing.MISSING and error not in (None, False, "", []):
                raise self._wire.said({"error": error})
        for name, path in paths.usage.items():
            number = count(path.find(found))
            if number is not None:
                self._counts[name] = number
        if paths.model is not None:
            self._model = text_or_none(paths.model.find(found)) or self._model
        if paths.finish is not None:
            self._finish = text_or_none(paths.finish.find(found)) or self._finish
        if paths.context is not None:
            self._context = _passages(paths.context.find(found)) or self._context
        assert paths.answer is not None
        piece = paths.answer.find(found)
        if piece is Missing.MISSING or piece is None or (paths.answer.wild and not piece):
            if complaint(found) is not None:
                raise self._wire.said(found)
            return None
        text = "".join(map(as_text, piece)) if paths.answer.wild else as_text(piece)
        self.parts.append(text)
        return text

    def on_event(self, data: bytes, now: float) -> bool:
        """Take the JSON of one line or event."""
        if data == b"[DONE]":
            return True
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            page = is_html(data, "")
            raise self._wire.error(
                f"sent {'' if page else 'no JSON: '}{plain(data, '')}",
                ErrorClass.INVALID_RESPONSE,
                retryable=not page,
            ) from None
        if self.take(found):
            self._pieces.content(now)
        return False

    def on_text(self, chunk: bytes, now: float, *, last: bool = False) -> None:
        """Take a piece of text."""
        text = self._decode.decode(chunk, final=last)
        if text:
            self.parts.append(text)
            self._pieces.content(now)

    def output(self, call: Call, *, streamed: bool = True) -> Output:
        """Everything together."""
        if not self.parts:
            raise self._wire.error(
                f"ended the stream after {call.received} bytes without an answer",
                ErrorClass.INVALID_RESPONSE,
            )
        if streamed and self._paths.answer is None and "html" in call.content_type:
            page = "".join(self.parts).encode()
            raise self._wire.error(
                f"sent {plain(page, call.content_type)} in place of an answer",
                ErrorClass.INVALID_RESPONSE,
                retryable=False,
            )
        made = output(
            self._wire,
            call,
            text="".join(self.parts),
            finish_reason=self._finish,
            model=self._model,
            usage=Usage(**self._counts),
            pieces=self._pieces if streamed else None,
        )
        if not self._context:
            return made
        return replace(made, context=self._context)


class _Lines:
    """Hands over the lines of a stream, and the last one though no line break ends it."""

    __slots__ = ("_partial", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._partial: list[bytes] = []

    def feed(self, chunk: bytes, now: float) -> bool:
        """Take a chunk."""
        *whole, rest = chunk.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._partial, whole[0]])
            self._partial.clear()
        if rest:
            self._partial.append(rest)
        return any(self._reader.on_event(line, now) for line in whole if line.strip())

    def moved(self) -> bool:
        """Whatever comes is part of the answer."""
        return True

    def close(self, now: float) -> None:
        """Take what is left."""
        rest = b"".join(self._partial)
        if rest.strip():
            self._reader.on_event(rest, now)


class _Text:
    """Hands over the body as it comes."""

    __slots__ = ("_reader",)

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def feed(self, chunk: bytes, now: float) -> bool:
        """Take a chunk."""
        self._reader.on_text(chunk, now)
        return False

    def moved(self) -> bool:
        """Whatever comes is part of the answer."""
        return True

    def close(self, now: float) -> None:
        """Take the end of a character that was cut off."""
        self._reader.on_text(b"", now, last=True)


def decoder_of(stream: str, reader: Reader) -> Decoder:
    """What reads a stream of that form for the reader."""
    if stream == "text":
        return _Text(reader)
    return _Lines(reader) if stream == "lines" else EventDecoder(reader.on_event)


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _passages(found: Any) -> tuple[str, ...]:
    if isinstance(found, str):
        return (found,)
    return tuple(map(as_text, found)) if isinstance(found, list) else ()
