"""One extension mechanism: found by file name, by entry point, or in a file of the project."""

import textwrap

import pytest

from evalkit import registry
from evalkit.errors import ConfigError, UnknownName
from evalkit.registry import Kind, Required


def write(path, text):
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def test_a_project_file_adds_a_scorer(tmp_path):
    path = write(
        tmp_path / "polite_file.py",
        '''
        from evalkit import Case, Output, Score, scorer

        @scorer(examples=[("thank you", None, 1.0)])
        def polite(case: Case, output: Output, *, word: str = "thank", strict: bool = False):
            """Whether the answer is polite."""
            return Score(value=float(word in output.text))
        ''',
    )
    [found] = registry.load_file(path)
    assert registry.get(Kind.SCORER, "polite") is found
    assert "polite" in registry.names(Kind.SCORER)
    assert found.summary == "Whether the answer is polite."
    assert found.parameters["word"].default == "thank"
    assert found.parameters["word"].annotation is str
    assert not found.parameters["word"].required
    assert found.signature({"strict": True}) == "polite|word:thank|strict:yes|v:1"


def test_long_options_are_shortened_in_a_signature(tmp_path):
    path = write(
        tmp_path / "long_file.py",
        """
        from evalkit import Score, scorer

        @scorer()
        def long_one(case, output, *, schema: dict) -> Score: ...
        """,
    )
    [found] = registry.load_file(path)
    assert found.parameters["schema"].default is Required.REQUIRED
    signature = found.signature({"schema": {"type": "object", "properties": {"a": {}, "b": {}}}})
    assert signature.startswith("long_one|schema:#")
    assert signature != found.signature({"schema": {"type": "array", "items": {"a": {}, "c": {}}}})


def test_a_file_without_plugins_says_so(tmp_path):
    with pytest.raises(ConfigError, match="declares no scorer"):
        registry.load_file(write(tmp_path / "nothing_here.py", "x = 1\n"))


def test_a_missing_file_says_so(tmp_path):
    with pytest.raises(ConfigError, match="no Python file"):
        registry.load_file(tmp_path / "absent.py")


@pytest.mark.parametrize("name", ["", "_private", "os.path", "../evil", "no_such_scorer"])
def test_only_names_of_files_are_names(name):
    with pytest.raises(UnknownName):
        registry.get(Kind.SCORER, name)


def test_the_kinds_of_plugin_do_not_mix(tmp_path):
    path = write(
        tmp_path / "kinds_file.py",
        """
        from evalkit import scorer

        @scorer()
        def only_a_scorer(case, output): ...
        """,
    )
    registry.load_file(path)
    with pytest.raises(UnknownName, match="unknown target"):
        registry.get(Kind.TARGET, "only_a_scorer")


def test_what_a_plugin_returns_need_not_be_known_to_read_its_parameters(tmp_path):
    path = write(
        tmp_path / "returns_file.py",
        """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from evalkit import scorer

        if TYPE_CHECKING:
            from evalkit import Score

        @scorer()
        def returning(case, output, *, most: int = 3) -> Score: ...
        """,
    )
    [found] = registry.load_file(path)
    assert found.parameters["most"].annotation is int
