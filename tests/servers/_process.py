"""The model server in a process of its own, so that its CPU is not its client's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from tests.servers._wire import Reply


@contextmanager
def spawn(reply: Reply | None = None) -> Iterator[str]:
    """Run a server that gives this one reply to all; yields its address without a path."""
    options = json.dumps(asdict(reply or Reply()))
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers", "--reply", options],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()
