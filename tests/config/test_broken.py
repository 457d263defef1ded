"""Broken configurations: each says what is wrong, at which line and column, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from config_examples import PROJECT, SUITE

from evalkit.config import load_project, load_suite
from evalkit.errors import ConfigError, ExitCode

BLOCK = re.compile(r"==== (.*)\n((?:.*\n)*?)---- (.*)\n(.*)\n")


def table(name: str) -> list[tuple[str, str, str, str]]:
    """Rows of (text, line:column, what, hint) from a file of blocks."""
    blocks = Path(__file__).with_name(name).read_text(encoding="utf-8")
    rows = [(text, where, what, hint) for where, text, what, hint in BLOCK.findall(blocks)]
    assert len(rows) == blocks.count("==== ") >= 40
    return rows


PROJECTS = table("broken_projects.txt")
SUITES = table("broken_suites.txt")


@pytest.mark.parametrize(("text", "where", "what", "hint"), PROJECTS)
def test_a_broken_project_says_where(
    write: Callable[[str, str], Path], text: str, where: str, what: str, hint: str
) -> None:
    write("x.pyy", "")
    path = write("evalkit.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert str(caught.value.where) == f"evalkit.yaml:{where}"
    assert caught.value.what == what
    assert caught.value.hint.partition("\n")[0] == hint
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(("text", "where", "what", "hint"), SUITES)
def test_a_broken_suite_says_where(
    write: Callable[[str, str], Path],
    project: Path,
    text: str,
    where: str,
    what: str,
    hint: str,
) -> None:
    write("suites/support.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_suite(load_project(project / "evalkit.yaml"), "support")
    assert str(caught.value.where) == f"suites/support.yaml:{where}"
    assert caught.value.what == what
    assert caught.value.hint.partition("\n")[0] == hint
    assert len(caught.value.lines()) <= 3


def test_windows_line_ends_keep_the_places(write: Callable[[str, str], Path]) -> None:
    path = write("evalkit.yaml", (PROJECT + "seed: no\n").replace("\n", "\r\n"))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert str(caught.value.where) == "evalkit.yaml:7:7"


def test_several_mistakes_are_shown_at_once_and_counted(write: Callable[[str, str], Path]) -> None:
    path = write("evalkit.yaml", PROJECT + "".join(f"{one}: 1\n" for one in "abcdefg"))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    lines = caught.value.hint.split("\n")
    assert lines[1] == "also at evalkit.yaml:8:1: unknown key 'b' in evalkit.yaml"
    assert lines[-1] == "and 2 more"


def test_a_typing_mistake_is_one_finding_not_two(write: Callable[[str, str], Path]) -> None:
    path = write("evalkit.yaml", PROJECT.replace("model: small", "modell: small"))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert caught.value.lines() == (
        "unknown option 'modell' of target kind 'chat'",
        "at evalkit.yaml:6:5",
        "did you mean 'model'?",
    )


def test_a_dataset_of_no_known_format_says_how_to_name_one(
    write: Callable[[str, str], Path], project: Path
) -> None:
    write("golden/cases.xyz", "")
    write("suites/support.yaml", SUITE.replace("cases.lines", "cases.xyz"))
    with pytest.raises(ConfigError) as caught:
        load_suite(load_project(project / "evalkit.yaml"), "support")
    assert str(caught.value.where) == "suites/support.yaml:1:10"
    assert caught.value.what == "the format of 'golden/cases.xyz' is not known from its name"
    assert caught.value.hint.startswith("write {path: ..., format: NAME}; known: ")


def test_a_file_that_a_scorer_reads_must_exist(
    write: Callable[[str, str], Path], project: Path
) -> None:
    write("schemas/answer.json", "{}")
    suite = SUITE.replace("overlap", "holds: {any: [a], file: schemas/anwser.json}")
    path = write("suites/support.yaml", suite)
    loaded = load_project(project / "evalkit.yaml")
    with pytest.raises(ConfigError) as caught:
        load_suite(loaded, "support")
    assert caught.value.lines() == (
        "no file 'schemas/anwser.json'",
        "at suites/support.yaml:4:29",
        "did you mean 'schemas/answer.json'?",
    )
    path.write_text(suite.replace("anwser", "answer"), encoding="utf-8")
    options = load_suite(loaded, "support").scorers[0].options
    assert options == {"any": ["a"], "file": project / "schemas/answer.json"}
