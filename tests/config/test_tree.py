"""YAML read strictly: what a scalar becomes, and where each value stands."""

import json
import math
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import assume, example, given
from hypothesis import strategies as st

from evalkit.config import tree
from evalkit.config.tree import MAX_BYTES, parse_yaml, read_yaml
from evalkit.errors import ConfigError

PATH = Path("some.yaml")


def parse(text):
    return parse_yaml(text, PATH).root.plain()


def broken(text):
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, PATH)
    return caught.value


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("on", "on"),
        ("y", "y"),
        ("00123", "00123"),
        ("0o17", "0o17"),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-05-01", "2024-05-01"),
        ("2024-05-01T10:00:00Z", "2024-05-01T10:00:00Z"),
        ("1%", "1%"),
        ("$0.01", "$0.01"),
        ("nan", "nan"),
        ("'true'", "true"),
        ('"3"', "3"),
        ("=", "="),
    ],
)
def test_a_scalar_is_read_as_yaml_1_2_and_as_written(written, value):
    found = parse(f"key: {written}\n")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        ("a:\n\tb: 1\n", "2:1", "YAML does not allow a tab here", "use spaces"),
        ("a:\n  b: 1\n \tc: 2\n", "3:2", "YAML does not allow a tab here", "use spaces"),
        ("a: 1\na: 2\n", "2:1", "the key 'a' is given twice", "it is already on line 1"),
        ("a: .inf\n", "1:4", "the number .inf is not finite", "put it in quotes"),
        ("a: .NaN\n", "1:4", "the number .NaN is not finite", "put it in quotes"),
        ("a: 1e999\n", "1:4", "the number 1e999 is too large", "put it in quotes"),
        ("a: 12345678901234567890\n", "1:4", "is larger than 64 bits", "put it in quotes"),
        ("a: *x\n", "1:4", "no anchor '&x' before this alias", "must be quoted"),
        ("a: &x [*x]\n", "1:8", "stands inside its own anchor", ""),
        ("a: !!python/name:os.system x\n", "1:4", "YAML tags are not used here", "quotes"),
        ("a: !x y\n", "1:4", "YAML tags are not used here", "quotes"),
        ("a: 1\n---\nb: 1\n", "2:1", "more than one YAML document", "split the file"),
        ("", "1:1", "the file is empty", "evalkit init"),
        ("# nothing\n", "1:1", "the file is empty", "evalkit init"),
        ("null\n", "1:1", "the file is empty", "evalkit init"),
        ("- 1\n", "1:1", "must hold a mapping (key: value lines), not a list", ""),
        ("text\n", "1:1", "must hold a mapping (key: value lines), not a single value", ""),
        ("a: {{ x }}\n", "1:5", "a key must be plain text", "must be quoted"),
        ("? [1]\n: 2\n", "1:3", "a key must be plain text", "must be quoted"),
        ("'': 1\n", "1:1", "a key is missing before ':'", ""),
        ("a: b: c\n", "1:5", "mapping values are not allowed", "must be quoted"),
        ("a: @x\n", "1:4", "cannot start any token", "must be quoted"),
        ("a: [1, 2\nb: 3\n", "2:2", "did not find expected ',' or ']'", "starts on line 1"),
        ("a: 'x\n", "2:1", "unexpected end of stream", "starts on line 1"),
        ("a:\n  - b\n c: 1\n", "3:2", "did not find expected key", "indentation"),
        ("a: 1\nb: \x07\n", "2:4", "does not allow the character U+0007", "escape"),
        ("a: {<<: 3}\n", "1:9", "'<<' takes a mapping", "<<: *name"),
    ],
)
def test_what_is_refused_is_refused_at_its_place(text, where, what, hint):
    error = broken(text)
    assert str(error.where) == f"some.yaml:{where}"
    assert what in error.what
    assert hint in error.hint


def test_nesting_and_expansion_have_an_end():
    assert "nested deeper than 64 levels" in broken("a: " + "[" * 100_000).what
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 10)]
    error = broken("\n".join(lines))
    assert error.what == "the file expands to more than 200,000 values"
    assert error.where.line == 5


def test_aliases_and_merge_keys_share_values_and_places():
    document = parse_yaml(
        "base: &base {model: small, stream: true}\n"
        "other:\n  <<: *base\n  model: large\n"
        "both: {<<: [*base, {extra: 1}]}\n",
        PATH,
    )
    plain = document.root.plain()
    assert plain["other"] == {"model": "large", "stream": True}
    assert plain["both"] == {"model": "small", "stream": True, "extra": 1}
    shared = document.root.entries["other"].node.entries["stream"]
    assert str(document.at(shared)) == "some.yaml:1:28"


