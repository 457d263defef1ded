from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import EvalkitError


def opened(source, **options):
    return open_dataset(DatasetSpec(source=str(source), format="huggingface", options=options))


def fault(source, **options):
    with pytest.raises(EvalkitError) as caught:
        opened(source, **options).scan()
    assert len(caught.value.lines()) == 3
    assert caught.value.exit_code == 2
    return caught.value


def test_texts_of_a_local_folder_stay_as_written(tmp_path):
    (tmp_path / "test.csv").write_text("zip,na,day\n00123,NA,2026-01-02\n007,null,2026-01-03\n")
    (tmp_path / "train.jsonl").write_text('{"zip": "00123", "na": "NA", "day": "2026-01-02"}\n')
    test = list(opened(tmp_path, split="test").cases())
    assert test[0].inputs == {"zip": "00123", "na": "NA", "day": "2026-01-02"}
    assert test[1].inputs == {"zip": "007", "na": "null", "day": "2026-01-03"}
    (train,) = opened(tmp_path, split="train").cases()
    assert train.id == test[0].id


def test_shards_are_one_dataset_in_order(tmp_path):
    for shard in range(3):
        table = pa.table({"q": [f"{shard}-{i}" for i in range(1_500)]})
        (tmp_path / "data").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "data" / f"test-{shard:05}-of-00003.parquet")
    dataset = opened(tmp_path)
    assert dataset.scan().cases == 4_500
    cases = list(dataset.cases())
    assert [one.row for one in cases] == list(range(1, 4_501))
    assert cases[1_500].inputs == {"q": "1-0"}


def test_a_wrong_row_in_a_folder_is_named_with_its_file(tmp_path):
    (tmp_path / "test.jsonl").write_text('{"q": "a"}\n{broken\n')
    error = fault(tmp_path)
    assert error.what.startswith("line 2 is not valid JSON")
    assert str(error.where).endswith("test.jsonl:2:2")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what the library imports
def test_saved_to_disk_and_arrow_files(tmp_path):
    import datasets

    table = datasets.Dataset.from_dict({"q": ["a", "b", "c"], "expected": ["1", "NA", "3"]})
    table = table.select([2, 0])
    table.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict({"test": table, "train": table.select([0])}).save_to_disk(
        str(tmp_path / "many")
    )
    want = [("c", "3"), ("a", "1")]

    def got(dataset):
        return [(one.inputs["q"], one.expected) for one in dataset.cases()]

    assert got(opened(tmp_path / "one")) == want
    assert got(opened(tmp_path / "many", split="test")) == want
    assert got(opened(tmp_path / "many", split="train")) == want[:1]
    assert fault(tmp_path / "many").hint == "set split to one of: test, train"
    assert fault(tmp_path / "many", split="tst").hint == "did you mean 'test'?"
    (tmp_path / "loose").mkdir()
    (tmp_path / "many" / "test").rename(tmp_path / "loose" / "saved")
    arrow = next((tmp_path / "one").glob("*.arrow"))
    (tmp_path / "plain").mkdir()
    arrow.rename(tmp_path / "plain" / "test.arrow")
    assert sorted(got(opened(tmp_path / "plain"))) == sorted(want)
    assert "not a whole saved dataset" in fault(tmp_path / "one").what
    (tmp_path / "plain" / "test.arrow").write_bytes(b"no arrow")
    assert "not a whole Arrow file" in fault(tmp_path / "plain").what


def test_a_folder_that_changes_between_check_and_run_is_refused(tmp_path):
    (tmp_path / "test.csv").write_text("q\na\n")
    dataset = opened(tmp_path)
    dataset.scan()
    (tmp_path / "test.csv").write_text("q\nb\n")
    with pytest.raises(EvalkitError, match="changed after it was checked"):
        list(dataset.cases())


def test_what_is_no_dataset_is_explained(tmp_path):
    (tmp_path / "golden").mkdir()
    (tmp_path / "x.csv").write_text("q\na\n")
    assert fault(tmp_path / "goldn").hint == "did you mean 'golden'?"
    assert fault(tmp_path / "x.csv").what == "the dataset is a file, not a folder"
    assert "no CSV, JSON, Parquet or Arrow files" in fault(tmp_path / "golden").what
    assert "neither a folder nor a hub name" in fault("not a name!").what


