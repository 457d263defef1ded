"""Errors speak in up to three lines and end with one enumerated exit code."""

import inspect
from pathlib import Path

import pytest

from evalkit import errors
from evalkit.errors import (
    RETRYABLE,
    ConfigError,
    ErrorClass,
    EvalkitError,
    ExitCode,
    Position,
    TargetError,
    UnknownName,
    suggestion,
)


def test_three_lines():
    error = ConfigError(
        "unknown key 'trails'",
        where=Position(Path("suites/a.yaml"), 3, 5),
        hint="did you mean 'trials'?",
    )
    assert error.lines() == (
        "unknown key 'trails'",
        "at suites/a.yaml:3:5",
        "did you mean 'trials'?",
    )
    assert error.exit_code == ExitCode.USAGE


def test_a_position_without_a_line_is_the_file():
    assert str(Position(Path("x.yaml"))) == "x.yaml"
    assert str(Position(Path("x.yaml"), 2)) == "x.yaml:2:1"


def test_the_nearest_name_is_offered():
    error = UnknownName("scorer", "rogue_l", ["rouge_l", "bleu"])
    assert error.lines() == ("unknown scorer 'rogue_l'", "did you mean 'rouge_l'?")


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([], "none are defined"),
        (["a", "b"], "known: a, b"),
        ([f"name{n:02}" for n in range(15)], "and 3 more"),
    ],
)
def test_without_a_near_name_the_known_ones_are_listed(known, said):
    assert said in suggestion("zzzzzz", known)


def test_exit_codes_are_the_documented_ones():
    assert [code.value for code in ExitCode] == [0, 1, 2, 3, 4, 5, 130]


def test_the_tree_in_the_docstring_is_the_tree_in_the_code():
    drawn = errors.__doc__ or ""
    found = [
        one
        for _, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, EvalkitError)
    ]
    for one in found:
        line = next(
            line for line in drawn.splitlines() if line.strip("│├└─ ").startswith(one.__name__)
        )
        if one is not EvalkitError:
            assert f" {int(one.exit_code)} " in line


def test_only_what_may_pass_by_itself_is_retried():
    assert TargetError(ErrorClass.RATE_LIMIT, "slow down").retryable
    assert not TargetError(ErrorClass.AUTH, "no").retryable
    assert not TargetError(ErrorClass.SERVER, "no", retryable=False).retryable
    assert ErrorClass.QUOTA not in RETRYABLE
