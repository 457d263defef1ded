"""Reads the answer out of the passages in its prompt: a real, deterministic target without a key.

It sees only the rendered messages, as any model would. In the last user message the passages stand
between ``<passages>`` and ``</passages>`` or in ``<passage>`` tags, and the question in
``<question>`` tags; without tags the last line that ends in a question mark is the question and the
lines before it are the passages.
"""

from __future__ import annotations

import re
import time
from functools import lru_cache
from typing import Literal

from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Message, Output, Request, Usage
from evalkit.registry import target
from evalkit.targets._reader import prepare, read
from evalkit.targets._reader_text import QUESTION_MARKS
from evalkit.targets._setting import OptionError

NOT_FOUND = "Not in the passages."
"""The answer when the passages do not support one."""

_WORD = re.compile(r"\w+|[^\w\s]")


@target(calls_tools=False)
class Extractive:
    r"""The embedded reader: finds the sentence that answers and copies the answer out of it.

    ``answer`` gives the ``span`` that answers or the whole ``sentence``; ``retrieval`` ranks
    sentences by ``bm25`` or by the ``overlap`` of their words with the question's. Below the
    confidence ``abstain_below`` (0 to 1) it answers "Not in the passages.". ``max_passages`` reads
    only the first ones, ``top_sentences`` says in how many of the best sentences it looks for the
    span. ``model`` is a label. Tokens are counted as words and single marks (``\w+`` or any other
    visible character). It costs nothing.
    """

    def __init__(
        self,
        *,
        model: str = "extractive-1",
        answer: Literal["span", "sentence"] = "span",
        retrieval: Literal["bm25", "overlap"] = "bm25",
        abstain_below: float = 0.33,
        max_passages: int | None = None,
        top_sentences: int = 3,
    ):
        if not 0 <= abstain_below <= 1:
            raise OptionError("abstain_below", "'abstain_below' must lie between 0 and 1")
        if max_passages is not None and max_passages < 1:
            raise OptionError("max_passages", "'max_passages' must be at least 1")
        if top_sentences < 1:
            raise OptionError("top_sentences", "'top_sentences' must be at least 1")
        self._model = model
        self._whole = answer == "sentence"
        self._retrieval: Literal["bm25", "overlap"] = retrieval
        self._abstain_below = abstain_below
        self._max_passages = max_passages
        self._top = top_sentences
        prepare()

    async def send(self, request: Request) -> Output:
        """Read the answer; ``extra`` has the confidence and the sentence it rests on."""
        started = time.perf_counter()
        asked = next((one for one in reversed(request.messages) if one.role == "user"), None)
        if asked is None:
            raise TargetError(
                ErrorClass.PROMPT,
                "the extractive reader reads a prompt, and there is no user message",
            )
        question, passages = split(asked.content)
        if question is None:
            raise TargetError(
                ErrorClass.PROMPT,
                "there is no question in the prompt: put it into <question> tags or end a line "
                "with a question mark",
            )
        reading = read(
            question,
            passages[: self._max_passages],
            retrieval=self._retrieval,
            top_sentences=self._top,
            whole_sentence=self._whole,
        )
        found = reading is not None and reading.confidence >= self._abstain_below
        text = reading.answer if reading is not None and found else NOT_FOUND
        usage = Usage(input_tokens=_count(request.messages), output_tokens=len(_WORD.findall(text)))
        took = time.perf_counter() - started
        return Output(
            text=text,
            model=self._model,
            finish_reason="stop",
            usage=usage,
            latency_s=took,
            ttft_s=took,  # the answer comes in one piece
            extra={
                "confidence": reading.confidence if reading is not None else 0.0,
                "sentence": reading.sentence if reading is not None and found else None,
            },
        )

    async def aclose(self) -> None:
        """Nothing to release."""


@lru_cache(maxsize=1024)
def split(content: str) -> tuple[str | None, list[str]]:
    """The question and the passages of a user message; between its tags a question may be empty."""
    questions, rest = _tagged(content, "question")
    question = questions[-1] if questions else None
    passages, without = _tagged(rest, "passage")
    blocks, bare = _tagged(without if passages else rest, "passages")
    if question is None:
        question, above = _last_question(bare)
    else:
        above = bare
    if not passages:
        found = [above] if not blocks and "<passages>" not in content else blocks
        passages = [one for block in found for one in _paragraphs(block)]
    return question, [one for one in passages if one]


def _tagged(content: str, tag: str) -> tuple[list[str], str]:
    """What stands in tags of that name, and the text without them; tags do not nest.

    Searched with plain string methods: a pattern would take quadratic time on tags that never end.
    """
    folded = content.lower()
    if len(folded) != len(content):  # a few letters grow when they are lowered
        folded = content
    opened, closed = f"<{tag}", f"</{tag}>"
    inside, outside, at = [], [], 0
    while (start := folded.find(opened, at)) >= 0:
        body = start + len(opened)
        end = folded.find(closed, body)
        if end < 0:
            break
        close = content.find(">", body, body + 200)
        if close < 0 or close >= end or content[body : body + 1] not in "> \t\n":
            outside.append(content[at:body])
            at = body
            continue
        outside.append(content[at:start])
        inside.append(content[close + 1 : end].strip())
        at = end + len(closed)
    outside.append(content[at:])
    return inside, "".join(outside)


def _last_question(text: str) -> tuple[str | None, str]:
    """The last line that asks, and what stands above it: below it is an instruction."""
    lines = text.splitlines()
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].rstrip().endswith(QUESTION_MARKS):
            return lines[at].strip(), "\n".join(lines[:at])
    return None, text


_BREAK = re.compile(r"\n\s*\n")


def _paragraphs(block: str) -> list[str]:
    """Split at blank lines, but a table stays with the paragraph above it."""
    found: list[str] = []
    for one in _BREAK.split(block.strip()):
        if one.lstrip().startswith("|") and found:
            found[-1] += f"\n\n{one}"
        elif one:
            found.append(one)
    return found


def _count(messages: tuple[Message, ...]) -> int:
    return sum(_words(one.content) for one in messages)


@lru_cache(maxsize=1024)
def _words(text: str) -> int:
    return len(_WORD.findall(text))
