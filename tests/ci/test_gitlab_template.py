"""A merge request from end to end: the very lines of the GitLab template."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ET

import yaml

from tests.ci.repository import HURT, ROOT, environment


def script(repository, **more):
    """Run the template's script in its shell, with what GitLab gives."""
    job = yaml.safe_load((ROOT / "templates/evalkit.gitlab-ci.yml").read_text("utf-8"))["evalkit"]
    (lines,) = job["script"]
    given = {name: str(value) for name, value in job["variables"].items()}
    return subprocess.run(
        ["sh", "-c", lines],
        cwd=repository.work,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(**{**given, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main", **more}),
    )


def test_a_hurt_language_blocks_and_the_same_again_passes(repository):
    repository.pull_request("hurt", **{"prompts/answer.j2": HURT})
    done = script(repository, CI_JOB_URL="https://ci.example.org/jobs/7")
    assert done.returncode == 1, done.stderr
    link = "(https://ci.example.org/jobs/7/artifacts/file/evalkit/report.html)"
    assert link in (repository.work / "evalkit/gate.md").read_text("utf-8")
    assert "✕ FAIL" in (repository.work / "evalkit/report.html").read_text("utf-8")
    failures = ET.parse(repository.work / "evalkit/junit.xml").getroot().iter("failure")
    assert any("lang=es" in one.get("message") for one in failures)
    assert "lang=es" in (repository.work / "evalkit/gate.md").read_text("utf-8")
    repository.pull_request("same", **{"README.md": "words\n"})
    done = script(repository, EVALKIT_UNTRUSTED="true")
    assert done.returncode == 0, done.stdout + done.stderr
