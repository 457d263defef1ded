"""Readability, language, form and perplexity."""

from __future__ import annotations

import math

import pytest

from evalkit.errors import ConfigError
from evalkit.model import Case, Output
from tests.scorers.helpers import bound, score, unscored, value

FOX = "The quick brown fox jumps over the lazy dog. "  # 9 words, 35 letters


def test_readability_is_the_published_formula():
    text = FOX * 10
    assert value("readability", text) == pytest.approx(4.71 * 35 / 9 + 0.5 * 9 - 21.43)
    coleman = 0.0588 * 100 * 35 / 9 - 0.296 * 100 / 9 - 15.8
    assert value("readability", text, formula="coleman_liau") == pytest.approx(coleman)
    assert value("readability", text, formula="lix") == 9.0
    hard = "Incomprehensible bureaucratic documentation overwhelms readers. " * 5
    assert value("readability", hard, formula="lix") == 5 + 100 * 4 / 5 + 100 * 1 / 5
    assert score("readability", hard, formula="lix", max=50).passed is False


def test_readability_by_syllables():
    # 11 syllables a sentence of 9 words, none of three; then 20 of 5 words, four of them long
    text = FOX * 10
    assert value("readability", text, formula="flesch_kincaid") == pytest.approx(
        0.39 * 9 + 11.8 * 11 / 9 - 15.59
    )
    assert value("readability", text, formula="gunning_fog") == pytest.approx(0.4 * 9)
    hard = "Incomprehensible bureaucratic documentation overwhelms readers. " * 5
    assert value("readability", hard, formula="gunning_fog") == pytest.approx(0.4 * (5 + 80))
    assert value("readability", hard, formula="flesch_kincaid") == pytest.approx(
        0.39 * 5 + 11.8 * (6 + 4 + 5 + 3 + 2) / 5 - 15.59
    )


SYLLABLES = {
    1: "cat jumped time times whole passed hoped named file smile days first",
    2: "table tables wanted boxes readers little simple people needed sizes changes within damaged"
    " quickly apple because answer message support unless received photo",
    3: "refunded customers policy formula",
    5: "documentation university",
}


@pytest.mark.parametrize(("count", "words"), SYLLABLES.items())
def test_syllables_of_words_that_a_dictionary_knows(count, words):
    from evalkit.scorers.readability import _syllables

    assert {one: _syllables(one) for one in words.split()} == dict.fromkeys(words.split(), count)


def test_readability_refuses_what_its_formulas_do_not_know():
    assert "too few" in unscored("readability", "Short.")
    assert "without spaces" in unscored("readability", "ราคาสี่สิบห้าบาทครับ" * 9)
    with pytest.raises(ConfigError, match="above max"):
        bound("readability", min=9, max=8)


SAID = {
    "en": "The capital of France is Paris, which lies on the Seine.",
    "de": "Die Hauptstadt von Frankreich ist Paris, das an der Seine liegt.",
    "es": "La capital de Francia es París, que está a orillas del Sena.",
    "th": "เมืองหลวงของฝรั่งเศสคือกรุงปารีส",
    "zh": "法国的首都是巴黎，位于塞纳河畔。",
    "ar": "عاصمة فرنسا هي باريس التي تقع على نهر السين.",
    "ja": "フランスの首都はパリで、セーヌ川沿いにあります。",
    "ru": "Столица Франции — Париж, расположенный на Сене.",
}


@pytest.mark.parametrize("code", SAID)
def test_the_language_of_a_sentence_is_told(code):
    found = score("language", SAID[code], languages=[code])
    assert (found.passed, found.label) == (True, code)
    other = "en" if code != "en" else "de"
    wrong = score("language", SAID[code], languages=[other])
    assert wrong.reason == f"written in {code}, expected {other}"


def test_the_wanted_language_comes_from_the_tag_or_the_question():
    def run(**fields):
        inputs = fields.pop("inputs", {"question": "?"})
        case = Case.of(inputs, **fields)
        return bound("language").score_sync([(case, Output(text=SAID["de"]))])[0]

    assert run(tags={"lang": "de-AT"}).score.passed is True
    assert run(tags={"lang": "en"}).score.passed is False
    assert run(inputs={"question": SAID["de"]}).score.passed is True
    assert run(inputs={"question": SAID["fr" if "fr" in SAID else "es"]}).score.passed is False
    assert "too few letters" in run().reason
    assert "no language that is known" in run(tags={"lang": "klingon"}).reason


def test_code_is_left_out_and_what_has_no_language_is_unscored():
    text = f"{SAID['de']}\n```\nfor each in the_list: print(the_word)\n```"
    assert score("language", text, languages=["de"]).passed is True
    assert "too few letters" in unscored("language", "42 `x` \ud800\x00", languages=["de"])
    with pytest.raises(ConfigError, match="no language 'deu'"):
        bound("language", languages=["deu"])


def test_form_counts_words_lines_items_and_parts_of_markdown():
    text = "# Title\n\nSome *words*.\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. x\n"
    all_ = ["heading", "list", "numbered_list", "table", "emphasis"]
    assert score("format", text, has=all_, max_items=3, max_paragraphs=1).passed is True
    wrong = score("format", text, without=["table", "code"], min_items=4, max_lines=3)
    assert wrong.reason == "8 lines, at most 3 wanted; 3 items, at least 4 wanted; has table"
    assert "has heading" in score("format", text, plain=True).reason
    assert score("format", "Just words, 2 * 3 * 4.", plain=True, max_words=5).passed is True
    assert score("format", "价格是四十五元", min_words=7, max_words=7).passed is True
    assert "no code" in score("format", "", has=["code"]).reason


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_words": -1},
        {"min_items": 3, "max_items": 2},
        {"has": ["list"], "without": ["list"]},
    ],
)
def test_impossible_forms_are_refused(options):
    with pytest.raises(ConfigError):
        bound("format", **options)


def test_perplexity_is_of_the_answer_and_of_all_tokens():
    def of(total, tokens):
        return Output(text="x", extra={"logprob_sum": total, "logprob_tokens": tokens})

    assert value("perplexity", of(-2.0, 4)) == pytest.approx(math.exp(0.5))
    assert value("perplexity", of(0.0, 3)) == 1.0
    whole = next(one for one in bound("perplexity").metrics if one.kind == "corpus")
    assert whole.corpus_value([-5.0, 10.0]) == pytest.approx(math.exp(0.5))
    assert "no log probabilities" in unscored("perplexity", "text")
    assert "sum to" in unscored("perplexity", of(0.5, 3))
