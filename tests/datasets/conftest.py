from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import Dataset, open_dataset
from evalkit.errors import EvalkitError

Make = Callable[..., Dataset]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A dataset from the text or bytes of a file and the rest of its specification."""

    def build(name: str, content: str | bytes, *, format: str = "", **rest: Any) -> Dataset:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return open_dataset(DatasetSpec(source=str(path), format=format, **rest))

    return build


@pytest.fixture
def fails() -> Callable[[Dataset], tuple[str, ...]]:
    """The lines of the error that a dataset's scan ends with; always three."""

    def lines(dataset: Dataset) -> tuple[str, ...]:
        with pytest.raises(EvalkitError) as caught:
            dataset.scan()
        assert caught.value.exit_code == 2
        shown = caught.value.lines()
        assert len(shown) == 3
        return shown

    return lines
