"""ROUGE, BLEU, chrF and TER against the libraries whose values they claim, on any Unicode text."""

from __future__ import annotations

import os

import pytest
import sacrebleu
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF, TER

from evalkit.config.spec import ScorerSpec
from evalkit.errors import Unscorable
from evalkit.model import Output
from evalkit.scorers import _rouge, _sacre, _ter, bind
from tests.scorers.helpers import bound, case, record, score, unscored, value

MANY = int(os.environ.get("EVALKIT_EXAMPLES", "80"))

ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL", "rouge_lsum": "rougeLsum"}

# words that repeat, so that overlaps, ties and shifts happen
COMMON = """the a cat cats sat running runs happily generalization mat on 14 3.5 it's, (hi) u.s.a.
A-b , . \n İstanbul Kelvin \u212aelvin naïve 价格 ราคา ٤٥ ſ &amp; -\n <skipped>"""
common = st.lists(
    st.sampled_from([one for line in COMMON.split("\n") for one in line.split(" ")] + ["\n"]),
    max_size=30,
).map(" ".join)
anything = st.text(max_size=60) | st.text(alphabet=st.characters(codec=None), max_size=20)
texts = common | anything
several = st.lists(texts, min_size=1, max_size=3)


def rouge_of(name, text, references, *, stemmer, measure="fmeasure"):
    """Our value, computed past the refusal of texts the default tokenizer cannot see."""
    best = None
    for one in references:
        if name == "rouge_lsum":
            left, right = (
                [
                    _rouge.tokenize(x, stemmer=stemmer, tokenizer="default")
                    for x in t.split("\n")
                    if x
                ]
                for t in (one, text)
            )
            found = _rouge.rouge_lsum(left, right)
        else:
            left, right = (
                _rouge.tokenize(t, stemmer=stemmer, tokenizer="default") for t in (one, text)
            )
            found = (
                _rouge.rouge_l(left, right)
                if name == "rouge_l"
                else _rouge.rouge_n(left, right, int(name[-1]))
            )
        if best is None or found.fmeasure > best.fmeasure:
            best = found
    return getattr(best, measure)


@pytest.mark.parametrize("name", ROUGE)
@settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts, references=several, stemmer=st.booleans())
def test_rouge_equals_rouge_score(name, text, references, stemmer):
    library = rouge_scorer.RougeScorer([ROUGE[name]], use_stemmer=stemmer)
    theirs = library.score_multi(references, text)[ROUGE[name]]
    for measure in ("fmeasure", "precision", "recall"):
        ours = rouge_of(name, text, references, stemmer=stemmer, measure=measure)
        assert ours == pytest.approx(getattr(theirs, measure), abs=1e-9)
        one = bound(name, stemmer=stemmer, measure=measure)
        stored = record(one, text, references).score
        assert stored is None or stored.value == ours


@pytest.mark.parametrize("name", ROUGE)
def test_rouge_takes_precision_of_the_reference_with_the_best_f1(name):
    # the first reference has precision 1 and a worse F1 than the second
    references = ["a b c d e f g h i", "a b x"]
    library = rouge_scorer.RougeScorer([ROUGE[name]])
    theirs = library.score_multi(references, "a b")[ROUGE[name]]
    assert value(name, "a b", references, measure="recall") == theirs.recall


@pytest.mark.parametrize("name", ROUGE)
def test_rouge_refuses_texts_its_tokenizer_cannot_see(name):
    assert "tokenizer: unicode" in unscored(name, "价格是四十五元", "the price")
    assert "tokenizer: unicode" in unscored(name, "the price", "ราคา")
    # nothing to see is not the same as something unseen
    assert value(name, "…!?", "the price") == 0.0
    assert value(name, "", "the price") == 0.0
    assert value(name, "the price is", ["ราคา", "the price is"]) == 1.0


@pytest.mark.parametrize("name", ROUGE)
def test_rouge_reads_every_script_with_the_unicode_tokenizer(name):
    options = {"tokenizer": "unicode"}
    assert value(name, "价格是四十五元", "价格是四十五元。", **options) == 1.0
    assert 0 < value(name, "价格是四十五元", "价格是四十六元", **options) < 1
    assert value(name, "السعر ٤٥ ريالا", "السعر ٤٥ ريالا", **options) == 1.0
    assert "tokenizer:unicode" in bound(name, **options).signature


def test_the_stemmer_is_refused_for_every_language():
    with pytest.raises(Exception, match="stemmer is for English"):
        bound("rouge_l", stemmer=True, tokenizer="unicode")


def test_rouge_signature():
    assert bound("rouge_l").signature == (
        "rouge_l|stemmer:no|measure:fmeasure|tokenizer:default|lib:rouge-score 0.1.2|v:1"
    )


