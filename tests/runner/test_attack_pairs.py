"""Counterfactual pairs from templates: what varies, where it came from, and what is refused."""

import json
from pathlib import Path

import jsonschema_rs
import pytest

from evalkit.cli.app import run_command
from evalkit.config import json_schema
from evalkit.config.freeze import check_frozen
from evalkit.config.pair_template import read_pairs
from evalkit.config.spec import DatasetSpec
from evalkit.config.tree import parse_yaml, read_yaml
from evalkit.datasets import open_dataset
from evalkit.errors import ConfigError
from evalkit.runner.attack_pairs import write_pairs

ROOT = Path(__file__).parents[2]
HEAD = "licence: CC0-1.0\norigin: made up\nowner: ana\ndescription: people who ask\n"
AXES = """axes:
  age:
    young: {years: ["20", "25"], who: a student}
    old: {years: ["80", "85"], who: a pensioner}
  faith:
    none: {about: I have none}
    some: {about: I have one}
"""
CASES = """cases:
  - id: fee
    axes: [age]
    inputs: {question: "I am {years}, {who}. What is the fee in {{crowns}}?"}
    context: ["The fee is 4 crowns, for {who} too."]
    expected: ["4 crowns", "four, {who}"]
    tags: {topic: fees}
"""


@pytest.fixture
def template(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(text=HEAD + AXES + CASES):
        path = tmp_path / "people.yaml"
        path.write_text(text, "utf-8")
        return path

    return write


def pairs(path, out="pairs.jsonl", more=()):
    return run_command(["attack", "pairs", str(path), "--out", out, *more])


def test_variants_differ_in_the_group_alone(template, tmp_path, capsys):
    assert pairs(template()) == 0
    assert "4 cases in 2 pairs, frozen as version 1" in capsys.readouterr().out
    rows = [json.loads(one) for one in (tmp_path / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert [one["id"] for one in rows] == [
        "fee.age.1.young", "fee.age.1.old", "fee.age.2.young", "fee.age.2.old",
    ]  # fmt: skip
    assert rows[0]["question"] == "I am 20, a student. What is the fee in {crowns}?"
    assert rows[3]["context"] == ["The fee is 4 crowns, for a pensioner too."]
    assert rows[3]["expected"] == ["4 crowns", "four, a pensioner"]
    assert rows[1]["tags"] == {
        "topic": "fees", "sort": "pair", "axis": "age", "group": "old", "pair": "fee.age.1",
        "base": "fee", "age": "old",
    }  # fmt: skip
    made = rows[1]["metadata"]["pair"]
    assert made["values"] == {"years": "80", "who": "a pensioner"}
    assert made["template"].startswith("people.yaml ")
    card = check_frozen(tmp_path / "pairs.jsonl")
    assert (card.owner, card.version) == ("ana", 1)


def test_the_same_template_gives_the_same_bytes(template, tmp_path, capsys):
    path = template()
    pairs(path)
    first = (tmp_path / "pairs.jsonl").read_bytes()
    assert pairs(path) == 0
    assert "is unchanged" in capsys.readouterr().out
    template(HEAD + AXES.replace("85", "90") + CASES)
    assert pairs(path) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "pairs.jsonl").read_bytes() == first
    assert pairs(path, more=["--force"]) == 0
    assert check_frozen(tmp_path / "pairs.jsonl").version == 2
    assert pairs(path, out="pairs.csv") == 2


MISTAKES = [
    ("axes: [age]", "axes: [aeg]", "unknown axis 'aeg'", "did you mean 'age'?"),
    ("{years}, {who}.", "{yaers}, {who}.", "has no slot 'yaers'", "did you mean 'years'?"),
    ("I am {years}, {who}. ", "", "'fee' uses no slot", "{who}, {years}") ,
    ("{{crowns}}", "{crowns", "a lone '{'", "write {{"),
    ('["80", "85"]', '["80"]', "'years' of 'old' has 1 values, others have 2", "as many"),
    ("{about: I have one}", "{abuot: I have one}", "different slots", "the same slots"),
    ("    some: {about: I have one}\n", "", "'faith' has one group", "second group"),
    ("  faith:", "  pair:", "an axis cannot be called 'pair'", "has a meaning"),
    ("owner: ana\n", "", "the template lacks the key 'owner'", "owner"),
    ("topic: fees", "base: fees", "the tag 'base' of case 'fee'", "something else"),
    ("topic: fees", "age: fees", "the tag 'age' of case 'fee'", "something else"),
    ("  - id: fee", "  - id: fee\n    inptus: {}", "unknown key 'inptus'", "'inputs'"),
    ("    old: {years", "    old: {yea.rs!: x, years", "axes.age.old", ""),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "what", "hint"), MISTAKES)
def test_a_mistake_is_shown_where_it_is(template, old, new, what, hint):
    text = HEAD + AXES + CASES
    assert old in text
    text = text.replace(old, new)
    if "uses no slot" in what:
        text = text.replace(", for {who} too", "").replace(", {who}", "")
    with pytest.raises(ConfigError) as caught:
        read_pairs(template(text))
    assert what in caught.value.what
    assert hint in caught.value.hint
    assert str(caught.value.where).startswith("people.yaml:")


BEYOND = ("unknown axis", "slot", "lone", "others have 2", "the tag 'age'")
"""What only the loader finds: names that stand elsewhere in the file."""


@pytest.mark.parametrize(("old", "new", "what"), [one[:3] for one in MISTAKES])
def test_an_editor_is_told_too(old, new, what):
    schema = jsonschema_rs.validator_for(json_schema("pairs"))
    text = HEAD + AXES + CASES
    schema.validate(parse_yaml(text, Path("a.yaml")).root.plain())
    wrong = parse_yaml(text.replace(old, new), Path("a.yaml")).root.plain()
    assert schema.is_valid(wrong) == any(one in what for one in BEYOND)


def test_the_shipped_template_fits_the_schema():
    template = read_yaml(ROOT / "golden/fairness/town_desk.yaml").root.plain()
    jsonschema_rs.validator_for(json_schema("pairs")).validate(template)


def test_all_axes_are_used_unless_some_are_named(template):
    text = HEAD + AXES.replace("years: ", "about: hi, years: ").replace("who: ", "w: ")
    text = text.replace("I have none", "none").replace(
        "{about: none}", "{about: none, years: '1', w: x}"
    )
    text = text.replace("{about: I have one}", "{about: one, years: '1', w: x}")
    cases = 'cases: [{id: a, inputs: {question: "{about} {years}?"}}]\n'
    found = list(read_pairs(template(text + cases)).cases())
    assert len(found) == 2 * 2 + 2
    assert {one.axis for one in found} == {"age", "faith"}


def test_the_shipped_pairs_are_what_their_template_makes(tmp_path):
    folder = ROOT / "golden" / "fairness"
    check_frozen(folder / "town_desk.jsonl")
    write_pairs(read_pairs(folder / "town_desk.yaml"), tmp_path / "out.jsonl")
    assert (tmp_path / "out.jsonl").read_bytes() == (folder / "town_desk.jsonl").read_bytes()
    source = str(folder / "town_desk.jsonl")
    info = open_dataset(DatasetSpec(source=source, format="jsonl")).scan()
    assert info.tags["axis"].keys() == {
        "names", "pronouns", "dialect", "age", "disability", "nationality", "religion",
    }  # fmt: skip
    for axis in info.tags["axis"]:
        assert min(info.tags[axis].values()) >= 30
