"""A repository with a main branch, a branch of a change, and runs at their commits."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import timedelta

from example_runs import START, example_case, example_run, example_trial, failed_trial

from evalkit.model import GitState, RunStatus
from evalkit.store import Store

SUITE = """\
dataset: golden/support.jsonl
targets: [small]
scorers: [exact_match, rouge_l, bleu]
gates:
  - {id: quality, metric: pass.rate, max_drop: 5%, mode: prove}
  - {id: likeness, metric: rouge_l.mean, max_drop: 0.05}
  - {id: corpus, metric: bleu.corpus, max_drop: 5, mode: advisory}
  - {id: languages, metric: pass.rate, max_drop: 20%, by: [lang]}
  - {id: rows, sql: gates/empty.sql}
"""


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def commit(folder, name):
    git(folder, "commit", "--allow-empty", "-qm", name)
    return git(folder, "rev-parse", "HEAD")


class Repository:
    """A project with a main branch, a branch of a change, and runs at its commits."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in {
            "evalkit.yaml": "project: support-bot\ntargets:\n  small: {kind: builtin:extractive,"
            " prompt: prompts/answer.j2}\n",
            "prompts/answer.j2": "{{ question }}\n",
            "golden/support.jsonl": '{"question": "q", "expected": "a"}\n',
            "suites/support.yaml": SUITE,
            "gates/empty.sql": "SELECT * FROM trials WHERE run_id = $run AND output LIKE '%PII%'",
        }.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        git(folder, "init", "-qb", "main")
        self.main = commit(folder, "first")
        git(folder, "checkout", "-qb", "change")
        self.change = commit(folder, "change")
        self.store = Store(folder / ".evalkit" / "evalkit.duckdb")
        self.hours = 0

    def run(self, name, at, *, worse=(), cases=range(90), failed=(), status=RunStatus.COMPLETE,
            dirty=False, chosen=None):  # fmt: skip
        self.hours += 1
        start = START + timedelta(hours=self.hours)
        branch = "main" if at == self.main else "change"
        run = example_run(
            name, started_at=start, git=GitState(commit=at, branch=branch, dirty=dirty)
        )
        many = len(list(cases))
        data = replace(run.datasets[0], version=f"v{many}", cases=many, selected=many)
        if chosen is not None:
            data = replace(data, version="v90", cases=90)
        run = replace(
            run,
            targets=run.targets[:1],
            datasets=(data,),
            settings={**run.settings, **(chosen or {})},
        )
        self.store.create_run(run)
        trials = []
        for number in cases:
            case = example_case(number)
            quality = 0.2 if number in worse or number % 10 == 3 else 0.9
            if number in failed:
                trials.append(failed_trial(name, case, "small"))
            else:
                trials.append(example_trial(name, case, "small", quality=quality))
        self.store.append(trials)
        self.store.finish_run(name, status, start + timedelta(seconds=60))
