"""The run store in DuckDB: one writer, many readers."""

from evalkit.store.events import Event
from evalkit.store.gates import GateRow
from evalkit.store.journal import Journal
from evalkit.store.store import PromptRow, Recovered, RunRow, Store

__all__ = ["Event", "GateRow", "Journal", "PromptRow", "Recovered", "RunRow", "Store"]
