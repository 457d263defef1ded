"""Models of transformers on this machine: found in a folder or a hub's cache, pinned, on the CPU.

Nothing here downloads unless a hub's name with its commit is given and HF_HUB_OFFLINE is not set.
Weights are read as safetensors only, and code that a model brings along is never run.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from evalkit.errors import Unscorable
from evalkit.hashing import bytes_id
from evalkit.model import Case, Output

Task: TypeAlias = Literal["sequence", "token"]

LONGEST_ANSWER = 50_000
"""Characters of answer that are judged; a longer one is unscored, never judged in part."""
LONGEST_CONTEXT = 500_000
MOST_WINDOWS = 2_000
"""Passes through the model for one answer; more is unscored."""
_COMMIT = re.compile(r"[0-9a-f]{40}")
_loading = threading.Lock()


class Window(NamedTuple):
    """A part of a text, by its characters."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Local:
    """A tokenizer and a model, ready on the CPU; ``budget`` is the most tokens of one pass."""

    tokenizer: Any
    model: Any
    labels: tuple[str, ...]
    budget: int
    hash: str

    def windows(self, text: str, size: int) -> list[Window]:
        """The text in parts of at most ``size`` tokens, each a quarter into the one before."""
        places = self.offsets(text)
        if len(places) <= size:
            return [Window(0, len(text))]
        step = max(1, size - size // 4)
        starts = range(0, max(1, len(places) - size // 4), step)
        return [Window(places[at][0], places[min(at + size, len(places)) - 1][1]) for at in starts]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Where every token of a text begins and ends."""
        found = self.tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        return [(int(start), int(end)) for start, end in found]

    def run(self, first: Sequence[str], second: Sequence[str], batch: int) -> Iterator[Any]:
        """The logits of pairs of texts with their encodings, a batch at a time, in order."""
        import torch

        for at in range(0, len(first), batch):
            texts = (list(first[at : at + batch]), list(second[at : at + batch]))
            coded = self.tokenizer(
                *texts,
                truncation="only_first",
                max_length=self.budget,
                padding=True,
                return_offsets_mapping=True,
                return_tensors="pt",
            )
            offsets = coded.pop("offset_mapping")
            with torch.inference_mode():
                logits = self.model(**coded).logits
            yield coded, offsets, torch.softmax(logits.float(), dim=-1)


def prepare(options: Mapping[str, Any], task: Task) -> str:
    """Load the model before the run, and name it for the signature.

    Raises ``ValueError`` with what to do: an extra that is missing, a model that is not there.
    """
    model, folder, revision = options["model"], options["folder"], options["revision"]
    if (model is None) == (folder is None):
        raise ValueError("give either folder: models/NAME, or model: OWNER/NAME with its revision")
    if model is not None and not _COMMIT.fullmatch(revision or ""):
        raise ValueError(f"pin {model!r}: revision is the commit, 40 hexadecimal digits")
    if options["batch"] < 1 or (options["max_tokens"] is not None and options["max_tokens"] < 32):
        raise ValueError("batch is at least 1 and max_tokens at least 32")
    return f"model:{of(options, task).hash}"


def of(options: Mapping[str, Any], task: Task) -> Local:
    """The model that options name, loaded once."""
    folder: Path | None = options["folder"]
    with _loading:
        source = str(folder) if folder is not None else str(options["model"])
        return _loaded(source, folder is not None, options["revision"], options["max_tokens"], task)


@cache
def _loaded(
    source: str, is_folder: bool, revision: str | None, max_tokens: int | None, task: Task
) -> Local:
    try:
        import torch  # noqa: F401 - transformers says it late and at length when it is missing
        import transformers
    except ImportError:
        raise ValueError(
            "needs torch and transformers: pip install 'evalkit[local]' (from a clone: '.[local]')"
        ) from None
    if is_folder and not (Path(source) / "config.json").is_file():
        raise ValueError(f"{Path(source).name!r} is no folder of a model: it has no config.json")
    given: dict[str, Any] = {"trust_remote_code": False}
    if is_folder:
        given["local_files_only"] = True
    else:
        given["revision"] = revision
    kind = (
        transformers.AutoModelForSequenceClassification
        if task == "sequence"
        else transformers.AutoModelForTokenClassification
    )
    try:
        config = transformers.AutoConfig.from_pretrained(source, **given)
        tokenizer = transformers.AutoTokenizer.from_pretrained(source, **given)
        model = kind.from_pretrained(source, use_safetensors=True, **given)
    except Exception as error:  # noqa: BLE001 - libraries raise many kinds, all about the files
        own = " (code that a model brings along is not run)" * ("remote_code" in str(error))
        raise ValueError(
            f"{source!r} cannot be loaded: {type(error).__name__}: {_first(error)}{own}"
        ) from None
    if not tokenizer.is_fast:
        raise ValueError(f"{source!r} has no fast tokenizer, and offsets are needed")
    model.eval()
    return Local(
        tokenizer=tokenizer,
        model=model,
        labels=tuple(str(config.id2label[at]) for at in range(config.num_labels)),
        budget=_budget(tokenizer, config, max_tokens),
        hash=_hash(Path(source)) if is_folder else f"{source}@{str(revision)[:12]}",
    )


def _first(error: Exception) -> str:
    return (str(error).strip() or "no reason given").partition("\n")[0][:200]


def _budget(tokenizer: Any, config: Any, most: int | None) -> int:
    positions = getattr(config, "max_position_embeddings", None) or 512
    # RoBERTa and its kin keep two positions for themselves, and tell the rest as model_max_length
    limit = min(int(positions), int(min(tokenizer.model_max_length, 1_000_000)))
    return limit if most is None else min(limit, most)


def _hash(folder: Path) -> str:
    """The hash of what makes the scores: configuration, tokenizer and weights."""
    names = sorted(
        one for one in folder.iterdir() if one.suffix in {".json", ".safetensors", ".txt", ".model"}
    )
    parts = (f"{one.name}:{bytes_id(one.read_bytes())}" for one in names)
    return bytes_id("\n".join(parts).encode())[:20]


def texts_of(case: Case, output: Output) -> tuple[str, ...]:
    """The context an answer is held against, that of the target before the case's own.

    Raises ``Unscorable`` where there is nothing to judge or too much.
    """
    parts = output.context or case.context
    if not any(one.strip() for one in parts):
        raise Unscorable("the case has no context")
    if not output.text.strip():
        raise Unscorable("the answer is empty: nothing is claimed")
    if len(output.text) > LONGEST_ANSWER:
        raise Unscorable(f"the answer has {len(output.text):,} characters; too long to judge")
    if sum(map(len, parts)) > LONGEST_CONTEXT:
        raise Unscorable(f"the context has {sum(map(len, parts)):,} characters; too long to read")
    return tuple(one for one in map(sound, parts))


def sound(text: str) -> str:
    """The text without half characters, which tokenizers refuse, each place kept."""
    return (
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if _broken(text)
        else text
    )


def _broken(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def each(judge: Any, pairs: Sequence[tuple[Case, Output]]) -> list[Any]:
    """What ``judge(case, output)`` says of each pair; one that cannot be scored spoils no other."""
    found: list[Any] = []
    for case, output in pairs:
        try:
            found.append(judge(case, output))
        except Unscorable as error:
            found.append(error)
    return found
