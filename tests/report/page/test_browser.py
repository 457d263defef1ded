"""The page in a real browser: nothing hostile runs or loads, and everything works by keyboard.

Needs playwright and a Chromium (``nox -s ui``); without them these tests are skipped.
"""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.model import Case, Evidence, ToolCall
from evalkit.report.html import page_files, page_html
from evalkit.report.words import seen
from tests.report.page.pages import AFTER, BEFORE, HOSTILE, case_of, stored, trial_of, view_of

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = os.environ.get("EVALKIT_BROWSER") or shutil.which("chromium") or ""
AXE = os.environ.get("EVALKIT_AXE", "")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
pytestmark = pytest.mark.skipif(not BROWSER, reason="no Chromium: set EVALKIT_BROWSER")


@pytest.fixture(scope="module")
def chromium():
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    """Regressed, improved, reworded and failed cases, and one of each hostile text."""
    before, after = [], []
    for number in range(40):
        case = case_of(number)
        good = str(case.expected)
        old, new = good, good
        if number % 5 == 0:
            new = f"something about {number} that is not expected at all"
        elif number % 7 == 0:
            old = "wrong"
        elif number == 11:
            new = None
        before.append(trial_of(BEFORE, case, old))
        after.append(trial_of(AFTER, case, new, reason=None if new == good else "not as expected"))
    for evil in HOSTILE.values():
        case = Case.of(
            {"question": evil}, expected=evil, context=[evil], name=evil, tags={"e": evil}
        )
        mark = Evidence(source="output", start=0, end=4, text=evil[:4], reason=evil)
        before.append(trial_of(BEFORE, case, evil))
        after.append(trial_of(AFTER, case, f"{evil}!", passed=False, reason=evil, evidence=(mark,)))
    store = stored(tmp_path_factory.mktemp("browser"), {BEFORE: before, AFTER: after})
    return view_of(store)


@pytest.fixture(scope="module")
def page_file(view, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_html(view), encoding="utf-8")
    return path


class Opened:
    """A page with everything it asked for and complained about."""

    def __init__(self, browser, path, **context):
        self.context = browser.new_context(viewport={"width": 1366, "height": 900}, **context)
        self.tab = self.context.new_page()
        self.requests, self.said, self.failures = [], [], []
        self.tab.on("request", lambda one: self.requests.append(one.url))
        self.tab.on("console", lambda one: self.said.append(one.text))
        self.tab.on("pageerror", lambda one: self.failures.append(str(one)))
        self.tab.goto(Path(path).as_uri())
        if context.get("java_script_enabled", True):
            self.tab.wait_for_function("() => document.documentElement.dataset.ready")

    def count(self):
        return int(self.tab.text_content("#count").split()[0])

    def filter(self, query):
        self.tab.fill("#q", query)
        self.tab.wait_for_timeout(30)
        return self.count()

    def close(self):
        self.context.close()


@pytest.fixture
def opened(chromium, page_file):
    page = Opened(chromium, page_file)
    yield page
    assert page.failures == []
    page.close()


def test_nothing_hostile_runs_or_loads(opened):
    opened.filter("s:regressed")
    total = opened.count()
    opened.tab.focus("#list")
    for _ in range(total):
        opened.tab.keyboard.press("n")
        opened.tab.wait_for_timeout(5)
        opened.tab.keyboard.press("d")
    opened.tab.wait_for_timeout(100)
    assert opened.tab.evaluate("window.hurt") is None
    assert [one for one in opened.requests if not one.startswith("file:")] == []
    assert [one for one in opened.said if "Content Security Policy" in one] == []


def test_a_script_that_got_in_all_the_same_is_refused(chromium, page_file, tmp_path):
    broken = page_file.read_text("utf-8").replace(
        "<main>",
        "<main><script>window.hurt=1</script><img src=http://127.0.0.1:9/x onerror=hurt=2>",
    )
    path = tmp_path / "broken.html"
    path.write_text(broken, "utf-8")
    page = Opened(chromium, path)
    page.tab.wait_for_timeout(100)
    assert page.tab.evaluate("window.hurt") is None
    assert any("Content Security Policy" in one for one in page.said)
    page.close()


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 51),
        ("s:regressed", 19),
        ("s:improved", 4),
        ("s:error", 1),
        ("-s:same", 24),
        ("case-00", 10),
        ("case-00 s:regressed", 2),
        ("lang:es case-", 13),
        ("tags.lang:es case-", 13),
        ("lang:e case-", 27),
        ("d:<-0.5", 19),
        ("d:>0", 4),
        ("suite:support target:bot base:1 cand:0", 19),
        ("ms:>=240", 1),
        ('"no such words"', 0),
    ],
)
def test_the_filter(opened, query, count):
    assert opened.filter(query) == count
    assert opened.tab.text_content("#error") == ""


