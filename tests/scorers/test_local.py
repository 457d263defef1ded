"""Models on this machine: tiny random weights and a real tokenizer, made here, loaded as any other.

Runs where the extra ``local`` is installed: ``nox -s local``.
"""

from __future__ import annotations

import importlib.util
import shutil
import warnings
from itertools import pairwise

import pytest

from evalkit.config.spec import ScorerSpec
from evalkit.errors import ConfigError
from evalkit.model import Case, Output, ScoreStatus
from evalkit.scorers import bind

HERE = all(importlib.util.find_spec(one) for one in ("torch", "transformers"))
needs_extra = pytest.mark.skipif(
    not HERE, reason="the extra 'local' is not installed: nox -s local"
)

CONTEXT = "Parcels may be returned within 14 days of delivery. Gift cards are not refunded."
ANSWER = "Parcels may be returned within 14 days. Gift cards are refunded at once."
WORDS = sorted({*f"{CONTEXT} {ANSWER} How may I return it ?".lower().replace(".", " . ").split()})


@pytest.mark.skipif(HERE, reason="the extra is installed")
@pytest.mark.parametrize("scorer", ["nli", "hallucination_spans"])
def test_without_the_extra_it_is_said_how_to_install_it(scorer, tmp_path):
    (tmp_path / "m").mkdir()
    spec = ScorerSpec(name=scorer, scorer=scorer, options={"folder": tmp_path / "m"})
    with pytest.raises(ConfigError, match=r"pip install 'evalkit\[local\]'"):
        bind(spec, root=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "either folder"),
        ({"model": "owner/name"}, "40 hexadecimal"),
        ({"model": "owner/name", "revision": "main"}, "40 hexadecimal"),
    ],
)
@pytest.mark.parametrize("scorer", ["nli", "hallucination_spans"])
def test_a_model_is_named_once_and_pinned(scorer, options, message):
    with pytest.raises(ConfigError, match=message):
        bind(ScorerSpec(name=scorer, scorer=scorer, options=options))


def tokenizer_in(folder):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    known = {word: place for place, word in enumerate([*special, *WORDS])}
    tool = Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    tool.normalizer = normalizers.Lowercase()
    tool.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tool.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tool,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=64,
    )
    fast.save_pretrained(folder)
    return len(known)


def model_in(folder, kind, labels):
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertForTokenClassification

    torch.manual_seed(7)
    size = tokenizer_in(folder)
    config = BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        label2id={one: place for place, one in enumerate(labels)},
        initializer_range=1.0,
    )
    made = {"nli": BertForSequenceClassification, "spans": BertForTokenClassification}[kind]
    made(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "nli": model_in(
                tmp_path_factory.mktemp("nli"), "nli", ["contradiction", "neutral", "entailment"]
            ),
            "spans": model_in(tmp_path_factory.mktemp("spans"), "spans", ["LABEL_0", "LABEL_1"]),
        }


