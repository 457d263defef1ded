"""All checks in order; those that need the project are left out when it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evalkit.doctor import machine, project, stored
from evalkit.doctor.check import Check, failed, ok
from evalkit.errors import EvalkitError

STORE_PATIENCE_S = 2.0
"""How long the store may be in use by others before that is what is found."""


def examine(
    file: Path | None = None,
    *,
    allow_code: bool = False,
    look_for_secrets: bool = False,
    names: Sequence[str] = (),
    connect: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Check]:
    """Every check; with ``look_for_secrets`` or ``connect`` those that take longer too.

    Nothing is changed, and no connection is made unless ``connect`` asks for it. ``names`` are
    further environment variables whose values must not be found. Raises ``UsageError`` for one of
    them that is not set.
    """
    from evalkit.config import find_project, load_project
    from evalkit.doctor.leaks import secrets
    from evalkit.doctor.reach import reach
    from evalkit.store import Store

    yield from machine.versions()
    try:
        found = load_project(find_project(file=file), allow_code=allow_code)
    except EvalkitError as error:
        yield failed("project", error)
        return
    yield ok("project", f"{found.name} ({found.path})")
    yield from project.suites(found)
    yield from project.prompts(found)
    yield from project.targets(found, environ, allow_code=allow_code)
    yield from machine.open_files(found)
    yield from machine.disk(found.store.parent)
    store = Store(found.store, patience_s=STORE_PATIENCE_S)
    yield from stored.store(store)
    if look_for_secrets:
        yield from secrets(found, store, environ, names)
    if connect:
        yield from reach(found, environ)