def test_a_slice_writes_its_cases_into_the_filter(chromium, tmp_path):
    trials = {BEFORE: [], AFTER: []}
    for number in range(24):
        case = replace(case_of(number), tags={"topic": ("late parcels", "late")[number % 2]})
        trials[BEFORE].append(trial_of(BEFORE, case, f"answer {number}"))
        trials[AFTER].append(trial_of(AFTER, case, "x" if number % 2 else f"answer {number}"))
    trials[AFTER][0] = trial_of(AFTER, trials[AFTER][0].case, "x")
    path = tmp_path / "report.html"
    path.write_text(page_html(view_of(stored(tmp_path, trials))), "utf-8")
    page = Opened(chromium, path)
    button = page.tab.query_selector("td button")
    assert button.text_content() == "topic:late"
    button.click()
    assert page.tab.input_value("#q") == "s:regressed topic:late"
    assert button.get_attribute("aria-pressed") == "true"
    assert page.count() == 12
    assert page.filter('topic:"late parcels"') == 12
    assert page.filter("topic:lat") == 24
    assert page.failures == []
    page.close()


@pytest.mark.parametrize(
    ("query", "said"),
    [("s:worse", "no status 'worse'"), ("lnag:es", "no tag 'lnag'"), ("d:<x", "takes a number")],
)
def test_a_filter_that_cannot_be_read_says_why(opened, query, said):
    opened.tab.fill("#q", query)
    opened.tab.wait_for_timeout(30)
    assert said in opened.tab.text_content("#error")


def test_the_keyboard_reaches_everything(opened):
    tab = opened.tab
    tab.focus("#list")
    tab.keyboard.press("j")
    assert tab.get_attribute("#list", "aria-activedescendant") == "o0"
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#panel section")
    assert "Why it counts as regressed" in tab.text_content("#panel")
    assert "null" not in tab.text_content("#panel")
    first = tab.text_content("#panel .name")
    name = "document.querySelector('#panel .name').textContent"
    tab.keyboard.press("n")
    tab.wait_for_function(f"t => {name} !== t", arg=first)
    tab.keyboard.press("p")
    tab.wait_for_function(f"t => {name} === t", arg=first)
    tab.keyboard.press("a")
    tab.wait_for_selector("#decisions:not([hidden])")
    assert tab.text_content("#tally") == "1 accepted, 0 flagged"
    tab.keyboard.press("x")
    assert tab.text_content("#tally") == "0 accepted, 1 flagged"
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "q"
    tab.keyboard.press("a")  # typed, not a command
    assert tab.text_content("#tally") == "0 accepted, 1 flagged"
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.id") == "list"
    tab.keyboard.press("?")
    assert tab.is_visible("#help")
    tab.keyboard.press("Escape")
    assert tab.is_hidden("#panel")


def test_tab_alone_reaches_every_control(opened):
    tab = opened.tab
    tab.focus("#list")
    for key in ("Home", "Enter", "a"):
        tab.keyboard.press(key)
        tab.wait_for_timeout(60)
    controls = "button, input, textarea, summary, a[href], [tabindex='0']"
    wanted = tab.evaluate(
        """controls => {
            const all = [...document.querySelectorAll(controls)];
            const shown = all.filter((one) => one.checkVisibility());
            shown.forEach((one, place) => { one.dataset.place = String(place); });
            document.activeElement.blur();
            return shown.length;
        }""",
        controls,
    )
    reached = set()
    for _ in range(3 * wanted):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("document.activeElement.dataset.place"))
    assert {str(place) for place in range(wanted)} <= reached


def test_single_keys_can_be_switched_off(opened):
    opened.tab.uncheck("#keys")
    opened.tab.focus("#list")
    opened.tab.keyboard.press("j")
    assert opened.tab.get_attribute("#list", "aria-activedescendant") is None
    opened.tab.keyboard.press("ArrowDown")
    assert opened.tab.get_attribute("#list", "aria-activedescendant") == "o0"


def test_decisions_are_copied_as_json(opened):
    tab = opened.tab
    tab.focus("#list")
    for key in ("Home", "Enter", "x", "j", "a"):
        tab.keyboard.press(key)
        tab.wait_for_timeout(40)
    tab.click("#copy")
    value = json.loads(tab.input_value("#copied"))
    assert value["kind"] == "evalkit.decisions"
    assert (value["baseline"], value["candidate"]) == (BEFORE, AFTER)
    assert [one["decision"] for one in value["decisions"]] == ["flag", "accept"]
    assert set(value["decisions"][0]) == {"suite", "target", "case_id", "decision", "note"}


