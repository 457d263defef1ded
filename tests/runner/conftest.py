"""What the tests of the runner share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.projects import SmallProject


@pytest.fixture
def small(tmp_path: Path) -> SmallProject:
    return SmallProject(tmp_path)
