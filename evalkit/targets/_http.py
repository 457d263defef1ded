"""One HTTP endpoint: a shared session, time limits, a size limit, and every fault with its class.

The session is made in the running event loop at the first call and kept: connections stay open,
nothing is limited here (the runner limits), redirects are not followed, and proxies of the
environment are used only when asked for.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from contextvars import ContextVar
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol

from evalkit import __version__
from evalkit.deadlines import Bound, Deadlines
from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Allowance
from evalkit.offline import OfflineError
from evalkit.targets._allowance import allowances
from evalkit.targets._failure import Redactor, failure
from evalkit.targets._line import KEEPALIVE_S, Line, Response
from evalkit.targets._sse import EventParser

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

MAX_ANSWER_BYTES = 8 * 1024 * 1024
"""Bytes of one answer that are read before it is refused."""

CONNECT_TIMEOUT_S = 10.0
_ERROR_BYTES = 256 * 1024
_TRAILER_S = 0.25
# Anthropic's keep-alive is an event, the others' is a comment
_PING = b'"ping"'
_LONGEST_PING = 32
_SECRET_HEADER = re.compile(
    r"auth|key|token|secret|cookie|passw|credential|signature", re.IGNORECASE
)


class Decoder(Protocol):
    """Reads a stream as it comes."""

    def moved(self) -> bool:
        """Whether what was fed last was more than a sign of life."""
        ...

    def feed(self, chunk: bytes, now: float) -> bool:
        """Take bytes that arrived at ``now`` (perf_counter); true when the answer is complete."""
        ...

    def close(self, now: float) -> None:
        """The stream ended by itself."""
        ...


class EventDecoder:
    """Reads server-sent events and hands the data of each to ``on_event``."""

    __slots__ = ("_last", "_on_event", "_parser")

    def __init__(self, on_event: Callable[[bytes, float], bool]):
        self._parser = EventParser()
        self._on_event = on_event
        self._last: list[bytes] = []

    def feed(self, chunk: bytes, now: float) -> bool:
        """Take a chunk; true when an event said that the answer is complete."""
        self._last = self._parser.feed(chunk)
        return any(self._on_event(data, now) for data in self._last)

    def moved(self) -> bool:
        """Whether the last chunk held an event that was no ping."""
        return any(len(data) > _LONGEST_PING or _PING not in data for data in self._last)

    def close(self, now: float) -> None:
        """Take what stands in an unfinished last event."""
        for data in self._parser.close():
            if self._on_event(data, now):
                return


class Call:
    """One exchange: its times, and the body unless a decoder read it.

    ``started`` is when the request went out, ``ended`` when the last byte of the answer came
    (perf_counter seconds); making a new connection took ``connect_s`` before that.
    """

    __slots__ = (
        "allowances",
        "body",
        "connect_s",
        "content_type",
        "ended",
        "received",
        "started",
        "streamed",
    )

    def __init__(self) -> None:
        self.allowances: tuple[Allowance, ...] = ()
        self.started = time.perf_counter()
        self.connect_s: float | None = None
        self.ended = 0.0
        self.received = 0
        self.streamed = False
        self.content_type = ""
        self.body = b""

    def connected(self) -> None:
        """A new connection stands: what came before is no part of the answer's latency."""
        now = time.perf_counter()
        self.connect_s = now - self.started
        self.started = now


_CALL: ContextVar[Call] = ContextVar("evalkit_call")


@cache
def _connector() -> type[aiohttp.TCPConnector]:
    import aiohttp

    from evalkit.targets._handler import Handler

    class Connector(aiohttp.TCPConnector):
        """Notes on the call under way that it had to wait for a new connection.

        Tracing would tell the same in the documented way, for a tenth more CPU a call.
        """

        def __init__(self, **options: Any):
            super().__init__(**options)
            self._factory: Any = partial(Handler, loop=self._loop)

        async def _create_connection(self, *args: Any, **options: Any) -> Any:
            made = await super()._create_connection(*args, **options)
            _CALL.get().connected()
            return made

    return Connector


def load_client() -> None:
    """Import the client: a tenth of a second that the first call need not wait for."""
    _connector()


