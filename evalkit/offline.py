"""No connection but to the places that were named: enforced where Python itself makes one.

The guard is an audit hook (PEP 578): whatever library asks for a connection or a name, in this
process and in Python's own sockets, is heard before anything leaves the machine, and cannot undo
it. It is no sandbox: programs that are started, and libraries that open sockets in their own
machine code, are outside of it. So starting programs is refused too while it stands.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_XET": "1",
}
"""What keeps libraries from trying: the hub's client then reads its cache alone."""

_PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"})
_KEPT = 20


class OfflineError(PermissionError):
    """A connection, a name or a program was asked for that ``--offline`` does not allow."""

    def __str__(self) -> str:
        return str(self.strerror)


class Guard:
    """What is allowed while it stands, and what was refused.

    ``refused`` lists what was asked for, each once, the first ``20``.
    """

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self._allowed: set[tuple[str, int]] = set()
        self._programs = False
        self._lock = threading.Lock()

    def allow(self, host: str, port: int) -> None:
        """Let connections to one port of this machine pass."""
        for one in _names(host):
            self._allowed.add((one, port))

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Refuse what is not allowed; raises ``OfflineError``."""
        if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
            address = arguments[1]
            # a socket of the file system has a text, one that is connected already has none
            if isinstance(address, tuple) and len(address) >= 2 and not self._passes(address):
                self._refuse(f"a connection to {_shown(address[0], address[1])}")
        elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
            host = arguments[0]
            if host and not is_loopback(host):
                port = arguments[1] if event == "socket.getaddrinfo" else None
                self._refuse(f"a connection to {_shown(host, port)}")
        elif event in _PROGRAMS and not self._programs:
            self._refuse("starting a program")

    def _passes(self, address: tuple[Any, ...]) -> bool:
        return (str(address[0]).partition("%")[0], address[1]) in self._allowed

    def _refuse(self, what: str) -> None:
        with self._lock:
            if what in self.refused or len(self.refused) < _KEPT:
                self.refused[what] = self.refused.get(what, 0) + 1
        raise OfflineError(1, f"{what} was refused: this run is offline")

    @contextmanager
    def own_programs(self) -> Iterator[None]:
        """Let evalkit itself start a program, such as git, while the block runs."""
        self._programs = True
        try:
            yield
        finally:
            self._programs = False


_hooked = False
_active: Guard | None = None


def _listen(event: str, arguments: tuple[Any, ...]) -> None:
    if _active is not None and (event.startswith("socket.") or event in _PROGRAMS):
        _active.hear(event, arguments)


def active() -> Guard | None:
    """The guard that stands now."""
    return _active


@contextmanager
def offline() -> Iterator[Guard]:
    """Refuse every connection in this process that the guard does not allow, while it runs.

    Inside another such block it is that block's guard. Audit hooks cannot be taken out, so the hook
    stays in the process and does nothing without a guard.
    """
    global _hooked, _active  # noqa: PLW0603 - the hook is the process's, and so is its state
    if _active is not None:
        yield _active
        return
    if not _hooked:
        sys.addaudithook(_listen)
        _hooked = True
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    _active = Guard()
    try:
        yield _active
    finally:
        _active = None
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def offline_if(wanted: bool) -> Iterator[Guard | None]:
    """``offline()`` when it is wanted, else nothing."""
    if not wanted:
        yield None
        return
    with offline() as guard:
        yield guard


@contextmanager
def own_programs() -> Iterator[None]:
    """Let evalkit itself start a program, such as git, even while a guard stands."""
    if _active is None:
        yield
        return
    with _active.own_programs():
        yield


def is_loopback(host: object) -> bool:
    """Whether a host is this machine by its own name or number, whatever a name server says."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    text = text.strip("[]").partition("%")[0].rstrip(".").lower()
    if text in {"localhost", "ip6-localhost"}:
        return True
    try:
        return ipaddress.ip_address(text).is_loopback
    except ValueError:
        return False


def _names(host: str) -> tuple[str, ...]:
    text = host.strip("[]").partition("%")[0].rstrip(".").lower()
    return ("127.0.0.1", "::1") if text in {"localhost", "ip6-localhost"} else (text,)


def _shown(host: object, port: object) -> str:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    return f"[{text}]:{port}" if ":" in text else text if port is None else f"{text}:{port}"
