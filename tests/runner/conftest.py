"""What the tests of the runner share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.projects import SmallProject
from tests.servers import ModelServer


@pytest.fixture
def small(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path)


@pytest.fixture
def project(small: SmallProject, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    monkeypatch.chdir(small.folder)
    return small


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as found:
        yield found
