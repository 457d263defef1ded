"""``evalkit review`` through a real pseudo-terminal, and what follows from it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.fees_project import BAD, make_fees, run_fees

from evalkit.cli.app import run_command
from evalkit.errors import ExitCode
from evalkit.store import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = make_fees(tmp_path_factory.mktemp("fees"))
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        assert run_command(["run", "--quiet"]) == 0
    return folder


@pytest.fixture
def fees(made, tmp_path, monkeypatch):
    folder = tmp_path / "fees"
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


def store(folder):
    return Store(folder / ".evalkit" / "evalkit.duckdb")


class Person:
    """Someone at a terminal of so many columns, who reads before they strike a key."""

    def __init__(self, folder, *arguments, columns=80, name="Ada", **environment):
        import fcntl
        import pty
        import struct
        import termios

        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        command = [sys.executable, "-m", "evalkit", "review", *arguments, "--as", name]
        # a number of columns in the environment would go before the terminal's own
        known = {name: one for name, one in os.environ.items() if name not in {"COLUMNS", "LINES"}}
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            env={**known, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment},
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        os.close(slave)
        self.text = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, until, patience=60.0):
        """What is shown until the words are; fails when they never are."""
        seen, deadline = "", time.monotonic() + patience
        while until not in seen:
            assert time.monotonic() < deadline, f"never saw {until!r} in {seen!r}"
            if select.select([self.master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    seen += os.read(self.master, 65536).decode("utf-8", "replace")
        self.text += seen
        return seen

    def strike(self, keys):
        os.write(self.master, keys.encode())

    def leave(self):
        """Read to the end, and the exit code."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    piece = os.read(self.master, 65536)
                except OSError:
                    break
                if not piece:
                    break
                self.text += piece.decode("utf-8", "replace")
            elif self.process.poll() is not None:
                break
        return self.process.wait(60)


def ready(person):
    return person.read("? help")


def test_twenty_labels_take_a_gate_from_uncalibrated_to_a_corrected_rate(fees, capsys):
    assert run_command(["gate"]) == ExitCode.UNDECIDED
    before = capsys.readouterr().out
    assert "hallucination is uncalibrated" in before
    assert "Corrected" not in before
    with Person(fees, "latest") as person:
        for _ in range(20):
            page = ready(person)
            assert "hallucination" not in page.partition("Is everything")[0]  # blind
            person.strike("f" if BAD in page else "p")
            shown = ready(person)
            assert "hallucination" in shown  # and revealed
            person.strike("\n")
        ready(person)
        person.strike("q")
        assert person.leave() == 0
    assert "20 judged, 10 left" in person.text
    assert "next: evalkit calibrate" in person.text
    assert run_command(["calibrate", "fees"]) == 0
    said = capsys.readouterr().out
    assert "20 labels on 20 cases by Ada" in said
    assert "below 100 a gate on hallucination only warns" in said
    value = json.loads((fees / "calibration" / "fees.hallucination.json").read_text())
    assert value["labels"]["blind"] == 20
    assert value["labels"]["chosen_all"] == 20
    assert value["fit"]["n"] == 20
    assert run_command(["gate", "--junit", "g.xml", "--markdown", "g.md"]) == ExitCode.UNDECIDED
    after = capsys.readouterr().out
    assert "uncalibrated" not in after
    flat = " ".join(after.split())
    assert "Corrected by 20 labels of people: the scorer alone says" in flat
    assert "calibrated on 20 labels" in flat
    assert "Corrected by 20 labels" in (fees / "g.xml").read_text()
    assert "calibrated on 20 labels" in (fees / "g.md").read_text()
    run_command(["gate", "--json"])
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert (result["standing"], result["labels"]) == ("few", 20)
    assert result["low"] < result["candidate"] < result["high"]
    kinds = [one.kind for one in store(fees).events() if not one.kind.startswith("gate.")]
    assert kinds[-2:] == ["answers.reviewed", "scorer.calibrated"]


