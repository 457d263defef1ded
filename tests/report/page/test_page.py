"""The page as text: what it says, what it holds, and that it is whole whatever a model wrote."""

import base64
import gzip
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from evalkit.config.spec import GateLimit
from evalkit.errors import UsageError
from evalkit.gate.result import GateResult, Status, Verdict
from evalkit.model import Case, Evidence, ToolCall
from evalkit.report import words
from evalkit.report.html import page_files, page_html
from evalkit.report.page_build import changes
from evalkit.report.page_json import read_report, report_json
from evalkit.report.page_shown import shown
from evalkit.report.screen import Screen
from evalkit.report.verdict import diff_text, verdict_text
from evalkit.report.verdict_comment import verdict_markdown
from evalkit.store import Store
from tests.report.page.pages import (
    AFTER,
    BEFORE,
    HOSTILE,
    case_of,
    run_of,
    stored,
    trial_of,
    view_of,
)

ASSETS = __import__("pathlib").Path(page_html.__code__.co_filename).parent / "assets"


SECRET = "hunter2-very-secret"


class Page(HTMLParser):
    """Tags, visible text and data of a page, as a browser without scripts would see them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.visible, self.inside = [], {}, [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in {"script", "style"}:
            self.inside = [tag, dict(attrs).get("id", ""), ""]

    def handle_data(self, data):
        if self.inside:
            self.inside[2] += data
        else:
            self.visible.append(data)

    def handle_endtag(self, tag):
        if self.inside and tag == self.inside[0]:
            self.scripts[self.inside[1] or tag] = self.inside[2]
            self.inside = []

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.visible))

    def data(self, name):
        return json.loads(gzip.decompress(base64.b64decode(self.scripts[f"data-{name}"])))


def two_runs(folder, outputs, *, cases=None):
    """Both runs over the same cases; ``outputs`` has before and after by case number."""
    cases = cases or {number: case_of(number) for number in outputs}
    return stored(
        folder,
        {
            BEFORE: [trial_of(BEFORE, cases[n], one) for n, (one, _) in outputs.items()],
            AFTER: [trial_of(AFTER, cases[n], two) for n, (_, two) in outputs.items()],
        },
    )


MIXED = {
    0: ("answer 0", "something else"),  # regressed
    1: ("wrong", "answer 1"),  # improved
    2: ("wrong", "also wrong"),  # reworded
    3: ("answer 3", "answer 3"),  # same
    4: ("answer 4", None),  # error
}


def test_what_became_of_every_case_and_in_which_order(tmp_path):
    view = view_of(two_runs(tmp_path, MIXED))
    outcomes = [view.rows.outcomes[one] for one in view.rows.outcome]
    assert dict(zip(view.rows.name, outcomes, strict=True)) == {
        "case-000": "regressed",
        "case-004": "error",
        "case-001": "improved",
        "case-002": "reworded",
        "case-003": "same",
    }
    assert outcomes == ["regressed", "error", "improved", "reworded", "same"]
    assert view.rows.before[0] == 1.0
    assert view.rows.after[0] == 0.0
    assert view.rows.after_ms[0] == 201
    tag = view.rows.tags["lang"]
    assert tag.values[tag.codes[0]] == "en"


def test_cases_that_one_side_lacks_and_trials_that_disagree(tmp_path):
    old, changed, new = case_of(0), case_of(1), case_of(2)
    again = case_of(1).of(
        {"question": "What is the answer to question 1?"},
        expected="another answer",
        context=list(changed.context),
        name="case-001",
    )
    flaky = case_of(3)
    store = stored(
        tmp_path,
        {
            BEFORE: [trial_of(BEFORE, one, "answer 0") for one in (old, changed)]
            + [trial_of(BEFORE, flaky, "answer 3", index=n) for n in (0, 1)],
            AFTER: [trial_of(AFTER, one, "x") for one in (again, new)]
            + [trial_of(AFTER, flaky, text, index=n) for n, text in enumerate(("answer 3", "no"))],
        },
    )
    view = view_of(store)
    found = {
        name: view.rows.outcomes[code]
        for name, code in zip(view.rows.name, view.rows.outcome, strict=True)
    }
    # the candidate's trials disagree, and on the mean it fell
    assert found["case-003"] == "regressed"
    assert view.rows.flaky[view.rows.name.index("case-003")] == 1
    assert {found[one] for one in ("case-000", "case-001", "case-002")} <= {
        "lost", "changed", "new", "removed",
    }  # fmt: skip


def test_the_first_screen_says_it_all_without_a_script(tmp_path):
    page = Page(page_html(view_of(two_runs(tmp_path, MIXED))))
    for said in (
        "1 regressed, 1 error, 1 improved, 1 reworded, 1 same",
        f"baseline {BEFORE} main@a1b2c3d, 1 day older",
        f"candidate {AFTER} pr-482@d4e5f6a",
        "5 paired cases",
        "What changed in the configuration",
        "passages",
        "and what you know",
        "temperature",
        "case-000",
        "something else",
        "exact_match.rate",
    ):
        assert said in page.text, said


def test_what_was_asked_or_answered_with_nothing_is_quoted(tmp_path):
    case = Case.of({"question": " ", "shop": "Bo's"}, expected="answer 1", name="silent")
    outputs = {BEFORE: "answer 1", AFTER: ""}
    trials = {run: [trial_of(run, case, text)] for run, text in outputs.items()}
    text = Page(page_html(view_of(stored(tmp_path, trials)))).text
    assert 'question: " " shop: Bo\'s' in text
    assert 'Candidate""' in text


def test_tool_calls_are_part_of_what_was_answered(tmp_path):
    one = trial_of(AFTER, case_of(0), "Done.")
    calls = (ToolCall(name="pay", arguments='{"to": 7}'),)
    called = replace(one, output=replace(one.output, tool_calls=calls))
    store = stored(tmp_path, {BEFORE: [trial_of(BEFORE, case_of(0), "Done.")], AFTER: [called]})
    text = Page(page_html(view_of(store))).text
    assert 'CandidateDone. tool call: pay({"to": 7})' in text


def test_a_slice_that_is_gone_is_named_by_page_comment_and_terminal(tmp_path):
    cases = {number: case_of(number) for number in range(33)}
    kept = [number for number in cases if cases[number].tags["lang"] != "ar"]
    view = view_of(
        stored(
            tmp_path,
            {
                BEFORE: [trial_of(BEFORE, cases[n], f"answer {n}") for n in cases],
                AFTER: [trial_of(AFTER, cases[n], f"answer {n}") for n in kept],
            },
        )
    )
    said = "lang=ar, all 11 cases"
    assert f"Gone from the candidate: {said}." in Page(page_html(view)).text
    verdict = Verdict(candidate=AFTER, baseline=(BEFORE,), compared=view.compared)
    assert f"- ⚠ gone: {said}" in verdict_markdown(verdict)
    assert f"gone   {said}\n" in verdict_text(verdict, Screen(width=80))


def test_gates_with_one_reason_say_it_once(tmp_path):
    def result(gate):
        return GateResult(
            gate=gate, metric="pass.rate", limit=GateLimit(kind="max_drop", value=0.1),
            mode="prove", suite="support", target="bot", reason="there is no baseline",
        )  # fmt: skip

    view = view_of(two_runs(tmp_path, MIXED))
    names = [f"gate-{number}" for number in range(4)]
    verdict = Verdict(candidate=AFTER, results=tuple(map(result, names)))
    text = Page(page_html(replace(view, verdict=verdict))).text
    words = text[text.index("In words") : text.index("What changed")]
    assert words.count("there is no baseline") == 1
    assert f"ERROR {', '.join(names)} on bot: there is no baseline." in words


@pytest.mark.parametrize("passing", [3, 9])
def test_of_many_gates_those_that_pass_are_folded(tmp_path, passing):
    def result(gate, status):
        limit = GateLimit(kind="max", value=0.1)
        return GateResult(gate=gate, metric="pass.rate", limit=limit, mode="prove", status=status)

    found = [result(f"good-{n}", Status.PASS) for n in range(passing)]
    verdict = Verdict(candidate=AFTER, results=(*found, result("bad", Status.FAIL)))
    view = replace(view_of(two_runs(tmp_path, MIXED)), verdict=verdict)
    told = shown(view, left_out=0)
    assert [one["name"] for one in told["passed"]] == (
        [one.gate for one in found] if passing == 9 else []
    )
    assert told["gates"][0]["name"] == "bad"
    text = Page(page_html(view)).text
    assert ("9 more, which pass" in text) == (passing == 9)
    assert all(f"good-{n}" in text for n in range(passing))


def test_metrics_that_one_reason_kept_from_comparing_share_it(tmp_path):
    outputs = {
        n: (f"answer {n}", None if n == 0 else f"answer {n if n > 4 else 99}") for n in range(40)
    }
    view = view_of(two_runs(tmp_path, outputs))
    text = Page(page_html(view)).text
    reason = "1 of 40 cases lack a result, 2 % may; the levels are of the other 39"
    assert text.count(reason) == 1
    named = text[: text.index(reason)].rpartition(" not told apart ")[2]
    assert "exact_match.rate, " in named
    assert ", cost.mean" in named
    # both levels are of the cases that have both answers, and so is the count
    (rate,) = (one for one in view.moves if one.metric == "exact_match.rate")
    assert (rate.baseline, rate.n, rate.difference) == (1.0, 39, None)
    assert rate.candidate == pytest.approx(35 / 39)
    (table,) = shown(view, left_out=0)["comparisons"]
    (row,) = (one for one in table["rows"] if one["metric"] == "exact_match.rate")
    assert [one["value"] for one in row["sides"]] == ["100 %", "90 %"]
    assert (row["n"], row["change"], row["why"]) == ("39", words.NONE, "")


def test_the_index_finds_every_text(tmp_path):
    view = view_of(two_runs(tmp_path, MIXED))
    page = Page(page_html(view))
    index = page.data("index")
    block, rows = page.data("b0"), page.data("texts")
    assert index["id"].split("\n") == list(view.rows.id)
    assert index["name"].split("\n") == list(view.rows.name)
    assert sorted(rows) == list(range(len(view.rows.id)))
    for case, row in zip(block, rows, strict=True):
        assert case["row"] == row
        assert case["before"][0]["scores"][0]["name"] == "exact_match"
    worst = block[rows.index(0)]
    assert worst["after"][0]["text"] == "something else"
    assert worst["inputs"] == [["question", "What is the answer to question 0?"]]


def test_hostile_texts_stay_texts(tmp_path):
    before, after = [], []
    for evil in HOSTILE.values():
        case = Case.of(
            {"question": evil}, expected=evil, context=[evil], name=evil, tags={evil: evil}
        )
        mark = Evidence(source="output", start=0, end=4, text=evil[:4], reason=evil)
        before.append(trial_of(BEFORE, case, evil))
        after.append(trial_of(AFTER, case, evil + "!", passed=False, reason=evil, evidence=(mark,)))
    text = page_html(view_of(stored(tmp_path, {BEFORE: before, AFTER: after})))
    calm = Page(page_html(view_of(two_runs(tmp_path / "calm", MIXED))))
    page = Page(text)
    # no tag or attribute that a harmless page has not
    harmless = {(tag, tuple(sorted(attrs))) for tag, attrs in calm.tags}
    assert {(tag, tuple(sorted(attrs))) for tag, attrs in page.tags} <= harmless
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    # the store holds UTF-8: half of a pair became the replacement character on its way in
    told = {one["after"][0]["text"] for one in page.data("b0")}
    assert told == {one.replace("\ud83d", "\ufffd") + "!" for one in HOSTILE.values()}
    text.encode("utf-8")


def test_the_policy_names_the_script_and_the_style_by_their_hashes(tmp_path):
    page = Page(page_html(view_of(two_runs(tmp_path, MIXED))))
    policy = next(one["content"] for tag, one in page.tags if "http-equiv" in one)
    for name in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(page.scripts[name].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    loads = {"src", "href", "srcset", "action", "background", "poster", "data"}
    assert not [one for _, one in page.tags if loads & set(one)]


def test_the_assets_are_small():
    page = page_html.__globals__["_asset"]("report.js")
    assert len(page.encode()) <= 25_000
    assert len((ASSETS / "report.css").read_bytes()) <= 10_000


def test_split_files_for_servers_that_forbid_inline_code(tmp_path):
    view = view_of(two_runs(tmp_path, MIXED))
    files = page_files(view, "report.html")
    assert set(files) == {
        "report.html", "report.css", "report.js", "data/index.json.gz", "data/texts.json.gz",
        "data/b0.json.gz",
    }  # fmt: skip
    page = Page(files["report.html"].decode())
    assert "script-src 'self'" in next(o["content"] for _, o in page.tags if "http-equiv" in o)
    assert json.loads(gzip.decompress(files["data/b0.json.gz"]))[0]["before"]


def test_the_size_is_kept_and_what_is_missing_is_said(tmp_path):
    import random

    dice = random.Random(1)
    noise = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz ", k=9_000)) for _ in range(60)]
    outputs = {n: (f"answer {n}", noise[n]) for n in range(60)}
    view = view_of(two_runs(tmp_path, outputs))
    text = page_html(view, budget=300_000)
    assert len(text.encode()) <= 300_000
    page = Page(text)
    kept = len(page.data("texts"))
    assert 0 < kept < 60
    assert (
        f"The texts of {60 - kept} cases, the least telling ones, are not in this page" in page.text
    )
    # the worst first: what is kept is the head of the list
    assert page.data("texts") == list(range(kept))


def test_a_long_answer_is_cut_and_says_so(tmp_path):
    view = view_of(two_runs(tmp_path, {0: ("answer 0", "x" * 5_000_000)}))
    (case,) = view.texts
    assert len(case.after[0].text) == 20_000
    assert case.after[0].cut == 4_980_000
    assert len(page_html(view)) < 400_000


@pytest.mark.parametrize("outputs", [{0: (None, None)}, {0: ("answer 0", "answer 0")}])
def test_all_errors_and_one_case(tmp_path, outputs):
    page = Page(page_html(view_of(two_runs(tmp_path, outputs))))
    assert ("1 error" if outputs[0][0] is None else "1 same") in page.text


def test_a_run_without_cases_and_runs_without_common_cases(tmp_path):
    empty = stored(tmp_path / "empty", {BEFORE: [], AFTER: []})
    assert "no cases" in Page(page_html(view_of(empty))).text
    apart = stored(
        tmp_path / "apart",
        {
            BEFORE: [trial_of(BEFORE, case_of(n), "x") for n in range(3)],
            AFTER: [trial_of(AFTER, case_of(n), "x") for n in range(10, 13)],
        },
    )
    view = view_of(apart)
    assert {view.rows.outcomes[one] for one in view.rows.outcome} <= {"new", "removed", "lost"}
    text = Page(page_html(view)).text
    assert "case-010" in text
    assert "0 paired cases" in text
    assert "Nothing to compare: the baseline has none of the cases of support/bot." in text
    assert "Comparable" not in text


def test_a_target_that_the_baseline_lacks_has_new_cases(tmp_path):
    trials = {run: [trial_of(run, case_of(0), "x", target=run[-6:])] for run in (BEFORE, AFTER)}
    view = view_of(stored(tmp_path, trials))
    assert [view.rows.outcomes[one] for one in view.rows.outcome] == ["new"]


def test_cases_that_a_limited_run_was_not_asked_are_not_removed(tmp_path):
    cases = {number: case_of(number) for number in range(12)}
    answers = {number: "x" if number % 3 == 0 else f"answer {number}" for number in range(12)}
    trials = {
        BEFORE: [trial_of(BEFORE, one, f"answer {n}") for n, one in cases.items()],
        AFTER: [trial_of(AFTER, one, answers[n]) for n, one in cases.items() if n < 9],
    }
    data = run_of(AFTER, planned=12).datasets[0]
    part = replace(data, selected=9)
    view = view_of(stored(tmp_path, trials, datasets=(part,), settings={"limit": 9}))
    text = Page(page_html(view)).text
    assert "3 not run" in text
    assert "removed" not in text
    assert "9 paired cases" in text
    # of the three cases of each language that were asked, not of all four
    assert [(one.slice, one.regressed, one.cases) for one in view.lifts] == []
    (compared,) = view.compared
    assert (compared.regressed, len(compared.not_run)) == (3, 3)


def test_a_case_that_the_baseline_did_not_answer_is_not_called_the_same(tmp_path):
    view = view_of(two_runs(tmp_path, {**MIXED, 5: (None, "answer 5"), 6: (None, None)}))
    outcomes = [view.rows.outcomes[one] for one in view.rows.outcome]
    found = dict(zip(view.rows.name, outcomes, strict=True))
    assert (found["case-005"], found["case-006"]) == ("unscored", "error")
    (compared,) = view.compared
    assert (compared.errored, compared.unscored, compared.same, compared.reworded) == (2, 1, 2, 1)
    assert compared.paired == sum(
        (compared.regressed, compared.improved, compared.errored, compared.unscored, compared.same)
    )
    screen = Screen(width=100)
    assert "x2 errors 1 unscored +1 improved ~1 reworded =1 same" in diff_text(
        view.compared, screen
    ).replace("  ", " ")


def test_runs_in_which_nothing_is_scored_share_their_cases_all_the_same(tmp_path):
    view = view_of(two_runs(tmp_path, {0: (None, None), 1: (None, None)}))
    text = diff_text(view.compared, Screen(width=100))
    assert "x2 errors" in text
    assert "share no case" not in text


def test_slices_count_the_cases_that_could_regress(tmp_path):
    outputs = {n: (f"answer {n}", "x" if n % 3 == 0 else f"answer {n}") for n in range(24)}
    outputs |= {n: (f"answer {n}", None) for n in (3, 6)}
    view = view_of(two_runs(tmp_path, outputs))
    assert ("lang=en", 6, 6) in [(one.slice, one.regressed, one.cases) for one in view.lifts]


def test_of_several_trials_the_one_that_tells_is_read_first(tmp_path):
    case = case_of(3)
    answers = {BEFORE: ("no", "answer 3", "answer 3"), AFTER: ("answer 3", "no", "answer 3")}
    trials = {
        run: [trial_of(run, case, text, index=n) for n, text in enumerate(texts)]
        for run, texts in {**answers, BEFORE: ("answer 3",) * 3}.items()
    }
    (text,) = view_of(stored(tmp_path, trials)).texts
    assert [one.text for one in text.after] == ["no", "answer 3", "answer 3"]
    assert [one.facts[0] for one in text.after] == ["trial 1", "trial 0", "trial 2"]
    assert "no" in Page(page_html(view_of(Store(tmp_path / "evalkit.duckdb")))).text


def test_what_cannot_be_seen_is_written_out_without_a_script_too(tmp_path):
    case = Case.of({"question": "so\u200b?"}, expected="answer 1", name="hidden")
    outputs = {BEFORE: "answer 1", AFTER: "pay \u202enow"}
    store = stored(tmp_path, {run: [trial_of(run, case, one)] for run, one in outputs.items()})
    text = Page(page_html(view_of(store))).text
    assert "so\\u{200b}?" in text
    assert "pay \\u{202e}now" in text


def test_a_prompt_that_changed_in_what_cannot_be_seen_shows_it(tmp_path):
    trials = {run: [trial_of(run, case_of(0), "x")] for run in (BEFORE, AFTER)}
    store = stored(tmp_path, trials)
    old, new = store.load_run(BEFORE), store.load_run(AFTER)
    texts = ("Answer briefly.\n", "Answer\u00a0briefly.\n")
    old, new = (
        replace(run, prompts=(replace(run.prompts[0], text=text),))
        for run, text in zip((old, new), texts, strict=True)
    )
    (prompt, _) = changes(old, new)
    pieces = [(one.kind, one.text) for one in prompt.hunks[0].pieces if one.kind != "same"]
    assert any("\\u{a0}" in text for kind, text in pieces if kind == "added")


def test_one_run_alone(tmp_path):
    page = Page(page_html(view_of(two_runs(tmp_path, MIXED), alone=True)))
    assert "1 error, 2 failed, 2 passed" in page.text
    assert "baseline" not in page.text
    assert page.data("index")["baseline"] == ""


def test_the_same_value_makes_the_same_page(tmp_path):
    store = two_runs(tmp_path, MIXED)
    assert page_html(view_of(store)) == page_html(view_of(store))


def test_a_report_survives_a_trip_through_json(tmp_path):
    view = view_of(two_runs(tmp_path, {**MIXED, 5: ("answer 5", HOSTILE["surrogate"])}))
    path = tmp_path / "run.json"
    path.write_text(report_json(view), encoding="utf-8")
    again = read_report(path)
    assert page_html(again) == page_html(view)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{", "this is no JSON"),
        ("[]", "this is no report of evalkit"),
        ('{"kind": "run"}', "this is no report of evalkit"),
        ('{"kind": "report", "format": 99}', "the report has format 99, and this evalkit reads 1"),
        (
            '{"kind": "report", "format": 1, "title": 3}',
            "the report is damaged: report.title is no str",
        ),
    ],
)
def test_a_file_that_is_no_report(tmp_path, text, what):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_report(path)
    assert caught.value.what.startswith(what)
    assert caught.value.hint


def test_secrets_of_this_process_do_not_reach_a_page(tmp_path):
    from evalkit.secrets import process_redactor

    process_redactor().register([SECRET])
    case = case_of(0)
    store = stored(
        tmp_path,
        {
            BEFORE: [trial_of(BEFORE, case, "answer 0")],
            AFTER: [
                trial_of(AFTER, case, "it is hunter2-very-secret", reason="hunter2-very-secret")
            ],
        },
    )
    text = page_html(view_of(store))
    page = Page(text)
    assert "hunter2" not in text
    assert "hunter2" not in json.dumps([page.data("index"), page.data("b0")])
