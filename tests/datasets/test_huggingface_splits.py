from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.datasets._splits import _matches, front_matter, split_files
from evalkit.errors import EvalkitError


def files(names, *, split=None, config=None, readme=None):
    return split_files(names, readme or {}, split=split, config=config, where="repo")


def fault(names, **rest):
    with pytest.raises(EvalkitError) as caught:
        files(names, **rest)
    return caught.value


def test_splits_by_file_and_folder_names():
    names = ["train.csv", "test.csv", "val.csv", "README.md", ".cache/test.csv"]
    assert files(names, split="test") == ["test.csv"]
    assert files(names, split="validation") == ["val.csv"]
    assert files(["a/test/1.jsonl", "a/test/0.jsonl", "a/train/0.jsonl"], split="test") == [
        "a/test/0.jsonl",
        "a/test/1.jsonl",
    ]
    assert files(["my-dev-set.json.gz"], split="validation") == ["my-dev-set.json.gz"]
    assert files(["contest.csv", "latest.csv"]) == ["contest.csv", "latest.csv"]
    shards = ["data/hard_cases-00001-of-00002.parquet", "data/hard_cases-00000-of-00002.parquet"]
    assert files(shards, split="hard_cases") == sorted(shards)


def test_a_wrong_split_or_none_is_explained():
    names = ["train.csv", "test.csv"]
    assert fault(names).hint == "set split to one of: test, train"
    assert fault(names, split="tests").hint == "did you mean 'test'?"
    assert "no CSV, JSON, Parquet or Arrow" in fault(["a.zip", "model.bin"]).what


CARD = """---
license: cc0-1.0
configs:
- config_name: en
  default: true
  data_files:
  - split: test
    path: en/test-*
  - split: train
    path: [en/a.csv, "en/b/**"]
- config_name: de
  data_dir: de
- config_name: flat
  data_files: flat/*.jsonl
- config_name: gone
  data_files: {test: gone/*.csv}
---
# Words
"""
NAMES = [
    "en/test-0.csv",
    "en/a.csv",
    "en/b/c/d.csv",
    "de/test.csv",
    "de/train.csv",
    "flat/x.jsonl",
    "flat/deep/y.jsonl",
]


def test_configs_of_the_readme():
    readme = front_matter(CARD)
    assert files(NAMES, readme=readme, split="test") == ["en/test-0.csv"]
    assert files(NAMES, readme=readme, split="train") == ["en/a.csv", "en/b/c/d.csv"]
    assert files(NAMES, readme=readme, split="test", config="de") == ["de/test.csv"]
    assert files(NAMES, readme=readme, config="flat") == ["flat/x.jsonl"]
    assert "are not there" in fault(NAMES, readme=readme, config="gone").what
    assert fault(NAMES, readme=readme, config="fr").hint.startswith("known: de, en")
    several = {"configs": [{"config_name": "a"}, {"config_name": "b"}]}
    assert fault(NAMES, readme=several).hint == "set config to one of: a, b"


@pytest.mark.parametrize("text", ["", "# no front", "---\n[\n---\n", "---\n- a\n---\n", "---\nx"])
def test_a_readme_without_usable_front_matter_is_none(text):
    assert front_matter(text) == {}


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("a/b.csv", "a/*.csv", True),
        ("a/b/c.csv", "a/*.csv", False),
        ("a/b/c.csv", "a/**", True),
        ("a/b/c.csv", "**/*.csv", True),
        ("c.csv", "**/*.csv", True),
        ("c.csv", "./c.csv", True),
        ("c1.csv", "c[0-9].csv", True),
        ("cx.csv", "c[0-9].csv", False),
        ("cx.csv", "c[!0-9].csv", True),
        ("c.csv", "?.csv", True),
        ("/.csv", "?.csv", False),
        ("a[b", "a[b", True),
        ("../x.csv", "../*", True),
    ],
)
def test_globs(name, pattern, fits):
    assert _matches(name, pattern) is fits


@settings(deadline=None)
@given(name=st.text("ab/", max_size=8), pattern=st.text("ab/*?", max_size=6))
def test_globs_agree_with_a_regular_expression(name, pattern):
    if "***" in pattern or pattern.startswith("./"):
        return
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.findall(r"\*\*/|\*\*|\*|\?|.", pattern)
    regex = "".join(parts.get(one, re.escape(one)) for one in pieces)
    assert _matches(name, pattern) is (re.fullmatch(regex, name) is not None)


def test_no_pattern_stalls():
    start = time.perf_counter()
    assert not _matches("a" * 200, "*a" * 60 + "b")
    assert time.perf_counter() - start < 30  # a hang, not a benchmark
