from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from config_examples import PROJECT, SUITE

from evalkit import registry

PLUGINS = Path(__file__).with_name("plugins.py")


@pytest.fixture
def plugins() -> Iterator[None]:
    """The test's own plugins, and nothing left behind."""
    before = dict(registry._local.found)
    registry.load_file(PLUGINS)
    yield
    registry._local.found.clear()
    registry._local.found.update(before)


@pytest.fixture
def project(tmp_path: Path, plugins: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working project on disk, the current folder."""
    for name, text in {
        "evalkit.yaml": PROJECT,
        "prompts/answer.j2": "{{ question }}\n",
        "golden/cases.lines": '{"question": "q", "expected": "a"}\n',
        "suites/support.yaml": SUITE,
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(project: Path) -> Callable[[str, str], Path]:
    def put(name: str, text: str) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
        return path

    return put