class Wire:
    """An endpoint and the session that talks to it.

    Raises ``ConfigError`` for a URL or header that cannot be sent, ``TargetError`` for every fault
    of a call. ``idle_timeout_s`` bounds the silence between two reads, and between two events of a
    stream: comments and pings that keep a connection open say nothing.
    """

    def __init__(
        self,
        url: URL,
        *,
        headers: Mapping[str, str],
        secrets: tuple[str, ...] = (),
        method: str = "POST",
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        idle_timeout_s: float | None = None,
        trust_env: bool = False,
    ):
        self.url = url
        self.host = url.authority
        self.redactor = Redactor((*secrets, *_secret_values(headers, url)))
        self._headers = checked_headers(headers)
        self._method = method
        self._limit = checked_positive("max_answer_bytes", max_answer_bytes)
        self._idle_s = (
            None
            if idle_timeout_s is None
            else float(checked_positive("idle_timeout_s", idle_timeout_s))
        )
        self._trust_env = trust_env
        self._session: aiohttp.ClientSession | None = None
        self._line: Line | None = None
        self._deadlines = Deadlines()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}

    async def aclose(self) -> None:
        """Close the connections; safe to call twice."""
        session, self._session = self._session, None
        if self._line is not None:
            self._line.close()
        if session is not None:
            await session.close()

    async def exchange(
        self,
        body: bytes | None,
        *,
        timeout_s: float | None,
        decoder: Decoder | None = None,
        query: Mapping[str, str] | None = None,
        always_stream: bool = False,
    ) -> Call:
        """Send once and read the answer.

        With a ``decoder`` a streamed answer is fed to it; an answer that turns out to be plain
        JSON is kept in ``body`` all the same, unless ``always_stream`` says that its type means
        nothing. Anything but a status of 200 to 299 is an error.
        """
        import aiohttp

        session = self._session_here()
        call = Call()
        _CALL.set(call)
        try:
            if self._line is not None and body is not None and not query:
                with nullcontext() if timeout_s is None else self._deadlines.within(timeout_s):
                    response = await self._line.send(body, whole=decoder is None)
                    try:
                        await self._read(response, call, decoder, always_stream)
                    finally:
                        response.release()
            else:
                async with session.request(
                    self._method,
                    self.url if not query else self.url.update_query(query),
                    data=body,
                    timeout=self._timeout(timeout_s),
                    allow_redirects=False,
                ) as reply:
                    await self._read(reply, call, decoder, always_stream)
        except aiohttp.ServerTimeoutError as error:
            raise self._timed_out(call, error, timeout_s) from None
        except TimeoutError:
            within = "in time" if timeout_s is None else f"within {timeout_s:g} s"
            raise TargetError(
                ErrorClass.TIMEOUT, f"no complete answer from {self.host} {within}"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            # Chained errors are cut off: theirs may hold the URL with its query, or headers.
            raise self._broken(error, call) from None
        return call

    def error(self, message: str, error_class: ErrorClass, **more: Any) -> TargetError:
        """An error that begins with the host, safe to show."""
        return TargetError(error_class, f"{self.host} {self.redactor.safe(message)}", **more)

    def said(self, body: Any) -> TargetError:
        """The error of an answer with status 200 whose decoded body is an error."""
        return failure(None, {}, body, host=self.host, redactor=self.redactor)

    async def _read(
        self, response: Response, call: Call, decoder: Decoder | None, always_stream: bool
    ) -> None:
        call.content_type = response.headers.get("Content-Type", "").lower()
        if not 200 <= response.status < 300:
            raise await self._refusal(response, call)
        call.allowances = allowances(response.headers)
        if decoder is None or (not always_stream and _is_whole(call.content_type)):
            call.body = await self._whole(response, call)
        else:
            await self._stream(response, call, decoder)

    def _session_here(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        session = self._session
        if session is not None and not session.closed and self._loop is loop:
            return session
        import aiohttp

        connector = _connector()(limit=0, keepalive_timeout=KEEPALIVE_S, ttl_dns_cache=300)
        headers = {"User-Agent": f"evalkit/{__version__}", **self._headers}
        self._session = aiohttp.ClientSession(
            connector=connector,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=self._trust_env,
        )
        self._line = None
        if not self._trust_env and Line.serves(self._method, headers):
            self._line = Line(connector, self._method, self.url, headers, self._timeout(None))
        self._loop = loop
        return self._session

    def _timeout(self, timeout_s: float | None) -> aiohttp.ClientTimeout:
        known = self._timeouts.get(timeout_s)
        if known is None:
            import aiohttp

            known = self._timeouts[timeout_s] = aiohttp.ClientTimeout(
                total=timeout_s, sock_connect=CONNECT_TIMEOUT_S, sock_read=self._idle_s
            )
        return known

    async def _whole(self, response: Response, call: Call) -> bytes:
        content = response.content
        parts = []
        while chunk := await content.readany():
            call.received += len(chunk)
            if call.received > self._limit:
                raise self._too_large()
            parts.append(chunk)
        call.ended = time.perf_counter()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _stream(self, response: Response, call: Call, decoder: Decoder) -> None:
        call.streamed = True
        if self._idle_s is None:
            complete = await self._events(response, call, decoder, None)
        else:
            silence = self._deadlines.within(self._idle_s)
            try:
                with silence:
                    complete = await self._events(response, call, decoder, silence)
            except TimeoutError:
                if not silence.expired:
                    raise
                raise self._silent(call, self._idle_s) from None
        if complete:
            await self._drain(response)
            return
        call.ended = time.perf_counter()
        decoder.close(call.ended)

    async def _events(
        self, response: Response, call: Call, decoder: Decoder, silence: Bound | None
    ) -> bool:
        """Feed what comes to the decoder; whether it said that the answer is complete."""
        content = response.content
        while chunk := await content.readany():
            now = time.perf_counter()
            call.received += len(chunk)
            if call.received > self._limit:
                raise self._too_large()
            if decoder.feed(chunk, now):
                call.ended = now
                return True
            if silence is not None and decoder.moved():
                silence.renew()
        return False

    async def _drain(self, response: Response) -> None:
        # The end of the body follows the last event at once; read it and the connection is kept.
        import aiohttp

        if response.content.at_eof():
            return
        try:
            async with asyncio.timeout(_TRAILER_S):
                await response.content.readany()
        except (OSError, aiohttp.ClientError):
            # The answer is complete: how its connection ends changes nothing.
            pass
        if not response.content.at_eof():
            response.close()

    async def _refusal(self, response: Response, call: Call) -> TargetError:
        status = response.status
        parts = []
        size = 0
        while size < _ERROR_BYTES and (chunk := await response.content.readany()):
            parts.append(chunk)
            size += len(chunk)
        if size >= _ERROR_BYTES:
            response.close()
        if 300 <= status < 400:
            to = response.headers.get("Location", "").partition("?")[0]
            return self.error(
                f"answered {status} and points to {to!r}; redirects are not followed: "
                "write the final address",
                ErrorClass.BAD_REQUEST,
                http_status=status,
            )
        return failure(
            status,
            response.headers,
            b"".join(parts),
            host=self.host,
            redactor=self.redactor,
            content_type=call.content_type,
        )

    def _too_large(self) -> TargetError:
        return TargetError(
            ErrorClass.INVALID_RESPONSE,
            f"{self.host} answered with more than {self._limit} bytes (max_answer_bytes)",
            retryable=False,
        )

    def _timed_out(
        self, call: Call, error: aiohttp.ServerTimeoutError, timeout_s: float | None
    ) -> TargetError:
        import aiohttp

        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return TargetError(
                ErrorClass.CONNECTION,
                f"no connection to {self.host} within {CONNECT_TIMEOUT_S:g} s",
                unbilled=True,
            )
        return self._silent(call, self._idle_s if self._idle_s is not None else timeout_s)

    def _silent(self, call: Call, silent_s: float | None) -> TargetError:
        return TargetError(
            ErrorClass.TIMEOUT,
            f"{self.host} went silent for {silent_s:g} s after {call.received} bytes",
        )

    def _broken(self, error: Exception, call: Call) -> TargetError:
        import aiohttp

        host = self.host
        if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
            why = getattr(error, "certificate_error", None) or getattr(error, "os_error", error)
            reason = why.verify_message if isinstance(why, ssl.SSLCertVerificationError) else why
            return TargetError(
                ErrorClass.CONNECTION,
                f"TLS with {host} failed: {self.redactor.safe(str(reason))}",
                retryable=False,
                unbilled=True,
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            return TargetError(
                ErrorClass.CONNECTION,
                _no_connection(host, error.os_error),
                retryable=not isinstance(error.os_error, OfflineError),
                unbilled=True,
            )
        if isinstance(error, aiohttp.ClientPayloadError):
            return TargetError(
                ErrorClass.CONNECTION,
                f"the connection to {host} broke in the middle of the answer, "
                f"after {call.received} bytes",
            )
        if isinstance(error, aiohttp.ClientResponseError):
            return TargetError(
                ErrorClass.INVALID_RESPONSE,
                f"{host} does not speak HTTP: {self.redactor.safe(error.message)}",
            )
        if isinstance(error, aiohttp.ClientConnectionError | OSError):
            where = f"after {call.received} bytes" if call.received else "before it answered"
            return TargetError(ErrorClass.CONNECTION, f"{host} closed the connection {where}")
        return TargetError(
            ErrorClass.INVALID_RESPONSE,
            f"{host} sent an answer that cannot be read ({type(error).__name__})",
        )


def _no_connection(host: str, error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return f"cannot find the host {host} (DNS: {error.strerror or 'no answer'})"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return (
            f"cannot connect to {host}: too many open files; lower concurrency or raise ulimit -n"
        )
    if error.errno == errno.ECONNREFUSED:
        return f"cannot connect to {host}: connection refused"
    return f"cannot connect to {host}: {error.strerror or type(error).__name__}"


def _is_whole(content_type: str) -> bool:
    """Whether an answer that was asked to stream came as one document."""
    media = content_type.partition(";")[0].strip()
    return media == "application/json" or media.endswith(("+json", "/html", "/xhtml+xml"))


def checked_url(option: str, text: str) -> URL:
    """An ``http`` or ``https`` URL with a host and without credentials; else ``ConfigError``."""
    from yarl import URL

    try:
        url = URL(text.strip())
    except (ValueError, TypeError):
        raise ConfigError(f"{option}: not a URL", hint="write it as https://host/path") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(
            f"{option}: {text.partition('?')[0]!r} is not an http or https URL"
            if "@" not in text
            else f"{option}: not an http or https URL",
            hint="write it as https://host/path",
        )
    if url.user is not None or url.password is not None:
        raise ConfigError(
            f"{option}: a URL must not hold a user or a password",
            hint="send credentials in 'headers', as ${env:NAME}",
        )
    return url


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that can be sent; ``ConfigError`` names a bad one and never shows its value."""
    for name, value in headers.items():
        if not isinstance(value, str):
            raise ConfigError(f"headers.{name} must be text", hint="quote it")
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ConfigError(f"headers: {name!r} is not a header name")
        if not value.isprintable() or value != value.strip():
            raise ConfigError(
                f"headers.{name} holds a line break, a control character or a space at an end",
                hint="check the variable it comes from",
            )
    return dict(headers)


def checked_key(api_key: str | None) -> str | None:
    """An API key that can stand in a header, or ``None``; the error never shows it."""
    if api_key is None:
        return None
    if not api_key.strip():
        raise ConfigError("api_key: it is empty", hint="set the variable it comes from")
    if api_key != api_key.strip() or not api_key.isprintable() or not api_key.isascii():
        raise ConfigError(
            "api_key: it holds a space, a line break or a character no key has",
            hint="check the variable it comes from for a line break at its end",
        )
    return api_key


def checked_positive(option: str, value: float) -> Any:
    """A number above 0, given back as it is."""
    if isinstance(value, bool) or not value > 0:
        raise ConfigError(f"{option}: must be above 0, not {value!r}")
    return value


def _secret_values(headers: Mapping[str, str], url: URL) -> list[str]:
    found = []
    for name, value in headers.items():
        if _SECRET_HEADER.search(name) and isinstance(value, str):
            # "Bearer abc" is a secret, and so is "abc".
            found += [value, *value.split()]
    found += [value for name, value in url.query.items() if _SECRET_HEADER.search(name)]
    return found