def test_a_review_goes_on_where_it_was_killed_and_nothing_given_is_lost(fees):
    with Person(fees, "latest") as person:
        first = ready(person)
        person.strike("p")
        ready(person)
        person.process.send_signal(signal.SIGKILL)
    (label,) = store(fees).labels()
    assert (label.author, label.passed, label.blind) == ("Ada", True, True)
    with Person(fees, "latest") as person:
        again = ready(person)
        assert "1 judged" in again
        named = re.compile(r"fee-\d+")
        assert named.search(first)[0] != named.search(again.partition("1 judged")[2])[0]
        person.strike("f")
        ready(person)
        person.strike("\x03")
        assert person.leave() == ExitCode.INTERRUPTED
        assert "2 judged, 28 left" in person.text
        assert "evalkit calibrate" not in person.text
    assert len(store(fees).labels()) == 2
    # the same order for another person, who has judged nothing
    with Person(fees, "latest", name="Bo", NO_COLOR="1") as person:
        page = ready(person)
        assert "\x1b" not in person.text
        assert named.search(page.partition("0 judged")[2])[0] == named.search(first)[0]


def test_keys_rate_explain_undo_go_back_and_skip(fees):
    with Person(fees, "latest", "--open", columns=60) as person:
        page = ready(person)
        assert "hallucination" in page  # scores are open
        assert "target bot" in page
        person.strike("2")
        ready(person)
        person.strike("f")
        ready(person)
        person.strike("r")
        person.read("reason: ")
        person.strike("because ünïcode\n")
        assert '2 of 5, "because ünïcode"' in " ".join(ready(person).split())
        person.strike("d")
        assert "you disagree with exact_match" in ready(person)
        person.strike("u")
        assert "undone" in ready(person)
        person.strike("\x1b[C")  # the right arrow
        assert "2 of 30" in ready(person)
        person.strike("\n")
        assert "judge it with p or f first" in ready(person)
        person.strike("s")
        assert "3 of 30" in ready(person)
        person.strike("b")
        assert "2 of 30" in ready(person)
        person.strike("x")
        assert "no key 'x'" in ready(person)
        person.strike("\x04")
        assert person.leave() == 0
        widest = max(len(re.sub("\x1b\\[[0-9;]*m", "", one)) for one in person.text.splitlines())
        assert widest <= 60
    (label,) = store(fees).labels()
    assert (label.passed, label.rating, label.reason) == (False, 2, "because ünïcode")
    assert label.blind is False


def test_a_judgement_taken_back_after_the_scores_were_seen_is_not_blind(fees):
    with Person(fees, "latest") as person:
        for key in ("p", "u", "f"):
            ready(person)
            person.strike(key)
        ready(person)
    (label,) = store(fees).labels()
    assert (label.passed, label.blind) == (False, False)


def test_not_a_terminal_is_said_and_lines_will_do(fees, capsys, monkeypatch):
    assert run_command(["review"]) == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "takes keys from a terminal" in error
    assert "--plain" in error
    done = subprocess.run(
        [sys.executable, "-m", "evalkit", "review", "latest", "--plain", "--no-reveal",
         "--as", "Bo"],
        input="p\nf\nr too short\n4\np\nq\n", cwd=fees, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 judged, 27 left" in done.stdout
    assert "not as you" not in done.stdout
    rows = store(fees).labels()
    assert [one.passed for one in rows] == [True, False, True]
    assert (rows[2].reason, rows[2].rating) == ("too short", 4)
    assert all(one.blind for one in rows)


def test_hostile_answers_neither_steer_the_terminal_nor_hide(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_fees(tmp_path, 1)
    evil = "\x1b[2J\x1b]0;owned\x07 yes \u202egnp.exe \x00" + "A" * 5_000_000
    (tmp_path / "recorded.jsonl").write_text(json.dumps({"case": "fee-0", "text": evil}) + "\n")
    run_fees(capsys)
    with Person(tmp_path, "latest", NO_COLOR="1") as person:
        page = ready(person)
        assert "\x1b" not in page
        assert "\\u{1b}]0;owned\\u{7} yes \\u{202e}gnp.exe" in " ".join(page.split())
        assert "\u202e" not in page
        assert "more characters: m" in " ".join(page.split())
        assert len(page) < 20_000
        person.strike("m")
        assert len(ready(person)) < 300_000
        person.strike("q")
        person.leave()


def test_selections(fees, capsys, monkeypatch):
    def shown(*arguments):
        monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))
        run_command(["review", "--plain", *arguments])
        said = capsys.readouterr()
        return said.out + said.err

    assert "7 of 30 answers" in shown("--sample", "7")
    assert "5 of 30 answers" in shown("--uncertain", "5", "--scorer", "hallucination")
    assert "of 30 answers" in shown("--disagree")
    assert "give one of them" in shown("--sample", "7", "--disagree")
    assert "did you mean 'hallucination'?" in shown("--scorer", "halucination")
    assert "did you mean 'fees'?" in shown("--suite", "fee")
    assert "Is the answer good enough?" in shown("--question", "answer")


