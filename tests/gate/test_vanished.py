"""A slice that the baseline had and the candidate lacks was not judged, and so did not pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from evalkit.gate.result import Status
from evalkit.model import DatasetVersion
from evalkit.stats.sides import Side, of_cases
from tests.gate.benches import gate, limit, side, stored, verdict

LANGS = ["de"] * 60 + ["en"] * 100 + ["fr"] * 100 + ["it"] * 9
DROP = limit("max_drop", 0.1)


def run(name: str, langs: list[str] = LANGS) -> Side:
    return side([[1.0]] * len(langs), tags={"lang": langs}, run=name)


def without(one: Side, lang: str, *, keep: int = 0) -> Side:
    gone = [case for case, tag in zip(one.cases, one.tags["lang"], strict=True) if tag == lang]
    return of_cases(one, set(one.cases) - set(gone[keep:]))


def judged(after: Side, *gates, before: Side | None = None):
    old = stored(before or run("old"))
    return verdict(old, stored(after, version="e5e5"), *gates)


@pytest.mark.parametrize(
    "limits", [(DROP,), (limit("min", 0.5),), (limit("max_gap", 0.5),)], ids=["drop", "min", "gap"]
)
def test_a_slice_that_was_taken_out_is_an_error_that_names_it(limits):
    one = gate("pass.rate", *limits, by=("lang",), id="langs")
    found = judged(without(run("new"), "de"), one)
    assert found.status is Status.ERROR
    (gone,) = [one for one in found.results if one.status is Status.ERROR]
    assert gone.where == "lang=de"
    assert gone.reason.startswith("60 cases in the baseline, none of them now; if that is meant,")
    assert any(one.status is Status.PASS for one in found.results)


def test_a_slice_of_which_hardly_any_case_is_left_is_an_error_too():
    one = gate("pass.rate", DROP, by=("lang",), id="langs")
    (gone,) = [
        one
        for one in judged(without(run("new"), "de", keep=3), one).results
        if one.status is Status.ERROR
    ]
    assert gone.reason.startswith("60 cases in the baseline, 3 of them now, and fewer than 30")
    assert judged(without(run("new"), "de", keep=30), one).status is Status.PASS


def test_a_slice_that_lost_a_few_cases_is_only_said_to_be_too_small():
    langs = ["de"] * 31 + ["en"] * 100
    one = gate("pass.rate", DROP, by=("lang",), id="langs")
    found = judged(without(run("new", langs), "de", keep=29), one, before=run("old", langs))
    assert found.status is Status.PASS
    (small,) = [one for one in found.results if one.status is Status.INCONCLUSIVE]
    assert small.reason == "groups below 30 cases are not judged: de (29)"


def test_every_slice_counts_that_the_gate_would_have_judged_and_no_other():
    one = gate("pass.rate", DROP, by=("lang",), id="langs")
    small = judged(without(run("new"), "it"), one)
    assert small.status is Status.PASS  # nine cases were never judged
    both = judged(without(without(run("new"), "de"), "fr"), one)
    named = [one.where for one in both.results if one.status is Status.ERROR]
    assert named == ["lang=de", "lang=fr"]


def test_a_slice_called_otherwise_or_without_its_tag_is_gone():
    one = gate("pass.rate", limit("min", 0.5), by=("lang",), id="langs")
    renamed = run("new", ["german" if lang == "de" else lang for lang in LANGS])
    found = judged(renamed, one)
    assert [one.where for one in found.results if one.status is Status.ERROR] == ["lang=de"]
    untagged = replace(run("new"), tags={})
    named = {one.where for one in judged(untagged, one).results}
    assert named == {"lang=de", "lang=en", "lang=fr"}


def test_a_slice_whose_cases_were_all_edited_is_compared_with_nothing():
    new = run("new")
    edited = [f"other-{one}" if place < 60 else one for place, one in enumerate(new.cases)]
    one = gate("pass.rate", DROP, by=("lang",), id="langs")
    found = judged(replace(new, cases=edited), one)
    assert [one.where for one in found.results if one.status is Status.ERROR] == ["lang=de"]


def test_what_the_baseline_lacks_too_is_not_gone():
    one = gate("pass.rate", DROP, by=("lang",), id="langs")
    old, new = without(run("old"), "de"), without(run("new"), "de")
    assert judged(new, one, before=old).status is Status.PASS
    # both runs were asked for the same part of the same data
    part = DatasetVersion(
        suite="support",
        source="golden/support.jsonl",
        version="d4d4",
        format="jsonl",
        cases=len(LANGS),
        selected=len(new.cases),
    )
    alike = [stored(each, datasets=(part,)) for each in (old, new)]
    assert verdict(*alike, one).status is Status.PASS


def test_chosen_cases_that_were_taken_out_are_named():
    after = without(run("new"), "de")
    for rule in (DROP, limit("min", 0.5), limit("must", 0)):
        one = gate("pass.rate", rule, cases=("tag:lang=de",), id="german")
        (gone,) = judged(after, one, gate("pass.rate", DROP, id="all")).results[:1]
        assert gone.status is Status.ERROR
        assert gone.reason.startswith("tag:lang=de: 60 cases in the baseline, none of them now; ")


def test_a_gate_on_a_part_of_the_cases_counts_that_part():
    tags = {"lang": LANGS, "hard": ["yes"] * 20 + ["no"] * (len(LANGS) - 20)}
    old, new = (replace(run(name), tags=tags) for name in ("old", "new"))
    one = gate("pass.rate", DROP, by=("lang",), cases=("tag:hard=no",), id="langs")
    (gone,) = [
        one
        for one in judged(without(new, "de"), one, before=old).results
        if one.status is Status.ERROR
    ]
    assert gone.reason.startswith("40 cases in the baseline")


def test_more_small_groups_than_are_named_are_counted():
    langs = ["en"] * 40 + ["fr"] * 40 + [f"l{one}" for one in range(8)]
    one = gate("pass.rate", limit("max_gap", 0.5), by=("lang",))
    (found,) = verdict(None, run("new", langs), one).results
    names = ", ".join(f"l{one} (1)" for one in range(6))
    assert found.notes == (f"below 30 cases: {names} and 2 more",)
