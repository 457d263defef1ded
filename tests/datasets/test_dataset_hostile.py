"""Whatever a file holds, the answer is cases or an error for a person, never a traceback."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import DatasetError

bits = st.sampled_from(
    [b"{", b"}", b"[", b"]", b'"', b'""', b",", b":", b"\n", b"\r", b"\0", b" ", b"q", b"7"]
) | st.sampled_from(
    [
        b"\\ud800",
        b"\\u0000",
        b"NaN",
        b"1e999",
        b"true",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xe9",
        b"PAR1",
    ]
)
contents = st.binary(max_size=60) | st.lists(bits, max_size=30).map(b"".join)


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv", "x.parquet", "x.csv.gz"])
@settings(deadline=None, max_examples=80)
@given(content=contents)
@example(content=b'{"q": ' + b'{"a": ' * 900 + b'"\\ud800"' + b"}" * 900 + b"}")
def test_any_bytes(tmp_path_factory, name, content):
    path = tmp_path_factory.mktemp("any") / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    dataset = open_dataset(DatasetSpec(source=str(path), format=""))
    info = dataset.scan(strict=False)
    assert info.errors + info.warnings >= len(info.issues)
    if info.errors or not info.cases:
        with pytest.raises(DatasetError) as caught:
            list(dataset.cases())
        assert len(caught.value.lines()) == 3
    else:
        assert len(list(dataset.cases())) == info.cases


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
fields = st.sampled_from(
    ["id", "q", "expected", "context", "tags", "metadata", "tags.a", "metadata.b", "inputs.c", "."]
)


@settings(deadline=None)
@given(
    rows=st.lists(st.dictionaries(fields, values, max_size=6), max_size=4),
    columns=st.dictionaries(
        st.sampled_from(["id", "expected", "context", "tags", "inputs", "inputs.z", "tags.t"]),
        st.sampled_from(["q", "tags.a", "expected", "metadata.b", "no", "q.", ".", "q..a"]),
        max_size=3,
    ),
    types=st.dictionaries(
        st.sampled_from(["q", "tags", "expected"]),
        st.sampled_from(["integer", "number", "boolean", "json", "text"]),
    ),
)
def test_any_values_in_any_field_under_any_map(tmp_path_factory, rows, columns, types):
    path = tmp_path_factory.mktemp("any") / "x.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    spec = DatasetSpec(source=str(path), format="jsonl", columns=columns, types=types)
    dataset = open_dataset(spec)
    info = dataset.scan(strict=False)
    if info.errors or not info.cases:
        with pytest.raises(DatasetError) as caught:
            dataset.scan()
        assert len(caught.value.lines()) == 3
        return
    cases = list(dataset.cases())
    assert len({one.id for one in cases}) == len(cases) == info.cases
    for case in cases:
        assert all(isinstance(one, str) for one in (*case.context, *case.tags.values()))
        json.dumps([case.inputs, case.expected, case.metadata], allow_nan=False).encode()
