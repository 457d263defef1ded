"""What a run without the network may ask: targets of this machine, and no programs.

Decided before the first call; whatever tries to connect all the same is met by the guard of
``evalkit.offline``.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from evalkit import registry
from evalkit.errors import ConfigError
from evalkit.offline import active, is_loopback
from evalkit.registry import Kind, TargetPlugin
from evalkit.runner.fleet import Fleet, PlannedTarget

_PORTS = {"http": 80, "https": 443}


def keep_offline(fleet: Fleet) -> None:
    """Refuse targets that are not of this machine, and let the guard pass those that are.

    Raises ``ConfigError`` at the place of the target.
    """
    for target in fleet.targets.values():
        plugin = registry.get(Kind.TARGET, target.spec.kind)
        assert isinstance(plugin, TargetPlugin)
        if plugin.name == "command":
            raise ConfigError(
                f"target {target.spec.name!r} runs a program, and nobody can know what a program"
                " connects to: it cannot be run with --offline",
                where=target.spec.where(),
                hint="leave --offline out, or ask the program from a target of kind 'python'",
            )
        if plugin.network:
            _allow(target)


def _allow(target: PlannedTarget) -> None:
    host, port = host_and_port(target.address or "")
    if host is None or port is None or not is_loopback(host):
        where = target.spec.where("base_url") or target.spec.where("url")
        raise ConfigError(
            f"target {target.spec.name!r} is not of this machine: it cannot be run with --offline",
            where=where or target.spec.where(),
            hint="leave --offline out, or give it an address such as http://127.0.0.1:8000/v1",
        )
    guard = active()
    if guard is not None:
        guard.allow(host, port)


def host_and_port(address: str) -> tuple[str | None, int | None]:
    """Where a URL points to; ``None`` where it does not say."""
    try:
        parts = urlsplit(address.strip())
        return parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None, None
