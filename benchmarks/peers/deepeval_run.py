"""DeepEval: judge-free metrics over answers that were asked beforehand with aiohttp.

Its own scorers for exact match and ROUGE-1/2/L stand in one metric each, as its documentation shows
for metrics without a judge; its BLEU needs a download of tokenizer data, so sacrebleu stands in.
"""

import asyncio

import ask
from deepeval import evaluate
from deepeval.evaluate.configs import AsyncConfig, CacheConfig, DisplayConfig, ErrorConfig
from deepeval.metrics import BaseMetric
from deepeval.scorer import Scorer
from deepeval.test_case import LLMTestCase
from sacrebleu.metrics import BLEU

SCORER = Scorer()
SENTENCE = BLEU(effective_order=True)


class Judge(BaseMetric):
    threshold = 0.0

    def __init__(self, kind: str, compute) -> None:
        self.kind, self.compute = kind, compute
        self.async_mode = True

    def measure(self, case: LLMTestCase, *_, **__) -> float:
        self.score = float(self.compute(case.expected_output, case.actual_output))
        self.success = True
        return self.score

    async def a_measure(self, case: LLMTestCase, *_, **__) -> float:
        return self.measure(case)

    def is_successful(self) -> bool:
        return True

    @property
    def __name__(self) -> str:
        return self.kind


def rouge(kind: str):
    return lambda expected, answer: SCORER.rouge_score(expected, answer, kind)


METRICS = [
    Judge("exact", SCORER.exact_match_score),
    *(Judge(kind, rouge(kind)) for kind in ("rouge1", "rouge2", "rougeL")),
    Judge("bleu", lambda expected, answer: SENTENCE.sentence_score(answer, [expected]).score),
]

rows = ask.cases()
texts = asyncio.run(ask.answers([one["question"] for one in rows]))
evaluate(
    test_cases=[
        LLMTestCase(input=one["question"], actual_output=text, expected_output=one["expected"])
        for one, text in zip(rows, texts, strict=True)
    ],
    metrics=METRICS,
    async_config=AsyncConfig(run_async=True, max_concurrent=ask.CONCURRENCY),
    cache_config=CacheConfig(write_cache=False, use_cache=False),
    display_config=DisplayConfig(show_indicator=False, print_results=False),
    error_config=ErrorConfig(ignore_errors=False),
)
