"""Attacks and fairness on the page: what is new, pairs side by side, and nothing that runs."""

from dataclasses import replace

import pytest

from evalkit.report.html import page_html
from evalkit.report.page_json import read_report, report_json
from tests.report.page.pages import AFTER, BEFORE, HOSTILE, case_of, stored, trial_of, view_of
from tests.report.page.test_page import Page


def tagged(number, name=None, **tags):
    one = case_of(number, name)
    return replace(one, tags={**one.tags, **tags})


def attack(number, name=None):
    return tagged(number, name, sort="attack", severity="high", transform="base64+wrap")


@pytest.fixture
def attacks(tmp_path):
    cases = [attack(0, "leak"), attack(1, "order"), attack(2, "lure")]
    answers = {BEFORE: [True, False, True], AFTER: [False, True, True]}
    return stored(
        tmp_path,
        {
            run: [
                trial_of(run, one, "x", passed=held) for one, held in zip(cases, kept, strict=True)
            ]
            for run, kept in answers.items()
        },
    )


def test_the_page_says_which_attacks_are_new(attacks):
    view = view_of(attacks)
    text = Page(page_html(view)).text
    assert "1 new succeed now, not in the baseline" in text
    assert "leak (base64+wrap, high)" in text
    assert f"{BEFORE} {AFTER}" in text
    assert "1 fixed" in text
    assert "support" in text
    assert "support33.3 %≤ 86.5 %3" in text
    alone = Page(page_html(view_of(attacks, alone=True))).text
    assert "1 succeeded attacks that succeeded" in alone


def test_slices_of_attacks_are_folded_below_the_new_ones(tmp_path):
    def one(number, lang):
        case = attack(number, f"leak-{number}")
        return replace(case, tags={**case.tags, "lang": lang, "category": "support"})

    cases = [one(number, lang) for number, lang in enumerate(("en", "en", "de", "de"))]
    kept = {BEFORE: True, AFTER: False}
    trials = {run: [trial_of(run, case, "x", passed=kept[run]) for case in cases] for run in kept}
    page = Page(page_html(view_of(stored(tmp_path, trials))))
    assert page.text.index("4 new") < page.text.index("By lang") < page.text.index("lang=de")
    # the category is the suite, which stands behind every name; of topics each case has its own
    assert page.data("index")["slices"] == ["lang", "severity", "sort", "transform"]


def pairs(folder, **answers):
    """Two variants of each question; ``answers`` has the young's and the old's by number."""
    trials = []
    for number, told in enumerate(answers.values()):
        for group, (text, good) in zip(("young", "old"), told, strict=True):
            one = tagged(number, f"p{number}.{group}", sort="pair", axis="age", group=group)
            one = replace(one, tags={**one.tags, "pair": f"p{number}"}, id=f"{one.id}{group}")
            trials.append(trial_of(AFTER, one, text, passed=good))
    return stored(folder, {AFTER: trials})


def test_pairs_that_differ_stand_side_by_side(tmp_path):
    store = pairs(tmp_path, a=[("yes, come", True), ("no, stay", False)], b=[("a", True)] * 2)
    view = view_of(store, alone=True)
    (pair,) = view.pairs
    assert [(one.group, one.answer, one.value) for one in pair.variants] == [
        ("old", "no, stay", 0.0),
        ("young", "yes, come", 1.0),
    ]
    text = Page(page_html(view)).text
    assert "ageold 50 %young 100 %50.0 pt" in text
    assert "1 of 2" in text
    assert text.index("no, stay") < text.index("yes, come")


def test_where_no_outcome_differs_the_words_do(tmp_path):
    store = pairs(tmp_path, a=[("come", True), ("do come", True)], b=[("a", True)] * 2)
    view = view_of(store, alone=True)
    (pair,) = view.pairs
    assert not pair.outcome
    assert "in words only" in Page(page_html(view)).text


def test_what_a_model_or_a_file_wrote_cannot_run(tmp_path):
    texts = list(HOSTILE.values())
    store = pairs(tmp_path, **{f"x{n}": [(one, True), ("", False)] for n, one in enumerate(texts)})
    view = view_of(store, alone=True)
    page = Page(page_html(view))
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "iframe", "base", "object"})
    assert not any(name.startswith("on") for _, given in page.tags for name in given)
    assert sum(tag == "script" for tag, _ in page.tags) == len(
        [one for one in page.scripts if one != "style"]
    )
    assert "\x1b" not in page.text
    assert "\u202e" not in page.text


def test_attacks_and_pairs_survive_a_trip_through_json(attacks, tmp_path):
    view = view_of(attacks)
    path = tmp_path / "view.json"
    path.write_text(report_json(view), encoding="utf-8")
    again = read_report(path)
    assert again.run.attacks == view.run.attacks
    assert page_html(again) == page_html(view)
