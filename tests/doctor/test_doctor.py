"""What ``evalkit doctor`` finds, says and ends with."""

from __future__ import annotations

import base64
import json
import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from evalkit.cli.app import run_command
from evalkit.store import Journal
from tests.example_runs import example_run, example_trials
from tests.runner.projects import SmallProject, rows, wire
from tests.runner.test_faults import held
from tests.servers import ModelServer, Reply

KEY = "sk-live-A1b2/C3+d4&E5f6"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallProject:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EVALKIT_ALLOW_CODE", raising=False)
    return SmallProject(tmp_path)


@contextmanager
def ran(small: SmallProject, reply: Reply | None = None) -> Iterator[ModelServer]:
    """A project with one run in its store and a target that uses a key."""
    with ModelServer(reply or Reply()) as server:
        small.write({"t": wire(server.openai, api_key="${env:SMALL_KEY}")}, rows(5))
        small.run(environ={"SMALL_KEY": KEY})
        yield server


Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def run(*arguments: str) -> tuple[int, str, str]:
        code = run_command(["doctor", *arguments])
        return code, *capsys.readouterr()

    return run


def states(text: str) -> dict[str, str]:
    return {one["name"]: one["state"] for one in json.loads(text)["checks"]}


def test_all_is_well(small: SmallProject, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_KEY", KEY)
    with ran(small):
        before = small.store.path.read_bytes()
        code, out, err = said()
        assert (code, err) == (0, "")
        assert [line.split()[0] for line in out.splitlines()] == ["ok"] * 8
        assert "1 run, 5 trials" in out
        code, out, _ = said("--json")
        assert code == json.loads(out)["exit_code"] == 0
        assert set(states(out).values()) == {"ok"}
        assert small.store.path.read_bytes() == before


def test_what_only_gets_in_the_way_of_some_runs_is_a_warning(
    small: SmallProject, said: Said
) -> None:
    small.write({"t": wire("http://127.0.0.1:9/v1", api_key="${env:SMALL_KEY}")}, rows(1))
    small.write_project(
        {
            "t": wire("http://127.0.0.1:9/v1", api_key="${env:SMALL_KEY}"),
            "mine": {"kind": "command", "argv": ["cat"]},
            "many": wire("http://127.0.0.1:9/v1", limits={"concurrency": 1_000}),
        }
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        code, out, _ = said()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert code == 0
    assert "target 't' needs SMALL_KEY in the environment" in out
    assert "target 'mine' runs code of the project" in out
    assert "1,096 may be needed when all targets run at once, 512 are allowed" in out
    assert "none yet; the first run makes" in out
    assert not small.store.exists


def test_mistakes_in_files_end_with_2(small: SmallProject, said: Said) -> None:
    code, out, _ = said()
    assert code == 2
    assert "no evalkit.yaml here" in out
    small.write({"t": wire("http://127.0.0.1:9/v1")}, rows(1))
    small.write_suite({"dataset": "golden/cases.jsonl", "targets": ["t"], "scorers": ["rogue_l"]})
    small.write_prompt("{{ question ")
    code, out, _ = said()
    assert code == 2
    assert "did you mean 'rouge_l'?" in out
    assert "suites/s.yaml" in out
    assert "prompts/ask.j2:1" in out


def test_a_store_that_is_damaged_or_in_use_ends_with_4(small: SmallProject, said: Said) -> None:
    with ran(small):
        with held(small.store.path):
            code, out, _ = said()
        assert code == 4
        assert "the run store is in use" in out
        content = bytearray(small.store.path.read_bytes())
        content[4096:] = os.urandom(len(content) - 4096)
        small.store.path.write_bytes(content)
        code, out, _ = said()
        assert code == 4
        small.store.path.write_text("this is no database")
        code, out, _ = said()
        assert code == 2
        assert "not a DuckDB database" in out


def test_answers_left_in_the_journal_and_a_clock_set_back_are_said(
    small: SmallProject, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_KEY", KEY)
    with ran(small):
        run = example_run(
            "29991231-000000-aaaa", started_at=example_run().started_at.replace(year=2999)
        )
        small.store.create_run(run)
        journal = Journal(small.store.journal_directory, run.id)
        journal.append(example_trials(run.id, cases=2))
        journal.close()
        names = sorted(one.name for one in small.store.journal_directory.iterdir())
        code, out, _ = said()
        assert code == 0
        assert f"answers of {run.id} are in the journal" in out
        assert "1 run, 29991231-000000-aaaa the last, began later than it is now" in out
        assert sorted(one.name for one in small.store.journal_directory.iterdir()) == names


def test_targets_are_connected_to_only_when_asked(
    small: SmallProject, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_KEY", KEY)
    with ModelServer() as server, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        up = wire(server.openai, api_key="${env:SMALL_KEY}")
        small.write({"up": up}, rows(1))
        assert said()[0] == 0
        code, out, _ = said("--reach")
        assert code == 0
        assert f"target 'up': connected to 127.0.0.1:{server.port} in " in out
        small.write_project(
            {
                "up": up,
                "down": wire(f"http://127.0.0.1:{port}/v1"),
                "nowhere": wire("http://no-such-host.invalid/v1"),
                "tls": wire(f"https://127.0.0.1:{server.port}/v1"),
                "secret": wire("${env:SMALL_URL}"),
            }
        )
        small.write_suite(
            {"dataset": "golden/cases.jsonl", "targets": ["up"], "scorers": ["length"]}
        )
        code, out, _ = said("--reach")
        assert not server.seen, "it costs nothing"
    assert code == 4
    assert "target 'down': connection refused" in out
    assert "target 'nowhere': the host is not found" in out
    assert "target 'tls': TLS failed" in out
    assert "target 'secret' was not tried: the environment variable SMALL_URL is not set" in out


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a run, to be copied."""
    small = SmallProject(tmp_path_factory.mktemp("stored"))
    with ran(small):
        return small.folder


class TestSecrets:
    """The search finds a secret wherever it got to, and none in a store that is clean."""

    @pytest.fixture(autouse=True)
    def known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SMALL_KEY", KEY)

    def test_a_store_made_by_a_run_is_clean_whatever_the_server_says(
        self, small: SmallProject, said: Said
    ) -> None:
        coded = base64.b64encode(f"user:{KEY}".encode()).decode()
        text = f"I know {KEY}, {quote(KEY, safe='')}, {coded}, {KEY.encode().hex()}, {KEY[:12]}"
        with ran(small, Reply(text=text)) as server:
            assert KEY in str(server.seen[0].headers)
            code, out, _ = said("--secrets")
        assert code == 0
        assert "none found: looked for SMALL_KEY in " in out
        assert KEY not in out
        assert small.sql("SELECT DISTINCT output FROM trials")[0]["output"].count("[redacted]") == 5

    @pytest.mark.parametrize(
        "written",
        [
            KEY,
            quote(KEY, safe=""),
            base64.b64encode(b"x:" + KEY.encode()).decode(),
            json.dumps({"key": [KEY]}),
            KEY.encode().hex(),
            f"{KEY[:14]}…",
            f"…{KEY[6:]} was refused",
            f"key: {KEY[:9]}\n    {KEY[9:]}",
            "".join(f"&#x{ord(one):x};" for one in KEY),
            "".join(f"\\u{ord(one):04x}" for one in KEY),
            json.dumps(json.dumps(f"{KEY[:3]}\n{KEY[3:]}")),
        ],
    )
    @pytest.mark.parametrize(
        ("place", "sql"),
        [
            ("trials.output", "UPDATE trials SET output = ? WHERE case_row = 1"),
            ("trials.tags", "UPDATE trials SET tags = MAP {'a': ?}"),
            (
                "trials.tool_calls",
                "UPDATE trials SET tool_calls = [{name: 'f', arguments: ?, id: ''}]",
            ),
            ("trials.output_context", "UPDATE trials SET output_context = ['a', ?]"),
            ("events.details", "UPDATE events SET details = to_json(?::VARCHAR)"),
        ],
    )
    def test_it_is_found_in_every_kind_of_column(
        self, small: SmallProject, said: Said, stored: Path, written: str, place: str, sql: str
    ) -> None:
        import duckdb

        shutil.copytree(stored, small.folder, dirs_exist_ok=True)
        with duckdb.connect(str(small.store.path)) as connection:
            connection.execute(sql, [written])
        code, out, _ = said("--secrets")
        assert code == 1
        assert f"the value of SMALL_KEY is in {place}" in out
        assert written not in out

    @pytest.mark.parametrize(
        "name", [".evalkit/journal/x.y-1.segment", "reports/run.html", "baselines/b.json"]
    )
    @pytest.mark.parametrize(
        "text",
        [
            f"<p>\n<p>{quote(KEY)}\n",
            f"<p>\n<p>{KEY[:5]}\n  {KEY[5:9]}\n  {KEY[9:]}\n",
            "".join(f"&#{ord(one)};" for one in KEY),
        ],
        ids=["encoded", "broken", "entities"],
    )
    def test_it_is_found_beside_the_store(
        self, small: SmallProject, said: Said, stored: Path, name: str, text: str
    ) -> None:
        shutil.copytree(stored, small.folder, dirs_exist_ok=True)
        path = small.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        code, out, _ = said("--secrets", "--json")
        assert code == 1
        assert f"the value of SMALL_KEY is in {name}" in out

    @pytest.mark.parametrize(
        "left",
        [KEY, f"{KEY[:9]}\n  {KEY[9:]}", "".join(f"\\u{ord(one):04x}" for one in KEY)],
        ids=["plain", "broken", "escaped"],
    )
    def test_bytes_that_a_deleted_row_left_are_found(
        self, small: SmallProject, said: Said, stored: Path, left: str
    ) -> None:
        shutil.copytree(stored, small.folder, dirs_exist_ok=True)
        with small.store.path.open("ab") as content:
            content.write(b"\0" * 5_000 + left.encode() + b"\0" * 5_000)
        code, out, _ = said("--secrets")
        assert code == 1
        assert "the value of SMALL_KEY is in .evalkit/evalkit.duckdb" in out

    def test_what_is_not_known_cannot_be_looked_for(
        self,
        small: SmallProject,
        said: Said,
        stored: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        shutil.copytree(stored, small.folder, dirs_exist_ok=True)
        monkeypatch.delenv("SMALL_KEY")
        code, out, _ = said("--secrets")
        assert code == 3
        assert "not looked for, since not set: SMALL_KEY" in out
        code, _, err = said("--secrets", "--env", "NO_SUCH_VARIABLE")
        assert code == 2
        assert "NO_SUCH_VARIABLE is not set" in err
        code, _, err = said("--env", "PATH")
        assert code == 2

    def test_further_variables_can_be_named(
        self, small: SmallProject, said: Said, stored: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copytree(stored, small.folder, dirs_exist_ok=True)
        monkeypatch.setenv("ANOTHER", "The answer is 42.")
        code, out, _ = said("--secrets", "--env", "ANOTHER")
        assert code == 1
        assert "the value of ANOTHER is in trials.output, 5 times" in out

    def test_a_project_without_secrets_has_none_to_find(
        self, small: SmallProject, said: Said
    ) -> None:
        small.write({"t": wire("http://127.0.0.1:9/v1")}, rows(1))
        code, out, _ = said("--secrets")
        assert code == 0
        assert "the project refers to none" in out
