"""Whether the output is JSON equal to the expected JSON value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from evalkit.cards import ScorerCard
from evalkit.errors import Unscorable
from evalkit.model import Case, Output, Score, rate
from evalkit.registry import scorer
from evalkit.scorers._json_compare import JsonCompare, plain_json
from evalkit.scorers._text import parse_json, unfence


def _prepare(options: Mapping[str, Any]) -> str:
    if options["tolerance"] < 0:
        raise ValueError(f"tolerance {options['tolerance']:g} is below 0")
    return ""


@scorer(
    needs=("expected",),
    metrics=(rate,),
    examples=[
        ('{"a": 1, "b": [2, 3]}', {"b": [2, 3], "a": 1.0}, 1.0),
        ('{"a": 1}', '{"a": 1}', 1.0),
        ('{"a": true}', {"a": 1}, 0.0),
        ("[1, 2]", [2, 1], 0.0),
        ("not JSON", {"a": 1}, 0.0),
    ],
    prepare=_prepare,
    usage="json_equal: {ignore_order: true}",
    card=ScorerCard(
        family="structured",
        blind=("texts in the values that mean the same in other words",),
    ),
)
def json_equal(
    case: Case,
    output: Output,
    *,
    ignore_order: bool = False,
    tolerance: float = 0.0,
    ignore: tuple[str, ...] = (),
    fenced: bool = False,
) -> Score:
    """Whether the output is JSON equal to the expected JSON value.

    An expected text is read as JSON; any other expected value, a list included, is the value
    itself. ``ignore_order`` compares lists as bags; ``tolerance`` is the absolute difference
    allowed between numbers (1 and 1.0 are equal, 1 and true are not); ``ignore`` names keys that
    are left out at any depth. The reason is the place of the first difference as a JSON Pointer.
    """
    expected: Any = case.expected
    if isinstance(expected, str):
        try:
            expected = parse_json(expected)
        except ValueError as error:
            raise Unscorable(f"the expected answer is {error}") from None
    compare = JsonCompare(ignore_order=ignore_order, tolerance=tolerance)
    skip = frozenset(ignore)
    try:
        value = parse_json(unfence(output.text) if fenced else output.text)
        where = compare.difference(plain_json(value, skip), plain_json(expected, skip), "")
    except ValueError as error:
        return Score(value=0.0, passed=False, reason=str(error)[:300])
    except RecursionError:
        raise Unscorable("nested too deeply to compare") from None
    same = where is None
    return Score(value=float(same), passed=same, reason=None if same else where)
