"""Content identity: same content same name, whatever the order of keys or rows."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.hashing import MultisetHash, bytes_id, canonical, content_id, json_encoder

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    leaves | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values))
def test_the_order_of_keys_does_not_matter(value):
    turned = dict(reversed(value.items()))
    assert content_id(turned) == content_id(value)


@given(values, values)
def test_different_content_has_different_names(one, other):
    assert (content_id(one) == content_id(other)) == (canonical(one) == canonical(other))


def test_a_known_value():
    expected = hashlib.sha256(b'{"a":[1,"\xc3\xa9"]}').hexdigest()[:20]
    assert content_id({"a": [1, "é"]}) == expected
    assert bytes_id(b"abc") == hashlib.sha256(b"abc").hexdigest()[:20]


def test_a_lone_surrogate_is_content_like_any_other():
    assert content_id(json.loads('"\\ud800"')) != content_id(json.loads('"\\ud801"'))


def test_not_a_number_has_no_content():
    with pytest.raises(ValueError, match="Out of range"):
        content_id(float("nan"))


@given(st.lists(st.text()), st.randoms())
def test_the_order_of_rows_does_not_matter(ids, random):
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert MultisetHash(ids).hexdigest() == MultisetHash(shuffled).hexdigest()


@given(st.lists(st.text(), min_size=1))
def test_every_row_counts(ids):
    assert MultisetHash(ids).hexdigest() != MultisetHash(ids[1:]).hexdigest()
    assert MultisetHash([*ids, ids[0]]).hexdigest() != MultisetHash(ids).hexdigest()


@pytest.mark.parametrize("options", [{}, {"sort_keys": True}, {"allow_nan": True}])
@given(values | st.floats())
def test_the_encoder_writes_what_the_library_writes(
    options: dict[str, bool], value: object
) -> None:
    encode = json_encoder(**options)
    asked = {"allow_nan": False, **options}
    try:
        expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"), **asked)
    except ValueError:
        with pytest.raises(ValueError, match="not JSON compliant"):
            encode(value)
    else:
        assert encode(value) == expected
