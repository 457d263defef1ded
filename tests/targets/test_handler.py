"""A short answer read past aiohttp's parser is what the parser would have read, byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import re
from collections.abc import Sequence

import aiohttp
import pytest
from yarl import URL

from evalkit.errors import TargetError
from evalkit.targets._handler import Whole, whole
from evalkit.targets._http import Call, Wire

BODY = b'{"a": "b"}'
PLAIN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"4\r\n" + BODY[:4] + b"\r\n6\r\n" + BODY[4:] + b"\r\n0\r\n\r\n"
)
ZIPPED = gzip.compress(BODY)
ANSWERS = {
    "plain": PLAIN,
    "lower case": PLAIN.replace(b"Content-Length", b"content-length"),
    "no reason": PLAIN.replace(b"200 OK", b"200"),
    "created": PLAIN.replace(b"200 OK", b"201 Created"),
    "empty header": PLAIN.replace(b"\r\n\r\n", b"\r\nX-Nothing:\r\n\r\n"),
    "empty body": PLAIN.replace(b"10\r\n\r\n" + BODY, b"0\r\n\r\n"),
    "chunked": CHUNKED,
    "zipped": PLAIN.replace(b"10\r\n\r\n" + BODY, b"%d\r\n" % len(ZIPPED))
    + b"Content-Encoding: gzip\r\n\r\n"
    + ZIPPED,
    "closing": PLAIN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "until the end": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n" + BODY,
    "old": PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + PLAIN,
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "refused": PLAIN.replace(b"200 OK", b"429 Too Many Requests"),
    "two lengths": PLAIN.replace(b"\r\n\r\n", b"\r\nContent-Length: 11\r\n\r\n"),
    "bad length": PLAIN.replace(b" 10\r\n", b" +10\r\n"),
    "bad header": PLAIN.replace(b"Content-Type:", b"Content Type:"),
    "folded": PLAIN.replace(b"\r\n\r\n", b"\r\nX-Long: a\r\n b\r\n\r\n"),
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "short": PLAIN[:-3],
    "half a head": PLAIN[:40],
    "nothing": b"",
    "too much": PLAIN + b"more",
    "long": PLAIN.replace(b" 10\r\n\r\n" + BODY, b" 400000\r\n\r\n" + b'"' + b"x" * 399_998 + b'"'),
}


def said(message: str) -> str:
    """The message without the port, and without how much of a bad line it quotes."""
    return re.sub(r":\d+ |b'.*", " ", message)


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def asked(answer: bytes, cuts: Sequence[int], *, fast: bool) -> tuple[object, ...]:
    """What a wire makes of an answer that comes in pieces; then what it makes of the next one."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
            at = 0
            for cut in (*cuts, len(answer)):
                writer.write(answer[at:cut])
                await writer.drain()
                await asyncio.sleep(0.002)
                at = cut
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        await closed(writer)

    serving: list[asyncio.Task[None] | None] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire = Wire(URL(f"http://127.0.0.1:{port}/"), headers={"Accept-Encoding": "identity"})
    if not fast:
        wire._idle_s = 30.0  # a call whose silences are counted goes through aiohttp's parser
    try:
        call: Call = await wire.exchange(b"{}", timeout_s=5)
    except TargetError as error:
        return (error.error_class, error.http_status, said(error.message))
    else:
        return (call.content_type, call.body, call.received)
    finally:
        await wire.aclose()
        server.close()
        await asyncio.gather(*(one for one in serving if one is not None))


@pytest.mark.parametrize("name", ANSWERS)
def test_every_answer_is_read_as_the_parser_reads_it(name: str) -> None:
    async def compare() -> None:
        answer = ANSWERS[name]
        places = [cut for cut in (1, 12, 17, 60, len(answer) - 11, len(answer) - 1) if cut > 0]
        for cuts in ((), *((one,) for one in places if one < len(answer))):
            if name == "too much" and cuts:
                continue  # when the surplus is seen is a matter of luck
            slow = await asked(answer, cuts, fast=False)
            assert await asked(answer, cuts, fast=True) == slow, cuts

    asyncio.run(compare())


def test_what_is_taken_whole() -> None:
    taken = {name for name, answer in ANSWERS.items() if isinstance(whole(answer), Whole)}
    assert taken == {"plain", "lower case", "no reason", "created", "empty header", "empty body"}
    for cut in range(len(PLAIN)):
        missing = whole(PLAIN[:cut])
        assert isinstance(missing, int)
        assert 0 < missing <= len(PLAIN) - cut
    found = whole(PLAIN)
    assert isinstance(found, Whole)
    assert found.headers["CONTENT-type"] == "application/json"


def test_a_connection_is_used_again_until_it_is_spoilt() -> None:
    async def run() -> list[int]:
        opened = 0
        calls = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened, calls
            serving.append(asyncio.current_task())
            opened += 1
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n{}")
                    calls += 1
                    # the third answer is followed by bytes nobody asked for
                    writer.write(PLAIN if calls != 3 else PLAIN + b"HTTP/1.1 500 Spoilt\r\n\r\n")
            except (ConnectionError, asyncio.IncompleteReadError):
                await closed(writer)

        serving: list[asyncio.Task[None] | None] = []
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire = Wire(URL(f"http://127.0.0.1:{port}/"), headers={})
        seen = []
        for _ in range(6):
            call = await wire.exchange(b"{}", timeout_s=5)
            assert call.body == BODY
            assert (call.connect_s is not None) == (opened > (seen[-1] if seen else 0))
            seen.append(opened)
        await wire.aclose()
        server.close()
        await asyncio.gather(*(one for one in serving if one is not None))
        return seen

    assert asyncio.run(run()) == [1, 1, 1, 2, 2, 2]


def test_aiohttp_still_makes_connections_the_way_they_are_taken_over() -> None:
    """The one private name that the connector's subclass sets."""

    async def run() -> None:
        connector = aiohttp.TCPConnector()
        assert callable(connector._factory)
        await connector.close()

    asyncio.run(run())
