"""A project's Python file is what stands in it now."""

import os
import pickle
import sys
from pathlib import Path

import pytest

from evalkit.own_code import load_module, module_name


def test_an_edit_of_the_same_size_in_the_same_second_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "mine.py"
    found = []
    for number in (1, 2):
        file.write_text(f"VALUE = {number}\n")
        os.utime(file, (1_700_000_000, 1_700_000_000))
        found.append(load_module(file, "scorer").VALUE)
    assert found == [1, 2]


def test_files_of_one_name_are_modules_of_their_own(tmp_path):
    files = [tmp_path / folder / "mine.py" for folder in ("a", "b")]
    for file in files:
        file.parent.mkdir()
        file.write_text(f"NAME = {str(file)!r}\n")
    assert [load_module(file, "plugin").NAME for file in files] == [str(file) for file in files]
    assert len({sys.modules[module_name(file, "plugin")] for file in files}) == 2


def test_a_file_that_fails_leaves_no_module(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_module(file, "target")
    assert module_name(file, "target") not in sys.modules


def test_a_plugin_without_a_name_is_called_the_same_on_every_machine(tmp_path):
    from evalkit import registry

    names = set()
    for folder in ("a", "b"):
        file = tmp_path / folder / "mine.py"
        file.parent.mkdir()
        file.write_text(
            "import evalkit\n\n@evalkit.target()\nclass Mine:\n    '''Mine.'''\n"
            "    async def send(self, request):\n        ...\n"
            "    async def aclose(self):\n        ...\n"
        )
        names |= {one.name for one in registry.load_file(file)}
    assert names == {"evalkit_plugin_mine"}


def test_a_dot_in_a_name_and_a_relative_path_are_no_trouble(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.b.py").write_text("class One: ...\n")
    module = load_module(Path("a.b.py"), "scorer")
    assert module.__file__ == str(tmp_path / "a.b.py")
    assert type(pickle.loads(pickle.dumps(module.One()))) is module.One