# What a program that uses the hub does, in a process of its own: the hub's client reads its
# address and whether it is offline when it is imported.
PROGRAM = """
import json, sys
from evalkit.config.spec import DatasetSpec
from evalkit.datasets import open_dataset
from evalkit.errors import EvalkitError
name, options = sys.argv[1], json.loads(sys.argv[2])
try:
    dataset = open_dataset(DatasetSpec(source=name, format="huggingface", options=options))
    info = dataset.scan()
    rows = [dict(one.inputs) for one in dataset.cases()]
    print(json.dumps({"version": info.version, "rows": rows}))
except EvalkitError as error:
    print(json.dumps({"lines": error.lines(), "exit": error.exit_code}))
"""
COMMIT = "c0ffee" + "0" * 34


def program(tmp_path, name, endpoint, *, offline=False, **options):
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_HOME": str(tmp_path / "home"),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **({"HF_HUB_OFFLINE": "1"} if offline else {}),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, name, json.dumps(options)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Hub(ThreadingHTTPServer):
    """As much of the hub's protocol as its client uses to list and download a public dataset."""

    def __init__(self, files: dict[str, bytes]):
        super().__init__(("127.0.0.1", 0), HubRequest)
        self.files = files
        self.sent: list[str] = []


class HubRequest(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/datasets/team/golden"):
            rest = path.removeprefix("/api/datasets/team/golden")
            if rest.startswith("/tree/"):
                self.answer(json.dumps([self.entry(one) for one in self.server.files]).encode())
            else:
                listed = [{"rfilename": one} for one in self.server.files]
                body = {"id": "team/golden", "sha": COMMIT, "siblings": listed}
                self.answer(json.dumps(body).encode())
            return
        start, _, rest = path.partition("/resolve/")
        name = rest.partition("/")[2]
        if start == "/datasets/team/golden" and name in self.server.files:
            if self.command == "GET":
                self.server.sent.append(name)
            content = self.server.files[name]
            etag = hashlib.sha256(content).hexdigest()
            self.answer(content, {"X-Repo-Commit": COMMIT, "ETag": f'"{etag}"'})
        else:
            self.answer(b"{}", {"X-Error-Code": "RepoNotFound"}, status=404)

    def entry(self, name):
        content = self.server.files[name]
        oid = hashlib.sha1(content).hexdigest()
        return {"type": "file", "path": name, "size": len(content), "oid": oid}

    def answer(self, body, headers=None, status=200):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - {split: test, path: 't/*'}\n"
    card += b"  - {split: train, path: 'big/*'}\n---\n# Golden\n"
    files = {
        "README.md": card,
        "t/part [1].csv": b"zip,na\n00123,NA\n",
        "t/part [2].jsonl": b'{"zip": "007", "na": "null"}\n',
        "big/train.csv": b"zip,na\n1,2\n",
    }
    server = Hub(files)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_hub_dataset_is_downloaded_once_by_split_and_then_read_offline(tmp_path, hub):
    endpoint = f"http://127.0.0.1:{hub.server_port}"
    want = [{"zip": "00123", "na": "NA"}, {"zip": "007", "na": "null"}]
    online = program(tmp_path, "team/golden", endpoint, split="test")
    assert online.get("rows") == want, online
    assert sorted(hub.sent) == ["README.md", "t/part [1].csv", "t/part [2].jsonl"]
    missing = program(tmp_path, "team/goldn", endpoint, split="test")
    assert missing["lines"][0] == "no dataset 'team/goldn' on the hub"
    offline = program(tmp_path, "team/golden", "http://127.0.0.1:9", offline=True, split="test")
    assert offline == online
    other = program(tmp_path, "team/golden", "http://127.0.0.1:9", offline=True, split="train")
    assert "not in the cache" in other["lines"][0]


def test_a_hub_that_cannot_be_reached_is_said_at_once(tmp_path):
    start = time.perf_counter()
    got = program(tmp_path, "team/golden", "http://127.0.0.1:9", split="test")
    assert time.perf_counter() - start < 10
    assert got["exit"] == 2
    assert got["lines"][0].startswith(
        "'team/golden' is no folder of the project, and the hub could not be reached for it: "
    )
    assert got["lines"][2] == (
        "set HF_HUB_OFFLINE=1 to use the copy in the cache, or name a local folder"
    )
    got = program(tmp_path, "team/golden", "http://127.0.0.1:9", offline=True, split="test")
    assert got["lines"][0] == (
        "'team/golden' is no folder of the project and not in the cache, and HF_HUB_OFFLINE is set"
    )
