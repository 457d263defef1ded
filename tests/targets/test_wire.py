"""Faults below HTTP, and what the session does and does not do."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Output
from evalkit.targets.openai_compatible import OpenAICompatible
from tests.servers import Fault, ModelServer, Reply, Trouble, spawn
from tests.targets.calls import KEY, ask_one, failed, request_of


def model(base_url: str, **options: object) -> OpenAICompatible:
    return OpenAICompatible(model="m", base_url=base_url, api_key=KEY, **options)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def saying(words: bytes) -> Iterator[int]:
    """A server that says the same words to everyone and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(words)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def test_nobody_listens() -> None:
    port = free_port()
    error = failed(model(f"http://127.0.0.1:{port}/v1"))
    assert error.error_class is ErrorClass.CONNECTION
    assert error.retryable
    assert error.message == f"cannot connect to 127.0.0.1:{port}: connection refused"


def test_a_host_that_does_not_exist() -> None:
    error = failed(model("http://no-such-host.invalid/v1"))
    assert error.error_class is ErrorClass.CONNECTION
    assert "cannot find the host no-such-host.invalid" in error.message


def test_tls_with_a_server_that_has_none() -> None:
    with ModelServer() as server:
        error = failed(model(f"https://127.0.0.1:{server.port}/v1"))
    assert error.error_class is ErrorClass.CONNECTION
    assert not error.retryable
    assert "TLS" in error.message


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_a_certificate_that_nobody_signed_is_not_accepted(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    async def work() -> TargetError:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        target = model(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        try:
            with pytest.raises(TargetError) as caught:
                await target.send(request_of())
        finally:
            await target.aclose()
            server.close()
            await server.wait_closed()
        return caught.value

    error = asyncio.run(work())
    assert error.error_class is ErrorClass.CONNECTION
    assert not error.retryable
    assert "self-signed certificate" in error.message


@pytest.mark.parametrize("module", ["openai_compatible", "anthropic", "http"])
def test_nothing_heavy_is_imported_before_the_first_target(module: str) -> None:
    heavy = ["aiohttp", "yarl", "jinja2", "pydantic"]
    code = f"import sys, evalkit.targets.{module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["openai_compatible", "anthropic", "http", "embeddings"])
def test_what_the_first_call_takes_can_be_loaded_ahead(kind: str) -> None:
    code = (
        "import sys; from evalkit import registry\n"
        f"plugin = registry.get(registry.Kind.TARGET, {kind!r})\n"
        "plugin.obj.load_ahead(); print('aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


@pytest.mark.parametrize(
    "words",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_speaks_no_http(words: bytes) -> None:
    with saying(words) as port:
        error = failed(model(f"http://127.0.0.1:{port}/v1"))
    assert error.error_class is ErrorClass.INVALID_RESPONSE


def test_an_answer_shorter_than_it_claims() -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{") as port:
        error = failed(model(f"http://127.0.0.1:{port}/v1"))
    assert error.error_class is ErrorClass.CONNECTION
    assert "after 1 bytes" in error.message


def test_a_compressed_answer_that_is_none() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n"
    with saying(head + b"abc") as port:
        error = failed(model(f"http://127.0.0.1:{port}/v1"))
    assert error.error_class in {ErrorClass.CONNECTION, ErrorClass.INVALID_RESPONSE}


def test_a_small_answer_that_unpacks_to_a_huge_one() -> None:
    import gzip

    packed = gzip.compress(b" " * 50_000_000)
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    )
    with saying(head.encode() + packed) as port:
        error = failed(model(f"http://127.0.0.1:{port}/v1", stream=False))
    assert error.error_class in {ErrorClass.CONNECTION, ErrorClass.INVALID_RESPONSE}


def test_proxies_of_the_environment_are_used_only_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with ModelServer() as server:
        assert ask_one(model(server.openai)).text
        error = failed(model(server.openai, trust_env=True))
    assert error.error_class is ErrorClass.CONNECTION


def test_a_target_outlives_its_event_loop() -> None:
    with ModelServer() as server:
        target = model(server.openai)
        for _ in range(2):
            assert ask_one(target).text == "The answer is 42."


def test_closing_twice_is_safe_and_so_is_closing_unused() -> None:
    async def work(target: OpenAICompatible) -> None:
        await target.aclose()
        await target.aclose()

    asyncio.run(work(model("http://127.0.0.1:1/v1")))


def test_a_cancelled_call_leaves_the_target_whole() -> None:
    async def work(target: OpenAICompatible, server: ModelServer) -> Output:
        server.answer = Fault(trouble=Trouble.STALL)
        call = asyncio.create_task(target.send(request_of()))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.answer = Reply()
        output = await target.send(request_of())
        await target.aclose()
        return output

    with ModelServer() as server:
        assert asyncio.run(work(model(server.openai), server)).finish_reason == "stop"


def test_the_server_in_a_process_of_its_own() -> None:
    with spawn(Reply(text="from afar", tools=(), reasoning=("x",))) as url:
        assert ask_one(model(f"{url}/v1")).text == "from afar"


def test_a_header_cannot_smuggle_another_in() -> None:
    from evalkit.targets._line import Line

    assert Line.serves("POST", {"X-Team": "red"})
    assert not Line.serves("POST", {"X-Team": "red\r\nX-Admin: yes"})
    assert not Line.serves("POST", {"X-Team\n": "red"})

    async def ask(base_url: str) -> None:
        target = model(base_url, headers={"X-Team": "red\r\nX-Admin: yes"})
        try:
            await target.send(request_of())
        finally:
            await target.aclose()

    with ModelServer(Reply(text="hello")) as server:
        with pytest.raises((TargetError, ConfigError, ValueError)):
            asyncio.run(ask(server.openai))
        assert not server.seen