def test_import_says_where_a_row_is_wrong_and_takes_nothing(fees, capsys):
    (fees / "bad.csv").write_text(
        'ticket,passed,rating\nfee-1,yes,3\n"fee-2",maybe,4\nfee-3,no,9\n', encoding="utf-8"
    )
    assert run_command(["review", "import", "bad.csv", "--column", "ticket=case"]) == 2
    assert "unknown field 'ticket'" in capsys.readouterr().err
    assert run_command(["review", "import", "bad.csv"]) == 2
    assert "--column case=NAME" in capsys.readouterr().err
    assert run_command(["review", "import", "bad.csv", "--column", "case=ticket"]) == 2
    error = capsys.readouterr().err
    assert "'passed' must be yes or no, not 'maybe'" in error
    assert "bad.csv:3:9" in error
    assert "also at" in error
    assert "bad.csv:4:10" in error
    assert store(fees).labels() == ()
    (fees / "bad.jsonl").write_text('{"case": "fee-1", "rating": 0}\n{oops\n', encoding="utf-8")
    assert run_command(["review", "import", "bad.jsonl"]) == 2
    assert "bad.jsonl:1:19" in capsys.readouterr().err
    assert run_command(["review", "import", "none.csv"]) == 2
    assert run_command(["review", "import", "recorded.txt"]) == 2


