"""The user's own function as a scorer."""

from __future__ import annotations

import asyncio

import pytest

from evalkit.errors import ConfigError
from evalkit.model import Output, ScoreStatus
from tests.scorers.helpers import bound, case, record

BODIES = {
    "return 0.5": (0.5, None),
    "return 3": (3.0, None),
    "return output.text == 'text'": (1.0, True),
    "return evalkit.Score(value=0.25, passed=False, label='b')": (0.25, False),
    "return {'value': 0.5, 'passed': True, 'reason': 'why'}": (0.5, True),
    "return {'value': False}": (0.0, False),
    "return {'value': 1, 'evidence': [{'source': 'output', 'start': 0, 'end': 1, 'text': 't'}]}": (
        1.0,
        None,
    ),
}
WRONG = {
    "return None": "returned nothing",
    "return []": "returned list",
    "return float('nan')": "finite",
    "return {'reason': 'x'}": "no 'value'",
    "return {'value': 1, 'pased': True}": "no field 'pased'",
    "return 1 / 0": "ZeroDivisionError: division by zero, at mine.py:3",
    "import sys; sys.exit(3)": "SystemExit",
}


def write(tmp_path, body, name="mine.py"):
    (tmp_path / name).write_text(f"import evalkit\ndef score(case, output):\n    {body}\n")
    return bound("python", root=tmp_path, allow_code=True, function=f"{name}:score")


@pytest.mark.parametrize("body", BODIES)
def test_a_function_returns_a_number_a_decision_a_score_or_a_mapping(tmp_path, body):
    found = record(write(tmp_path, body), "text").score
    assert (found.value, found.passed) == BODIES[body]


@pytest.mark.parametrize("body", WRONG)
def test_anything_else_is_an_error_with_its_reason(tmp_path, body):
    found = record(write(tmp_path, body), "text")
    assert found.status is ScoreStatus.ERROR
    assert WRONG[body] in found.reason


def test_a_function_may_be_unable_to_judge(tmp_path):
    found = record(write(tmp_path, "raise evalkit.Unscorable('no idea')"), "text")
    assert (found.status, found.reason) == (ScoreStatus.UNSCORED, "no idea")


def test_a_function_may_be_async(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import asyncio\n"
        "async def score(case, output):\n"
        "    await asyncio.sleep(0)\n"
        "    return 0.75\n"
    )
    one = bound("python", root=tmp_path, allow_code=True, function="mine.py:score")
    (found,) = asyncio.run(one.score([(case(), Output(text="x"))]))
    assert found.score.value == 0.75


def test_the_signature_is_of_the_code_and_not_of_the_machine(tmp_path):
    first = write(tmp_path, "return 0.5")
    (tmp_path / "other").mkdir()
    again = write(tmp_path / "other", "return 0.5")
    assert first.signature == again.signature
    assert "|function:mine.py:score|" in first.signature
    changed = write(tmp_path, "return 0.6")
    assert changed.signature != first.signature
    assert record(changed, "text").score.value == 0.6


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("mine.py", "file.py:name"),
        ("mine.txt:score", "file.py:name"),
        ("mine.py:no such", "file.py:name"),
        ("other.py:score", "no Python file"),
        ("mine.py:scare", "no function 'scare'"),
        ("broken.py:score", "broken.py failed to load: SyntaxError"),
    ],
)
def test_a_function_that_cannot_be_loaded_is_refused_before_the_run(tmp_path, function, message):
    (tmp_path / "mine.py").write_text("def score(case, output):\n    return 1\n")
    (tmp_path / "broken.py").write_text("def score(:\n")
    with pytest.raises(ConfigError, match=message):
        bound("python", root=tmp_path, allow_code=True, function=function)
