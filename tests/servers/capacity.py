"""A model server whose behaviour is known exactly: a queue in front of so many workers.

``python -m tests.servers.capacity --workers 2 --service 0.02`` prints its port and serves until
killed: requests are served in the order they come, each takes a worker for the service time, so it
answers at most workers / service requests a second and every latency can be computed. It can pause
as a whole, fail a share of requests, and send its answers word by word. With ``--workers 0`` there
is no queue. A bare asyncio protocol, so that its own time does not matter.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WORDS = ["The", "answer", "is", "42", "and", "nothing", "else."]


class Desk:
    """When each request will be done; instants are the loop's."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.dice = random.Random(options.seed)
        self.free = [0.0] * options.workers
        self.came = 0
        self.stall = (0.0, 0.0)

    def done_at(self, now: float) -> float:
        self.came += 1
        if self.came == self.options.stall_at:
            self.stall = (now, now + self.options.stall)
        start = now
        if self.free:
            start = max(now, heapq.heappop(self.free))
        begins, ends = self.stall
        if begins <= start < ends:
            start = ends
        done = start + self.options.service
        if start < begins < done:
            done += ends - begins
        if self.options.workers:
            heapq.heappush(self.free, done)
        return done

    def fails(self) -> bool:
        return self.dice.random() < self.options.errors


def _json(status: str, body: object) -> bytes:
    text = json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(text)}"
    return head.encode() + b"\r\n\r\n" + text


_USAGE = {"prompt_tokens": 20, "completion_tokens": len(WORDS), "total_tokens": 20 + len(WORDS)}
_WHOLE = _json(
    "200 OK",
    {
        "model": "known-1",
        "choices": [
            {"message": {"role": "assistant", "content": " ".join(WORDS)}, "finish_reason": "stop"}
        ],
        "usage": _USAGE,
    },
)
_ERROR = _json("500 Internal Server Error", {"error": {"message": "it failed", "type": "server"}})
_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def _event(value: object) -> bytes:
    text = b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(text), text)


_PIECES = [
    _event({"choices": [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}]})
    for word in WORDS
]
_END = (
    _event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    + _event({"choices": [], "usage": _USAGE})
    + _event(b"[DONE]")
    + b"0\r\n\r\n"
)


class Connection(asyncio.Protocol):
    def __init__(self, desk: Desk):
        self.desk = desk
        self.buffer = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            streamed = b'"stream":true' in body.replace(b" ", b"")
            done = self.desk.done_at(self.loop.time())
            self.loop.call_at(done, self.answer, streamed, self.desk.fails())

    def answer(self, streamed: bool, fails: bool) -> None:
        if self.transport.is_closing():
            return
        if fails:
            self.transport.write(_ERROR)
        elif not streamed:
            self.transport.write(_WHOLE)
        else:
            self.transport.write(_STREAM + _PIECES[0])
            self.piece(1, self.loop.time())

    def piece(self, number: int, begun: float) -> None:
        gap = self.desk.options.gap
        if self.transport.is_closing():
            return
        if not gap:
            self.transport.write(b"".join(_PIECES[number:]) + _END)
        elif number == len(_PIECES):
            self.transport.write(_END)
        else:
            self.loop.call_at(begun + number * gap, self.send_piece, number, begun)

    def send_piece(self, number: int, begun: float) -> None:
        if not self.transport.is_closing():
            self.transport.write(_PIECES[number])
            self.piece(number + 1, begun)


async def serve(options: argparse.Namespace) -> None:
    desk = Desk(options)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(desk), "127.0.0.1", 0, backlog=16384
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def known_server(**options: float) -> Iterator[str]:
    """The base URL of a server in a process of its own."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.servers.capacity", *flags],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers.capacity", description=__doc__)
    parser.add_argument("--workers", type=int, default=0, help="requests served at once; 0: all")
    parser.add_argument("--service", type=float, default=0.0, help="seconds of work a request")
    parser.add_argument("--gap", type=float, default=0.0, help="seconds between streamed words")
    parser.add_argument("--errors", type=float, default=0.0, help="share of requests that fail")
    parser.add_argument("--stall-at", type=int, default=0, help="request that begins the pause")
    parser.add_argument("--stall", type=float, default=0.0, help="seconds the server pauses")
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
