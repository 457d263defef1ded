"""Calls a function of the user's own module with the request."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Output, Request
from evalkit.own_code import load_module, module_name
from evalkit.registry import target
from evalkit.targets._answer import invalid, output_of
from evalkit.targets._setting import OptionError, Setting


@target(code=True)
class Python:
    """Calls ``function``, given as ``module:name`` or ``path/to/file.py:name`` in the project.

    It takes a ``Request``, whose ``messages`` are all of a conversation so far, and returns a text,
    an ``Output`` or a mapping with ``text`` and optionally ``usage``, ``model``, ``context``,
    ``extra``, ``finish_reason``, ``tool_calls``, ``ttft_s`` and ``cost_usd``. A plain function runs
    in a thread of its own, so it may block; one that outlives its timeout is abandoned, since
    threads cannot be stopped. An exception is a failure of class ``crash`` that names the user's
    file and line; a raised ``TargetError`` is taken as it is.
    """

    def __init__(self, setting: Setting, /, *, function: str):
        self._root = setting.root.resolve()
        self._function = function
        self._call = _load(self._root, function)
        self._async = inspect.iscoroutinefunction(self._call) or inspect.iscoroutinefunction(
            getattr(self._call, "__call__", None)  # noqa: B004 - an object's own async __call__
        )

    async def send(self, request: Request) -> Output:
        """What the function makes of the request, with the time it took."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(request.timeout_s) as timer:
                answer = await self._answer(request)
        except TimeoutError as error:
            if timer.expired():
                message = f"{self._function} gave no answer within {request.timeout_s:g} s"
                raise TargetError(ErrorClass.TIMEOUT, message) from error
            raise self._crash(error) from error
        except TargetError:
            raise
        except Exception as error:  # the boundary to the user's code
            raise self._crash(error) from error
        took = time.perf_counter() - started
        return self._output(answer, took)

    async def aclose(self) -> None:
        """Nothing to release."""

    async def _answer(self, request: Request) -> Any:
        answer = self._call(request) if self._async else await _in_thread(self._call, request)
        return await answer if inspect.isawaitable(answer) else answer

    def _output(self, answer: Any, took: float) -> Output:
        if isinstance(answer, Output):
            return answer if answer.latency_s is not None else replace(answer, latency_s=took)
        if isinstance(answer, str):
            return Output(text=answer, latency_s=took)
        if isinstance(answer, Mapping):
            return replace(output_of(answer, who=self._function), latency_s=took)
        kind = type(answer).__name__
        raise invalid(f"{self._function} returned {kind}, not a text, an Output or a mapping")

    def _crash(self, error: BaseException) -> TargetError:
        place = _users_line(error.__traceback__, self._root)
        return TargetError(ErrorClass.CRASH, f"{type(error).__name__}: {error}{place}")


async def _in_thread(call: Callable[[Request], Any], request: Request) -> Any:
    # A thread a call, and a daemon: a pool would fill up with functions that hang, and a hanging
    # one must not keep the process from ending.
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def settle(answer: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(answer)
        else:
            done.set_exception(error)

    def work() -> None:
        answer: Any = None
        failed: Exception | None = None
        try:
            answer = context.run(call, request)
        except StopIteration as error:  # a future refuses to carry it
            failed = RuntimeError(f"StopIteration: {error}").with_traceback(error.__traceback__)
        except SystemExit as error:  # the user's code must not end the run
            failed = RuntimeError(f"SystemExit: {error}").with_traceback(error.__traceback__)
        except Exception as error:  # noqa: BLE001 - carried to the caller
            failed = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, answer, failed)

    threading.Thread(target=work, name="evalkit-python-target", daemon=True).start()
    return await done


def _users_line(trace: TracebackType | None, root: Path) -> str:
    frames = [one for one in traceback.extract_tb(trace) if one.filename != __file__]
    own = [one for one in frames if Path(one.filename).is_relative_to(root)]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    path = Path(frame.filename)
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return f" ({shown}:{frame.lineno})"


def _load(root: Path, function: str) -> Callable[[Request], Any]:
    where, _, name = function.rpartition(":")
    if not where or not name:
        raise OptionError(
            "function",
            f"'function' is {function!r}",
            hint="write 'module:name' or 'path/to/file.py:name'",
        )
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        module = _file(root / where) if where.endswith(".py") else importlib.import_module(where)
    except OptionError:
        raise
    except (Exception, SystemExit) as error:
        # This is the boundary to the user's code: whatever it raises is theirs to read.
        place = _users_line(error.__traceback__, root)
        raise OptionError(
            "function",
            f"'function' cannot be loaded: {type(error).__name__}: {error}{place}",
            hint="the part before ':' is a module or a .py file of the project",
        ) from error
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        names = sorted(one for one in vars(module) if not one.startswith("_"))
        raise OptionError(
            "function",
            f"'function': {where} has no function {name!r}",
            hint=f"it has: {', '.join(names[:12]) or 'nothing'}",
        )
    call: Callable[[Request], Any] = found
    return call


def _file(path: Path) -> ModuleType:
    if not path.is_file():
        raise OptionError("function", f"'function': there is no file {str(path)!r}")
    loaded = sys.modules.get(module_name(path, "target"))
    return loaded or load_module(path, "target")
