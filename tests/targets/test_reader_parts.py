"""The parts of the reader: sentences, tables, keys, question types, candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.targets._reader_question import language_of, understand
from evalkit.targets._reader_rank import pieces, rank, weigh
from evalkit.targets._reader_spans import spans
from evalkit.targets._reader_text import number_key, sentences, tokens, units, word_key


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One of them came late. Two left! Why? Nobody here knows it.",
         ["One of them came late.", "Two left!", "Why?", "Nobody here knows it."]),
        ("Dr. Ada Bohm came on 3.5 km. She left.", ["Dr. Ada Bohm came on 3.5 km.", "She left."]),
        ("Am 20. September fährt er. Dann nicht.", ["Am 20. September fährt er.", "Dann nicht."]),
        ("From 68 to 74. The count rose.", ["From 68 to 74.", "The count rose."]),
        ("它很大。他很小！", ["它很大。", "他很小！"]),
        ("यह बड़ा है। वह छोटा है।", ["यह बड़ा है।", "वह छोटा है।"]),
        ("هل جاء؟ نعم جاء.", ["هل جاء؟", "نعم جاء."]),
        ("Warranty. It lasts 2 years here.", ["Warranty. It lasts 2 years here."]),
        ("Free on lines A and B. Others pay more.", ["Free on lines A and B.", "Others pay more."]),
    ],
)  # fmt: skip
def test_sentences(text, parts):
    assert sentences(text) == parts


@given(st.text(max_size=300))
def test_sentences_lose_nothing_but_space(text):
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())


def test_a_table_gives_its_rows_under_their_headers():
    text = "Prices\n\n| Plan | Fee |\n|---|---|\n| S | 1 |\n| L | 2 |\n\nPaid monthly."
    found = units(text)
    assert [one.kind for one in found] == ["row", "row", "line"]
    assert found[1].cells == ("L", "2")
    assert found[1].headers == ("Plan", "Fee")
    assert found[1].heading == "Prices"
    assert found[1].text == "Plan: L; Fee: 2"


def test_a_key_stands_above_every_sentence_of_its_line():
    found = units("Codes\nE1: no flame. Press the button.\nE2: no water here. Open the tap now.")
    assert [one.heading for one in found] == ["Codes E1", "Codes E1", "Codes E2", "Codes E2"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("returned", "Returns"), ("charging", "charge"), ("paid", "pay"), ("parties", "party"),
        ("Kündigung", "kündigen"), ("congés", "congé"), ("viajes", "viaje"), ("насоса", "насос"),
        ("المتحف", "متحف"), ("कर्मचारियों", "कर्मचारी"), ("ＡＢＣ", "abc"), ("naïve", "naive"),
    ],
)  # fmt: skip
def test_forms_of_a_word_have_one_key(one, other):
    assert word_key(one) == word_key(other)


@pytest.mark.parametrize(("one", "other"), [("1,415", "1415"), ("٣٥", "35"), ("3,5", "3.5")])
def test_forms_of_a_number_have_one_key(one, other):
    assert number_key(one) == number_key(other)


@given(st.text(max_size=200))
def test_tokens_stand_where_they_say(text):
    for one in tokens(text):
        assert text[one.start : one.end] == one.text


@pytest.mark.parametrize(
    ("question", "lang", "kind"),
    [
        ("Who wrote it?", "en", "name"), ("When was it written?", "en", "date"),
        ("Where is it kept?", "en", "place"), ("Why is it closed?", "en", "reason"),
        ("How many pages has it?", "en", "number"), ("How long does it take?", "en", "duration"),
        ("How much does it cost?", "en", "money"), ("Is it open?", "en", "yes-no"),
        ("Should I stop when it rings?", "en", "yes-no"),
        ("At what time does it open?", "en", "time"),
        ("Within how many days must it be paid?", "en", "duration"),
        ("It was late. Where did he go?", "en", "place"),
        ("¿Quién lo escribió?", "es", "name"), ("¿Dónde está la llave?", "es", "place"),
        ("¿Por qué está cerrado?", "es", "reason"), ("¿Cuánto cuesta la entrada?", "es", "money"),
        ("Wer hat das Buch geschrieben?", "de", "name"), ("Wann beginnt es?", "de", "date"),
        ("Um wie viel Uhr fährt der Zug ab?", "de", "time"),
        ("Qui a écrit ce livre ?", "fr", "name"), ("Où se trouve la clé ?", "fr", "place"),
        ("Combien de jours faut-il attendre ?", "fr", "duration"),
        ("Onde fica a estação?", "pt", "place"), ("Quando abre o museu?", "pt", "date"),
        ("Кто написал книгу?", "ru", "name"), ("Где находится музей?", "ru", "place"),
        ("Сколько стоит билет?", "ru", "money"), ("谁写的这本书？", "zh", "name"),
        ("票价多少钱？", "zh", "money"), ("这里开放吗？", "zh", "yes-no"),
        ("誰が書きましたか。", "ja", "name"), ("いつ始まりますか。", "ja", "date"),
        ("開いていますか。", "ja", "yes-no"), ("أين يقع المتحف؟", "ar", "place"),
        ("متى يفتح المتحف؟", "ar", "date"), ("هل هو مفتوح؟", "ar", "yes-no"),
        ("किताब किसने लिखी?", "hi", "name"), ("संग्रहालय कहाँ है?", "hi", "place"),
        ("क्या वह खुला है?", "hi", "yes-no"),
    ],
)  # fmt: skip
def test_what_a_question_asks(question, lang, kind):
    assert language_of(question) == lang
    assert understand(question).type == kind


def test_the_thing_that_is_counted():
    asked = understand("How many devices can be used?")
    assert asked.noun == word_key("device")
    assert asked.counts


@pytest.mark.parametrize(
    ("kind", "text", "found"),
    [
        ("date", "on 3 May 2031, May 4, 2031 and 2031-05-05", ["3 May 2031", "May 4, 2031",
                                                               "2031-05-05"]),
        ("date", "El 3 de mayo de 1688 y 1690", ["3 de mayo de 1688", "1690"]),
        ("date", "2034年3月5日，8月19日", ["2034年3月5日", "8月19日"]),
        ("date", "You may come.", []),
        ("time", "from 08:30 to 9.15 pm", ["08:30", "9.15 pm"]),
        ("money", "$21 million to $22 million, 8,20 €", ["$21 million to $22 million", "8,20 €"]),
        ("money", "4 crowns or 490 рублей or 3600万至3800万元", ["4 crowns", "490 рублей",
                                                             "3600万至3800万元"]),
        ("duration", "2 hours 50 minutes, six weeks, 10分", ["2 hours 50 minutes", "six weeks",
                                                           "10分"]),
        ("number", "3.0 bar, KE-5, -15 °C, 12 of them", ["3.0 bar", "-15 °C", "12"]),
        ("number", "call 0777 41 41 now", ["0777 41 41"]),
        ("name", "The hall was built by Ada de la Cruz in May 1890.", ["Ada de la Cruz"]),
        ("name", "Тариф «Дачный» стоит мало.", ["Дачный"]),
    ],
)  # fmt: skip
def test_candidates(kind, text, found):
    assert [one.text for one in spans(text, kind)] == found


@pytest.mark.parametrize("retrieval", ["bm25", "overlap"])
def test_the_sentence_with_the_rare_words_comes_first(retrieval):
    groups = [pieces("The mill is old. The mill has a copper bell. The mill is red.")]
    asked = understand("What bell does the mill have?")
    hits = rank(groups, weigh(asked, groups), retrieval)
    assert hits[0].piece.unit.text == "The mill has a copper bell."
    assert hits[0].support == pytest.approx(1.0)


def test_bm25_prefers_the_shorter_of_two_equal_sentences():
    long = "The bell was cast a very long time ago by people whose names nobody wrote down here."
    groups = [pieces(f"{long} The bell rings.")]
    asked = understand("Which bell?")
    assert rank(groups, weigh(asked, groups), "bm25")[0].piece.unit.text == "The bell rings."
    assert rank(groups, weigh(asked, groups), "overlap")[0].piece.unit.text == long
