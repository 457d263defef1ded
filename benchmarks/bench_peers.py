"""A whole evaluation beside other tools, each from its own package, doing the same work.

N cases, one model behind a local OpenAI-compatible server (50 ms), 100 calls at once, and scores
without a judge: exact match, ROUGE and BLEU, each with what the tool itself brings for it, or with
rouge-score and sacrebleu where it brings nothing. Results go where the tool writes them by default.

How each is installed and set up:

- pydantic-evals, DeepEval, Inspect AI, lm-evaluation-harness: ``pip install`` into a virtual
  environment of its own; the programs are in ``peers/``. For lm-evaluation-harness it is its own
  command with a task file, ``local-chat-completions`` and ``num_concurrent``.
- promptfoo: ``npm install`` into a folder of its own, its own command with a configuration file.

Telemetry, update checks and caches are switched off by the variables each tool documents, every
address is one of this machine. A tool that cannot be installed or fails is listed with the reason.
A server's count tells whether each tool really asked every case once. Whole processes are measured,
start-up included, one after the other.
"""

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench_whole_run import project, server
from measure import Figures, installed, process

HERE = Path(__file__).parent
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_FAILED_TEST_EXIT_CODE": "0",
    "DEEPEVAL_TELEMETRY_OPT_OUT": "1",
    "DEEPEVAL_UPDATE_WARNING_OPT_IN": "0",
    "DEEPEVAL_DISABLE_PROGRESS_BAR": "1",
    "LOGFIRE_SEND_TO_LOGFIRE": "false",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "NO_PROXY": "127.0.0.1,localhost",
    "OPENAI_API_KEY": "none",
    "BENCH_API_KEY": "none",
}
KEPT = ("PATH", "LANG", "PYTHONPYCACHEPREFIX")
WARM = 20
"""Cases of a run before the first that is measured: what is compiled and kept then stays."""
SCORES = ("rouge-score==0.1.2", "sacrebleu>=2.6", "aiohttp>=3.13")
LM_TASK = """task: bench
dataset_path: json
dataset_kwargs: {{data_files: {{test: {cases}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{expected}}}}"
process_results: !function scores.process
generation_kwargs: {{until: [], max_gen_toks: 64}}
metric_list:
  - {{metric: exact, aggregation: mean, higher_is_better: true}}
  - {{metric: rouge1, aggregation: mean, higher_is_better: true}}
  - {{metric: rouge2, aggregation: mean, higher_is_better: true}}
  - {{metric: rougeL, aggregation: mean, higher_is_better: true}}
  - {{metric: bleu, aggregation: mean, higher_is_better: true}}
"""
LM_SCORES = """from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU

ROUGE = RougeScorer(["rouge1", "rouge2", "rougeL"])
SENTENCE = BLEU(effective_order=True)


def process(doc, results):
    found = {name: one.fmeasure for name, one in ROUGE.score(doc["expected"], results[0]).items()}
    found["bleu"] = SENTENCE.sentence_score(results[0], [doc["expected"]]).score
    return {**found, "exact": float(results[0] == doc["expected"])}
"""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A peer: what to install, and the program or command to run."""

    name: str
    packages: tuple[str, ...]
    program: str = ""


TOOLS = (
    Tool(name="pydantic-evals", packages=("pydantic-evals", *SCORES), program="pydantic_evals_run"),
    Tool(name="deepeval", packages=("deepeval", "nltk", *SCORES), program="deepeval_run"),
    Tool(name="inspect-ai", packages=("inspect-ai", "openai", *SCORES), program="inspect_run"),
    Tool(name="lm-eval", packages=("lm-eval[api]", *SCORES)),
    Tool(name="promptfoo", packages=("promptfoo",)),
)


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def install(tool: Tool, root: Path) -> tuple[Path, str]:
    """The folder a tool is installed in, and its version; raises ``CalledProcessError``."""
    home = root / tool.name
    if tool.name == "promptfoo":
        if not (home / "node_modules").is_dir():
            home.mkdir(parents=True, exist_ok=True)
            flags = ["--no-audit", "--no-fund", "--loglevel=error"]
            run(["npm", "install", *flags, "--prefix", str(home), *tool.packages])
        text = (home / "node_modules" / "promptfoo" / "package.json").read_text("utf-8")
        return home, json.loads(text)["version"]
    python = home / "bin" / "python"
    if not python.exists():
        run([sys.executable, "-m", "venv", str(home)])
        run([str(python), "-m", "pip", "install", "--quiet", *tool.packages])
    code = f"import importlib.metadata as m; print(m.version({tool.name!r}))"
    found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    return home, found.stdout.strip()


def run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=900)


def command_of(
    tool: Tool, home: Path, work: Path, options: argparse.Namespace, url: str
) -> list[str]:
    """What runs the tool on the cases in ``work``."""
    python = str(home / "bin" / "python")
    if tool.program:
        return [python, str(HERE / "peers" / f"{tool.program}.py")]
    if tool.name == "lm-eval":
        tasks = work / "tasks"
        tasks.mkdir()
        (tasks / "bench.yaml").write_text(LM_TASK.format(cases=work / "cases.jsonl"))
        (tasks / "scores.py").write_text(LM_SCORES)
        model = (
            f"model=bench-1,base_url={url}/chat/completions,num_concurrent={options.concurrency}"
        )
        return [
            *(str(home / "bin" / "lm_eval"), "--model", "local-chat-completions"),
            *("--model_args", f"{model},tokenized_requests=False,max_retries=1"),
            *("--tasks", "bench", "--include_path", str(tasks), "--apply_chat_template"),
            *("--output_path", str(work / "out"), "--log_samples"),
        ]
    tests = [
        {"vars": {"question": one["question"], "expected": one["expected"]}}
        for one in map(json.loads, (work / "cases.jsonl").read_text("utf-8").splitlines())
    ]
    config = {
        "prompts": ["{{question}}"],
        "providers": [{"id": "openai:chat:bench-1", "config": {"apiBaseUrl": url}}],
        "defaultTest": {
            "assert": [
                {"type": "equals", "value": "{{expected}}"},
                {"type": "rouge-n", "value": "{{expected}}", "threshold": 0.1},
                {"type": "bleu", "value": "{{expected}}", "threshold": 0.01},
            ]
        },
        "tests": tests,
    }
    (work / "promptfooconfig.json").write_text(json.dumps(config))
    return [
        *(str(home / "node_modules" / ".bin" / "promptfoo"), "eval", "--no-cache", "--no-table"),
        *("--no-progress-bar", "-j", str(options.concurrency)),
        *("-c", str(work / "promptfooconfig.json"), "-o", str(work / "out.json")),
    ]


def measured(command: list[str], work: Path, port: int, options: argparse.Namespace) -> Figures:
    home = work / "home"
    home.mkdir()
    environment = {
        **{name: value for name, value in installed().items() if name in KEPT},
        **QUIET,
        "HOME": str(home),
        "PROMPTFOO_CONFIG_DIR": str(home / "promptfoo"),
        "BENCH_URL": f"http://127.0.0.1:{port}/v1",
        "BENCH_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "BENCH_CASES": str(work / "cases.jsonl"),
        "BENCH_CONCURRENCY": str(options.concurrency),
        "BENCH_OUT": str(work / "out"),
    }
    before = served(port)
    command = ["timeout", str(options.patience), *command]
    found = process(command, cwd=work, env=environment)
    asked = served(port) - before
    if asked < options.asked:
        raise SystemExit(f"asked {asked:,} of {options.asked:,} cases")
    return found


def served(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/served") as answer:
        return int(answer.read())


def rows_of(
    options: argparse.Namespace, homes: dict[str, Path], cases: int
) -> dict[str, Figures | str]:
    found: dict[str, Figures | str] = {}
    options.asked = cases
    for name in ("bare loop", "evalkit", *homes):
        with tempfile.TemporaryDirectory() as folder, server(options.latency) as port:
            work = Path(folder)
            url = f"http://127.0.0.1:{port}/v1"
            rows = project(
                work, cases=cases, port=port, concurrency=options.concurrency, stream=False
            )
            if name == "bare loop":
                command = [sys.executable, str(HERE / "bare_loop.py"), f"{url}/chat/completions"]
                command += [str(rows), "--concurrency", str(options.concurrency)]
            elif name == "evalkit":
                command = [sys.executable, "-m", "evalkit", "run", "bench", "--no-progress"]
            else:
                tool = next(one for one in TOOLS if one.name == name)
                command = command_of(tool, homes[name], work, options, url)
            say(f"{cases:,} cases: {name}")
            try:
                found[name] = measured(command, work, port, options)
            except SystemExit as error:
                lines = str(error).strip().splitlines()
                found[name] = f"failed: {' '.join([lines[0][-60:], *lines[-2:]])[:160]}"
    return found


def table(found: dict[str, Figures | str], versions: dict[str, str], cases: int) -> None:
    ours = found["evalkit"]
    print(f"\n{cases:,} cases\n")
    print("| | wall s | CPU s | peak MB | wall ÷ evalkit | CPU ÷ evalkit |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, one in found.items():
        title = f"{name} {versions.get(name, '')}".strip()
        if isinstance(one, str) or isinstance(ours, str):
            print(f"| {title} | {one} | | | | |")
            continue
        print(
            f"| {title} | {one.wall_s:.1f} | {one.cpu_s:.1f} | {one.peak_mb:.0f}"
            f" | {one.wall_s / ours.wall_s:.1f} | {one.cpu_s / ours.cpu_s:.1f} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000])
    parser.add_argument("--latency", type=float, default=0.05)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--patience", type=int, default=240, help="seconds one tool may take")
    parser.add_argument("--tool", action="append", choices=[one.name for one in TOOLS])
    parser.add_argument("--envs", type=Path, help="keep the environments here, and use those there")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        envs = options.envs or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        homes: dict[str, Path] = {}
        versions = {"evalkit": version("evalkit")}
        for tool in TOOLS:
            if options.tool and tool.name not in options.tool:
                continue
            say(f"installing {tool.name}")
            try:
                homes[tool.name], versions[tool.name] = install(tool, envs)
            except (subprocess.SubprocessError, OSError, KeyError) as error:
                said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
                print(f"{tool.name} is not measured: {said[-1][:200] if said else error}")
                shutil.rmtree(envs / tool.name, ignore_errors=True)
        rows_of(options, homes, WARM)
        for cases in options.cases:
            found = rows_of(options, homes, cases)
            table(found, versions, cases)
            # what took too long is not asked for more
            slow = options.patience * cases / max(options.cases)
            homes = {
                name: home
                for name, home in homes.items()
                if not isinstance(one := found[name], str) and one.wall_s < slow
            }
    return 0


if __name__ == "__main__":
    sys.exit(main())
