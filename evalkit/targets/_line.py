"""Requests to one endpoint over aiohttp's connections, without what varies from call to call.

``ClientSession.request`` builds URL, headers, cookies, writer and timers anew for every request,
half of what a call costs. To one endpoint only the body differs: its head is written once, and what
is left of aiohttp is its pool of connections (TLS, DNS, keep-alive) and its parser of answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.connector import Connection
    from multidict import CIMultiDictProxy
    from yarl import URL

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
    def content(self) -> aiohttp.StreamReader:
        """The body, as it comes."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Reply:
    """An answer whose head is here; ``release`` it whatever happens."""

    __slots__ = ("_connection", "content", "headers", "status")

    def __init__(
        self,
        connection: Connection,
        status: int,
        headers: CIMultiDictProxy[str],
        content: aiohttp.StreamReader,
    ):
        self._connection = connection
        self.status = status
        self.headers = headers
        self.content = content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def release(self) -> None:
        """Keep the connection for another call when the answer was read to its end."""
        self._connection.release()


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

        self._connector = connector
        self._timeout = timeout
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

    async def send(self, body: bytes) -> Reply:
        """Send a request and read the head of its answer; raises what aiohttp raises."""
        import aiohttp
        from aiohttp.http_exceptions import HttpProcessingError

        try:
            connection = await self._connector.connect(self._request, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        try:
            protocol = connection.protocol
            assert protocol is not None
            assert protocol.transport is not None
            protocol.set_response_params(read_until_eof=True, read_timeout=self._timeout.sock_read)
            protocol.transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
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
        return Reply(connection, message.code, message.headers, content)
