from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.datasets._dataset import KEPT_CASES
from evalkit.datasets._seen import Seen
from evalkit.errors import DatasetError
from evalkit.hashing import MultisetHash


@pytest.fixture(params=[KEPT_CASES, 0], ids=["kept", "read again"], scope="module", autouse=True)
def most_kept(request):
    """Whatever holds of a dataset holds whether its cases are kept or read again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("evalkit.datasets._dataset.KEPT_CASES", request.param)
        yield request.param


def jsonl(make, *rows):
    return make("x.jsonl", "".join(json.dumps(one) + "\n" for one in rows))


def test_duplicates_are_counted_once_and_named(make):
    rows = [{"q": str(i), "tags": {"n": "x"}} for i in range(60)]
    rows[57] = {"tags": {"n": "other"}, "q": "11", "metadata": {"m": 1}}
    dataset = jsonl(make, *rows)
    info = dataset.scan()
    assert (info.rows, info.cases, info.warnings, info.errors) == (60, 59, 1, 0)
    (issue,) = info.issues
    assert issue.message == "row 58 is the same case as row 12; counted once"
    assert (issue.row, issue.line, issue.severity) == (58, 58, "warning")
    assert info.tags == {"n": {"x": 59}}
    cases = list(dataset.cases())
    assert [one.row for one in cases] == [i for i in range(1, 61) if i != 58]
    assert info.version == MultisetHash(one.id for one in cases).hexdigest()


def test_one_id_for_two_cases_is_an_error(make, fails):
    rows = [{"id": "a", "q": "1"}, {"id": "b", "q": "2"}, {"id": "a", "q": "3"}]
    what, where, hint = fails(jsonl(make, *rows))
    assert what == "row 3 has the id 'a' of row 1, and is another case"
    assert where.endswith(":3:1")
    assert hint == "give every case an id of its own"
    # The same content under the id of another case would leave the id with two meanings.
    rows[2] = {"id": "a", "q": "2"}
    assert "row 3 has the id 'a' of row 1" in fails(jsonl(make, *rows))[0]


def test_the_same_case_with_or_without_its_id_is_a_duplicate(make):
    rows = [{"id": "a", "q": "1"}, {"id": "a", "q": "1"}, {"q": "1"}, {"id": "z", "q": "1"}]
    info = jsonl(make, *rows).scan()
    assert (info.cases, info.warnings) == (1, 3)


def test_an_empty_expectation_is_none_and_a_warning(make):
    rows = [{"q": "a", "expected": ""}, {"q": "b", "expected": []}, {"q": "c", "expected": None}]
    rows += [{"q": "d", "expected": ["x", ""]}, {"q": "e", "expected": 0}, {"q": "f"}]
    dataset = jsonl(make, *rows)
    assert [one.row for one in dataset.scan().issues] == [1, 2, 4]
    assert [one.expected for one in dataset.cases()] == [None, None, None, ["x", ""], 0, None]


def test_all_issues_are_counted_and_twenty_kept(make):
    info = jsonl(make, *[{"q": "same"} for _ in range(100)]).scan()
    assert (info.cases, info.warnings, len(info.issues)) == (1, 99, 20)


def test_a_scan_is_remembered_and_a_changed_file_refused(make):
    dataset = jsonl(make, {"q": "a"}, {"q": "b"})
    first = dataset.scan()
    assert dataset.scan() is first
    cases = dataset.cases()
    assert next(cases).inputs == {"q": "a"}
    with Path(dataset.spec.source).open("a") as file:
        file.write('{"q": "c"}\n')
    with pytest.raises(DatasetError, match="changed after it was checked"):
        list(cases)
    with pytest.raises(DatasetError, match="changed after it was checked"):
        list(dataset.cases())


def test_only_few_cases_of_a_small_text_file_are_kept(make, monkeypatch, most_kept):
    rows = "".join(f'{{"q": "{one}"}}\n' for one in range(3))

    def kept(dataset):
        first, second = (list(dataset.cases()) for _ in range(2))
        assert first == second
        return all(one is other for one, other in zip(first, second, strict=True))

    assert kept(make("x.jsonl", rows)) is bool(most_kept)
    assert not kept(make("x.jsonl.gz", gzip.compress(rows.encode())))
    monkeypatch.setattr("evalkit.datasets._dataset.KEPT_BYTES", len(rows) - 1)
    assert not kept(make("x.jsonl", rows))
    monkeypatch.undo()
    monkeypatch.setattr("evalkit.datasets._dataset.KEPT_CASES", 2)
    assert not kept(make("x.jsonl", rows))


def test_cases_are_never_given_from_a_dataset_with_an_error(make):
    dataset = make("x.jsonl", '{"q": "a"}\n{broken\n')
    with pytest.raises(DatasetError, match="line 2"):
        next(dataset.cases())


def test_a_file_removed_between_is_explained(make):
    dataset = jsonl(make, {"q": "a"})
    dataset.scan()
    Path(dataset.spec.source).unlink()
    with pytest.raises(DatasetError, match="no such dataset file"):
        list(dataset.cases())


def test_a_tag_of_endless_values_does_not_fill_memory(make):
    rows = [{"q": str(i), "tags": {"uid": f"u{i}", "lang": "en"}} for i in range(1_500)]
    info = jsonl(make, *rows).scan()
    assert len(info.tags["uid"]) == 1_000
    assert info.tags["lang"] == {"en": 1_500}
    assert [one.message for one in info.issues] == [
        "tag 'uid' has 1000 values; more are not counted"
    ]


rows_of_text = st.lists(
    st.fixed_dictionaries({"q": st.text(max_size=5).filter(str.strip), "expected": st.text()}),
    min_size=1,
    max_size=8,
)


@settings(deadline=None)
@given(rows=rows_of_text, data=st.data())
def test_the_version_does_not_depend_on_order_or_repetition(tmp_path_factory, rows, data):
    other = data.draw(st.permutations(rows + rows[:2]))
    folder = tmp_path_factory.mktemp("any")
    versions = set()
    for name, some in (("a", rows), ("b", other)):
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(one) + "\n" for one in some))
        versions.add(open_dataset(DatasetSpec(source=str(path), format="jsonl")).scan().version)
    assert len(versions) == 1


@settings(deadline=None)
@given(
    keys=st.lists(
        st.integers(min_value=-(2**63), max_value=2**64 - 1)
        | st.integers(min_value=1, max_value=20).map(lambda one: one << 32)
    )
)
def test_seen_answers_as_a_dict_does(keys):
    seen, reference = Seen(), {}
    for row, key in enumerate(keys, 1):
        # 0 shares its place with 1, and a negative key with its two's complement.
        assert seen.first(key, row) == reference.setdefault(key % 2**64 or 1, row)


def test_seen_keeps_what_it_has_while_it_grows():
    seen = Seen()
    keys = [pow(3, n, 2**64 - 59) for n in range(1, 20_001)]
    assert all(seen.first(key, row) == row for row, key in enumerate(keys, 1))
    assert all(seen.first(key, 0) == row for row, key in enumerate(keys, 1))


def test_memory_does_not_grow_with_the_texts(make):
    # 20 MB of rows; what is held is 20 to 40 bytes a case.
    dataset = jsonl(make, *[{"q": f"{i} " + "x" * 5_000} for i in range(4_000)])
    tracemalloc.start()
    dataset.scan()
    count = sum(1 for _ in dataset.cases())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 4_000
    assert peak < 1_500_000
