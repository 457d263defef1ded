"""Vectors of texts from a sentence-transformers model on this machine; scorers ask it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

from evalkit.errors import ErrorClass, TargetError
from evalkit.model import Output, Request, Usage
from evalkit.registry import target
from evalkit.targets._setting import OptionError, Setting

_loading = threading.Lock()


@target(takes_prompt=False)
class SentenceTransformers:
    """Vectors of texts from a sentence-transformers model in a folder of the project.

    ``similarity`` asks it. Each message is one text; the answer is a JSON list with a vector for
    each. The model is read when it is first asked, from the folder alone: nothing is downloaded,
    and code that a model brings along is not run. Wants the extra ``local``.
    """

    def __init__(self, setting: Setting, /, *, folder: str):
        self._folder: Path = setting.root / folder
        if not (self._folder / "modules.json").is_file():
            raise OptionError("folder", f"{folder!r} holds no sentence-transformers model")
        self._model: Any = None

    async def send(self, request: Request) -> Output:
        """The vectors of the request's messages; raises ``TargetError``."""
        texts = [one.content for one in request.messages]
        if not texts:
            raise TargetError(ErrorClass.PROMPT, "there is no text to embed")
        started = time.perf_counter()
        vectors = await asyncio.to_thread(self._embed, texts)
        return Output(
            text=json.dumps(vectors),
            finish_reason="stop",
            model=self._folder.name,
            usage=Usage(input_tokens=0, output_tokens=0),
            latency_s=time.perf_counter() - started,
        )

    async def aclose(self) -> None:
        """Nothing to release."""

    def _embed(self, texts: list[str]) -> list[list[float]]:
        with _loading:
            if self._model is None:
                self._model = self._load()
            found = self._model.encode(texts, convert_to_numpy=True, show_progress_bar=False)
        vectors: list[list[float]] = found.tolist()
        return vectors

    def _load(self) -> Any:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise TargetError(
                ErrorClass.NOT_FOUND,
                "sentence-transformers is not installed: pip install 'evalkit[local]'",
                retryable=False,
            ) from error
        return SentenceTransformer(
            str(self._folder), device="cpu", local_files_only=True, trust_remote_code=False
        )
