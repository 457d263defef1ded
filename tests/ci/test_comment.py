"""The one comment of a pull request, written to a real server that keeps comments."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evalkit.errors import InfrastructureError, UsageError
from evalkit.report.verdict_comment import MARKER, verdict_markdown, worth_saying
from evalkit.runner.pull_request import comment
from tests.gate.benches import gate, limit, pairs, verdict

TEXT = f"{MARKER}\n### FAIL\n"


class Comments(ThreadingHTTPServer):
    """Keeps the comments of one pull request, under GitHub's and under GitLab's paths."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.kept, self.asked = [], []
        self.status = 200

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        """Say nothing."""

    def _answer(self):
        path = self.path.partition("?")[0]
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length))["body"] if length else None
        self.server.asked.append((self.command, path, dict(self.headers)))
        kept, value = self.server.kept, None
        if self.command == "GET":
            page = int(self.path.partition("page=")[2].partition("&page=")[2])
            value = kept[100 * (page - 1) : 100 * page]
        elif self.command == "POST":
            kept.append({"id": len(kept) + 1, "body": body})
        else:
            kept[int(path.rpartition("/")[2]) - 1]["body"] = body
        content = json.dumps(value).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_PUT = _answer  # noqa: N815 - names of the base class


@pytest.fixture
def server():
    with Comments() as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def github(server, tmp_path):
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7}}))
    return {
        "GITHUB_REPOSITORY": "team/bot",
        "GITHUB_API_URL": server.url,
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_TOKEN": "token-of-the-test",
    }


def say(text, environ, *, only_edit=False):
    return comment(text, marker=MARKER, only_edit=only_edit, environ=environ)


def test_one_comment_is_written_then_edited(server, github):
    server.kept += [{"id": one + 1, "body": f"talk {one}, {MARKER}"} for one in range(130)]
    assert say(TEXT, github) == "a comment was written"
    assert say(TEXT, github) == "the comment is as it was"
    assert say(f"{MARKER}\n### PASS\n", github, only_edit=True) == "the comment was edited"
    assert len(server.kept) == 131
    assert "PASS" in server.kept[-1]["body"]
    assert server.asked[-1][:2] == ("PATCH", "/repos/team/bot/issues/comments/131")
    assert server.asked[-1][2]["Authorization"] == "Bearer token-of-the-test"


def test_nothing_is_written_when_nothing_moved(server, github):
    assert say(TEXT, github, only_edit=True).startswith("no comment")
    assert server.kept == []


def test_gitlab_has_notes(server):
    environ = {
        "CI_API_V4_URL": f"{server.url}/api/v4",
        "CI_PROJECT_ID": "12",
        "CI_MERGE_REQUEST_IID": "3",
        "GITLAB_TOKEN": "token-of-the-test",
    }
    assert say(TEXT, environ) == "a comment was written"
    assert say(TEXT + "more", environ) == "the comment was edited"
    path = "/api/v4/projects/12/merge_requests/3/notes/1"
    assert server.asked[-1][:2] == ("PUT", path)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("GITHUB_REPOSITORY", "this is none"),
        ("GITHUB_TOKEN", "needs a token in GITHUB_TOKEN"),
        ("GITHUB_EVENT_PATH", "has none"),
    ],
)
def test_what_is_missing_is_named(github, missing, said):
    with pytest.raises(UsageError, match=said):
        say(TEXT, {key: value for key, value in github.items() if key != missing})


def test_a_refusal_is_told_in_words(server, github):
    server.status = 403
    with pytest.raises(InfrastructureError, match="HTTP 403") as caught:
        say(TEXT, github)
    assert "must be allowed to write comments" in caught.value.hint


def test_what_is_worth_a_comment():
    quality = gate("pass.rate", limit("max_drop", 0.05), id="quality")
    assert not worth_saying(verdict(*pairs(180, 0, 0, 20), quality))
    assert worth_saying(verdict(*pairs(180, 1, 1, 20), quality))
    assert worth_saying(verdict(*pairs(100, 0, 60, 20), quality))


def test_a_comment_is_about_two_kilobytes():
    gates = [gate("pass.rate", limit("max_drop", 0.03 + one / 100), id=f"quality-{one}")
             for one in range(6)]  # fmt: skip
    text = verdict_markdown(verdict(*pairs(420, 9, 40, 31), *gates))
    assert 1_000 < len(text) < 3_500
