"""pydantic-evals: its Dataset and evaluators; the task is a call with aiohttp."""

import asyncio
from dataclasses import dataclass

import ask
from pydantic_evals import Case, Dataset
from pydantic_evals.evaluators import EqualsExpected, Evaluator, EvaluatorContext
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

ROUGE = RougeScorer(["rouge1", "rouge2", "rougeL"])
SENTENCE = BLEU(effective_order=True)


@dataclass
class Rouge(Evaluator):
    def evaluate(self, ctx: EvaluatorContext) -> dict[str, float]:
        found = ROUGE.score(ctx.expected_output, ctx.output)
        return {name: one.fmeasure for name, one in found.items()}


@dataclass
class Bleu(Evaluator):
    def evaluate(self, ctx: EvaluatorContext) -> float:
        return SENTENCE.sentence_score(ctx.output, [ctx.expected_output]).score


async def main() -> None:
    rows = [Case(inputs=one["question"], expected_output=one["expected"]) for one in ask.cases()]
    dataset = Dataset(name="bench", cases=rows, evaluators=[EqualsExpected(), Rouge(), Bleu()])
    async with ask.client() as session:

        async def task(question: str) -> str:
            return await ask.ask(session, question)

        report = await dataset.evaluate(task, max_concurrency=ask.CONCURRENCY, progress=False)
    assert len(report.cases) == len(rows)


asyncio.run(main())
