"""json_schema and json_equal on what models call JSON."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scorers.helpers import score, unscored, value

SCHEMA = {
    "type": "object",
    "required": ["answer"],
    "properties": {
        "answer": {"type": "string"},
        "a/b~c": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    },
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ('{"answer": "x"}', None),
        (' {"answer": "x", "a/b~c": [1, 2]}\n', None),
        ("{}", 'at the top: "answer" is a required property'),
        ('{"answer": 5}', 'at /answer: the value is not of type "string"'),
        ('{"answer": "x", "a/b~c": [1, -2]}', "at /a~1b~0c/1: the value is less than"),
        ('{"answer": 5, "a/b~c": [-2]}', "(and 1 more)"),
        ("", "not JSON: Expecting value at line 1 column 1"),
        ('{"answer": "x"', "not JSON"),
        ("{'answer': 'x'}", "not JSON"),
        ('{"answer": NaN}', "not JSON: NaN is no JSON number"),
        ('Sure! {"answer": "x"}', "not JSON"),
        ('```json\n{"answer": "x"}\n```', "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 10_000, "integer string"),
        ('{"answer": "\\ud800"}', None),
    ],
)
def test_json_schema(output, reason):
    found = score("json_schema", output, None, schema=SCHEMA)
    assert found.passed is (reason is None)
    assert found.value == float(reason is None)
    if reason is not None:
        assert reason in found.reason


def test_the_reason_never_repeats_what_the_model_wrote():
    secret = "sk-live-0123456789"
    reason = score("json_schema", json.dumps({"answer": [secret]}), None, schema=SCHEMA).reason
    assert reason
    assert secret not in reason


@pytest.mark.parametrize(
    ("output", "wanted"),
    [
        ('```json\n{"answer": "x"}\n```', 1.0),
        ('Here it is:\n```\n{"answer": "x"}\n```\nDone.', 1.0),
        ('{"answer": "x"}', 1.0),
        ("```json\n{}\n```\n```json\n{}\n```", 0.0),
        ("```", 0.0),
    ],
)
def test_json_in_a_code_fence_when_asked(output, wanted):
    assert value("json_schema", output, None, schema=SCHEMA, fenced=True) == wanted
    assert value("json_equal", output, {"answer": "x"}, fenced=True) == wanted


def test_true_and_false_are_schemas():
    assert value("json_schema", "[1]", None, schema=True) == 1.0
    assert value("json_schema", "[1]", None, schema=False) == 0.0


@pytest.mark.parametrize(
    ("output", "expected", "options", "reason"),
    [
        ("[1, 2]", [1, 2.0], {}, None),
        ("1e2", 100, {}, None),
        ('"x"', '"x"', {}, None),
        ("null", "null", {}, None),
        ("1", True, {}, "at the top: another type"),
        ("true", False, {}, "at the top: another value"),
        ("[1]", [1, 2], {}, "at the top: 1 items, expected 2"),
        ('{"a": 1}', {"b": 1}, {}, "at the top: key 'b' is missing"),
        ('{"a": 1, "b": 2}', {"a": 1}, {}, "at the top: 1 keys too many"),
        ('{"a": {"b": [1, "x"]}}', {"a": {"b": [1, "y"]}}, {}, "at /a/b/1: another value"),
        ("1.05", 1, {"tolerance": 0.1}, None),
        ("1.2", 1, {"tolerance": 0.1}, "at the top: another number"),
        ('{"a": 1, "id": 7}', {"a": 1, "id": 9}, {"ignore": ("id",)}, None),
        ('[{"id": 1}]', [{}], {"ignore": ("id",)}, None),
        ("[2, 1]", [1, 2], {"ignore_order": True}, None),
        ('[{"b": [2, 1]}, 3]', [3, {"b": [1, 2]}], {"ignore_order": True}, None),
        ("[1, 1, 2]", [1, 2, 2], {"ignore_order": True}, "at the top: other items"),
        ("[1, true]", [True, 1], {"ignore_order": True}, None),
        ("[1.0, 1.5]", [1.6, 1.2], {"ignore_order": True, "tolerance": 0.4}, None),
        ("[1.0, 1.4]", [1.4, 1.8], {"ignore_order": True, "tolerance": 0.4}, None),
        ("1e400", 1, {}, "a number is too large"),
        ("1" + "0" * 400, 1, {"tolerance": 1.0}, "at the top: another number"),
        ("", {"a": 1}, {}, "not JSON"),
    ],
)
def test_json_equal(output, expected, options, reason):
    found = score("json_equal", output, expected, **options)
    assert found.passed is (reason is None), found.reason
    if reason is not None:
        assert reason in found.reason


def test_an_expected_text_that_is_no_json_is_unscored():
    assert "the expected answer is not JSON" in unscored("json_equal", "1", "one")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(json_values.filter(lambda one: one is not None and one != []), st.randoms())
def test_a_value_equals_itself_however_it_is_written_and_shuffled(wanted, random):
    def shuffled(one):
        if isinstance(one, dict):
            items = [(key, shuffled(inner)) for key, inner in one.items()]
            random.shuffle(items)
            return dict(items)
        if isinstance(one, list):
            items = [shuffled(inner) for inner in one]
            random.shuffle(items)
            return items
        return one

    expected = json.dumps(wanted)
    assert value("json_equal", json.dumps(wanted, indent=2), expected) == 1.0
    assert value("json_equal", json.dumps(shuffled(wanted)), expected, ignore_order=True) == 1.0
    again = value("json_equal", json.dumps([wanted, 1]), json.dumps([wanted, 2]))
    assert again == 0.0


close = st.lists(st.integers(0, 12), min_size=1, max_size=6)


@given(close, close)
def test_lists_without_order_pair_within_the_tolerance_as_any_permutation_could(one, two):
    given_values, wanted = [x / 4 for x in one], [x / 4 for x in two]
    possible = len(one) == len(two) and any(
        all(abs(a - b) <= 0.5 for a, b in zip(order, wanted, strict=True))
        for order in itertools.permutations(given_values)
    )
    options = {"ignore_order": True, "tolerance": 0.5}
    assert value("json_equal", json.dumps(given_values), wanted, **options) == float(possible)


@pytest.mark.parametrize(
    ("output", "edits"),
    [
        ('{"a": 1}', 0),
        ("3", 0),
        ('{"a": [1, 2', 2),
        ("{'a': 1}", 2),
        ("{a: 1}", 2),
        ('{"a": 1,}', 1),
        ('{"a": True}', 1),
        ('{"a" 1}', 1),
        ('{"a": 1 "b": 2}', 1),
        ('Sure: {"a": 1}', 6),
        ('```json\n{"a": 1}\n```', 12),
        ('{"a": "it\\\'s"}', 1),
    ],
)
def test_the_distance_is_the_fewest_characters_to_change(output, edits):
    found = score("json_repair_distance", output)
    counted = int((found.reason or "; 0").rpartition("; ")[2].split()[0])
    assert counted == edits
    assert (found.value == 0) == (edits == 0)


def reference_distance(one, two):
    """Levenshtein's distance by its own table."""
    row = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, b in enumerate(two, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (a != b))
    return row[-1]


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(NESTED.filter(lambda one: isinstance(one, list | dict)), st.data())
def test_json_with_one_character_lost_is_repaired_into_json(whole, data):
    from evalkit.scorers._json_repair import repaired

    text = json.dumps(whole)
    assert value("json_repair_distance", text) == 0
    at = data.draw(st.integers(0, len(text) - 1))
    broken = text[:at] + text[at + 1 :]
    found = value("json_repair_distance", broken)
    nearest = repaired(broken)
    if found and nearest is not None:
        json.loads(nearest)
        longest = max(len(broken), len(nearest))
        assert found == pytest.approx(reference_distance(broken, nearest) / longest)


@given(st.text(alphabet="{}[]\",:'\\ \nab1.-/*#u", max_size=60))
def test_whatever_is_repaired_is_json(text):
    from evalkit.scorers._json_repair import repaired

    nearest = repaired(text)
    assert nearest is None or json.loads(nearest) is not None


def test_repair_refuses_what_it_cannot_read():
    assert value("json_repair_distance", "no JSON") == 1.0
    assert value("json_repair_distance", "") == 1.0
    assert "deep" in unscored("json_repair_distance", "[" * 1000 + "x")
    assert "too long" in unscored("json_repair_distance", "[" * 200_001)
    assert score("json_repair_distance", '{"a": 1', max=0.2).passed is True
