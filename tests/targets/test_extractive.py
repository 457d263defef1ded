"""The embedded reader answers from its prompt alone, the same on every run."""

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Case, Message, Request
from evalkit.targets import build_target
from evalkit.targets.extractive import NOT_FOUND, split

CASE = Case.of({"question": "not read"}, expected="not read", context=["not read: Lima"])

GARDEN = (
    (
        "The walled garden at Ashby was laid out in 1792 by Clara Winthrop. It has 214 apple "
        "trees and is open from April to October. A ticket costs £6.50; children pay £2.00. The "
        "gardeners close the lower gate in winter because the path floods."
    ),
    "| Room | Seats | Price per day |\n|---|---|---|\n| Oak | 24 | £120 |\n| Elm | 60 | £310 |",
    "Dogs are not allowed in the garden, except on the orchard path.",
)


def prompt(question, passages):
    inner = "\n".join(f"<passage>\n{one}\n</passage>" for one in passages)
    return f"<passages>\n{inner}\n</passages>\n\n<question>{question}</question>"


def build(**options):
    spec = TargetSpec(name="reader", kind="builtin:extractive", options=options)
    return build_target(spec, options, root=Path(), allow_code=False)


def answer(question, passages=GARDEN, **options):
    return send(prompt(question, passages), **options)


def send(content, **options):
    messages = (
        Message(role="system", content="Answer from the passages."),
        Message(role="user", content=content),
    )
    return asyncio.run(build(**options).send(Request(case=CASE, messages=messages)))


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("In what year was the walled garden laid out?", "1792"),
        ("Who laid out the walled garden at Ashby?", "Clara Winthrop"),
        ("How many apple trees does the garden have?", "214"),
        ("How much does a ticket cost?", "£6.50"),
        ("How much do children pay?", "£2.00"),
        ("Why is the lower gate closed in winter?", "the path floods"),
        ("How many seats does the Elm room have?", "60"),
        ("What is the price per day of the Oak room?", "£120"),
        ("Are dogs allowed in the garden?", "No"),
        ("Are dogs allowed on the orchard path?", "Yes"),
        ("What is the name of the head cook of the canteen?", NOT_FOUND),
    ],
)
def test_english(question, expected):
    assert answer(question).text == expected


@pytest.mark.parametrize(
    ("passage", "question", "expected"),
    [
        ("El faro de Punta Alba se encendió el 4 de marzo de 1861.", "¿Cuándo se encendió el faro?",
         "4 de marzo de 1861"),
        ("La entrada cuesta 12 euros y el audioguía 3 euros.", "¿Cuánto cuesta la entrada?",
         "12 euros"),
        ("Die Brücke wurde wegen Hochwassers gesperrt.", "Warum wurde die Brücke gesperrt?",
         "Hochwassers"),
        ("Das Museum liegt in Altenbruck und hat 38 Säle.", "Wie viele Säle hat das Museum?", "38"),
        ("Le musée fut fondé par Irène Vautrin.", "Qui a fondé le musée ?", "Irène Vautrin"),
        ("Le trajet dure 45 minutes et coûte 8 €.", "Combien de temps dure le trajet ?",
         "45 minutes"),
        ("O passeio dura 3 horas e custa 25 euros.", "Quanto custa o passeio?", "25 euros"),
        ("A biblioteca fecha porque o telhado tem infiltrações.", "Por que fecha a biblioteca?",
         "o telhado tem infiltrações"),
        ("Мост открыли 9 мая 1954 года.", "Когда открыли мост?", "9 мая 1954 года"),
        ("Завод закрыли, потому что река обмелела.", "Почему закрыли завод?", "река обмелела"),
        ("图书馆建于1936年，藏书12万册。", "图书馆是哪一年建的？", "1936年"),
        ("门票每人45元，儿童免费。", "门票多少钱？", "45元"),
        ("入館料は500円です。", "入館料はいくらですか。", "500円"),
        ("館長は三浦和子です。", "館長は誰ですか。", "三浦和子"),
        ("افتتح المتحف في 12 أبريل 1988.", "متى افتتح المتحف؟", "12 أبريل 1988"),
        ("أُغلق الطريق بسبب تساقط الثلوج.", "لماذا أُغلق الطريق؟", "تساقط الثلوج"),
        ("टिकट का दाम 150 रुपये है।", "टिकट का दाम कितना है?", "150 रुपये"),
        ("पुल इसलिए बंद है क्योंकि नदी में बाढ़ आई है।", "पुल क्यों बंद है?", "नदी में बाढ़ आई है"),
    ],
)  # fmt: skip
def test_other_languages(passage, question, expected):
    assert answer(question, [passage]).text == expected


