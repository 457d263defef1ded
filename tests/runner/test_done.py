"""What is done is known by case and index, in eight bytes each."""

from __future__ import annotations

import sys

from hypothesis import given
from hypothesis import strategies as st

from evalkit.runner.done import NOTHING_DONE, Done

trials = st.sets(st.tuples(st.text(max_size=5), st.integers(0, 30)), max_size=40)


@given(trials, trials)
def test_it_holds_what_was_put_in_and_nothing_else(inside: set[tuple[str, int]], others) -> None:
    done = Done(inside)
    assert len(done) == len(inside)
    assert all(one in done for one in inside)
    assert {one for one in others if one in done} == inside & others


def test_it_is_small() -> None:
    done = Done((f"{number:020x}", 0) for number in range(20_000))
    assert sys.getsizeof(done._keys) <= 20_000 * 8 + 100
    assert ("x", 0) not in NOTHING_DONE
