"""``python -m tests.servers``: print the address, answer until stopped."""

from __future__ import annotations

import argparse
import json
import signal
import threading

from tests.servers import ModelServer, Reply


def _reply(text: str) -> Reply:
    fields = json.loads(text)
    for name in ("pieces", "reasoning", "tools"):
        if fields.get(name) is not None:
            fields[name] = tuple(
                tuple(one) if isinstance(one, list) else one for one in fields[name]
            )
    return Reply(**fields)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--reply", type=_reply, default=Reply(), help="a Reply's fields as JSON")
    stop = threading.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: stop.set())
    with ModelServer(parser.parse_args().reply) as server:
        print(server.url, flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