@pytest.mark.parametrize(
    ("question", "passage", "expected"),
    [
        ("¿Está abierto el museo los lunes?", "El museo no está abierto los lunes.", "No"),
        ("Ist das Museum montags geöffnet?", "Das Museum ist montags geöffnet.", "Ja"),
        ("Le musée est-il ouvert le lundi ?", "Le musée est ouvert le lundi.", "Oui"),
        ("O museu abre à segunda?", "O museu não abre à segunda.", "Não"),
        ("Открыт ли музей в понедельник?", "Музей открыт в понедельник.", "Да"),
        ("博物馆周一开放吗？", "博物馆周一不开放。", "否"),
        ("博物館は月曜日に開いていますか。", "博物館は月曜日に開いています。", "はい"),
        ("هل المتحف مفتوح يوم الاثنين؟", "المتحف مفتوح يوم الاثنين.", "نعم"),
        ("क्या संग्रहालय सोमवार को खुला है?", "संग्रहालय सोमवार को खुला नहीं है।", "नहीं"),
    ],
)
def test_yes_and_no(question, passage, expected):
    assert answer(question, [passage]).text == expected


def test_an_elliptic_second_part_is_understood():
    passage = (
        "With the old pump the basin fills in 40 minutes; with the new pump, in 15 minutes.",
    )
    assert answer("How long does the basin take to fill with the new pump?", passage).text == (
        "15 minutes"
    )
    assert answer("How long does the basin take to fill with the old pump?", passage).text == (
        "40 minutes"
    )


def test_a_dropped_passage_changes_the_answer():
    question = "How much does a ticket cost?"
    assert answer(question).text == "£6.50"
    assert answer(question, GARDEN[1:]).text != "£6.50"
    assert answer(question, []).text == NOT_FOUND


def test_only_the_messages_are_read():
    assert "Lima" not in answer("What is not read?").text
    with pytest.raises(TargetError) as caught:
        asyncio.run(build().send(Request(case=CASE)))
    assert caught.value.error_class is ErrorClass.PROMPT


def test_a_prompt_without_a_question_is_an_error():
    with pytest.raises(TargetError) as caught:
        send("<passage>Some text.</passage>\nSummarise it.")
    assert caught.value.error_class is ErrorClass.PROMPT


def test_an_empty_question_has_no_answer():
    asked = "<passage>The hall opens at 9.</passage><question> \n</question>"
    assert send(asked).text == NOT_FOUND


def test_two_configurations_differ():
    span = answer("Who laid out the walled garden at Ashby?")
    sentence = answer("Who laid out the walled garden at Ashby?", answer="sentence")
    assert span.text in sentence.text
    assert sentence.text.endswith("Clara Winthrop.")
    assert sentence.extra["sentence"] == sentence.text


def test_options_have_their_effect():
    question = "Are dogs allowed in the garden?"
    assert answer(question, max_passages=1).text != answer(question).text
    unsure = answer("Who laid out the old walled garden?", abstain_below=1.0)
    assert unsure.text == NOT_FOUND
    assert unsure.extra["sentence"] is None
    assert answer("How much do children pay?", retrieval="overlap").text == "£2.00"
    assert answer(question, model="mine").model == "mine"


@pytest.mark.parametrize(
    "options", [{"abstain_below": -0.1}, {"max_passages": 0}, {"top_sentences": 0}]
)
def test_impossible_options(options):
    with pytest.raises(ConfigError):
        build(**options)


