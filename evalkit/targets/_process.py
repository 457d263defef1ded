"""Running a program without a shell, with a bound on its time and its output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalkit.errors import ErrorClass, TargetError

_INHERITED = ("PATH", "HOME", "LANG")
_TAIL = 2000
_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program with everything it is started with; it inherits PATH, HOME and LANG alone."""

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    max_bytes: int

    async def start(self) -> Process:
        """Start it in a process group of its own; raises ``TargetError`` when it cannot."""
        env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            return await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=self.cwd,
                env={**env, **self.env},
                start_new_session=True,
                limit=self.max_bytes,
            )
        except OSError as error:
            raise TargetError(
                ErrorClass.CRASH,
                f"{self.argv[0]!r} cannot be started: {error.strerror}",
                retryable=False,
            ) from error

    async def run(self, given: bytes) -> bytes:
        """One run: ``given`` on standard input, its standard output back.

        Raises ``TargetError``: ``crash`` for an exit code other than 0, with the end of standard
        error; ``invalid_response`` for more output than ``max_bytes``. However it ends, the whole
        process group is ended with it.
        """
        process = await self.start()
        complaints = Tail()
        feeding = asyncio.create_task(_feed(process, given))
        following = asyncio.create_task(complaints.follow(process))
        try:
            answer = await self._read(process)
            await feeding
            await following
            code = await process.wait()
        finally:
            await end(process, feeding, following)
        if code != 0:
            raise crashed(self.argv, code, complaints)
        return answer

    async def _read(self, process: Process) -> bytes:
        assert process.stdout is not None
        answer = bytearray()
        while chunk := await process.stdout.read(_CHUNK):
            answer += chunk
            if len(answer) > self.max_bytes:
                raise TargetError(
                    ErrorClass.INVALID_RESPONSE,
                    f"{self.argv[0]!r} wrote more than {self.max_bytes} bytes",
                    retryable=False,
                )
        return bytes(answer)


class Tail:
    """The end of what a program wrote to standard error."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = b""

    async def follow(self, process: Process) -> None:
        """Read to the end, keeping only the last part."""
        assert process.stderr is not None
        while chunk := await process.stderr.read(_CHUNK):
            self._kept = (self._kept + chunk)[-_TAIL:]

    def __str__(self) -> str:
        return self._kept.decode("utf-8", "replace").strip()


def crashed(argv: Sequence[str], code: int, complaints: Tail) -> TargetError:
    """The error of a program that ended with that code."""
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    said = str(complaints)
    return TargetError(ErrorClass.CRASH, f"{argv[0]!r} {ended}" + (f": {said}" if said else ""))


async def _feed(process: Process, given: bytes) -> None:
    assert process.stdin is not None
    # A program may answer without reading everything it was told.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(given)
        await process.stdin.drain()
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.close()
        await process.stdin.wait_closed()


async def end(process: Process, *helpers: asyncio.Task[None]) -> None:
    """Kill the process group, children included, and wait until the process is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    # A grandchild in a group of its own may hold the pipes open; only the transport closes them.
    process._transport.close()  # type: ignore[attr-defined] # asyncio has no public way
    await process.wait()
    for helper in helpers:
        helper.cancel()
    await asyncio.gather(*helpers, return_exceptions=True)
