"""Small real projects on disk for the tests of the runner."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from evalkit.config import load_project
from evalkit.runner.estimate import Estimate
from evalkit.runner.outcome import Outcome
from evalkit.runner.plan import Plan, RunOptions, build_plan
from evalkit.runner.progress import Silent
from evalkit.runner.session import estimate_run, resume_run, start_run
from evalkit.store import Store
from tests.servers import Seen

ROOT = Path(__file__).parents[2]
PROMPT = "Answer in one word.\n\nQuestion: {{ question }}\n"


def asked(seen: Seen) -> int:
    """Which of ``rows`` a server was asked."""
    found = re.search(r"What is (\d+)", json.dumps(seen.body))
    assert found is not None
    return int(found[1])


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    """Cases with a number in them, half Spanish and half English."""
    return [
        {
            "id": f"case-{n}",
            "question": f"What is {n} and nothing else?",
            "expected": "The answer is 42.",
            "tags": {"lang": "es" if n % 2 else "en"},
            **more,
        }
        for n in range(count)
    ]


class SmallProject:
    """A folder with an ``evalkit.yaml`` whose suite ``s`` asks the target ``t``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.said = StringIO()
        for name in ("suites", "prompts", "golden"):
            (folder / name).mkdir()
        self.write_prompt(PROMPT)

    def write(
        self,
        targets: Mapping[str, Any],
        cases: Iterable[Mapping[str, Any]],
        *,
        scorers: Iterable[Any] = ("exact_match",),
        suite: Mapping[str, Any] | None = None,
        **project: Any,
    ) -> SmallProject:
        self.write_project(targets, **project)
        self.write_cases(cases)
        self.write_suite(
            {
                "dataset": "golden/cases.jsonl",
                "targets": list(targets)[:1],
                "scorers": list(scorers),
                **(suite or {}),
            }
        )
        return self

    def write_project(self, targets: Mapping[str, Any], **project: Any) -> None:
        self._json("evalkit.yaml", {"project": "small", "targets": targets, **project})

    def write_suite(self, suite: Mapping[str, Any], name: str = "s") -> None:
        self._json(f"suites/{name}.yaml", suite)

    def write_prompt(self, text: str, name: str = "ask.j2") -> None:
        (self.folder / "prompts" / name).write_text(text, encoding="utf-8")

    def write_cases(self, cases: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(one) + "\n" for one in cases)
        (self.folder / "golden" / "cases.jsonl").write_text(text, encoding="utf-8")

    def _json(self, name: str, value: Mapping[str, Any]) -> None:
        # JSON is YAML
        (self.folder / name).write_text(json.dumps(value, indent=1), encoding="utf-8")

    @property
    def store(self) -> Store:
        return Store(self.folder / ".evalkit" / "evalkit.duckdb")

    def sql(self, text: str) -> list[dict[str, Any]]:
        return self.store.query(text).to_pylist()

    def plan(self, environ: Mapping[str, str] | None = None, **flags: Any) -> Plan:
        project = load_project(self.folder / "evalkit.yaml")
        return build_plan(project, RunOptions(**flags), environ=environ or {}, store=self.store)

    def run(self, environ: Mapping[str, str] | None = None, **flags: Any) -> Outcome:
        return start_run(
            load_project(self.folder / "evalkit.yaml"),
            RunOptions(**flags),
            self.store,
            display=Silent(self.said),
            environ=environ or {},
        )

    def resume(
        self, name: str = "latest", environ: Mapping[str, str] | None = None, **flags: Any
    ) -> Outcome:
        return resume_run(
            load_project(self.folder / "evalkit.yaml"),
            name,
            self.store,
            display=Silent(self.said),
            options=RunOptions(**flags),
            environ=environ or {},
        )

    def estimate(self, resume: str | None = None, **flags: Any) -> Estimate:
        return estimate_run(
            load_project(self.folder / "evalkit.yaml"),
            RunOptions(**flags),
            self.store,
            resume=resume,
            environ={},
        )

    @contextmanager
    def start(
        self, *arguments: str, largest_file: int | None = None, command: str = "run"
    ) -> Iterator[subprocess.Popen[str]]:
        """``evalkit run`` in a process of its own, which ends with the block at the latest."""

        def limit() -> None:
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        with subprocess.Popen(
            [sys.executable, "-m", "evalkit", command, *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=limit,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def wire(url: str, **options: Any) -> dict[str, Any]:
    """A target that asks an OpenAI-compatible server."""
    return {
        "kind": "openai_compatible",
        "model": "gpt-5-mini",
        "base_url": url,
        "prompt": "prompts/ask.j2",
        **options,
    }