def test_import_is_idempotent_and_lists_unknown_cases(fees, capsys):
    (fees / "labels.csv").write_text(
        "case,verdict,reason,author\nfee-1,pass,,Ada\nfee-2,fail,no source,Bo\nelse,pass,,Ada\n",
        encoding="utf-8",
    )
    command = ["review", "import", "labels.csv", "--column", "passed=verdict",
               "--question", "hallucination", "--chosen", "sample"]  # fmt: skip
    assert run_command(command) == 0
    said = capsys.readouterr()
    assert "2 labels added" in said.out
    assert "labels.csv:4: the run has no case 'else'" in said.err
    assert run_command([*command, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["added"], again["changed"], again["known"]) == (0, 0, 2)
    assert again["unknown_cases"] == [{"line": 4, "case": "else"}]
    (label,) = [one for one in store(fees).labels() if one.author == "Bo"]
    assert (label.passed, label.reason, label.name) == (False, "no source", "hallucination")
    assert (label.selection, label.source) == ("sample", "import")
    assert [one.kind for one in store(fees).events("labels.")] == ["labels.imported"]


def test_what_is_exported_is_imported_as_it_was(fees, capsys, tmp_path_factory, monkeypatch):
    (fees / "labels.jsonl").write_text(
        "".join(json.dumps({"case": f"fee-{one}", "passed": one % 3 != 0, "rating": 1 + one % 5,
                            "author": "Ada", "blind": True, "reason": '=1,"x"\nß'}) + "\n"
                for one in range(6)),
        encoding="utf-8",
    )  # fmt: skip
    assert run_command(["review", "import", "labels.jsonl"]) == 0
    before = store(fees).labels()
    assert run_command(["review", "export", "--out", "out/labels.jsonl"]) == 0
    other = make_fees(tmp_path_factory.mktemp("other"))
    monkeypatch.chdir(other)
    run_fees(capsys)
    assert run_command(["review", "import", str(fees / "out" / "labels.jsonl")]) == 0
    after = store(other).labels()
    assert [one.judgement for one in after] == [one.judgement for one in before]
    assert [one.labelled_at for one in after] == [one.labelled_at for one in before]
    assert [one.output_hash for one in after] == [one.output_hash for one in before]
    capsys.readouterr()
    assert run_command(["review", "export"]) == 0
    assert capsys.readouterr().out.startswith("case,case_name,passed,rating")


def test_agreement_of_people_and_scorers(fees, capsys):
    assert run_command(["review", "agreement"]) == 0
    assert "no answer was judged by two" in capsys.readouterr().err
    rows = [
        {"case": f"fee-{one}", "passed": (one % 3 != 0) ^ (who == "Bo" and one < 4),
         "rating": 1 + (one % 5), "author": who}
        for one in range(24) for who in ("Ada", "Bo")
    ]  # fmt: skip
    (fees / "labels.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert run_command(["review", "import", "labels.jsonl", "-c", "hallucination"]) == 0
    capsys.readouterr()
    assert run_command(["review", "agreement", "fees", "--json"]) == 0
    found = {
        (one["first"], one["second"], one["measure"]): one
        for one in json.loads(capsys.readouterr().out)
    }
    from evalkit.stats.agreement import kappa

    ada = [one["passed"] for one in rows if one["author"] == "Ada"]
    bo = [one["passed"] for one in rows if one["author"] == "Bo"]
    pair = found["Ada", "Bo", "kappa"]
    assert pair["share"]["value"] == pytest.approx(kappa(ada, bo).value)
    assert pair["same"] == pytest.approx(20 / 24)
    assert found["Ada", "Bo", "weighted kappa"]["share"]["value"] == pytest.approx(1.0)
    assert found["all 2", "each other", "alpha"]["share"]["n"] == 24
    assert found["Ada", "scorer hallucination", "kappa"]["share"]["n"] == 24
    assert run_command(["review", "agreement"]) == 0
    assert "people together / scorer hallucination" in capsys.readouterr().out


def test_calibrate_refuses_what_cannot_be_said(fees, capsys):
    def refused(*arguments):
        assert run_command(["calibrate", *arguments]) == ExitCode.UNDECIDED
        return capsys.readouterr().err

    assert "no label of suite 'fees' answers 'hallucination'" in refused("fees")
    rows = [{"case": f"fee-{one}", "passed": True, "author": "Ada"} for one in range(25)]
    path = fees / "labels.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in rows[:10]))
    assert run_command(["review", "import", "labels.jsonl"]) == 0
    assert "--question answer" in refused("fees")
    assert "10 usable labels" in refused("fees", "--question", "answer")
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    assert run_command(["review", "import", "labels.jsonl"]) == 0
    capsys.readouterr()
    assert "0 say fail" in refused("fees", "--question", "answer")
    assert run_command(["calibrate", "fee"]) == ExitCode.USAGE
    assert "did you mean" in capsys.readouterr().err
    assert run_command(["calibrate", "fees", "--scorer", "halucination"]) == ExitCode.USAGE
    assert not (fees / "calibration").exists()


def test_a_damaged_record_stops_the_gate(fees, capsys):
    (fees / "calibration").mkdir()
    (fees / "calibration" / "fees.hallucination.json").write_text("{")
    assert run_command(["gate"]) == ExitCode.USAGE
    assert "calibration record is damaged" in capsys.readouterr().err


def decisions(folder, **changes):
    from evalkit.hashing import content_id

    held = store(folder)
    run = held.resolve("latest")
    first, second = held.answers(run)[:2]
    body = {
        "kind": "evalkit.decisions",
        "format": 1,
        "baseline": run,
        "candidate": run,
        "decisions": [
            {"case_id": first.case_id, "suite": "fees", "target": "bot", "decision": "flag",
             "note": "wrong currency"},
            {"case_id": second.case_id, "suite": "fees", "target": "bot", "decision": "accept",
             "note": ""},
        ],
        **changes,
    }  # fmt: skip
    (folder / "decisions.json").write_text(json.dumps({**body, "hash": content_id(body)}))
    return body


def test_decisions_are_recorded_and_flagged_cases_proposed_once(fees, capsys):
    from evalkit.config.spec import DatasetSpec
    from evalkit.datasets import open_dataset

    body = decisions(fees)
    flagged = body["decisions"][0]["case_id"]
    proposed = fees / "golden" / "fees.flagged.jsonl"
    proposed.write_text('{"id": "mine", "question": "kept?", "expected": "yes"}')  # no line end
    command = ["review", "apply", "decisions.json", "--as", "Grace"]
    assert run_command(command) == 0
    assert "2 decisions recorded, 0 known" in capsys.readouterr().out
    dataset = open_dataset(DatasetSpec(source=str(proposed), format=""))
    dataset.scan()
    mine, added = dataset.cases()
    assert mine.name == "mine"
    assert added.id == flagged, "it reads back as the very case"
    assert added.metadata["flagged"]["note"] == "wrong currency"
    assert added.metadata["flagged"]["by"] == "Grace"
    events = store(fees).events("case.")
    assert [(one.kind, one.actor) for one in events] == [
        ("case.flagged", "Grace"), ("case.accepted", "Grace"),
    ]  # fmt: skip
    text = proposed.read_text()
    assert run_command([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recorded"] == 0
    assert proposed.read_text() == text
    assert len(store(fees).events("case.")) == 2


def test_bad_decisions_are_refused_in_three_lines(fees, capsys):
    body = decisions(fees)
    path = fees / "decisions.json"

    def refused(text):
        path.write_text(text)
        assert run_command(["review", "apply", "decisions.json"]) == ExitCode.USAGE
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 3, error
        return error

    whole = path.read_text()
    assert "decisions.json:1:" in refused(whole[:-40])
    assert "does not match their hash" in refused(whole.replace("currency", "country"))
    assert "no decisions of an evalkit report" in refused("[]")
    assert "have the form 9" in refused(json.dumps({**body, "format": 9}))
    assert "nothing was decided" in refused(json.dumps({**body, "decisions": []}))
    row = body["decisions"][0]
    for change, words in (
        ({"decision": "acept"}, "accept or flag"),
        ({"case_id": 3}, "'case_id' must be text"),
        ({"case_id": "f" * 20}, "has no case"),
        ({"noet": "x"}, "did you mean 'note'?"),
    ):
        assert words in refused(json.dumps({**body, "decisions": [{**row, **change}]}))
    assert "contradicts" in refused(
        json.dumps({**body, "decisions": [row, {**row, "decision": "accept"}]})
    )
    assert "unknown run" in refused(json.dumps({**body, "candidate": "nope"}))
    assert store(fees).events("case.") == ()
    assert not (fees / "golden" / "fees.flagged.jsonl").exists()


def test_the_page_on_labels_tells_the_truth(fees, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("q\n"))
    page = (Path(__file__).parents[2] / "docs" / "labels.md").read_text(encoding="utf-8")
    (sql,) = re.findall(r"^```sql\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (example,) = re.findall(r"^```json\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (shown,) = re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (fees / "labels.csv").write_text(
        "case,passed\n" + "".join(f"fee-{one},{one % 3 != 0}\n" for one in range(30)), "utf-8"
    )
    assert run_command(["review", "import", "labels.csv", "-c", "hallucination"]) == 0
    capsys.readouterr()
    assert run_command(["sql", sql, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["labels"] == 30
    value = json.loads(example)
    del value["hash"]
    (fees / "page.json").write_text(json.dumps(value))
    assert run_command(["review", "apply", "page.json"]) == ExitCode.USAGE
    assert "unknown run" in capsys.readouterr().err  # the form is right, the run is elsewhere
    review, calibrate, gate = (one.split()[2:] for one in shown.splitlines())
    assert run_command([*review, "--plain"]) == 0
    assert run_command([*calibrate[:1], "fees", *calibrate[2:]]) == 0
    assert run_command(gate) == ExitCode.UNDECIDED
