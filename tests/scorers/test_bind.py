"""The boundary: options checked before a run, and nothing a scorer does breaks one."""

from __future__ import annotations

import asyncio
import math
import textwrap
import threading

import pytest

from evalkit import registry
from evalkit.config.spec import ScorerSpec
from evalkit.errors import ConfigError, Position, UnknownName
from evalkit.model import Output, ScoreStatus, rate
from evalkit.registry import Kind
from evalkit.scorers import bind
from tests.scorers.helpers import bound, case, record

PAIR = (case("Paris"), Output(text="Paris"))


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Write a project's own file and load it as a project's plugins are loaded."""
    monkeypatch.setattr(registry._local, "found", {})

    def load(code: str):
        path = tmp_path / "my_scorers.py"
        head = "import asyncio, math\nfrom evalkit import *\nfrom evalkit import scorer\n"
        path.write_text(head + textwrap.dedent(code), encoding="utf-8")
        return registry.load_file(path)

    return load


def test_a_new_scorer_is_one_file(plugin):
    (found,) = plugin('''
        @scorer(needs=("expected",), metrics=(mean, rate), examples=[("ab", "ba", 1.0)])
        def same_letters(case, output, *, ignore_case: bool = False) -> Score:
            """Whether output and expected text have the same letters."""
            fold = str.casefold if ignore_case else str
            same = sorted(fold(output.text)) == sorted(fold(case.references[0]))
            return Score(value=float(same), passed=same)
        ''')
    assert found.summary == "Whether output and expected text have the same letters."
    assert "same_letters" in registry.names(Kind.SCORER)
    one = bound("same_letters", ignore_case=True)
    assert one.signature == "same_letters|ignore_case:yes|v:1"
    assert record(one, "stressed", "Desserts").score.passed is True
    assert record(bound("same_letters"), "stressed", "Desserts").score.value == 0.0
    assert record(one, "stressed", None).status is ScoreStatus.UNSCORED
    with pytest.raises(ConfigError, match=r"unknown option 'ignore_cse'(.|\n)*'ignore_case'"):
        bound("same_letters", ignore_cse=True)


WRONG = {
    "raises": ("raise KeyError('boom')", "KeyError: 'boom'"),
    "nan": ("return Score(value=math.nan)", "finite"),
    "infinite": ("return Score(value=math.inf)", "finite"),
    "none": ("return None", "returned NoneType"),
    "number": ("return 0.5", "returned float"),
    "text_value": ("return Score(value='0.5')", "TypeError"),
    "text_passed": ("return Score(value=0.5, passed='yes')", "passed must be"),
    "bytes_reason": ("return Score(value=0.5, reason=b'x')", "reason must be text"),
    "nan_stats": ("return Score(value=0.5, stats=(math.nan,))", "stats must be finite"),
    "outside": ("return Score(value=1.5)", "outside the declared range 0 … 1"),
    "recursion": ("return one(case, output)", "RecursionError"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_wrong_with_a_scorer_is_an_error_with_its_reason(plugin, how):
    body, reason = WRONG[how]
    plugin(f"@scorer()\ndef one(case, output):\n    '''One.'''\n    {body}\n")
    one = bound("one")
    for found in (record(one, "text"), *asyncio.run(one.score([PAIR]))):
        assert found.status is ScoreStatus.ERROR
        assert found.score is None
        assert reason in found.reason
        assert found.elapsed_s >= 0


def test_unscorable_is_unscored_and_its_reason_is_kept(plugin):
    plugin("@scorer()\ndef one(case, output):\n    '''One.'''\n    raise Unscorable('too dark')\n")
    found = record(bound("one"), "text")
    assert (found.status, found.score, found.reason) == (ScoreStatus.UNSCORED, None, "too dark")


def test_one_bad_answer_leaves_the_others_alone(plugin):
    plugin("""
        @scorer()
        def one(case, output):
            '''One.'''
            return Score(value=1 / len(output.text))
        """)
    pairs = [(case(), Output(text=text)) for text in ("ab", "", "abcd")]
    found = bound("one").score_sync(pairs)
    assert [one.status for one in found] == ["scored", "error", "scored"]
    assert [one.score and one.score.value for one in found] == [0.5, None, 0.25]


def test_numbers_of_numpy_are_stored_as_plain_ones(plugin):
    plugin("""
        @scorer()
        def one(case, output):
            '''One.'''
            import numpy
            return Score(value=numpy.float64(0.5), stats=(numpy.int64(2),))
        """)
    score = record(bound("one"), "text").score
    assert type(score.value) is float
    assert type(score.stats[0]) is float


def test_an_async_scorer_runs_in_the_loop_and_says_so_without_one(plugin):
    plugin("""
        @scorer()
        async def one(case, output):
            '''One.'''
            await asyncio.sleep(0)
            return Score(value=0.25)
        """)
    one = bound("one")
    assert one.is_async
    (found,) = asyncio.run(one.score([PAIR]))
    assert found.score.value == 0.25
    found = record(one, "text")
    assert found.status is ScoreStatus.ERROR
    assert "asynchronous" in found.reason


BATCH = """
    @scorer(needs=("expected",), batch=True)
    {a}def one(pairs, *, drop: bool = False, crash: bool = False):
        '''One.'''
        if crash:
            raise RuntimeError("no model")
        found = [
            Unscorable("empty") if not output.text else Score(value=1 / len(pairs))
            for case, output in pairs
        ]
        return found[1:] if drop else found
