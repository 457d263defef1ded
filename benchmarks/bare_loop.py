"""The least a client can do: the same requests on the same HTTP client, not scored, not stored."""

import argparse
import asyncio
import json
from pathlib import Path

import aiohttp


async def drive(url: str, cases: Path, concurrency: int, stream: bool) -> int:
    connector = aiohttp.TCPConnector(limit=0)
    answered = 0
    with cases.open(encoding="utf-8") as lines:
        async with aiohttp.ClientSession(connector=connector) as session:

            async def worker() -> None:
                nonlocal answered
                for line in lines:
                    case = json.loads(line)
                    body = {
                        "model": "bench-1",
                        "messages": [{"role": "user", "content": case["question"]}],
                        "stream": stream,
                    }
                    async with session.post(url, json=body) as response:
                        if stream:
                            async for data in response.content:
                                if data.startswith(b"data: {"):
                                    json.loads(data[6:])
                        else:
                            json.loads(await response.read())
                    answered += 1

            await asyncio.gather(*(worker() for _ in range(concurrency)))
    return answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("cases", type=Path)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--stream", action="store_true")
    options = parser.parse_args()
    print(asyncio.run(drive(options.url, options.cases, options.concurrency, options.stream)))


if __name__ == "__main__":
    main()