def test_what_it_reports():
    out = answer("How many apple trees does the garden have?")
    assert out.finish_reason == "stop"
    assert out.usage.output_tokens == 1
    assert out.usage.input_tokens > 80
    assert out.usage.reasoning_tokens is None
    assert out.ttft_s == out.latency_s > 0
    assert out.cost_usd is None  # the runner prices it, at the row of embedded targets
    assert 0.5 < out.extra["confidence"] <= 1


def test_tokens_are_words_and_marks():
    out = send("<passage>Ana is 5.</passage><question>Who is Ana?</question>")
    tags, words = 3 + 4 + 3 + 4, 4 + 4  # < passage >, Ana is 5 ., < / passage >, and so on
    assert out.usage.input_tokens == 5 + tags + words


@pytest.mark.parametrize(
    ("content", "question", "passages"),
    [
        ("A b.\n\nC d.\n\nWho?", "Who?", ["A b.", "C d."]),
        ("A b.\nWho is it？\nAnswer briefly.", "Who is it？", ["A b."]),
        ("متن.\nمن هو؟", "من هو؟", ["متن."]),
        ("<passages>\nA.\n\nB.\n</passages>\nWho?", "Who?", ["A.", "B."]),
        ("<passage id='1'>A?</passage><passage>B.</passage>\nWho?", "Who?", ["A?", "B."]),
        ("<PASSAGE>A.</PASSAGE><Question>\nWho\n</Question>", "Who", ["A."]),
        ("<passages></passages><question>Who?</question>", "Who?", []),
        ("Prices\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nWhich?", "Which?",
         ["Prices\n\n| a | b |\n|---|---|\n| 1 | 2 |"]),
        ("No question here.", None, ["No question here."]),
        ("<passage>A?</passage><question> </question>", "", ["A?"]),
    ],
)  # fmt: skip
def test_what_is_question_and_what_is_passage(content, question, passages):
    assert split(content) == (question, passages)


@given(st.text(max_size=80), st.lists(st.text(max_size=200), max_size=3))
def test_any_text_is_read_without_a_crash_and_always_the_same(question, passages):
    content = prompt(question, passages)
    first, second = send(content), send(content)
    assert (first.text, first.usage, first.extra) == (second.text, second.usage, second.extra)
    assert 0 <= first.extra["confidence"] <= 1
    assert first.text


@given(st.integers(2, 999_999))
def test_a_number_is_found_wherever_it_stands(number):
    passage = f"The hall was rebuilt by the town. The hall has {number} lamps. It is warm inside."
    assert answer("How many lamps does the hall have?", [passage]).text == str(number)


def test_many_short_cases_each_find_their_own_number():
    target = build()
    requests = [
        Request(
            case=CASE,
            messages=(
                Message(
                    role="user",
                    content=prompt(
                        f"How many apple trees does garden {n} have?",
                        [
                            f"Garden {n} opened in {1700 + n}.",
                            f"Garden {n} has {n + 1000} apple trees.",
                        ],
                    ),
                ),
            ),
        )
        for n in range(300)
    ]

    async def all_of_them():
        return [await target.send(one) for one in requests]

    asyncio.run(target.send(requests[0]))
    found = asyncio.run(all_of_them())
    assert [one.text for one in found[2:]] == [str(n + 1000) for n in range(2, 300)]


@pytest.mark.parametrize(
    "passage",
    [
        "The river rises in the hills, and the mill stands by it, " * 10_000,
        "Mill A. Bohm c. " * 20_000,
        "mill!" * 100_000,
        "!" * 300_000,
        "\n" * 300_000,
        "<passage" * 50_000,
        "<passage>" * 50_000,
        "| mill | 3 " * 30_000,
        "12 " * 100_000,
        "Mill of the " * 30_000,
        "磨坊" * 100_000,
    ],
)
def test_no_passage_and_no_question_stalls(passage):
    started = time.process_time()
    answer("Who built the mill?", [passage])
    answer(passage + "?", ["The mill is old."])
    send(passage + "\nWho built the mill?")
    assert time.process_time() - started < 5
