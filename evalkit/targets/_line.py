"""Requests to one endpoint over aiohttp's connections, without what varies from call to call.

``ClientSession.request`` builds URL, headers, cookies, writer and timers anew for every request,
half of what a call costs. To one endpoint only the body differs: its head is written once, the
connections wait here for the next call, and what is left of aiohttp is how they are made (TLS, DNS)
and its parser of answers.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.connector import Connection
    from multidict import CIMultiDictProxy
    from yarl import URL

KEEPALIVE_S = 30.0
"""How long a connection may wait for its next call."""

# an idempotent request is sent again by aiohttp when a kept connection turns out to be closed
_METHODS = frozenset({"POST", "PATCH"})
# headers that change how a body is sent
_UNSAFE = frozenset("\r\n\0")
_FRAMING = frozenset({"content-length", "transfer-encoding", "content-encoding", "expect"})


class Response(Protocol):
    """What is read of an answer; aiohttp's own response is one too."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The headers."""
        ...

    @property
    def content(self) -> Content:
        """The body, as it comes."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Content(Protocol):
    """A body; aiohttp's ``StreamReader`` is one."""

    async def readany(self) -> bytes:
        """What has come since; nothing at the end."""
        ...

    def at_eof(self) -> bool:
        """Whether everything was read."""
        ...


class Reply:
    """An answer whose head is here; ``release`` it whatever happens."""

    __slots__ = ("_connection", "_line", "content", "headers", "status")

    def __init__(
        self,
        line: Line,
        connection: Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: Content,
    ):
        self._line = line
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def release(self) -> None:
        """Keep the connection for another call when the answer was read to its end."""
        self._line.keep(self._connection)


class Line:
    """Sends bodies to one URL with the same method and headers; belongs to one event loop.

    Nothing here bounds a call's time, and redirects are answers.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        timeout: aiohttp.ClientTimeout,
    ):
        from aiohttp import ClientRequest

        from evalkit.targets._handler import Handler

        self._handler = Handler
        self._connector = connector
        self._timeout = timeout
        self._idle: deque[tuple[Connection, float]] = deque()
        self._closed = False
        # aiohttp's own request decides on the headers, and names the connection in the pool
        self._request = ClientRequest(
            method, url, headers=headers, data=b"", loop=asyncio.get_running_loop()
        )
        lines = [f"{method} {url.raw_path_qs} HTTP/1.1"]
        lines += [
            f"{name}: {value}"
            for name, value in self._request.headers.items()
            if name.lower() != "content-length"
        ]
        self._head = ("\r\n".join(lines) + "\r\nContent-Length: ").encode()

    @staticmethod
    def serves(method: str, headers: Mapping[str, str]) -> bool:
        """Whether requests of this form can go this way."""
        written = "".join(f"{name}{value}" for name, value in headers.items())
        if not _UNSAFE.isdisjoint(written):
            return False  # aiohttp's own writer refuses it with a message
        return method in _METHODS and _FRAMING.isdisjoint(map(str.lower, headers))

    async def send(self, body: bytes, *, whole: bool = False) -> Reply:
        """Send a request and read the head of its answer; raises what aiohttp raises.

        ``whole`` says that the answer is wanted all at once, and is most likely a short one.
        """
        import aiohttp
        from aiohttp.http_exceptions import HttpProcessingError

        connection = self._kept()
        if connection is None:
            try:
                connection = await self._connector.connect(self._request, [], self._timeout)
            except TimeoutError as error:
                raise aiohttp.ConnectionTimeoutError from error
        try:
            protocol = connection.protocol
            assert protocol is not None
            assert protocol.transport is not None
            request = b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
            if whole and self._timeout.sock_read is None and isinstance(protocol, self._handler):
                answer = await protocol.ask(request)
                if answer is not None:
                    return Reply(self, connection, answer.status, answer.headers, answer)
            else:
                protocol.set_response_params(
                    read_until_eof=True, read_timeout=self._timeout.sock_read
                )
                protocol.transport.write(request)
                protocol.start_timeout()
            message, content = await protocol.read()
            # 100 Continue and its like come before the answer; 101 is one
            while 100 <= message.code <= 199 and message.code != 101:
                message, content = await protocol.read()
        except HttpProcessingError as error:
            connection.close()
            raise aiohttp.ClientResponseError(
                self._request.request_info, (), status=error.code, message=error.message
            ) from error
        except BaseException:
            connection.close()
            raise
        return Reply(self, connection, message.code, message.headers, content)

    def _kept(self) -> Connection | None:
        """The connection that has waited longest and still stands.

        One that its server closes after an answer, without a word, shows it by then.
        """
        while self._idle:
            connection, since = self._idle.popleft()
            protocol = connection.protocol
            if (
                protocol is not None
                and protocol.is_connected()
                and not protocol.should_close
                and time.monotonic() - since <= KEEPALIVE_S
            ):
                return connection
            connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Take a connection back after a call."""
        protocol = connection.protocol
        if protocol is None:
            return
        if protocol.should_close or self._closed:
            connection.release()
        else:
            self._idle.append((connection, time.monotonic()))

    def close(self) -> None:
        """Close the connections that wait for a call."""
        self._closed = True
        while self._idle:
            self._idle.pop()[0].close()
