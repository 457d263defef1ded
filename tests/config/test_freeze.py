"""Frozen files: what freezing writes into a card, and what is said of a file edited since."""

import hashlib

import pytest

from evalkit.config import load_card
from evalkit.config.freeze import check_frozen, freeze
from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import ConfigError, UsageError

CARD = "# who may use it\nlicence: CC0-1.0\norigin: here # ours\nowner: me\ndescription: rows\n"


@pytest.fixture
def golden(write):
    write("golden/rows.card.yaml", CARD)
    return write("golden/rows.jsonl", '{"question": "q"}\n')


def test_freezing_writes_version_and_hash_and_keeps_the_rest(golden):
    done = freeze(golden)
    sha256 = hashlib.sha256(golden.read_bytes()).hexdigest()
    assert done.changed
    text = done.card.read_text("utf-8")
    assert text == f"{CARD}version: 1\nsha256: {sha256}\n"
    card = check_frozen(golden)
    assert (card.version, card.sha256) == (1, sha256)


def test_freezing_what_is_frozen_writes_nothing(golden):
    stamp = freeze(golden).card.stat().st_mtime_ns
    again = freeze(golden)
    assert not again.changed
    assert again.card.stat().st_mtime_ns == stamp


def test_another_content_is_the_next_version(golden):
    first = freeze(golden)
    golden.write_text('{"question": "r"}\n', "utf-8")
    assert freeze(golden).version == 2
    golden.write_text('{"question": "q"}\n', "utf-8")
    third = freeze(golden)
    assert (third.version, third.sha256) == (3, first.sha256)
    assert third.card.read_text("utf-8").count("sha256") == 1


@pytest.mark.parametrize(("before", "version"), [("'4'", 4), ("4", 4), ("null", 1)])
def test_the_first_freezing_keeps_the_version(golden, write, before, version):
    write("golden/rows.card.yaml", f"{CARD}version: {before}\n")
    assert freeze(golden).version == version
    assert load_card(golden).version == version


@pytest.mark.parametrize("read", [check_frozen, lambda path: open_dataset(spec(path))])
def test_a_file_edited_since_is_refused_with_both_hashes(golden, read):
    was = freeze(golden).sha256
    golden.write_text('{"question": "r"}\n', "utf-8")
    now = hashlib.sha256(golden.read_bytes()).hexdigest()
    with pytest.raises(ConfigError) as caught:
        read(golden)
    what, where, hint = caught.value.lines()
    assert was[:12] in what
    assert now[:12] in what
    assert "version 1" in what
    assert where == "at golden/rows.card.yaml:7:1"
    assert "evalkit attack freeze golden/rows.jsonl" in hint
    freeze(golden)
    read(golden)


def spec(path):
    return DatasetSpec(source=str(path), format="jsonl")


def test_a_file_that_is_not_frozen_may_change(golden):
    open_dataset(spec(golden))
    golden.write_text('{"question": "r"}\n', "utf-8")
    open_dataset(spec(golden))


def test_a_hash_without_a_number_of_a_version_is_refused(golden, write):
    write("golden/rows.card.yaml", f"{CARD}sha256: {'0' * 64}\n")
    with pytest.raises(ConfigError, match="needs a 'version' that is a number"):
        check_frozen(golden)


@pytest.mark.parametrize(
    ("card", "what"),
    [
        (f"{CARD}version: spring\n", "is a number, not 'spring'"),
        ("{licence: a, origin: b, owner: c, description: d}\n", "cannot be written"),
        (f"{CARD}version:\n  2\n", "cannot be written"),
    ],
)
def test_a_card_that_cannot_be_counted_on_stays_as_it_is(golden, write, card, what):
    path = write("golden/rows.card.yaml", card)
    with pytest.raises(ConfigError, match=what):
        freeze(golden)
    assert path.read_text("utf-8") == card


def test_without_a_card_there_is_nothing_to_write_to(golden):
    golden.with_name("rows.card.yaml").unlink()
    with pytest.raises(UsageError, match="without a card") as caught:
        freeze(golden)
    assert "golden/rows.card.yaml" in caught.value.hint
    with pytest.raises(UsageError, match="no such file"):
        freeze(golden.with_name("gone.jsonl"))
