"""One connection of aiohttp's that can take a short answer whole, past parser and stream.

Most answers to an evaluation are one small JSON document that comes in one read. For those the
machinery of a stream (parser, queue, reader, flow control) is most of what a call costs. Whatever
is not plainly such an answer goes to aiohttp's own parser, byte for byte, as if it had been there
from the start: chunks, compression, interim answers, closed connections, and all that is malformed.
"""

from __future__ import annotations

import asyncio
import re
from typing import TypeAlias

from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict, CIMultiDictProxy

LONGEST = 1 << 18
"""Bytes of an answer, head and all, that are waited for; a longer one is streamed."""

_HEAD = re.compile(
    rb"HTTP/1\.1 (2\d\d)(?: [ -~]*)?((?:\r\n[!#-'*+\-.0-9A-Z^-z|~]+:[ \t]*[ -~]*)+)\r\n\r\n"
)
# what changes how a body is read, or what becomes of the connection
_UNUSUAL = ("Transfer-Encoding", "Content-Encoding", "Connection", "Upgrade", "Trailer")

Headers: TypeAlias = "CIMultiDictProxy[str]"


class Whole:
    """An answer that is here already; read like aiohttp's ``StreamReader``."""

    __slots__ = ("_body", "headers", "status")

    def __init__(self, status: int, headers: Headers, body: bytes):
        self.status = status
        self.headers = headers
        self._body = body

    async def readany(self) -> bytes:
        """The body, then nothing."""
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        """Whether it was read."""
        return not self._body


def whole(data: bytes) -> Whole | int | None:
    """The answer when it is a short and plain one, its missing bytes, or ``None`` for any other.

    The number of missing bytes is 1 while the head itself is incomplete.
    """
    found = _HEAD.match(data)
    if found is None:
        return (
            1 if b"\r\n\r\n" not in data and data.startswith(b"HTTP/1.1 2"[: len(data)]) else None
        )
    headers: CIMultiDict[str] = CIMultiDict()
    for line in found[2][2:].decode("ascii").split("\r\n"):
        name, _, value = line.partition(":")
        headers.add(name, value.strip(" \t"))
    lengths = headers.getall("Content-Length", ())
    if len(lengths) != 1 or not lengths[0].isdigit() or any(map(headers.__contains__, _UNUSUAL)):
        return None
    status, end = int(found[1]), found.end() + int(lengths[0])
    if len(data) > end or end > LONGEST or status in {204, 205}:
        return None
    if len(data) < end:
        return end - len(data)
    return Whole(status, CIMultiDictProxy(headers), data[found.end() :])


class Handler(ResponseHandler):
    """The protocol of one connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        super().__init__(loop=loop)
        self._asked: asyncio.Future[Whole | None] | None = None
        self._received = b""
        self._missing = 0

    def ask(self, request: bytes) -> asyncio.Future[Whole | None]:
        """Send a request; ``None`` when its answer has to be read the usual way."""
        asked = self._asked = self._loop.create_future()
        assert self.transport is not None
        self.transport.write(request)
        return asked

    def data_received(self, data: bytes) -> None:
        """Take bytes from the socket."""
        asked = self._asked
        if asked is None:
            super().data_received(data)
            return
        if self._received:
            data = self._received + data
        if len(data) < self._missing:
            self._received = data
            return
        found = whole(data)
        if type(found) is int and len(data) + found <= LONGEST:
            self._received, self._missing = data, len(data) + found
            return
        self._asked = None
        self._received, self._missing = b"", 0
        if type(found) is not Whole:
            found = None
            self._the_usual_way(data)
        if not asked.done():
            asked.set_result(found)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let aiohttp say what that means for an answer that is not complete."""
        asked, self._asked = self._asked, None
        if asked is None or asked.done():
            super().connection_lost(exc)
            return
        data, self._received = self._received, b""
        self._the_usual_way(data)
        # whoever asked reads first what there is
        asked.set_result(None)
        self._loop.call_soon(super().connection_lost, exc)

    def _the_usual_way(self, data: bytes) -> None:
        self.set_response_params(read_until_eof=True)
        if data:
            super().data_received(data)
