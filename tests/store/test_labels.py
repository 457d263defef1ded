"""People's judgements in the store."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

from example_runs import START, example_case, example_run, example_trial, scored

from evalkit.labels import Label, LabelSource, Selection
from evalkit.model import Output
from evalkit.store import Event, Store
from evalkit.store.labels import Taken

RUN = "20261121-093000-4e77"


def label(number: int = 0, **changes: object) -> Label:
    known = {
        "case_id": example_case(number).id,
        "name": "hallucination",
        "author": "Ada",
        "labelled_at": START,
        "run_id": RUN,
        "suite": "support",
        "target": "small",
        "trial": 0,
        "passed": True,
        "blind": True,
        "selection": Selection.ALL,
        "output_hash": "a" * 20,
    }
    return Label(**{**known, **changes})


def test_labels_come_back_as_they_were(store: Store) -> None:
    given = [
        label(0, rating=4, reason="says \x00 it\ud800"),
        label(1, passed=None, rating=1, word=None, blind=None, source=LabelSource.IMPORT),
        label(2, run_id=None, target=None, trial=None, output_hash=None, word="disagree"),
    ]
    event = Event(kind="labels.imported", actor="Ada", details={"labels": 3})
    assert store.add_labels(given, [event]) == Taken(added=3)
    back = {one.case_id: one for one in store.labels("support")}
    first = replace(given[0], reason="says \x00 it\N{REPLACEMENT CHARACTER}")
    assert [back[one.case_id] for one in given] == [first, *given[1:]]
    assert store.labels("other") == ()
    assert [one.kind for one in store.events()] == ["labels.imported"]


def test_the_last_word_of_a_person_on_an_answer_stays(store: Store) -> None:
    store.add_labels([label()])
    assert store.add_labels([label()]) == Taken(known=1)
    later = label(passed=False, labelled_at=START + timedelta(minutes=1))
    assert store.add_labels([later, label(author="Bo")]) == Taken(added=1, changed=1)
    assert store.add_labels([label()]) == Taken(known=1)  # older than what is stored
    assert {(one.author, one.passed) for one in store.labels()} == {("Ada", False), ("Bo", True)}
    # the same text in another run is the same answer
    assert store.add_labels(
        [replace(later, run_id="other", target="large", labelled_at=START + timedelta(hours=1))]
    ) == Taken(known=1)


def test_a_judgement_is_taken_back(store: Store) -> None:
    first = label()
    store.add_labels([first, label(author="Bo")])
    second = label(passed=False, labelled_at=START + timedelta(minutes=1))
    store.add_labels([second])
    store.take_back(second, before=first)
    assert {(one.author, one.passed) for one in store.labels()} == {("Ada", True), ("Bo", True)}
    store.take_back(first)
    assert [one.author for one in store.labels()] == ["Bo"]


def test_answers_with_what_scorers_said(store: Store) -> None:
    store.create_run(example_run(RUN))
    trial = example_trial(RUN, example_case(0), "small", quality=0.9)
    text = "yes \x00 \U0001f600"
    store.append([
        replace(
            trial,
            output=Output(text=text, context=("a", "b")),
            scores=(scored("hallucination", 0.7, passed=False), scored("rouge_l", 0.5)),
        ),
        replace(trial, index=1, output=Output(text="other"), scores=()),
    ])  # fmt: skip
    one, two = store.answers(RUN)
    assert one.passed == {"hallucination": False}
    assert one.values == {"hallucination": 0.7, "rouge_l": 0.5}
    assert two.values == {}
    parts = [text, "a\x1fb", "[]"]
    expected = hashlib.sha256("\x1e".join(parts).encode()).hexdigest()[:20]
    assert one.output_hash == expected
    assert two.output_hash != expected


def test_what_a_scorer_said_of_labelled_answers_in_every_run(store: Store) -> None:
    text = Output(text="the same")
    for hours, (run_id, value) in enumerate({"r1": 0.2, "r2": 0.9}.items()):
        store.create_run(example_run(run_id))
        trial = example_trial(run_id, example_case(0), "small", quality=0.9)
        record = scored("hallucination", value, passed=value < 0.5)
        start = START + timedelta(hours=hours)
        store.append([replace(trial, output=text, scores=(record,), started_at=start)])
    signature = scored("hallucination", 0.0).signature
    assert store.judged_answers("support", "hallucination", signature) == ()
    (answer,) = store.answers("r1")
    store.add_labels([label(output_hash=answer.output_hash)])
    (judged,) = store.judged_answers("support", "hallucination", signature)
    assert judged.output_hash == answer.output_hash
    assert (judged.values, judged.passed) == ((0.9, 0.2), (False, True))
    assert store.judged_answers("support", "hallucination", "another") == ()
