"""Similarity with a sentence-transformers model on this machine, made in the test."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from evalkit.errors import TargetError
from evalkit.model import Case, Message, Request
from evalkit.targets._setting import OptionError, Setting
from evalkit.targets.sentence_transformers import SentenceTransformers


def ask(target: SentenceTransformers, *texts: str):
    messages = tuple(Message(role="user", content=one) for one in texts)
    return asyncio.run(target.send(Request(case=Case.of({}), messages=messages)))


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="holds no sentence-transformers model"):
        SentenceTransformers(Setting(name="t", root=tmp_path), folder="none")


def test_without_the_library_the_error_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    import sys

    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "modules.json").write_text("[]")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    target = SentenceTransformers(Setting(name="t", root=tmp_path), folder="m")
    with pytest.raises(TargetError, match=r"evalkit\[local\]"):
        ask(target, "a")


@pytest.mark.filterwarnings("ignore")
def test_vectors_are_those_of_the_model(tmp_path: Path) -> None:
    library = pytest.importorskip(
        "sentence_transformers",
        reason="sentence-transformers is not installed: pip install 'evalkit[local]'",
    )
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {one: at for at, one in enumerate(["[UNK]", "parcels", "go", "back", "never"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).normal(size=(len(words), 8)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=weights)
    library.SentenceTransformer(modules=[module], device="cpu").save(str(tmp_path / "tiny"))

    target = SentenceTransformers(Setting(name="t", root=tmp_path), folder="tiny")
    answer = ask(target, "parcels go back", "never")
    got = np.array(json.loads(answer.text))
    assert got[0] == pytest.approx(weights[1:4].mean(axis=0), abs=1e-6)
    assert got[1] == pytest.approx(weights[4], abs=1e-6)
    assert answer.model == "tiny"
