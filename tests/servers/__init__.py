"""A real model server for tests and benchmarks: real sockets, real server-sent events, no network.

    with ModelServer(Reply(text="Paris", first_s=0.05, gap_s=0.01)) as server:
        target = OpenAICompatible(model="m", base_url=server.openai)
        ...
        server.answer = Fault(trouble=Trouble.RATE_LIMIT, headers={"Retry-After": "2"})
        ...
        assert server.seen[-1].body["stream"]

``ModelServer`` runs in a thread and shares the interpreter with its client: good for tests. Where
CPU is measured use ``spawn``, the same server in a process of its own, or start it by hand with
``python -m tests.servers``.
"""

from tests.servers._process import spawn
from tests.servers._server import Answer, ModelServer, Script
from tests.servers._wire import Fault, Raw, Reply, Seen, Trouble

__all__ = [
    "Answer",
    "Fault",
    "ModelServer",
    "Raw",
    "Reply",
    "Script",
    "Seen",
    "Trouble",
    "spawn",
]
