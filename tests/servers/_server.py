"""A real HTTP server on a free port of 127.0.0.1, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from tests.servers._forms import Chat, Event, Form, Messages, Responses
from tests.servers._wire import Fault, Raw, Reply, Seen, Trouble

Answer = Reply | Fault | Raw
Script = Answer | Sequence[Answer] | Callable[[Seen], Answer]

_AFTER_PIECES = 2
"""Pieces that a broken stream sends before it breaks."""


class ModelServer:
    """Speaks OpenAI's and Anthropic's protocols and fails on demand; a context manager.

    ``answer`` is what every request gets: one ``Reply``, ``Fault`` or ``Raw``; or a list, one each
    in turn and the last for ever; or a function of what was ``Seen``. It may be replaced at any
    time. ``openai`` and ``anthropic`` are base URLs; any other path takes ``Raw`` answers.
    ``seen`` lists the requests, ``most_at_once`` the highest number under way together.
    """

    def __init__(self, answer: Script | None = None) -> None:
        self.answer: Script = Reply() if answer is None else answer
        self.seen: list[Seen] = []
        self.most_at_once = 0
        self._under_way = 0
        self._turn = 0
        self._ports: dict[int, int] = {}
        self._ready = threading.Event()
        self._leave: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="model-server", daemon=True)
        self.port = 0

    @property
    def under_way(self) -> int:
        """Requests that are being answered now."""
        return self._under_way

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai(self) -> str:
        return f"{self.url}/v1"

    @property
    def anthropic(self) -> str:
        return self.url

    def __enter__(self) -> ModelServer:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._leave is not None
        self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._leave = asyncio.Event()
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._leave.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return await self._answer(request, await self._see(request))
        except ConnectionResetError:
            # The client is gone, or a fault has just reset the connection.
            return web.Response()
        finally:
            self._under_way -= 1

    async def _see(self, request: web.Request) -> Seen:
        raw = await request.read()
        try:
            body = json.loads(raw)
        except ValueError:
            body = None
        peer = request.transport.get_extra_info("peername") if request.transport else None
        seen = Seen(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=dict(request.headers),
            body=body,
            connection=peer[1] if peer else 0,
        )
        self.seen.append(seen)
        return seen

    def _next(self, seen: Seen) -> Answer:
        answer = self.answer
        if callable(answer):
            return answer(seen)
        if isinstance(answer, Sequence):
            self._turn += 1
            return answer[min(self._turn, len(answer)) - 1]
        return answer

    async def _answer(self, request: web.Request, seen: Seen) -> web.StreamResponse:
        answer = self._next(seen)
        if isinstance(answer, Raw):
            return await _raw(request, answer)
        form = _form(seen.path)
        if form is None or not isinstance(seen.body, dict):
            return web.json_response({"detail": "Not Found"}, status=404)
        if isinstance(answer, Fault):
            return await _fault(request, seen, form, answer)
        return await _reply(request, seen, form, answer)


def _form(path: str) -> Form | None:
    for end, form in (
        ("/chat/completions", Chat()),
        ("/responses", Responses()),
        ("/v1/messages", Messages()),
    ):
        if path.endswith(end):
            return form
    return None


async def _reply(request: web.Request, seen: Seen, form: Form, reply: Reply) -> web.StreamResponse:
    if seen.body.get("stream"):
        stream = await _open(request, reply)
        await _events(stream, form, seen, reply)
        await stream.write_eof()
        return stream
    await asyncio.sleep(reply.delay_s)
    return web.json_response(form.whole(reply, seen), headers=reply.headers)


async def _open(request: web.Request, reply: Reply) -> web.StreamResponse:
    stream = web.StreamResponse(
        headers={"Content-Type": "text/event-stream; charset=utf-8", **reply.headers}
    )
    await stream.prepare(request)
    return stream


def _lines(event: Event, reply: Reply) -> bytes:
    name, data, _ = event
    lines = [": keep-alive", ""] if reply.comments else []
    lines += [f"event: {name}"] if name else []
    lines += [f"data: {data}", "", ""]
    return reply.newline.join(lines).encode()


async def _events(
    stream: web.StreamResponse, form: Form, seen: Seen, reply: Reply, most: int | None = None
) -> None:
    """Send the events, or those before the piece number ``most``."""
    sent = 0
    held = b""
    for event in form.events(reply, seen):
        if event[2]:
            if sent == most:
                break
            wait = reply.gap_s if sent else reply.first_s
            sent += 1
            if wait:
                if held:
                    await stream.write(held)
                    held = b""
                await asyncio.sleep(wait)
        block = _lines(event, reply)
        if reply.write_bytes is None:
            held += block
            if reply.gap_s or most is not None:
                await stream.write(held)
                held = b""
        else:
            for at in range(0, len(block), reply.write_bytes):
                await stream.write(block[at : at + reply.write_bytes])
                await asyncio.sleep(0)
    if held:
        await stream.write(held)


async def _raw(request: web.Request, raw: Raw) -> web.StreamResponse:
    stream = web.StreamResponse(status=raw.status, headers=dict(raw.headers))
    await stream.prepare(request)
    for chunk in raw.chunks:
        if raw.gap_s:
            await asyncio.sleep(raw.gap_s)
        await stream.write(chunk)
    await stream.write_eof()
    return stream


_PAGE = "<!DOCTYPE html><html><head><title>{}</title></head><body>nginx</body></html>"


async def _fault(request: web.Request, seen: Seen, form: Form, fault: Fault) -> web.StreamResponse:
    trouble = fault.trouble
    headers = dict(fault.headers)
    if trouble is Trouble.NO_STREAM_OPTIONS and "stream_options" not in seen.body:
        return await _reply(request, seen, form, fault.reply)
    if trouble is Trouble.HTML_ERROR:
        text = _PAGE.format("502 Bad Gateway")
        return web.Response(status=502, text=text, content_type="text/html", headers=headers)
    if trouble is Trouble.HTML:
        return web.Response(text=_PAGE.format("Sign in"), content_type="text/html")
    if trouble is Trouble.REDIRECT:
        return web.Response(status=307, headers={"Location": "/elsewhere?token=abc", **headers})
    if trouble is Trouble.ECHO_KEY:
        said = "bad credentials: " + " ".join(f"{k}={v}" for k, v in seen.headers.items())
        return web.json_response(form.error(Trouble.UNAUTHORIZED, said)[1], status=401)
    if trouble is Trouble.EMPTY:
        return web.Response(body=b"", content_type="application/json")
    if trouble is Trouble.DROP:
        _abort(request)
        return web.Response()
    if trouble is Trouble.SILENT:
        await asyncio.sleep(3600)
    if trouble is Trouble.TRUNCATED_JSON:
        text = json.dumps(form.whole(fault.reply, seen))
        return web.Response(text=text[: len(text) // 2], content_type="application/json")
    if trouble is Trouble.FILTERED:
        return await _filtered(request, seen, form)
    if trouble in _BROKEN:
        return await _broken(request, seen, form, fault)
    status, body = form.error(trouble, fault.message)
    return web.json_response(body, status=status, headers=headers)


async def _filtered(request: web.Request, seen: Seen, form: Form) -> web.StreamResponse:
    finish = "refusal" if isinstance(form, Messages) else "content_filter"
    return await _reply(request, seen, form, Reply(text="", pieces=(), finish=finish))


_BROKEN = frozenset(
    {
        Trouble.NO_DONE,
        Trouble.CUT_STREAM,
        Trouble.RESET,
        Trouble.STALL,
        Trouble.HUGE,
        Trouble.ENDLESS_COMMENTS,
        Trouble.ERROR_IN_STREAM,
    }
)


async def _broken(request: web.Request, seen: Seen, form: Form, fault: Fault) -> web.StreamResponse:
    trouble = fault.trouble
    reply = fault.reply
    if not seen.body.get("stream"):
        return await _broken_whole(request, seen, form, fault)
    stream = await _open(request, reply)
    if trouble is Trouble.NO_DONE:
        await _events(stream, form, seen, replace(reply, done=False))
    elif trouble is Trouble.ENDLESS_COMMENTS:
        while True:
            await stream.write(b": keep-alive\n\n")
            await asyncio.sleep(0.02)
    else:
        await _events(stream, form, seen, reply, most=_AFTER_PIECES)
        if trouble is Trouble.RESET:
            _abort(request)
        elif trouble is Trouble.STALL:
            await asyncio.sleep(3600)
        elif trouble is Trouble.ERROR_IN_STREAM:
            await stream.write(_lines(form.error_event(), reply))
        elif trouble is Trouble.HUGE:
            last = [one for one in form.events(reply, seen) if one[2]][-1]
            block = _lines(last, reply) * 200
            while True:
                await stream.write(block)
    await stream.write_eof()
    return stream


async def _broken_whole(
    request: web.Request, seen: Seen, form: Form, fault: Fault
) -> web.StreamResponse:
    text = json.dumps(form.whole(fault.reply, seen)).encode()
    trouble = fault.trouble
    if trouble is Trouble.NO_DONE:
        return web.Response(body=text, content_type="application/json")
    if trouble is Trouble.ERROR_IN_STREAM:
        status, body = form.error(Trouble.ERROR_IN_200, fault.message)
        return web.json_response(body, status=status)
    stream = web.StreamResponse(headers={"Content-Type": "application/json"})
    await stream.prepare(request)
    await stream.write(text[: len(text) // 2])
    if trouble is Trouble.RESET:
        await asyncio.sleep(0.02)
        _abort(request)
    elif trouble in {Trouble.STALL, Trouble.ENDLESS_COMMENTS}:
        await asyncio.sleep(3600)
    elif trouble is Trouble.HUGE:
        while True:
            await stream.write(b" " * 65536)
    await stream.write_eof()
    return stream


def _abort(request: web.Request) -> None:
    """Reset the connection: with a linger time of 0 closing sends RST in place of FIN."""
    transport: Any = request.transport
    if transport is None:
        return
    held = transport.get_extra_info("socket")
    held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
