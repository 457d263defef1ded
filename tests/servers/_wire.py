"""What the server is told to answer, and what it saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A good answer; the provider's form and streaming follow from the request. Times in seconds.

    ``text`` is cut into ``pieces`` (words) unless they are given. A stream waits ``first_s`` before
    its first piece of reasoning or text and ``gap_s`` before every further one; a whole answer
    waits for the sum of both unless ``latency_s`` says otherwise. ``write_bytes`` cuts the stream
    into writes of so many bytes, wherever they fall; ``comments`` puts a keep-alive comment before
    every event; ``newline`` ends its lines.
    """

    text: str = "The answer is 42."
    pieces: tuple[str, ...] | None = None
    reasoning: tuple[str, ...] = ()
    refusal: str = ""
    tools: tuple[tuple[str, str], ...] = ()
    finish: str | None = None
    model: str | None = None
    input_tokens: int | None = 11
    output_tokens: int | None = 7
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    usage_always: bool = False
    first_s: float = 0.0
    gap_s: float = 0.0
    latency_s: float | None = None
    done: bool = True
    comments: bool = False
    newline: str = "\n"
    write_bytes: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """The pieces of the text as a stream sends them."""
        if self.pieces is not None:
            return self.pieces
        words = self.text.split(" ")
        return tuple(word if not n else f" {word}" for n, word in enumerate(words) if n or word)

    @property
    def whole(self) -> str:
        """The whole text."""
        return self.text if self.pieces is None else "".join(self.pieces)

    @property
    def delay_s(self) -> float:
        """How long an answer that is not streamed takes."""
        if self.latency_s is not None:
            return self.latency_s
        steps = len(self.parts) + len(self.reasoning)
        return self.first_s + self.gap_s * max(0, steps - 1)


class Trouble(StrEnum):
    """The ways to fail; those of the first group are answers with an error status."""

    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NO_MODEL = "no_model"
    BAD_REQUEST = "bad_request"
    CONTEXT_LENGTH = "context_length"
    RATE_LIMIT = "rate_limit"
    QUOTA = "quota"
    CONTENT_FILTER = "content_filter"
    SERVER_ERROR = "server_error"
    OVERLOADED = "overloaded"
    NO_STREAM_OPTIONS = "no_stream_options"
    """Rejects only requests that hold ``stream_options``; the others are answered."""
    HTML_ERROR = "html_error"
    REDIRECT = "redirect"
    ECHO_KEY = "echo_key"
    """A 401 whose text repeats every header that it got."""

    HTML = "html"
    EMPTY = "empty"
    TRUNCATED_JSON = "truncated_json"
    ERROR_IN_200 = "error_in_200"
    ERROR_IN_STREAM = "error_in_stream"
    """A good start, then an overloaded error as an event."""
    FILTERED = "filtered"
    """200, and the provider's filter took the whole answer."""
    NO_DONE = "no_done"
    """A complete stream without its last line."""
    CUT_STREAM = "cut_stream"
    """A stream that ends cleanly in the middle of the answer."""
    RESET = "reset"
    """The connection is reset in the middle of the answer."""
    DROP = "drop"
    """The connection is closed before any answer."""
    STALL = "stall"
    """A good start, then silence until the client goes."""
    SILENT = "silent"
    """No byte at all until the client goes."""
    HUGE = "huge"
    """Never stops writing."""
    ENDLESS_COMMENTS = "endless_comments"
    """Keep-alive comments for ever, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A bad answer; ``reply`` is what a stream begins with, or what the others get."""

    trouble: Trouble
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    reply: Reply = field(default_factory=Reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Exactly these bytes, one write a chunk, with ``gap_s`` seconds before each."""

    chunks: Sequence[bytes]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One request as the server got it; ``body`` is decoded JSON, or ``None``."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    connection: int
    """Tells connections apart: requests with the same number shared one."""

    @property
    def text(self) -> str:
        """The last message's text."""
        body = self.body if isinstance(self.body, dict) else {}
        messages = body.get("messages") or body.get("input") or []
        return messages[-1]["content"] if messages else ""
