"""The run store: whether it can be opened, and whether anything is left outside of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from evalkit.doctor.check import Check, failed, ok, warning
from evalkit.errors import EvalkitError

if TYPE_CHECKING:
    from evalkit.store import Store


def store(store: Store) -> Iterator[Check]:
    """Open the store for reading; nothing in it is changed."""
    left = store.left_behind()
    if left:
        yield warning(
            "store",
            f"answers of {', '.join(left)} are in the journal and not in the store",
            "any command that reads the store takes them in: evalkit runs",
        )
    if not store.exists:
        yield ok("store", f"none yet; the first run makes {store.path}")
        return
    try:
        version, size = store.describe()
        rows = store.runs()
    except EvalkitError as error:
        yield failed("store", error)
        return
    trials = sum(one.trials for one in rows)
    yield ok(
        "store",
        f"{_counted(len(rows), 'run')}, {_counted(trials, 'trial')}, {size / 1e6:,.1f} MB,"
        f" schema {version}",
    )
    now = datetime.now(UTC)
    ahead = [one.run_id for one in rows if one.started_at > now + timedelta(minutes=5)]
    if ahead:
        yield warning(
            "clock",
            f"{_counted(len(ahead), 'run')}, {ahead[0]} the last, began later than it is now",
            "set the clock: 'latest' is the run that began last",
        )


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
