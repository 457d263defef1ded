"""Every check of the project; ``nox`` alone runs what a pull request must pass."""

from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
DEV = nox.project.dependency_groups(PROJECT, "dev")
TRAIN = nox.project.dependency_groups(PROJECT, "train")


def tools(*names: str) -> list[str]:
    """The named development tools with the versions pyproject.toml asks for."""
    found = [one for one in DEV if any(one.startswith(name) for name in names)]
    if len(found) < len(names):
        raise LookupError(f"not in the dev group: {names}")
    return found


@nox.session
def fmt(session: nox.Session) -> None:
    """Format the code and fix what can be fixed."""
    session.install(*tools("ruff"))
    session.run("ruff", "check", "--fix", ".")
    session.run("ruff", "format", ".")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, likely mistakes, and the one-way layers between rooms."""
    session.install(*tools("ruff", "import-linter"), "-e", ".")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types of the package, and of its public names as a user sees them."""
    session.install(*tools("mypy", "pandas-stubs", "scipy-stubs", "types-pyyaml"), "-e", ".")
    session.run("mypy")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The tests on every supported Python that is installed."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def local(session: nox.Session) -> None:
    """The tests of models on this machine: torch for the CPU, weights made in the tests."""
    session.install("torch==2.13.0", "-e", ".[local,test]")
    session.run("python", "-m", "pytest", "tests/scorers/test_local.py", *session.posargs)


@nox.session
def ragas(session: nox.Session) -> None:
    """ragas's own classes against a local server; the other sessions skip these tests."""
    session.install("-e", ".[ragas,test]")
    session.run("python", "-m", "pytest", "tests/scorers/test_ragas.py", *session.posargs)


@nox.session
def ray(session: nox.Session) -> None:
    """The engine on a real Ray cluster of this machine; the other sessions skip its tests."""
    session.install("-e", ".[test,ray]")
    session.run("python", "-m", "pytest", "tests/runner/test_ray.py", *session.posargs)


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """The tests with the oldest direct dependencies that pyproject.toml allows."""
    session.install("--resolution=lowest-direct", "-e", ".[test]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The benchmarks, as ratios measured in one run; ``nox -s bench -- whole_run`` for one."""
    session.install("-e", ".[test]", *TRAIN)
    chosen = session.posargs or [one.stem for one in sorted(Path("benchmarks").glob("bench_*.py"))]
    for name in chosen:
        session.run("python", f"benchmarks/{name.removesuffix('.py')}.py")


@nox.session
def train(session: nox.Session) -> None:
    """Write the grounding model anew from labelled data, then its card from what is measured."""
    session.install("-e", ".", *TRAIN)
    data = session.posargs[0] if session.posargs else "../shared/data"
    session.run("python", "training/grounding_model.py", data)
    card = "evalkit/scorers/data/grounding_model.card.json"
    session.run("python", "benchmarks/bench_grounding.py", "--data", data, "--card", card)


@nox.session
def lock(session: nox.Session) -> None:
    """Write requirements.lock: every dependency pinned with hashes, at least 7 days old."""
    session.install("uv>=0.9")
    session.run(
        *("uv", "pip", "compile", "pyproject.toml", "--extra", "test", "--group", "dev"),
        *("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
        *("--output-file", "requirements.lock"),
    )


@nox.session
def ui(session: nox.Session) -> None:
    """The report in a real browser, its script type-checked; needs Chromium and npm."""
    session.install("-e", ".[test]", "playwright>=1.55")
    folder = session.create_tmp()
    session.run(
        "npm", "install", "--silent", "--prefix", folder, "axe-core", "typescript", external=True
    )
    session.run(f"{folder}/node_modules/.bin/tsc", "-p", "tests/report/page", external=True)
    axe = f"{folder}/node_modules/axe-core/axe.min.js"
    session.run(
        "python", "-m", "pytest", "tests/report/page", *session.posargs, env={"EVALKIT_AXE": axe}
    )


@nox.session
def example(session: nox.Session) -> None:
    """Write the example report under ``reports/`` anew."""
    session.install("-e", ".")
    session.run("python", "reports/make.py")


@nox.session
def changelog(session: nox.Session) -> None:
    """Show the changelog the fragments under ``changes/`` make."""
    session.install(*tools("towncrier"))
    session.run("towncrier", "build", "--draft", "--version", str(PROJECT["project"]["version"]))
