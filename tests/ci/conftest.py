"""One repository for every pull request of these tests."""

from __future__ import annotations

import pytest

from tests.ci.repository import Repository


@pytest.fixture(scope="package")
def repository(tmp_path_factory):
    return Repository(tmp_path_factory.mktemp("repository"))
