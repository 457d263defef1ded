"""Labels: what counts as naming one, and the metrics of a suite from summed confusion cells."""

from __future__ import annotations

import pytest

from evalkit.errors import ConfigError
from evalkit.model import Output
from evalkit.stats import summarise
from tests.scorers.helpers import bound, case, score, unscored, value

LABELS = ["refund", "exchange", "other"]


@pytest.mark.parametrize("text", ["refund", " Refund.\n", '"refund"', "**REFUND**", "`refund`."])
def test_a_label_is_read_past_case_quotes_and_a_full_stop(text):
    assert value("label", text, "refund", labels=LABELS) == 1.0


def test_a_label_is_searched_as_a_whole_word_and_must_be_the_only_one():
    options = {"labels": ["spam", "ham", "not spam"], "search": True}
    assert value("label", "This is spam, clearly.", "spam", **options) == 1.0
    assert value("label", "This is not spam.", "not spam", **options) == 1.0
    assert value("label", "spammy", "spam", **options) == 0.0
    two = score("label", "spam or ham?", "spam", **options)
    assert two.reason == "names 2 labels: spam, ham"
    assert two.label == "spam → none of them"


def test_a_label_is_read_from_json():
    options = {"labels": LABELS, "field": "class"}
    assert value("label", '{"class": "Refund"}', "refund", **options) == 1.0
    assert "no label under 'class'" in score("label", '{"kind": "x"}', "refund", **options).reason
    assert "not JSON" in score("label", "refund: yes", "refund", **options).reason
    fenced = '```json\n{"class": true}\n```'
    assert value("label", fenced, True, labels=["true", "false"], field="class", fenced=True) == 1.0


def corpus(pairs, **options):
    one = bound("label", **options)
    records = one.score_sync(
        [(case(want, n=n), Output(text=said)) for n, (want, said) in enumerate(pairs)]
    )
    scores = [each.score for each in records]
    return {
        metric.name: summarise(
            metric,
            [each.value for each in scores],
            [each.passed for each in scores],
            [str(n) for n in range(len(scores))],
            [each.stats for each in scores],
            bounds=(0.0, 1.0),
        )
        for metric in one.metrics
    }


def test_macro_metrics_as_scikit_learn_documents_them():
    # precision_recall_fscore_support's example: y_true and y_pred of three classes
    pairs = list(zip("abcabc", "acbaab", strict=True))
    found = corpus(pairs, labels=["a", "b", "c"])
    assert found["precision"].value == pytest.approx(0.2222, abs=1e-4)
    assert found["recall"].value == pytest.approx(0.3333, abs=1e-4)
    assert found["f1"].value == pytest.approx(0.2667, abs=1e-4)
    assert found["rate"].value == pytest.approx(2 / 6)
    assert found["f1"].low <= found["f1"].value <= found["f1"].high


def test_metrics_of_the_positive_label_alone():
    pairs = [
        ("yes", "yes"),
        ("yes", "no"),
        ("no", "yes"),
        ("no", "no"),
        ("yes", "yes"),
        ("no", "?"),
    ]
    found = corpus(pairs, labels=["yes", "no"], positive="Yes")
    assert found["precision"].value == pytest.approx(2 / 3)
    assert found["recall"].value == pytest.approx(2 / 3)
    assert found["f1"].value == pytest.approx(2 / 3)
    assert found["rate"].value == pytest.approx(3 / 6)


def test_answers_that_name_no_label_cost_recall_and_not_precision():
    found = corpus([("a", "a"), ("a", "?"), ("b", "b")], labels=["a", "b"])
    assert found["precision"].value == 1.0
    assert found["recall"].value == pytest.approx(0.75)


def test_what_is_wrong_with_labels_is_said():
    assert "none of the labels" in unscored("label", "refund", "money back", labels=LABELS)
    for options in (
        {"labels": ["one"]},
        {"labels": ["a", "A "]},
        {"labels": ["a", ""]},
        {"labels": LABELS, "positive": "reject"},
    ):
        with pytest.raises(ConfigError):
            bound("label", **options)
