"""A repository with a main branch, pull requests, and the shell lines of the CI files."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
WORDS = {
    "en": ("The code of box {n} is {code}.", "What is the code of box {n}?"),
    "de": ("Der Code von Kiste {n} ist {code}.", "Was ist der Code von Kiste {n}?"),
    "es": ("El código de la caja {n} es {code}.", "¿Cuál es el código de la caja {n}?"),
}
PROMPT = """\
system:
Answer the question from the passages and from nothing else.

user:
<passages>
{% for passage in context %}
<passage>
{{ passage }}
</passage>
{% endfor %}
</passages>

<question>{{ question }}</question>
"""
HURT = PROMPT.replace(
    "{% for passage in context %}", '{% for passage in context if language != "es" %}'
)
PROJECT = """\
project: boxes
targets:
  reader: {kind: builtin:extractive, prompt: prompts/answer.j2, answer: span}
"""
SUITE = """\
dataset: golden/boxes.jsonl
targets: [reader]
scorers: [contains]
slices: [lang]
gate: {baseline: "file:baselines/main.json"}
gates:
  - {id: quality, metric: pass.rate, max_drop: 5%, mode: prove}
  - {id: languages, metric: pass.rate, max_drop: 10%, by: [lang], min_cases: 30}
  - {id: errors, sql: gates/errors.sql}
"""
QUERY = "SELECT case_id FROM trials WHERE run_id = $run AND status = 'error'\n"


def rows(count):
    for n in range(count):
        for lang, (passage, question) in WORDS.items():
            code = f"K{n:03}{lang.upper()}"
            yield {
                "question": question.format(n=n),
                "language": lang,
                "context": [passage.format(n=n, code=code)],
                "expected": [code],
                "tags": {"lang": lang},
            }


def environment(**more):
    """What a runner of CI has: the programs, and nothing of the machine the tests run on."""
    kept = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), **more}


class Repository:
    """``origin`` has main; ``work`` is the checkout that a pull request is built from."""

    def __init__(self, folder, *, cases=40):
        self.origin, self.work = folder / "origin.git", folder / "work"
        self.work.mkdir(parents=True)
        self.cases = list(rows(cases))
        self.git("init", "-qb", "main")
        self.write("evalkit.yaml", PROJECT)
        self.write("prompts/answer.j2", PROMPT)
        self.write("suites/boxes.yaml", SUITE)
        self.write("gates/errors.sql", QUERY)
        self.write(".gitignore", ".evalkit/\nevalkit/\n")
        self.write_cases(self.cases)
        self.commit("the project")
        self.evalkit("run", "--quiet")
        self.evalkit("baseline", "promote", "--by", "a maintainer")
        self.commit("a baseline")
        subprocess.run(
            ["git", "clone", "-q", "--bare", str(self.work), str(self.origin)], check=True
        )
        self.git("remote", "add", "origin", str(self.origin))
        self.git("fetch", "-q", "origin")
        shutil.rmtree(self.work / ".evalkit")

    def git(self, *arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.work,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    def evalkit(self, *arguments, check=True, **more):
        return subprocess.run(
            [sys.executable, "-m", "evalkit", *arguments],
            cwd=self.work,
            check=check,
            capture_output=True,
            text=True,
            env=environment(**more),
            timeout=120,
        )

    def write(self, name, text):
        path = self.work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def write_cases(self, cases):
        lines = (json.dumps(one, ensure_ascii=False) for one in cases)
        self.write("golden/boxes.jsonl", "".join(f"{one}\n" for one in lines))

    def commit(self, name):
        self.git("add", "-A")
        self.git("commit", "--allow-empty", "-qm", name)

    def pull_request(self, name, **files):
        """A branch off main with these files; the machine that builds it is clean."""
        self.git("checkout", "-q", "-B", name, "origin/main")
        for path, text in files.items():
            self.write(path, text)
        self.commit(name)
        shutil.rmtree(self.work / ".evalkit", ignore_errors=True)


EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")


class Action:
    """Runs the shell lines of ``action.yml`` as GitHub does, with its expressions filled in."""

    def __init__(self, repository, folder, *, fork=False, **inputs):
        self.repository, self.folder = repository, folder
        self.action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
        folder.mkdir(parents=True, exist_ok=True)
        self.known = {
            f"inputs.{name}": str(one["default"]) for name, one in self.action["inputs"].items()
        }
        self.known |= {f"inputs.{name}": value for name, value in inputs.items()}
        self.known |= {
            "inputs.token": inputs.get("token", ""),
            "github.base_ref": "main",
            # what actions/upload-artifact gives: no step of ours makes it
            "steps.page.outputs.artifact-url": "https://ci.example.org/artifacts/7",
            "github.event.pull_request.head.repo.fork": "true" if fork else "false",
        }

    def steps(self, **more):
        """Run every step but the installation; the code of the first that fails, and its output."""
        said = ""
        for step in self.action["runs"]["steps"]:
            if "run" not in step or step["id"] == "install":
                continue
            code, text = self._step(step, more)
            said += text
            if code:
                return code, said
        return 0, said

    def _step(self, step, more):
        output, script = self.folder / "output", self.folder / "step.sh"
        output.write_text("")
        script.write_text(step["run"])
        given = {name: self._filled(value) for name, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.repository.work / self._filled(step["working-directory"]),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment(
                **given,
                GITHUB_OUTPUT=str(output),
                GITHUB_STEP_SUMMARY=str(self.folder / "summary.md"),
                RUNNER_TEMP=str(self.folder / "temp"),
                **more,
            ),
        )
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self.known[f"steps.{step['id']}.outputs.{name}"] = value
        return done.returncode, done.stdout + done.stderr

    def _filled(self, text):
        return EXPRESSION.sub(lambda one: self.known[one[1]], str(text))

    @property
    def summary(self):
        return (self.folder / "summary.md").read_text("utf-8")