def test_a_note_by_keyboard_keeps_its_place(opened):
    tab = opened.tab
    tab.focus("#list")
    for key in ("Home", "Enter", "x"):
        tab.keyboard.press(key)
        tab.wait_for_timeout(60)
    tab.focus("#panel input")
    tab.keyboard.type("wrong language")
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(60)
    assert tab.evaluate("document.activeElement.value") == "wrong language"
    tab.keyboard.press("Escape")
    assert tab.evaluate("document.activeElement.id") == "list"
    assert tab.is_visible("#panel")
    tab.focus("#panel button")
    tab.keyboard.press("Enter")
    tab.wait_for_timeout(60)
    assert tab.text_content("#tally") == "1 accepted, 0 flagged"
    assert tab.evaluate("document.activeElement.textContent").startswith("Accept")


def test_the_state_lives_in_the_address(chromium, opened, page_file):
    opened.filter("s:improved")
    opened.tab.focus("#list")
    opened.tab.keyboard.press("Home")
    opened.tab.keyboard.press("Enter")
    opened.tab.wait_for_selector("#panel section")
    opened.tab.wait_for_timeout(50)
    address = opened.tab.url
    again = chromium.new_page()
    again.goto(address)
    again.wait_for_selector("#panel section")
    assert again.input_value("#q") == "s:improved"
    assert again.text_content("#panel .name") == opened.tab.text_content("#panel .name")
    again.close()


def test_word_diff_evidence_and_both_sides(opened):
    tab = opened.tab
    assert opened.filter("price") == 1
    tab.focus("#list")
    tab.keyboard.press("Home")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#panel ins")
    assert tab.text_content("#panel ins") == "!"
    assert tab.query_selector("#panel mark") is not None
    shown = tab.text_content("#panel")
    assert "\u202e" not in shown
    assert "price \\u{202e}001\\u{202c} euro" in shown
    assert not tab.query_selector("#panel .two")
    tab.keyboard.press("d")
    tab.wait_for_selector("#panel .two")
    tab.keyboard.press("d")
    tab.wait_for_selector("#panel ins")


CHANGED = {
    "blank": ("d , d , and so on", "d  and so on"),
    "head": (" yes, it is so", "no, it is so"),
    "words": ("a very good and big dog", "a bad and  small dog"),
    "lines": ("one\ntwo\nthree", "one\n\ntwo three\n"),
    "chinese": ("三十天内可以退货", "六十天内可以退货吗"),
}
HIDING = {
    "zero width": ("the pass\u200bword is new", "the pass\u200bword is old"),
    "only new": ("you pay ten euro", "you pay \u202enet\u202c euro"),
    "control": ("a\x07 bell \x1b[31m", "a bell \x1b[31m rings"),
    "tags": ("hello \U000e0041 you", "hello \U000e0042 there you"),
}
WRITTEN = {
    "joiners": "می\u200cخواهم 👩\u200d👩\u200d👧 ☺\ufe0f 1\ufe0f\u20e3 a\u200db \u200c x\ufe0f",
    "selectors": "葛\U000e0100城 葛\U000e0100\U000e0101 \ufe00",
    "fillers": "a\u115f\u3164\uffa0b \u034f c\u00add \ufeffe",
    "breaks": "one\r\ntwo\rthree\u2028four\u2029five",
    "controls": "a\x00b\x7fc\x85d \u061c \u200e\u200f \u2066x\u2069",
}
ALIKE = {"unseen": ("so\u200b it is", "so it is\u202e"), "equal": ("so\u200b", "so\u200b")}


@pytest.fixture(scope="module")
def changed(chromium, tmp_path_factory):
    """Answers in other words, an empty question and answer, a tool call that changed."""
    trials = {BEFORE: [], AFTER: []}
    same = {name: (text, text) for name, text in WRITTEN.items()}
    more = {"silent": ("", "so"), "tool": ("so", "so"), **ALIKE, **HIDING, **same}
    for name, answers in {**CHANGED, **more}.items():
        case = Case.of({"question": "" if name == "silent" else name}, expected="x", name=name)
        for run, text in zip((BEFORE, AFTER), answers, strict=True):
            one = trial_of(run, case, text, passed=run == BEFORE)
            calls = (ToolCall(id="c", name="pay", arguments=f'{{"to": "{run[:8]}"}}'),)
            if name == "tool":
                one = replace(one, output=replace(one.output, tool_calls=calls))
            trials[run].append(one)
    folder = tmp_path_factory.mktemp("changed")
    path = folder / "report.html"
    path.write_text(page_html(view_of(stored(folder, trials))), "utf-8")
    page = Opened(chromium, path)
    yield page
    assert page.failures == []
    page.close()