def test_rouge_of_texts_too_long_to_compare_is_refused_at_once():
    tokens = ["a", "b"] * 100_000
    with pytest.raises(Unscorable, match="too long"):
        _rouge.rouge_l(tokens, tokens)
    with pytest.raises(Unscorable, match="too long"):
        _rouge.rouge_lsum([tokens], [tokens])


TOKENIZERS = ["13a", "intl", "zh", "char", "none"]


@settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.too_slow])
@given(
    text=texts,
    references=several,
    tokenize=st.sampled_from(TOKENIZERS),
    lowercase=st.booleans(),
    effective=st.booleans(),
)
def test_bleu_equals_sacrebleu(text, references, tokenize, lowercase, effective):
    library = BLEU(tokenize=tokenize, lowercase=lowercase, effective_order=effective)
    theirs = library.sentence_score(text, references).score
    ours = value(
        "bleu", text, references, tokenize=tokenize, lowercase=lowercase, effective_order=effective
    )
    assert ours == pytest.approx(theirs, abs=1e-9)


@settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts, references=several, lowercase=st.booleans(), order=st.integers(0, 3))
def test_chrf_equals_sacrebleu(text, references, lowercase, order):
    library = CHRF(word_order=order, lowercase=lowercase)
    theirs = library.sentence_score(text, references).score
    ours = value("chrf", text, references, lowercase=lowercase, word_order=order)
    assert ours == pytest.approx(theirs, abs=1e-9)


flags = st.fixed_dictionaries(
    {k: st.booleans() for k in ("normalized", "no_punct", "asian_support", "case_sensitive")}
)


@settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.too_slow])
@given(text=texts, references=several, options=flags)
def test_ter_equals_sacrebleu(text, references, options):
    theirs = TER(**options).sentence_score(text, references).score
    assert value("ter", text, references, **options) == pytest.approx(theirs, abs=1e-9)


words = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=70)


@settings(deadline=None, max_examples=MANY)
@given(answer=words, reference=words, block=st.tuples(st.integers(0, 70), st.integers(0, 70)))
def test_ter_follows_the_library_through_its_beam_and_its_shifts(answer, reference, block):
    from sacrebleu.metrics.lib_ter import translation_edit_rate

    first, second = sorted(block)
    moved = reference[second:] + reference[first:second] + reference[:first]
    for one in (answer, moved, answer + moved):
        assert _ter.edits(one, reference) == translation_edit_rate(one, reference)[0]


def test_ter_of_lengths_far_apart_uses_the_wider_beam():
    from sacrebleu.metrics.lib_ter import translation_edit_rate

    long = [f"w{i % 7}" for i in range(180)]
    for short in (["w1"], ["w3", "w2"], ["x", "w5", "w6", "w0"]):
        assert _ter.edits(short, long) == translation_edit_rate(short, long)[0]
        assert _ter.edits(long, short) == translation_edit_rate(long, short)[0]


def test_ter_of_texts_too_long_is_refused():
    assert "too long" in unscored("ter", "a b " * 20_000, "b a " * 20_000)


corpora = st.lists(st.tuples(common, common, common), min_size=1, max_size=6)


@settings(deadline=None, max_examples=MANY, suppress_health_check=[HealthCheck.too_slow])
@given(corpora)
def test_corpus_values_from_summed_statistics_equal_sacrebleus(rows):
    answers = [one for one, _, _ in rows]
    streams = [[one for _, one, _ in rows], [one for _, _, one in rows]]
    theirs = {
        "bleu": sacrebleu.corpus_bleu(answers, streams).score,
        "chrf": sacrebleu.corpus_chrf(answers, streams).score,
        "ter": sacrebleu.corpus_ter(answers, streams).score,
    }
    for name, wanted in theirs.items():
        one = bound(name)
        pairs = [(case([a, b]), Output(text=text)) for text, a, b in rows]
        scores = [found.score for found in one.score_sync(pairs)]
        (metric,) = [m for m in one.metrics if m.kind == "corpus"]
        sums = [sum(column) for column in zip(*[s.stats for s in scores], strict=True)]
        assert metric.corpus_value(sums) == pytest.approx(wanted, abs=1e-9), name


