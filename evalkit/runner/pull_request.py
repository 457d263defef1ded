"""The one comment of a pull request that says what the gates found: written once, then edited.

Where to and with which token is what CI puts into the environment: GitHub Actions and GitLab CI.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from evalkit.errors import InfrastructureError, UsageError
from evalkit.secrets import register

_TIMEOUT_S = 30
_PAGE = 100
_PAGES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Thread:
    """The comments of one pull request behind an API."""

    name: str
    list_url: str
    edit_url: str
    edit_method: str
    headers: Mapping[str, str]

    def comments(self) -> Iterator[dict[str, Any]]:
        """Every comment, a page at a time."""
        for page in range(1, _PAGES + 1):
            found = self.call("GET", f"{self.list_url}?per_page={_PAGE}&page={page}")
            yield from found
            if len(found) < _PAGE:
                return

    def call(self, method: str, url: str, body: str | None = None) -> Any:
        """One request; raises ``InfrastructureError`` in words for what the server refuses."""
        request = urllib.request.Request(  # noqa: S310 - the scheme is checked where it is read
            url,
            method=method,
            headers={"Content-Type": "application/json", "User-Agent": "evalkit", **self.headers},
            data=None if body is None else json.dumps({"body": body}).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            error.close()
            hint = "the token must be allowed to write comments" if error.code in {401, 403} else ""
            raise InfrastructureError(
                f"{self.name} refused the comment: HTTP {error.code}",
                where=urlsplit(url).netloc,
                hint=hint or "the verdict is in the output; --summary needs no token",
            ) from error
        except (OSError, ValueError) as error:
            raise InfrastructureError(
                f"{self.name} did not take the comment: {error}", where=urlsplit(url).netloc
            ) from error


def comment(
    text: str, *, marker: str, only_edit: bool, environ: Mapping[str, str] = os.environ
) -> str:
    """Write the comment, or edit the one that begins with the marker; says what was done.

    With ``only_edit`` nothing new is written. Raises ``UsageError`` outside of a pull request.
    """
    thread = _thread(environ)
    mine = [one for one in thread.comments() if str(one.get("body", "")).startswith(marker)]
    if mine:
        if mine[-1]["body"].strip() == text.strip():
            return "the comment is as it was"
        thread.call(thread.edit_method, f"{thread.edit_url}/{mine[-1]['id']}", text)
        return "the comment was edited"
    if only_edit:
        return "no comment: all gates pass and nothing moved"
    thread.call("POST", thread.list_url, text)
    return "a comment was written"


def check(environ: Mapping[str, str] = os.environ) -> None:
    """Raise the ``UsageError`` that ``comment`` would, before anything is judged."""
    _thread(environ)


def _thread(environ: Mapping[str, str]) -> _Thread:
    if environ.get("GITHUB_REPOSITORY"):
        return _github(environ)
    if environ.get("CI_MERGE_REQUEST_IID"):
        return _gitlab(environ)
    raise UsageError(
        "--comment writes to a pull request, and this is none",
        hint="it needs GitHub Actions or GitLab CI; elsewhere: --markdown FILE",
    )


def _github(environ: Mapping[str, str]) -> _Thread:
    number = _number(environ)
    token = _token(environ, "GITHUB_TOKEN")
    api = _api(environ.get("GITHUB_API_URL") or "https://api.github.com")
    repository = quote(environ["GITHUB_REPOSITORY"])
    return _Thread(
        name="GitHub",
        list_url=f"{api}/repos/{repository}/issues/{number}/comments",
        edit_url=f"{api}/repos/{repository}/issues/comments",
        edit_method="PATCH",
        headers={"Authorization": f"Bearer {token}", "Accept": "application/vnd.github+json"},
    )


def _number(environ: Mapping[str, str]) -> int:
    path = environ.get("GITHUB_EVENT_PATH", "")
    try:
        event: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
        return int((event.get("pull_request") or event["issue"])["number"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            "--comment writes to a pull request, and this run of GitHub Actions has none",
            hint="use it on: pull_request; elsewhere --summary",
        ) from error


def _gitlab(environ: Mapping[str, str]) -> _Thread:
    token = _token(environ, "GITLAB_TOKEN")
    api = _api(environ.get("CI_API_V4_URL") or "https://gitlab.com/api/v4")
    project = quote(environ.get("CI_PROJECT_ID", ""), safe="")
    number = quote(environ["CI_MERGE_REQUEST_IID"], safe="")
    notes = f"{api}/projects/{project}/merge_requests/{number}/notes"
    return _Thread(
        name="GitLab",
        list_url=notes,
        edit_url=notes,
        edit_method="PUT",
        headers={"PRIVATE-TOKEN": token},
    )


def _token(environ: Mapping[str, str], name: str) -> str:
    token = environ.get(name, "")
    if not token:
        raise UsageError(
            f"--comment needs a token in {name}", hint="or use --summary, which needs none"
        )
    register({token})
    return token


def _api(url: str) -> str:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise UsageError(f"{url!r} is no address of an API")
    return url.rstrip("/")