def test_bytes_that_are_not_utf_8_are_shown_with_their_place(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes("a: 1\nb: é".encode() + b"\xff\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert caught.value.what == "the file is not UTF-8: byte 0xff"
    assert str(caught.value.where) == f"{path}:2:5"


def test_a_byte_order_mark_is_not_content(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(path).root.plain() == {"a": 1}


def test_files_that_cannot_be_read_are_errors_with_their_path(tmp_path):
    for path, what in [
        (tmp_path / "none.yaml", "the file does not exist"),
        (tmp_path, "this is a folder, not a file"),
    ]:
        with pytest.raises(ConfigError) as caught:
            read_yaml(path)
        assert caught.value.lines()[:2] == (what, f"at {path}")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 4 MB"):
        read_yaml(big)


def test_errors_name_a_file_below_the_current_folder_by_its_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sub" / "a.yaml"
    path.parent.mkdir()
    path.write_text("a: 1\na: 1\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value.where) == "sub/a.yaml:2:1"


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(TEXT.filter(bool), inner, max_size=4)
    ),
    max_leaves=12,
)
# the core schema of YAML 1.2.2 (10.3.2), without leading zeros: 00123 stays text
NUMBER_OF_YAML_1_2 = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
MAPPINGS = st.dictionaries(TEXT.filter(bool), VALUES, min_size=1, max_size=5)


def same(one, other):
    return one == other and json.dumps(one) == json.dumps(other)


@given(MAPPINGS)
def test_json_is_read_as_json(value):
    assert same(parse(json.dumps(value, ensure_ascii=False)), value)


def read_by_yaml_1_1_as_text(value):
    """Texts that YAML 1.1 leaves unquoted and YAML 1.2 reads as numbers, as 0E0, become numbers."""
    if isinstance(value, dict):
        return {key: read_by_yaml_1_1_as_text(one) for key, one in value.items()}
    if isinstance(value, list):
        return [read_by_yaml_1_1_as_text(one) for one in value]
    if isinstance(value, str) and NUMBER_OF_YAML_1_2.fullmatch(value):
        assume(math.isfinite(float(value)))
        plain = yaml.safe_dump(value, width=10_000).startswith(value)
        return float(value) if plain else value
    return value


@given(MAPPINGS)
@example({"a": "0E0", "b": ["1e5", "-.5e3", "1.e1", "+.5", "1.5"]})
def test_what_pyyaml_writes_for_yaml_1_1_keeps_its_value(value):
    text = yaml.safe_dump(value, allow_unicode=True, width=10_000)
    found = parse(text)
    # YAML 1.1 writes 1e+16 as "1.0e+16", and quotes more than YAML 1.2 needs: nothing is lost
    assert found == read_by_yaml_1_1_as_text(value)


@given(MAPPINGS)
def test_every_position_is_where_the_value_begins(value):
    text = yaml.safe_dump(value, allow_unicode=True, width=10_000, default_flow_style=False)
    lines = text.replace("\x85", "\n").replace("\u2028", "\n").replace("\u2029", "\n").split("\n")
    for _, node in parse_yaml(text, PATH).root.walk():
        for key, entry in node.entries.items():
            rest = lines[entry.line - 1][entry.column - 1 :]
            assert rest.startswith((key, "'", '"', "? "))
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            rest = lines[node.line - 1][node.column - 1 :]
            assert rest == str(node.value)


@given(MAPPINGS)
def test_the_python_parser_reads_the_same_as_libyaml(value):
    text = yaml.safe_dump(value, allow_unicode=True)
    fast = parse_yaml(text, PATH).root
    tree._loader.cache_clear()
    kept = yaml.__dict__.pop("CSafeLoader")
    try:
        slow = parse_yaml(text, PATH).root
    finally:
        yaml.CSafeLoader = kept
        tree._loader.cache_clear()
    assert fast == slow


@given(st.text(max_size=60))
def test_any_text_is_a_tree_or_an_error_with_its_place(text):
    try:
        parse_yaml(text, PATH)
    except ConfigError as error:
        caught = error
    else:
        return
    assert str(caught.where).startswith("some.yaml:")


def test_a_large_file_is_read_in_reasonable_time():
    entries = "".join(f"k{n}:\n  a: 1\n  b: [1, 2, 3]\n  c: text {n}\n" for n in range(2000))
    assert len(parse(entries)) == 2000