def run(scorer, folder, pairs, **options):
    spec = ScorerSpec(name=scorer, scorer=scorer, options={"folder": folder, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = bind(spec, root=folder.parent)
        return one, one.score_sync(pairs)


def pair(answer=ANSWER, context=(CONTEXT,)):
    case = Case.of({"question": "How may I return it?"}, context=list(context))
    return case, Output(text=answer)


@needs_extra
def test_nli_equals_a_plain_call_of_transformers(folders):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    one, (found,) = run("nli", folders["nli"], [pair()])
    assert found.status is ScoreStatus.SCORED, found.reason
    tool = AutoTokenizer.from_pretrained(folders["nli"])
    model = AutoModelForSequenceClassification.from_pretrained(folders["nli"])
    wanted = []
    for claim in ("Parcels may be returned within 14 days.", "Gift cards are refunded at once."):
        with torch.inference_mode():
            logits = model(**tool(CONTEXT, claim, return_tensors="pt")).logits
        wanted.append(1 - float(torch.softmax(logits, -1)[0, 2]))
    rows = found.score.evidence
    assert [each.value for each in rows if each.source == "output"] == pytest.approx(
        wanted, abs=1e-5
    )
    assert found.score.value == pytest.approx(max(wanted), abs=1e-5)
    for each in rows:
        text = ANSWER if each.source == "output" else CONTEXT
        assert text[each.start : each.end] == each.text
    assert found.score.stats[1] == 2.0
    assert "|model:" in one.signature


@needs_extra
def test_batches_and_order_change_nothing(folders):
    pairs = [pair(), pair("Gift cards."), pair("Parcels may be returned.", (CONTEXT, "Delivery."))]
    _, one = run("nli", folders["nli"], pairs, batch=1)
    _, many = run("nli", folders["nli"], pairs[::-1], batch=5)
    for left, right in zip(one, many[::-1], strict=True):
        assert left.score.value == pytest.approx(right.score.value, abs=1e-5)


@needs_extra
def test_a_long_context_is_read_in_parts_that_cover_it(folders):
    from evalkit.scorers import _local

    options = {"folder": folders["nli"], "model": None, "revision": None, "max_tokens": 40}
    loaded = _local.of(options, "sequence")
    text = " ".join(CONTEXT.split() * 30)
    windows = loaded.windows(text, 24)
    assert len(windows) > 10
    assert windows[0].start == 0
    assert windows[-1].end == len(text)
    for left, right in pairwise(windows):
        assert right.start < left.end
        assert len(loaded.offsets(text[left.start : left.end])) <= 24
    _, (found,) = run("nli", folders["nli"], [pair(context=(text,))], max_tokens=40)
    assert found.status is ScoreStatus.SCORED, found.reason
    _, (short,) = run("nli", folders["nli"], [pair("gift " * 60)], max_tokens=40)
    assert "too long for the model" in short.reason


@needs_extra
def test_spans_equal_a_plain_call_of_transformers(folders):
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    _, (found,) = run("hallucination_spans", folders["spans"], [pair()], at=0.3)
    assert found.status is ScoreStatus.SCORED, found.reason
    tool = AutoTokenizer.from_pretrained(folders["spans"])
    model = AutoModelForTokenClassification.from_pretrained(folders["spans"])
    coded = tool("How may I return it?\n\n" + CONTEXT, ANSWER, return_tensors="pt")
    sides = coded.sequence_ids(0)
    with torch.inference_mode():
        chances = torch.softmax(model(**coded).logits, -1)[0, :, 1].tolist()
    mine = [chance for chance, side in zip(chances, sides, strict=True) if side == 1]
    assert found.score.value == pytest.approx(max(mine), abs=1e-5)
    assert found.score.passed is (max(mine) <= 0.3)
    for each in found.score.evidence:
        assert ANSWER[each.start : each.end] == each.text
        assert each.value > 0.3
    assert found.score.stats[1] == len(ANSWER)


@needs_extra
@pytest.mark.parametrize("scorer", ["nli", "hallucination_spans"])
def test_awkward_texts_spoil_no_other_pair(folders, scorer):
    folder = folders["nli" if scorer == "nli" else "spans"]
    texts = ["", "ok \ud800 \x00", "价格是四十五元。", "ราคา", "a" * 60_000, ANSWER]
    _, found = run(scorer, folder, [pair(text) for text in texts])
    assert [one.status for one in found] == [
        *("unscored", "scored", "scored", "scored", "unscored", "scored")
    ]
    _, (empty,) = run(scorer, folder, [pair(context=(" ",))])
    assert empty.status is ScoreStatus.UNSCORED


@needs_extra
def test_what_is_wrong_with_a_model_is_said_before_the_run(folders, tmp_path):
    def refused(scorer="nli", **options):
        spec = ScorerSpec(name=scorer, scorer=scorer, options=options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(ConfigError) as caught:
                bind(spec, root=tmp_path)
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    assert "no config.json" in refused(folder=tmp_path / "empty")
    assert "labels are" in refused(folder=folders["nli"], supported="yes")
    broken = tmp_path / "broken"
    shutil.copytree(folders["nli"], broken)
    (broken / "model.safetensors").write_bytes(b"not weights")
    assert "cannot be loaded" in refused(folder=broken)
    pickled = tmp_path / "pickled"
    shutil.copytree(folders["nli"], pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    assert "cannot be loaded" in refused(folder=pickled)


@needs_extra
def test_a_hub_name_is_not_asked_for_when_offline(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    spec = ScorerSpec(
        name="nli", scorer="nli", options={"model": "owner/not-here", "revision": "0" * 40}
    )
    with pytest.raises(ConfigError, match="cannot be loaded"):
        bind(spec, root=tmp_path)


@needs_extra
def test_another_model_makes_another_signature(folders, tmp_path):
    one, _ = run("nli", folders["nli"], [])
    copy = tmp_path / "nli"
    shutil.copytree(folders["nli"], copy)
    same, _ = run("nli", copy, [])
    assert one.signature.rpartition("model:")[2] == same.signature.rpartition("model:")[2]
    other = tmp_path / "other"
    shutil.copytree(folders["nli"], other)
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    changed, _ = run("nli", other, [])
    assert changed.signature.rpartition("model:")[2] != one.signature.rpartition("model:")[2]
