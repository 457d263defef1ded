"""Vectors of texts from any server that speaks OpenAI's ``/embeddings``; scorers ask it."""

from __future__ import annotations

import json
import math
from typing import Any

from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Output, Request, Usage
from evalkit.registry import target
from evalkit.targets._answers import count, document, nested, shaped, text_or_none
from evalkit.targets._http import (
    MAX_ANSWER_BYTES,
    Call,
    Wire,
    checked_key,
    checked_url,
    load_client,
)


@target(network=True, takes_prompt=False, cacheable=True)
class Embeddings:
    """Vectors of texts from OpenAI's embeddings API, or any server that speaks like it.

    ``similarity`` asks it. Each message is one text; the answer is a JSON list with a vector for
    each. ``base_url`` is the address without ``/embeddings``. ``dimensions`` shortens the vectors
    where the model can. It is never sent a seed.
    """

    load_ahead = staticmethod(load_client)
    takes_seed = False

    def __init__(
        self,
        *,
        model: str,
        base_url: str = "https://api.openai.com/v1",
        api_key: str | None = None,
        dimensions: int | None = None,
        headers: dict[str, str] | None = None,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        trust_env: bool = False,
    ):
        if not model.strip():
            raise ConfigError("model: it is empty")
        if dimensions is not None and dimensions < 1:
            raise ConfigError("dimensions: at least 1")
        url = checked_url("base_url", base_url)
        if not url.path.rstrip("/").endswith("/embeddings"):
            url = url.with_path(url.path.rstrip("/") + "/embeddings").with_query(url.query)
        key = checked_key(api_key)
        self._head: dict[str, Any] = {"model": model, "encoding_format": "float"}
        if dimensions is not None:
            self._head["dimensions"] = dimensions
        self._wire = Wire(
            url,
            headers={
                "Content-Type": "application/json",
                **({} if key is None else {"Authorization": f"Bearer {key}"}),
                **(headers or {}),
            },
            secrets=() if api_key is None else (api_key,),
            max_answer_bytes=max_answer_bytes,
            trust_env=trust_env,
        )

    async def send(self, request: Request) -> Output:
        """The vectors of the request's messages; raises ``TargetError``."""
        texts = [one.content for one in request.messages]
        if not texts:
            raise TargetError(ErrorClass.PROMPT, "embeddings: there is no text to embed")
        body = json.dumps({**self._head, "input": texts}).encode()
        call = await self._wire.exchange(body, timeout_s=request.timeout_s)
        answer = document(self._wire, call)
        return shaped(self._wire, lambda: self._output(call, answer, len(texts)))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._wire.aclose()

    def _output(self, call: Call, answer: Any, wanted: int) -> Output:
        rows = sorted(answer["data"], key=lambda one: one["index"])
        vectors = [[float(number) for number in one["embedding"]] for one in rows]
        sizes = {len(one) for one in vectors}
        fine = all(math.isfinite(number) for one in vectors for number in one)
        if len(vectors) != wanted or len(sizes) != 1 or 0 in sizes or not fine:
            raise self._wire.error(
                f"sent {len(vectors)} vectors of {sorted(sizes)} numbers for {wanted} texts",
                ErrorClass.INVALID_RESPONSE,
            )
        usage = nested(answer, "usage")
        return Output(
            text=json.dumps(vectors),
            finish_reason="stop",
            model=text_or_none(answer.get("model")),
            usage=Usage(input_tokens=count(usage.get("prompt_tokens")), output_tokens=0),
            latency_s=call.ended - call.started,
        )
