"""Asks the local server all questions of a file, for peers that bring no client of their own."""

import asyncio
import json
import os
from pathlib import Path

import aiohttp

URL = os.environ["BENCH_URL"] + "/chat/completions"
CONCURRENCY = int(os.environ["BENCH_CONCURRENCY"])


def cases() -> list[dict]:
    text = Path(os.environ["BENCH_CASES"]).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


async def ask(session: aiohttp.ClientSession, question: str) -> str:
    body = {"model": "bench-1", "messages": [{"role": "user", "content": question}]}
    async with session.post(URL, json=body) as response:
        return (await response.json())["choices"][0]["message"]["content"]


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def answers(questions: list[str]) -> list[str]:
    slots = asyncio.Semaphore(CONCURRENCY)
    async with client() as session:

        async def one(question: str) -> str:
            async with slots:
                return await ask(session, question)

        return await asyncio.gather(*(one(question) for question in questions))
