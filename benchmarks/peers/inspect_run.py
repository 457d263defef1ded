"""Inspect AI: exact, f1, and scorers for ROUGE-L and BLEU; its OpenAI-compatible provider."""

import os

import ask
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.scorer import Score, Target, exact, f1, mean, scorer
from inspect_ai.solver import TaskState, generate
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

ROUGE = RougeScorer(["rouge1", "rouge2", "rougeL"])
SENTENCE = BLEU(effective_order=True)


@scorer(metrics=[mean()])
def rouge_l():
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=ROUGE.score(target.text, state.output.completion)["rougeL"].fmeasure)

    return score


@scorer(metrics=[mean()])
def bleu():
    async def score(state: TaskState, target: Target) -> Score:
        return Score(value=SENTENCE.sentence_score(state.output.completion, [target.text]).score)

    return score


samples = [Sample(input=one["question"], target=one["expected"]) for one in ask.cases()]
(log,) = evaluate(
    Task(
        dataset=MemoryDataset(samples),
        solver=generate(),
        scorer=[exact(), f1(), rouge_l(), bleu()],
    ),
    model="openai-api/bench/bench-1",
    model_base_url=os.environ["BENCH_URL"],
    max_connections=ask.CONCURRENCY,
    max_samples=ask.CONCURRENCY,
    display="none",
    log_dir=os.environ["BENCH_OUT"],
)
assert log.status == "success", log.error