def panel(page, name):
    """The headings of an open case with what stands under each; text, and text without one side."""
    page.filter(f'"{name}"')
    page.tab.focus("#list")
    page.tab.keyboard.press("Home")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_function(
        "name => document.querySelector('#panel .name')?.textContent === name", arg=name
    )
    return page.tab.evaluate(
        """() => Object.fromEntries(Array.from(
            document.querySelectorAll("#panel section"), (section) => {
                const texts = ["none", "ins", "del"].map((left) => {
                    const box = section.querySelector(".box")?.cloneNode(true);
                    box?.querySelectorAll(left).forEach((one) => one.remove());
                    return box?.textContent;
                });
                return [section.querySelector("h3").textContent, texts];
            }))"""
    )


@pytest.mark.parametrize("name", list(CHANGED))
def test_a_word_diff_holds_both_texts_whole(changed, name):
    _, old, new = panel(changed, name)["Output, word by word"]
    assert (old, new) == CHANGED[name]


@pytest.mark.parametrize("name", list(HIDING))
def test_a_word_diff_writes_out_what_cannot_be_seen(changed, name):
    _, old, new = panel(changed, name)["Output, word by word"]
    assert (old, new) == tuple(map(seen, HIDING[name]))
    assert "\\u{" in new


@pytest.mark.parametrize("name", list(WRITTEN))
def test_the_page_writes_out_what_the_terminal_does(changed, name):
    assert panel(changed, name)["Output, the same on both sides"][0] == seen(WRITTEN[name])


def test_an_empty_question_and_answer_are_quoted(changed):
    found = panel(changed, "silent")
    assert found["Input: question"][0] == '""'
    assert next(texts for head, texts in found.items() if "Output" in head)[0] == '""'


def test_what_cannot_be_seen_is_written_out_where_nothing_else_differs(changed):
    found = panel(changed, "unseen")
    _, old, new = found["Output, the same but for what cannot be seen"]
    assert (old, new) == ("so\\u{200b} it is", "so it is\\u{202e}")
    assert "Output, the same on both sides" in panel(changed, "equal")


def test_a_tool_call_that_changed_is_an_output_that_changed(changed):
    found = panel(changed, "tool")
    old, new = found["Output, word by word"][1:]
    assert old == 'so\ntool call: pay({"to": "20261120"})'
    assert new == 'so\ntool call: pay({"to": "20261121"})'
    why = next(texts for head, texts in found.items() if head.startswith("Why"))
    assert "the scorer moved" not in why[0]


def test_without_scripts_the_worst_cases_can_be_read(chromium, page_file):
    page = Opened(chromium, page_file, java_script_enabled=False)
    assert page.tab.is_visible("#still")
    assert page.tab.is_hidden("#work")
    assert "something about 0" in page.tab.text_content("#still")
    page.close()


@pytest.mark.parametrize("width", [1366, 420])
def test_the_page_is_never_wider_than_the_window(chromium, page_file, width):
    page = Opened(chromium, page_file)
    page.tab.set_viewport_size({"width": width, "height": 900})
    page.tab.wait_for_timeout(50)
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    page.close()


def test_the_split_page_works_from_a_server(chromium, view, tmp_path):
    import functools
    import http.server
    import threading

    for name, content in page_files(view, "report.html").items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.log_message = lambda *_: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        tab = chromium.new_page()
        tab.goto(f"http://127.0.0.1:{server.server_port}/report.html")
        tab.wait_for_function("() => document.documentElement.dataset.ready")
        assert tab.text_content("#count") == "19 of 51 cases"
        tab.focus("#list")
        tab.keyboard.press("Home")
        tab.keyboard.press("Enter")
        tab.wait_for_selector("#panel section")
        tab.close()
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(not AXE, reason="axe-core is not there: set EVALKIT_AXE to its axe.min.js")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("part", ["first screen", "drill-down"])
def test_axe_finds_no_violation_of_wcag_2_2_aa(chromium, page_file, scheme, part):
    page = Opened(chromium, page_file, color_scheme=scheme, bypass_csp=True)
    if part == "drill-down":
        page.tab.focus("#list")
        page.tab.keyboard.press("Home")
        page.tab.keyboard.press("Enter")
        page.tab.wait_for_selector("#panel section")
        page.tab.keyboard.press("x")
        page.tab.wait_for_timeout(100)
    page.tab.evaluate(Path(AXE).read_text("utf-8"))
    levels = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.tab.evaluate(
        "levels => axe.run(document, {runOnly: {type: 'tag', values: levels}})", levels
    )
    assert [
        (one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]
    ] == []
    page.close()
