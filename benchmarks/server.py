"""A local server that speaks enough of the OpenAI protocol to be driven hard.

``python benchmarks/server.py --latency 0.05 --port 0`` prints its port and serves until killed. It
is written on a bare asyncio protocol so that the client, not the server, is what a benchmark sees.
"""

import argparse
import asyncio
import json

ANSWER = "The refund window is 14 days from delivery, unless the parcel was opened. " * 2


def answer(words: int) -> bytes:
    text = " ".join((ANSWER.split() * 40)[:words])
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "bench-1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 120,
                "completion_tokens": words,
                "total_tokens": 120 + words,
            },
        }
    ).encode()


def pieces(words: int) -> list[bytes]:
    """The same answer as server-sent events, one word an event."""
    texts = [word + " " for word in (ANSWER.split() * 40)[:words]]
    events = [
        {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        for text in texts
    ]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 120, "completion_tokens": words}})
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "bench-1"}
    lines = [b"data: " + json.dumps({**head, **event}).encode() + b"\n\n" for event in events]
    return [*lines, b"data: [DONE]\n\n"]


class Connection(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered in order.

    ``GET /served`` tells how many requests all connections have had.
    """

    served = 0

    def __init__(self, latency: float, words: int):
        self.latency = latency
        body = answer(words)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self.whole = head % len(body) + body
        self.events = pieces(words)
        self.buffer = b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            if head.startswith(b"get /served"):
                self.buffer = self.buffer[end + 4 + length :]
                said = b"%d" % Connection.served
                self.transport.write(
                    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(said), said)
                )
                continue
            Connection.served += 1
            body = self.buffer[end + 4 : end + 4 + length]
            self.buffer = self.buffer[end + 4 + length :]
            streamed = b'"stream": true' in body or b'"stream":true' in body
            reply = self.stream if streamed else self.reply
            if self.latency:
                asyncio.get_running_loop().call_later(self.latency, reply)
            else:
                reply()

    def reply(self):
        if not self.transport.is_closing():
            self.transport.write(self.whole)

    def stream(self):
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in self.events]
        if not self.transport.is_closing():
            self.transport.write(head + b"".join(chunks) + b"0\r\n\r\n")


async def serve(port: int, latency: float, words: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(latency, words), "127.0.0.1", port, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.05, help="seconds before an answer")
    parser.add_argument("--words", type=int, default=20, help="words in an answer")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.latency, options.words))


if __name__ == "__main__":
    main()
