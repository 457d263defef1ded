"""Plugins for the tests of configuration, so that they stand without any other room."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from evalkit.model import JSON, Case, Output, Request, Score
from evalkit.registry import dataset, scorer, target


@scorer(needs=("expected",), direction="higher")
def overlap(case: Case, output: Output, *, stemmer: bool = False, beta: float = 1.0) -> Score:
    """Shared words."""
    return Score(value=float(case.expected == output.text) * beta if stemmer else 0.0)


@scorer()
def holds(
    case: Case,
    output: Output,
    *,
    any: list[str],
    mode: Literal["words", "text"] = "text",
    limit: int | None = None,
    schema: JSON = None,
    weights: Mapping[str, float] | None = None,
    file: Path | None = None,
) -> Score:
    """Whether a text is in the answer."""
    return Score(value=float(len(any) + len(str(schema))))


@scorer(range=(0.0, float("inf")), direction="lower", unit="s")
def seconds(case: Case, output: Output) -> Score:
    """How long it took."""
    return Score(value=output.latency_s or 0.0)


class _Target:
    async def send(self, request: Request) -> Output:
        return Output(text="")

    async def aclose(self) -> None:
        return None


@target(name="chat", network=True)
class Chat(_Target):
    """A model behind an address."""

    def __init__(
        self,
        *,
        model: str,
        base_url: str = "http://localhost",
        api_key: str | None = None,
        params: dict[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        api: Literal["chat", "responses"] = "chat",
        stream: bool = True,
    ):
        self.model = model


@target(name="reader")
class Reader(_Target):
    """Reads passages."""

    def __init__(self, *, sentences: int = 1, min_score: float = 0.1):
        self.sentences = sentences


@target(name="pick", takes_prompt=False, children="targets")
class Pick(_Target):
    """Asks one after the other."""

    def __init__(self, *, targets: list[str]):
        self.targets = targets


@dataset(name="lines", suffixes=(".lines",))
def lines(source: str, *, comment: str = "#") -> Iterator[tuple[int, dict[str, JSON]]]:
    """One row a line."""
    yield 1, {"source": source, "comment": comment}
