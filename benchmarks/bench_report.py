"""The report of two runs: how long writing it takes, how large it is, how fast a browser shows it.

Two runs of an invented target answer N cases; the second answers one in fifty worse and rewords one
in three. The page is opened in a headless Chromium (``--browser``), where the figures are the
browser's own: ready is the script's time from navigation to a filled list, heap is after a
collection. Without a browser only the writer is measured.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from measure import process

SENTENCE = (
    "the refund is paid within days after we received your parcel at the warehouse and a message"
    " tells you about it unless the item was damaged on its way back to us in which case support"
    " asks for a photo first"
)
WORDS = SENTENCE.split()
LANGUAGES = ["en", "es", "ar", "hi", "de", "ja"]

ANSWERS = """
import random
WORDS = {words!r}
version = open({version!r}).read()
async def answer(request):
    number = int(request.case.inputs["number"])
    dice = random.Random(number)
    words = dice.choices(WORDS, k=dice.randint(20, 70))
    if version == "2":
        if number % 50 == 0:
            words = dice.choices(WORDS, k=12)
        elif number % 3 == 0:
            words[5] = "surely"
    return {{"text": " ".join(words), "ttft_s": 0.1 + dice.random() / 10, "cost_usd": 0.001,
            "usage": {{"input_tokens": 100, "output_tokens": len(words)}}}}
"""

PROJECT = """
project: bench
targets:
  bot: {kind: python, function: "answers.py:answer"}
"""

SUITE = """
dataset: golden/cases.jsonl
targets: [bot]
scorers:
  - rouge_l
  - token_f1
slices: [lang]
gates:
  - {id: quality, metric: rouge_l.mean, max_drop: 0.01}
  - {id: ttft, metric: latency.p95, max: 2s}
"""


def project(root: Path, cases: int) -> None:
    """A project whose two runs differ in known ways."""
    import random

    (root / "golden").mkdir(parents=True)
    (root / "suites").mkdir()
    (root / "evalkit.yaml").write_text(PROJECT)
    (root / "suites/bench.yaml").write_text(SUITE)
    version = str(root / "version")
    (root / "answers.py").write_text(ANSWERS.format(words=WORDS, version=version))
    with (root / "golden/cases.jsonl").open("w") as file:
        for number in range(cases):
            dice = random.Random(number)
            words = dice.choices(WORDS, k=dice.randint(20, 70))
            case = {
                "id": f"support/{number:06d}",
                "number": number,
                "question": " ".join(words[:12]) + "?",
                "expected": " ".join(words),
                "context": [" ".join(words)],
                "tags": {"lang": LANGUAGES[number % 6], "topic": f"t{number % 40}"},
            }
            file.write(json.dumps(case) + "\n")


def evalkit(root: Path, *arguments: str) -> list[str]:
    """The command line of this interpreter's evalkit in a project."""
    flags = ["--project", str(root / "evalkit.yaml"), "--allow-code"]
    return [sys.executable, "-m", "evalkit", arguments[0], *flags, *arguments[1:]]


MEASURE = (Path(__file__).parent / "report_page.js").read_text()


def browse(page: Path, browser: str) -> dict:
    """What a browser says of a page, with its heap in MB."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=flags)
        tab = chromium.new_page(viewport={"width": 1366, "height": 900})
        tab.goto(page.as_uri())
        tab.wait_for_function("() => document.documentElement.dataset.ready")
        session = tab.context.new_cdp_session(tab)
        session.send("HeapProfiler.enable")
        session.send("HeapProfiler.collectGarbage")
        heap = session.send("Runtime.getHeapUsage")["usedSize"]
        found = tab.evaluate(MEASURE)
        chromium.close()
    return {**found, "heap": heap / 1e6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--browser", default=shutil.which("chromium") or "")
    given = parser.parse_args()
    heads = ("cases", "write s", "CPU s", "peak MB", "page MB", "ready ms", "filter ms", "open ms")
    print("".join(f"{one:>11}" for one in (*heads, "scroll p95", "heap MB")))
    for cases in given.cases:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "p"
            project(root, cases)
            for version in ("1", "2"):
                (root / "version").write_text(version)
                process(evalkit(root, "run", "--quiet", "--no-progress"))
            page = root / "report.html"
            took = process(evalkit(root, "report", "latest~1", "latest", "--out", str(page)))
            seen = browse(page, given.browser) if given.browser else {}
            row = [f"{cases:,}", f"{took.wall_s:.1f}", f"{took.cpu_s:.1f}", f"{took.peak_mb:,.0f}"]
            row.append(f"{page.stat().st_size / 1e6:.2f}")
            figures = ("ready", "filter", "open", "scroll", "heap")
            row += [f"{seen[name]:.0f}" if seen else "-" for name in figures]
            print("".join(f"{one:>11}" for one in row), flush=True)


if __name__ == "__main__":
    main()
