"""Runs a program of the user's: the request as JSON on standard input, the answer on output."""

from __future__ import annotations

import asyncio
import json
import time
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Output, Request
from evalkit.registry import target
from evalkit.targets._answer import invalid, output_of, request_json
from evalkit.targets._process import Program, Tail, crashed, end
from evalkit.targets._setting import OptionError, Setting


@target(code=True)
class Command:
    """Runs ``argv``, a program and its arguments as a list, without a shell, in the project folder.

    It reads one JSON object: ``messages`` (role, content; in a conversation all of it so far),
    ``inputs``, ``context``, ``trial``, ``seed`` and ``case`` (id, name). With ``output: json`` it
    writes an object with ``text`` and optionally ``usage``, ``model``, ``context``, ``extra``,
    ``finish_reason``, ``tool_calls``, ``ttft_s`` and ``cost_usd``; with ``output: text`` all it
    writes is the answer. With
    ``mode: lines`` the program stays, reads one line for every request and writes one line for
    every answer, in order; one program runs for every request that is under way.

    Only ``env``, PATH, HOME and LANG reach it. An exit code other than 0 is a failure of class
    ``crash``; a timeout ends the program and everything it started; more than ``max_bytes`` of
    output are refused.
    """

    def __init__(
        self,
        setting: Setting,
        /,
        *,
        argv: list[str],
        output: Literal["json", "text"] = "json",
        mode: Literal["once", "lines"] = "once",
        env: dict[str, str] | None = None,
        max_bytes: int = 10_000_000,
    ):
        given: Any = argv  # a caller without a type checker may give the text it would type
        if isinstance(given, str):
            hint = f"write it as a list: {json.dumps(given.split())}"
            raise OptionError("argv", "'argv' is one text, and there is no shell", hint=hint)
        if not argv or not all(isinstance(one, str) for one in argv) or not argv[0]:
            raise OptionError("argv", "'argv' must be a list of texts: a program, its arguments")
        if any("\0" in one for one in argv):
            raise OptionError("argv", "'argv' holds a NUL character")
        if max_bytes < 1:
            raise OptionError("max_bytes", "'max_bytes' must be at least 1")
        self._program = Program(
            argv=tuple(argv), cwd=setting.root, env=dict(env or {}), max_bytes=max_bytes
        )
        self._who = repr(argv[0])
        self._output = output
        self._mode = mode
        self._idle: list[_Worker] = []
        self._closed = False

    async def send(self, request: Request) -> Output:
        """The program's answer, with the time from its start (or the line sent) to its end."""
        given = json.dumps(request_json(request), ensure_ascii=False).encode(
            "utf-8", "surrogatepass"
        )
        started = time.perf_counter()
        try:
            async with asyncio.timeout(request.timeout_s) as timer:
                if self._mode == "lines":
                    answer = await self._ask(given)
                else:
                    answer = await self._program.run(given)
        except TimeoutError as error:
            if not timer.expired():
                raise
            message = f"{self._who} gave no answer within {request.timeout_s:g} s and was ended"
            raise TargetError(ErrorClass.TIMEOUT, message) from error
        took = time.perf_counter() - started
        return replace(self._parse(answer), latency_s=took)

    async def aclose(self) -> None:
        """End every program that is still waiting for lines."""
        self._closed = True
        while self._idle:
            await self._idle.pop().stop()

    async def _ask(self, given: bytes) -> bytes:
        worker = self._idle.pop() if self._idle else await _Worker.start(self._program)
        try:
            answer = await worker.ask(given)
        except BaseException:
            # Whatever it still writes would be taken for the next answer.
            await worker.stop()
            raise
        if self._closed:
            await worker.stop()
        else:
            self._idle.append(worker)
        return answer

    def _parse(self, answer: bytes) -> Output:
        try:
            text = answer.decode("utf-8")
        except UnicodeDecodeError as error:
            raise invalid(f"{self._who}: the answer is not UTF-8: {error.reason}") from error
        if self._output == "text":
            return Output(text=text.rstrip("\r\n"))
        try:
            value: Any = json.loads(text)
        except ValueError as error:
            raise invalid(
                f"{self._who}: the answer is not JSON: {error}: {text[:200]!r}"
            ) from error
        if not isinstance(value, Mapping):
            raise invalid(f"{self._who}: the answer is not a JSON object: {text[:200]!r}")
        return output_of(value, who=self._who)


@dataclass(slots=True, kw_only=True)
class _Worker:
    """One program that answers line by line."""

    program: Program
    process: Process
    complaints: Tail
    following: asyncio.Task[None]

    @classmethod
    async def start(cls, program: Program) -> _Worker:
        process = await program.start()
        complaints = Tail()
        following = asyncio.create_task(complaints.follow(process))
        return cls(program=program, process=process, complaints=complaints, following=following)

    async def ask(self, given: bytes) -> bytes:
        """The line it answers; JSON has no line break of its own, so a request is one line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(given + b"\n")
            await self.process.stdin.drain()
            line = await self.process.stdout.readuntil(b"\n")
        except asyncio.LimitOverrunError as error:
            raise TargetError(
                ErrorClass.INVALID_RESPONSE,
                f"{self.program.argv[0]!r} wrote a line of over {self.program.max_bytes} bytes",
                retryable=False,
            ) from error
        except (asyncio.IncompleteReadError, BrokenPipeError, ConnectionResetError) as error:
            code = await self.process.wait()
            await self.following
            raise crashed(self.program.argv, code, self.complaints) from error
        return line

    async def stop(self) -> None:
        """End the program and everything it started."""
        await end(self.process, self.following)
