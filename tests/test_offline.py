"""Offline means offline: for every library in the process, by name and by number."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import urllib.request

import pytest

from evalkit.offline import OfflineError, active, is_loopback, offline
from tests.servers import ModelServer

ELSEWHERE = ("192.0.2.1", 9)  # an address that nobody has (RFC 5737)


def test_numbers_and_names_are_refused_before_anything_is_sent() -> None:
    with offline() as guard:
        with pytest.raises(OfflineError, match=r"192\.0\.2\.1:9 was refused: this run is offline"):
            socket.create_connection(ELSEWHERE, timeout=1)
        with pytest.raises(OfflineError, match=r"example\.org:443"):
            socket.getaddrinfo("example.org", 443)
        with pytest.raises(OfflineError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.sendto(b"?", ("192.0.2.53", 53))
        with pytest.raises(OfflineError):
            socket.gethostbyname("example.org")
        assert list(guard.refused) == [
            "a connection to 192.0.2.1:9",
            "a connection to example.org:443",
            "a connection to 192.0.2.53:53",
            "a connection to example.org",
        ]
    assert active() is None


def test_only_the_named_port_of_this_machine_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as named, offline() as guard:
        port = named.getsockname()[1]
        guard.allow("localhost", port)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OfflineError):
            socket.create_connection(other.getsockname(), timeout=5)


def test_libraries_are_held_too() -> None:
    import aiohttp

    async def ask(url: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status

    with ModelServer() as server, offline() as guard:
        guard.allow("127.0.0.1", server.port)
        assert asyncio.run(ask(f"http://localhost:{server.port}/x")) == 404
        with pytest.raises(aiohttp.ClientConnectorError, match="offline"):
            asyncio.run(ask("http://192.0.2.1/"))
        with pytest.raises(aiohttp.ClientConnectorError):
            asyncio.run(ask("https://example.org/"))
        with pytest.raises(OSError, match="offline"):
            urllib.request.urlopen("http://example.org/", timeout=5)


def test_programs_are_not_started_but_by_evalkit_itself() -> None:
    command = [sys.executable, "-c", ""]
    with offline() as guard:
        with pytest.raises(OfflineError):
            subprocess.run(command, check=True)
        with pytest.raises(OfflineError):
            os.system("true")
        with guard.own_programs():
            subprocess.run(command, check=True)
    subprocess.run(command, check=True)


def test_the_hubs_client_is_told_and_what_was_set_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("HF_DATASETS_OFFLINE", raising=False)
    with offline() as outer:
        assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"
        with offline() as inner:
            assert inner is outer
        assert active() is outer
    assert os.environ["HF_HUB_OFFLINE"] == "0"
    assert "HF_DATASETS_OFFLINE" not in os.environ


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        (b"localhost", True),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("", False),
    ],
)
def test_what_is_this_machine(host: object, expected: bool) -> None:
    assert is_loopback(host) is expected
