"""Rubrics: prompt files whose variables are the texts under judgement, shown as data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

from evalkit.config.prompt import Prompt, load_prompt
from evalkit.errors import PromptError, Unscorable
from evalkit.model import JSON, Message
from evalkit.scorers._fence import CONVERSATION, Fenced

DATA = Path(__file__).parent / "data"


@lru_cache(maxsize=64)
def _loaded(path: Path, _changed: int) -> Prompt:
    return load_prompt(path)


def rubric_at(path: Path) -> Prompt:
    """The rubric of a file, read once for every state of it; raises ``PromptError``."""
    return _loaded(path, path.stat().st_mtime_ns)


def checked(path: Path, shown: Collection[str], must: Collection[str]) -> Prompt:
    """A rubric that uses nothing but what it is ``shown`` and all that it ``must``.

    Raises ``ValueError`` with the place of what is wrong.
    """
    prompt = rubric_at(path)
    try:
        prompt.require(shown)
    except PromptError as error:
        where = error.where or path
        raise ValueError(
            f"{error.what} ({where}); a rubric is given {', '.join(sorted(shown))}"
        ) from error
    missing = [one for one in must if one not in prompt.variables]
    if missing:
        raise ValueError(f"the rubric {path.name} never shows {{{{ {missing[0]} }}}}")
    return prompt


def question(prompt: Prompt, texts: Mapping[str, JSON], *, form: str) -> tuple[Message, ...]:
    """The rubric with the texts as data, the guard in front and the form of the answer last.

    Raises ``Unscorable`` when the case lacks what the rubric shows.
    """
    fenced = Fenced(texts)
    try:
        messages = prompt.render(fenced.shown)
    except PromptError as error:
        raise Unscorable(f"the rubric cannot be filled in: {error.what}") from error
    return fenced.guarded(_with_conversation(prompt, messages, fenced), form)


def _with_conversation(
    prompt: Prompt, messages: tuple[Message, ...], fenced: Fenced
) -> tuple[Message, ...]:
    """The messages with the conversation in front of the last, unless the rubric shows it itself.

    A rubric that was written for single questions must not judge an answer out of its place.
    """
    said = fenced.shown.get(CONVERSATION)
    if said is None or CONVERSATION in prompt.names:
        return messages
    *rest, last = messages
    before = f"The conversation until the answer, as JSON:\n{said}"
    return (*rest, Message(role=last.role, content=f"{before}\n\n{last.content}"))
