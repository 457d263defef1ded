"""Whether targets can be connected to: a connection and its TLS, no request and so no cost."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator, Mapping

from evalkit import registry
from evalkit.config.spec import Project, TargetSpec
from evalkit.doctor.check import Check, State, ok
from evalkit.errors import ConfigError, ExitCode
from evalkit.registry import Kind, TargetPlugin
from evalkit.runner.fleet import address_of
from evalkit.runner.reach import host_and_port

PATIENCE_S = 5.0


def reach(project: Project, environ: Mapping[str, str]) -> Iterator[Check]:
    """Connect once to every target of the network, and close again."""
    none = True
    for spec in project.targets.values():
        plugin = registry.get(Kind.TARGET, spec.kind)
        if isinstance(plugin, TargetPlugin) and plugin.network:
            none = False
            yield _reach(spec, plugin, environ)
    if none:
        yield ok("reach", "no target is reached over the network")


def _reach(spec: TargetSpec, plugin: TargetPlugin, environ: Mapping[str, str]) -> Check:
    from evalkit.config import resolve_env
    from evalkit.secrets import register

    try:
        options, found = resolve_env(spec.options, environ, where=spec.where)
    except ConfigError as error:
        return _unknown(spec, error.what)
    register(found)
    address = address_of(plugin, options) or ""
    host, port = host_and_port(address)
    if host is None or port is None:
        return _unknown(spec, "its address is not known before it is asked")
    begun = time.perf_counter()
    try:
        with socket.create_connection((host, port), timeout=PATIENCE_S) as plain:
            if address.strip().lower().startswith("https:"):
                with ssl.create_default_context().wrap_socket(plain, server_hostname=host):
                    pass
    except OSError as error:
        return Check(
            name="reach",
            state=State.FAILED,
            said=f"target {spec.name!r}: {_why(error)} ({host}:{port})",
            hint="check the address, the network and whether the server runs",
            code=ExitCode.INFRASTRUCTURE,
        )
    took = time.perf_counter() - begun
    return ok("reach", f"target {spec.name!r}: connected to {host}:{port} in {took * 1000:.0f} ms")


def _unknown(spec: TargetSpec, why: str) -> Check:
    return Check(
        name="reach",
        state=State.UNKNOWN,
        said=f"target {spec.name!r} was not tried: {why}",
        code=ExitCode.UNDECIDED,
    )


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS failed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return "the host is not found"
    if isinstance(error, TimeoutError):
        return f"no connection within {PATIENCE_S:g} s"
    return (error.strerror or type(error).__name__).lower()