@pytest.mark.parametrize(
    ("name", "options", "library"),
    [
        ("bleu", {}, BLEU(effective_order=True)),
        ("bleu", {"effective_order": False, "lowercase": True}, BLEU(lowercase=True)),
        ("bleu", {"tokenize": "zh"}, BLEU(tokenize="zh", effective_order=True)),
        ("chrf", {}, CHRF()),
        ("chrf", {"word_order": 2, "lowercase": True}, CHRF(word_order=2, lowercase=True)),
        ("ter", {}, TER()),
        ("ter", {"normalized": True, "case_sensitive": True}, TER(True, case_sensitive=True)),
        ("ter", {"no_punct": True, "asian_support": True}, TER(False, True, True)),
    ],
)
def test_the_signature_ends_with_sacrebleus_own(name, options, library):
    library.corpus_score(["a", "b"], [["a", "b"], ["c", None]])  # a varying number of references
    score_name = library.sentence_score("a", ["a"]).name
    library.corpus_score(["a", "b"], [["a", "b"], ["c", None]])
    own = f"{score_name}|{library.get_signature()}"
    assert bound(name, **options).signature.endswith("|" + own)


def test_statistics_are_stored_with_the_score():
    assert score("bleu", "the cat sat", "the cat ran").stats == (3, 3, 2, 1, 0, 0, 3, 2, 1, 0)
    assert score("ter", "b a", ["a b", "a"]).stats == (1.0, 1.5)
    assert len(score("chrf", "a", "a", word_order=2).stats) == 3 * 8


def test_whole_texts_are_not_kept_in_sacrebleus_caches():
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    from sacrebleu.tokenizers.tokenizer_re import TokenizerRegexp
    from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

    tools = (Tokenizer13a, TokenizerRegexp, TercomTokenizer)
    before = [one.__call__.cache_info().currsize for one in tools]
    for i in range(50):
        value("bleu", f"answer number {i}", "a text")
        value("ter", f"answer number {i}", "a text")
    assert [one.__call__.cache_info().currsize for one in tools] == before
    assert _sacre.bleu_tokenizer("13a")("a,b") == "a , b"


OPTIONS = {
    **{
        name: st.fixed_dictionaries(
            {
                "stemmer": st.booleans(),
                "measure": st.sampled_from(["fmeasure", "precision", "recall"]),
            }
        )
        for name in ROUGE
    },
    "bleu": st.fixed_dictionaries(
        {"tokenize": st.sampled_from(TOKENIZERS), "effective_order": st.booleans()}
    ),
    "chrf": st.fixed_dictionaries({"word_order": st.integers(0, 2), "lowercase": st.booleans()}),
    "ter": flags,
}
scripts = texts | st.text(alphabet="ราคา สี่บาท 价格是四 السعر\x00\ud800a. ", max_size=30)


@pytest.mark.parametrize("name", OPTIONS)
@settings(deadline=None, max_examples=MANY // 4, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), rows=st.lists(st.tuples(scripts, several), min_size=1, max_size=5))
def test_a_run_with_the_libraries_says_the_same(name, data, rows):
    """What --reference asks, on any text: value, statistics, signature and refusals alike."""
    options = data.draw(OPTIONS[name])
    spec = ScorerSpec(name=name, scorer=name, options=options)
    fast, slow = bind(spec), bind(spec, reference=True)
    assert slow.plugin.obj is not fast.plugin.obj
    assert slow.signature == fast.signature
    assert slow.metrics == fast.metrics
    pairs = [(case(wanted), Output(text=text)) for text, wanted in rows]
    for ours, theirs in zip(fast.score_sync(pairs), slow.score_sync(pairs), strict=True):
        assert (ours.status, ours.score is None) == (theirs.status, theirs.score is None)
        if ours.score is None or theirs.score is None:
            assert ours.reason == theirs.reason
            continue
        assert ours.score.value == pytest.approx(theirs.score.value, abs=1e-9)
        assert ours.score.stats == pytest.approx(theirs.score.stats, abs=1e-9)


def test_scorers_without_a_library_are_the_same_with_reference():
    spec = ScorerSpec(name="exact_match", scorer="exact_match")
    assert bind(spec, reference=True).plugin.obj is bind(spec).plugin.obj


@pytest.mark.parametrize("name", OPTIONS)
def test_a_text_that_would_stall_the_library_is_unscored(name):
    one = bind(ScorerSpec(name=name, scorer=name), reference=True)
    found = record(one, "a b c d e " * 200_000, "b a d c " * 10_000)
    assert found.elapsed_s < 20  # a hang, not a benchmark
    if name != "rouge_1" and name != "rouge_2":
        assert "too long" in found.reason


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("words", [50_000, 1_000_000])
def test_a_very_long_answer_is_scored_or_refused_and_not_waited_for(name, words):
    found = record(bound(name), "one two three four five " * (words // 5), "two one four three")
    assert found.score is not None or "too long" in found.reason
    assert found.elapsed_s < 20  # a hang, not a benchmark
