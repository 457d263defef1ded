from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.errors import ConfigError
from evalkit.targets._jsonpath import Missing, Path

# The store and its queries of RFC 9535, section 1.5, as far as they point without searching.
STORE: Any = {
    "store": {
        "book": [
            {"title": "Sayings of the Century", "price": 8.95},
            {"title": "Sword of Honour", "price": 12.99},
            {"title": "Moby Dick", "isbn": "0-553-21311-3", "price": 8.99},
        ],
        "bicycle": {"color": "red", "price": 399},
    },
    "o": {"j j": {"k.k": 3}, "'": {"@": 2}, "☺": 4, "a-b": None},
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", STORE),
        ("$.store.book[0].title", "Sayings of the Century"),
        ("$.store.book[-1].isbn", "0-553-21311-3"),
        ("$['store']['bicycle']['color']", "red"),
        ('$["store"].bicycle.price', 399),
        ("$.o['j j']['k.k']", 3),
        ('$.o["\'"]["@"]', 2),
        ("$.o['\\'']['@']", 2),
        ("$.o['☺']", 4),
        ("$.o.a-b", None),
        ("$.store.book[3]", Missing.MISSING),
        ("$.store.book[-4]", Missing.MISSING),
        ("$.store.book.title", Missing.MISSING),
        ("$.store.book['0']", Missing.MISSING),
        ("$.store.bicycle[0]", Missing.MISSING),
        ("$.o.a-b.c", Missing.MISSING),
        ("$.store.book[*].price", [8.95, 12.99, 8.99]),
        ("$.store.book.*.isbn", ["0-553-21311-3"]),
        ("$.store.bicycle[*]", ["red", 399]),
        ("$.store[*].color", ["red"]),
        ("$.nothing[*]", []),
    ],
)
def test_paths_of_the_standard(path: str, expected: Any) -> None:
    assert Path("answer", path).find(STORE) == expected


@pytest.mark.parametrize(
    "path", ["", "a", "$a", "$.", "$..a", "$[1:2]", "$[0,1]", "$[?@.a]", "$.a b", "$['a'", "$[01]"]
)
def test_what_does_not_point_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="answer"):
        Path("answer", path)


@given(st.lists(st.one_of(st.text(max_size=6), st.integers(0, 3)), max_size=5), st.integers())
def test_every_place_has_a_path(steps: list[str | int], leaf: int) -> None:
    value: Any = leaf
    text = ""
    for step in reversed(steps):
        if isinstance(step, int):
            value = [None] * step + [value]
            text = f"[{step}]{text}"
        else:
            value = {step: value}
            quoted = step.replace("\\", "\\\\").replace("'", "\\'")
            text = f"['{quoted}']{text}"
    assert Path("answer", "$" + text).find(value) == leaf
