"""Whether grounding finds what an answer adds to its context, and says where and why."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.model import Case, Output, Score, ScoreRecord, ScoreStatus
from evalkit.scorers._grounding_data import read_leaves
from evalkit.scorers._grounding_numbers import quantities
from evalkit.scorers._grounding_text import sentences, tokens
from tests.scorers.helpers import bound

REFUNDS = (
    "Refunds are paid within 14 days of the return. Write to the office in Madrid, which is open"
    " from 9 am to 5 pm. The fee of $3.1 million was not paid in the second quarter."
)
CAFE = json.dumps(
    {
        "name": "Cafe Sol",
        "hours": {"Monday": "8:0-17:0", "Tuesday": "8:0-17:0"},
        "attributes": {"WiFi": None, "OutdoorSeating": False, "RestaurantsTakeOut": True},
        "business_stars": 3.5,
        "reviews": [{"date": "2022-01-16", "text": "Great coffee and a friendly waiter."}],
    }
)
SCORERS = ["grounding", "grounding_model"]


def record(answer: str, *context: str, scorer: str = "grounding", **options) -> ScoreRecord:
    case = Case.of({"question": "What holds?"}, context=context)
    (found,) = bound(scorer, **options).score_sync([(case, Output(text=answer))])
    return found


def score(answer: str, *context: str, scorer: str = "grounding", **options) -> Score:
    found = record(answer, *context, scorer=scorer, **options)
    assert found.status is ScoreStatus.SCORED, found.reason
    assert found.score is not None
    return found.score


def reasons(answer: str, *context: str) -> str:
    rows = score(answer, *context).evidence
    return "; ".join(one.reason for one in rows if one.source == "output" and one.reason)


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize(
    ("kept", "changed", "context"),
    [
        ("Refunds are paid within 14 days.", "Refunds are paid within 45 days.", REFUNDS),
        ("Write to the office in Madrid.", "Write to the office in Barcelona.", REFUNDS),
        ("It is open from 9 am to 5 pm.", "It is open from 9 am to 7 pm.", REFUNDS),
        ("They offer takeout.", "They offer free WiFi.", CAFE),
        ("There is no outdoor seating.", "There is outdoor seating.", CAFE),
        ("Open Monday from 8 am to 5 pm.", "Open Monday from 8 am to 9 pm.", CAFE),
        (
            "返金は十四日以内に行われます。",
            "本社はバルセロナにあります。",
            "返金は十四日以内に行われます。",
        ),
        (
            "يقع المكتب في مدريد",
            "يقع المصنع في برشلونة الجديدة",
            "يقع المكتب في مدريد منذ عام ١٩٩٠",
        ),
    ],
)
def test_what_the_context_lacks_is_doubted_more_than_what_it_says(scorer, kept, changed, context):
    low = score(kept, context, scorer=scorer)
    high = score(changed, context, scorer=scorer)
    assert low.value < high.value


@pytest.mark.parametrize(
    ("answer", "context", "said"),
    [
        ("Refunds take 45 days.", REFUNDS, "number 45 not in context"),
        ("Write to the office in Barcelona.", REFUNDS, 'entity "Barcelona" absent'),
        ("It is open until 7 pm.", REFUNDS, "time 7 pm not in context"),
        ("The fee was $3.1 billion.", REFUNDS, '"3.1 billion" is not how the context counts it'),
        ("It was the first quarter.", REFUNDS, '"first quarter" is not how the context counts it'),
        ('He said "nobody was ever fired".', REFUNDS, 'quote "nobody was ever fired" not in'),
        ("Refunds are not paid.", "Refunds are paid in May.", '"not paid" is not negated'),
        ("The Wi-Fi is free.", CAFE, "WiFi is null in the data"),
        ("They offer outdoor seating.", CAFE, "OutdoorSeating is false in the data"),
        ("They do not offer takeout.", CAFE, "RestaurantsTakeOut is true in the data and denied"),
        ("Open Monday from 8 am to 9 pm.", CAFE, "hours 8 am to 9 pm differ from the data"),
        ("Open Monday to Wednesday.", CAFE, "no hours in the data for wednesday"),
        ("Sales will fall.", "Sales will rise this year.", 'the opposite of "fall"'),
    ],
)
def test_the_reason_is_typed_and_names_the_words(answer, context, said):
    assert said in reasons(answer, context)


@pytest.mark.parametrize(
    ("answer", "context"),
    [
        ("Refunds are paid within fourteen days.", REFUNDS),
        ("The office in Madrid is open from 9:00 to 17:00.", REFUNDS),
        ("A reviewer praised the coffee in January 2022.", CAFE),
        ("Here is a summary in 20 words: refunds are paid within 14 days.", REFUNDS),
        ("1. Refunds are paid.\n2. Write to Madrid.", REFUNDS),
        ("They offer take-out.", CAFE),
        ("It is not specified whether they have WiFi.", CAFE),
        ("Open Monday and Tuesday from 8 am to 5 pm.", CAFE),
    ],
)
def test_the_same_thing_written_otherwise_gives_no_fact_reason(answer, context):
    said = reasons(answer, context)
    assert not any(word in said for word in ("number", "time", "entity", "null", "false", "hours"))


@pytest.mark.parametrize("scorer", SCORERS)
def test_a_sentence_has_its_place_and_its_nearest_evidence(scorer):
    answer = "Refunds take 45 days. The office is in Madrid."
    found = score(answer, "Nothing here.", REFUNDS, scorer=scorer)
    texts = [one for one in found.evidence if one.source == "output"]
    assert [one.text for one in texts] == ["Refunds take 45 days.", "The office is in Madrid."]
    assert [answer[one.start : one.end] for one in texts] == [one.text for one in texts]
    near = [one for one in found.evidence if one.source == "context:1"]
    assert [REFUNDS[one.start : one.end] for one in near] == [one.text for one in near]
    assert "office in Madrid" in near[-1].text
    assert f"{texts[1].start}–{texts[1].end}" in near[-1].reason


@pytest.mark.parametrize("scorer", SCORERS)
def test_the_rate_is_the_share_flagged_and_the_threshold_is_the_suites_own(scorer):
    lenient = bound(scorer, threshold=1.0)
    strict = bound(scorer, threshold=0.0)
    assert [one.name for one in strict.metrics] == ["mean", "rate", "sentence_rate"]
    assert not strict.metrics[1].counts
    case = Case.of({"question": "?"}, context=[REFUNDS])
    output = Output(text="Refunds take 45 days in Barcelona.")
    for one, passed in ((lenient, True), (strict, False)):
        (found,) = one.score_sync([(case, output)])
        assert found.score is not None
        assert found.score.passed is passed


@pytest.mark.parametrize("scorer", SCORERS)
def test_the_rate_of_sentences_is_summed_over_answers(scorer):
    one = bound(scorer)
    case = Case.of({"question": "?"}, context=[REFUNDS])
    answers = (REFUNDS, f"{REFUNDS} Refunds take 45 days in Barcelona.")
    scores = [one.score_sync([(case, Output(text=text))])[0].score for text in answers]
    sums = [sum(column) for column in zip(*(each.stats for each in scores), strict=True)]
    rows = sum(row.source == "output" for each in scores for row in each.evidence)
    assert sums == [1.0, float(rows)]
    whole = next(metric for metric in one.metrics if metric.name == "sentence_rate")
    assert whole.corpus_value(sums) == pytest.approx(1 / rows)


@pytest.mark.parametrize("scorer", SCORERS)
def test_without_context_or_words_there_is_no_number(scorer):
    for answer, context in (
        ("Refunds take 14 days.", ()),
        ("Refunds take 14 days.", ("  ",)),
        ("Refunds take 14 days.", ("…",)),
        ("", (REFUNDS,)),
        ("?!", (REFUNDS,)),
    ):
        found = record(answer, *context, scorer=scorer)
        assert found.status is ScoreStatus.UNSCORED
        assert found.reason


@pytest.mark.parametrize("scorer", SCORERS)
def test_what_the_target_retrieved_counts_before_the_cases_context(scorer):
    case = Case.of({"question": "?"}, context=["Refunds take 45 days."])
    output = Output(text="Refunds take 45 days.", context=("Refunds take 14 days.",))
    (found,) = bound(scorer).score_sync([(case, output)])
    assert found.score is not None
    assert "number 45 not in context" in found.score.evidence[0].reason


def test_words_of_the_question_are_known_unless_told_otherwise():
    case = Case.of({"question": "Is parking in Barcelona free?"}, context=[REFUNDS])
    output = Output(text="Parking is free there in Barcelona.")
    values = []
    for trust in (True, False):
        (found,) = bound("grounding", trust_inputs=trust).score_sync([(case, output)])
        assert found.score is not None
        values.append(found.score.value)
    assert values[0] < values[1]


HOSTILE = {
    "five megabytes": "word and 45 more, " * 290_000,
    "nuls": "a\x00b\x00. " * 8_000,
    "surrogates": "broken \ud800 text 45. " * 2_000,
    "brackets": "[" * 50_000,
    "braces": '{"a":' * 10_000,
    "digits": "9" * 50_000,
    "dotted digits": "1.1" * 16_000,
    "commas": "1,111" * 9_000,
    "one word": "a" * 50_000,
    "spaces": " " * 49_999 + "a",
    "newlines": "\n" * 49_999 + "a",
    "stops": "." * 49_999 + "a",
    "quotes": "\"'" * 25_000,
    "open quotes": '"a' * 25_000,
    "stars": "* " * 25_000,
    "days": "Monday to " * 5_000,
    "times": "9:00 am " * 6_000,
    "capitals": "Aaa Bbb " * 6_000,
    "no": "no not never " * 3_800,
    "does not": "does not " * 5_500,
    "han": "漢字" * 25_000,
    "thai": "ราคา" * 12_000,
    "sentences": "A b. " * 10_000,
    "escapes": "\\u00e9" * 8_000,
    "marks": "e\u0301\u0301" * 15_000,
}


@pytest.mark.parametrize("scorer", SCORERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_answer_or_context_never_stalls(scorer, kind):
    """A tenth of a second each on a free core; what grows with the square would take minutes."""
    text = HOSTILE[kind]
    bound(scorer).score_sync([(Case.of({}, context=["a"]), Output(text="a"))])  # load first
    for answer, context in ((text, REFUNDS), (text, CAFE), (REFUNDS, text), (text, text)):
        started = time.process_time()
        found = record(answer, context, scorer=scorer)
        assert time.process_time() - started < 10.0
        assert found.status in {ScoreStatus.SCORED, ScoreStatus.UNSCORED}, found.reason


@pytest.mark.parametrize("scorer", SCORERS)
@settings(max_examples=60, deadline=None)
@given(
    answer=st.text(max_size=300),
    context=st.lists(st.text(max_size=300), min_size=1, max_size=3),
)
def test_any_text_gives_a_score_in_range_with_true_places(scorer, answer, context):
    found = record(answer, *context, scorer=scorer)
    if found.score is None:
        assert found.status is ScoreStatus.UNSCORED, found.reason
        return
    assert 0.0 <= found.score.value <= 1.0
    for one in found.score.evidence:
        source = answer if one.source == "output" else context[int(one.source.split(":")[1])]
        assert source[one.start : one.end] == one.text
        assert 0 <= one.start < one.end <= len(source)
        assert one.value is not None
        assert 0.0 <= one.value <= 1.0
    assert record(answer, *context, scorer=scorer).score == found.score


@given(st.text())
def test_sentences_and_words_lie_in_order_inside_the_text(text):
    last = 0
    for start, end in sentences(text):
        assert last <= start < end <= len(text)
        last = end
    for one in tokens(text):
        assert 0 <= one.start < one.end <= len(text)


def test_sentences_end_where_a_reader_ends_them():
    text = (
        "Mr. Smith paid $3.50 at 9 a.m. on Monday. He left the U.S. in May!\n"
        "1. First item\n- Second item. 終わりです。次の文。"
    )
    assert [text[start:end] for start, end in sentences(text)] == [
        "Mr. Smith paid $3.50 at 9 a.m. on Monday.",
        "He left the U.S. in May!",
        "First item",
        "Second item.",
        "終わりです。",
        "次の文。",
    ]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,250.5 and 3.50", [1250.5, 3.5]),
        ("٤٥ ريال", [45.0]),
        ("45 days, 7 more", [45.0, 7.0]),
        ("9:30 pm, 9 a.m., 21:0", [1290.0, 540.0, 1260.0]),
        ("Passage 3 says B12", []),
        ("9" * 40, []),
    ],
)
def test_numbers_and_times_are_read_however_they_are_written(text, values):
    assert [one.value for one in quantities(text)] == values


leaf = st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=12)
data = st.dictionaries(st.text("abcXYZ_", min_size=1, max_size=8), leaf, min_size=2, max_size=6)


@given(data)
def test_every_leaf_of_json_is_found_at_its_place(value):
    text = json.dumps(value)
    found = read_leaves(text)
    assert found is not None
    leaves, end = found
    assert end == len(text)
    assert [one.path[-1] for one in leaves] == list(value)
    for one, given_ in zip(leaves, value.values(), strict=True):
        raw = text[one.value_start : one.end]
        assert raw == (json.dumps(given_)[1:-1] if isinstance(given_, str) else json.dumps(given_))


def test_python_literals_and_cut_off_data_are_read_and_prose_is_not():
    found = read_leaves("{'a': None, 'b': {'c': True, 'd': 'it\\'s'}, 'e': [1, 2]}\nOverview:")
    assert found is not None
    assert [(one.path, one.kind) for one in found[0]] == [
        (("a",), "null"),
        (("b", "c"), "true"),
        (("b", "d"), "text"),
        (("e",), "number"),
        (("e",), "number"),
    ]
    cut = read_leaves('{"a": 1, "b": {"c": "never clo')
    assert cut is not None
    assert [one.path for one in cut[0]] == [("a",)]
    assert read_leaves("{not data}") is None
    assert read_leaves("Plain prose.") is None
    assert read_leaves("[" * 5_000) is None
