"""The package as a user meets it: names, version, types."""

import re
import tomllib
from pathlib import Path

import pytest

import evalkit

ROOT = Path(__file__).parent.parent


def test_public_names_are_sorted_and_there():
    assert evalkit.__all__ == sorted(evalkit.__all__)
    for name in evalkit.__all__:
        assert hasattr(evalkit, name)


def test_the_version_is_written_once_in_truth():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == evalkit.__version__


def test_types_are_shipped():
    assert (Path(evalkit.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("path", sorted(ROOT.glob("evalkit/**/*.py")), ids=lambda one: one.stem)
def test_a_file_fits_one_idea(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 600


def test_no_junk_drawers():
    assert not list(ROOT.glob("evalkit/**/utils.py"))
    assert not list(ROOT.glob("evalkit/**/helpers.py"))


def test_every_dependency_is_locked():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    locked = re.findall(
        r"^([a-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    names = {re.match(r"[A-Za-z0-9._-]+", one).group().lower().replace("_", "-") for one in wanted}
    assert names <= set(locked)
    assert "evalkit" not in locked