"""


@pytest.mark.parametrize("a", ["", "async "])
def test_a_batch_scorer_sees_all_pairs_that_can_be_judged(plugin, a):
    plugin(BATCH.format(a=a))
    pairs = [(case(e), Output(text=t)) for e, t in (("x", "a"), (None, "b"), ("x", ""), ("x", "c"))]

    def run(**options):
        one = bound("one", **options)
        return asyncio.run(one.score(pairs)) if a else one.score_sync(pairs)

    found = run()
    assert [one.status for one in found] == ["scored", "unscored", "unscored", "scored"]
    assert found[0].score.value == pytest.approx(1 / 3)
    assert found[1].reason == "the case expects nothing"
    assert found[2].reason == "empty"
    short = run(drop=True)
    assert [one.status for one in short] == ["error", "unscored", "error", "error"]
    assert "2 results for 3 pairs" in short[0].reason
    assert "no model" in run(crash=True)[3].reason


def test_a_batch_of_nothing_is_nothing(plugin):
    plugin(BATCH.format(a=""))
    assert bound("one").score_sync([]) == []
    assert asyncio.run(bound("one").score([])) == []


def test_needs_are_looked_for_by_name(plugin):
    plugin("""
        @scorer(needs=("context", "inputs.question", "tags.lang", "metadata.source"))
        def one(case, output):
            '''One.'''
            return Score(value=1.0)
        """)
    from evalkit.model import Case

    full = {"tags": {"lang": "de"}, "metadata": {"source": "web"}, "context": ["a passage"]}
    one = bound("one")

    def reason(inputs, **fields):
        return one.score_sync([(Case.of(inputs, **fields), Output(text="x"))])[0].reason

    assert reason({"question": "?"}, **full) is None
    assert reason({"q": "?"}, **full) == "the case has no inputs.question"
    assert reason({"question": "?"}, **{**full, "tags": {}}) == "the case has no tags.lang"
    assert reason({"question": "?"}, **{**full, "context": []}) == "the case has no context"
    assert (
        reason({"question": "?"}, **{**full, "metadata": {}}) == "the case has no metadata.source"
    )


@pytest.mark.parametrize(("text", "passed"), [("abcd", True), ("abcx", True), ("axyz", False)])
def test_a_threshold_makes_any_scorer_decide(text, passed):
    one = bound("levenshtein", threshold=0.75)
    assert record(one, text, "abcd").score.passed is passed
    assert rate in one.metrics
    assert rate not in bound("levenshtein").metrics


def test_a_threshold_follows_the_direction():
    slow, fast = Output(text="", latency_s=2.0), Output(text="", latency_s=1.0)
    one = bound("latency", threshold=1.0)
    assert record(one, fast).score.passed is True
    assert record(one, slow).score.passed is False


@pytest.mark.parametrize(
    ("scorer", "threshold", "message"),
    [
        ("rouge_l", 40.0, "outside its range 0 … 1"),
        ("rouge_l", math.nan, "not a number"),
        ("length", 5.0, "no better direction"),
    ],
)
def test_thresholds_that_decide_nothing_are_refused(scorer, threshold, message):
    with pytest.raises(ConfigError, match=message):
        bound(scorer, threshold=threshold)


@pytest.mark.parametrize(
    ("scorer", "options", "message"),
    [
        ("rouge_l", {"stemmer": "yes"}, "'stemmer'"),
        ("rouge_l", {"measure": "f1"}, "'measure'"),
        ("numeric", {"absolute": "0.1"}, "'absolute'"),
        ("numeric", {"absolute": -1}, "below 0"),
        ("numeric", {"relative": math.nan}, "'relative'"),
        ("length", {"min": 5, "max": 4}, "min 5 is above max 4"),
        ("length", {"max": -1}, "below 0"),
        ("contains", {"any": []}, "empty list"),
        ("contains", {"all": ["a", ""]}, "empty text"),
        ("contains", {"any": "refund"}, "'any'"),
        ("regex", {}, "'pattern' is missing"),
        ("regex", {"pattern": "(a"}, "no regular expression"),
        ("regex", {"pattern": "a", "flags": "iq"}, "not 'q'"),
        ("regex", {"pattern": "((a{1000}){1000}){1000}"}, "multiply to more"),
        ("json_schema", {"schema": "missing.json"}, "no schema file"),
        ("json_schema", {"schema": {"type": "objet"}}, "schema is not valid"),
        ("json_schema", {"schema": {"$ref": "https://example.invalid/x"}}, "schema is not valid"),
        ("json_equal", {"tolerance": -0.5}, "below 0"),
        ("chrf", {"word_order": 9}, "0 to 4"),
        ("bleu", {"tokenize": "flores200"}, "'tokenize'"),
        ("tokens", {"kind": "thought"}, "'kind'"),
    ],
)
def test_impossible_options_are_refused_before_a_run(scorer, options, message, tmp_path):
    spec = ScorerSpec(
        name="mine",
        scorer=scorer,
        options=options,
        position=Position(tmp_path / "suite.yaml", 7, 5),
    )
    with pytest.raises(ConfigError, match=message) as caught:
        bind(spec, root=tmp_path)
    what, where, hint = caught.value.lines()
    assert what.startswith("scorer 'mine': ")
    assert where.endswith("suite.yaml:7:5")
    assert hint


def test_an_unknown_scorer_is_named_with_the_nearest():
    with pytest.raises(UnknownName, match="rouge_l"):
        bound("rogue_l")


def test_options_of_a_file_are_signed_by_its_content(tmp_path):
    schema = tmp_path / "schemas" / "answer.json"
    schema.parent.mkdir()
    schema.write_text('{"type": "object"}')
    first = bound("json_schema", root=tmp_path, schema="schemas/answer.json")
    again = bound("json_schema", root=tmp_path / "schemas", schema="answer.json")
    assert first.signature == again.signature
    assert record(first, "[]").score.value == 0.0
    schema.write_text('{"type": "array"}')
    changed = bound("json_schema", root=tmp_path, schema="schemas/answer.json")
    assert changed.signature != first.signature
    assert record(changed, "[]").score.value == 1.0


def test_code_is_refused_unless_allowed(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("raise SystemExit('this must not run')\n")
    monkeypatch.delenv("EVALKIT_ALLOW_CODE", raising=False)
    with pytest.raises(ConfigError, match="not allowed") as caught:
        bound("python", root=tmp_path, function="mine.py:score")
    assert "--allow-code" in caught.value.hint


def test_code_is_allowed_by_the_environment(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("def score(case, output):\n    return True\n")
    monkeypatch.setenv("EVALKIT_ALLOW_CODE", "1")
    assert record(bound("python", root=tmp_path, function="mine.py:score"), "x").score.passed
    with pytest.raises(ConfigError, match="not allowed"):
        bound("python", root=tmp_path, allow_code=False, function="mine.py:score")


def test_long_texts_are_scored_off_the_event_loop(plugin):
    plugin("""
        import threading, time
        @scorer(range=(0, 1e9))
        def one(case, output):
            '''One.'''
            time.sleep(0.2)
            return Score(value=float(threading.get_ident() % 1_000_000))
        """)
    ticks = 0

    async def both():
        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticker = asyncio.create_task(tick())
        (found,) = await bound("one").score([(case(), Output(text="x" * 50_000))])
        ticker.cancel()
        return found

    found = asyncio.run(both())
    assert found.score.value != threading.get_ident() % 1_000_000
    assert ticks >= 5
    # nor is a short one, of a scorer that is not ours: nothing is known of it
    (short,) = asyncio.run(bound("one").score([PAIR]))
    assert short.score.value != threading.get_ident() % 1_000_000
