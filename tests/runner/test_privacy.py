"""Personal data is scored as it is and stored masked, with the same placeholders everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from evalkit.errors import ConfigError
from evalkit.model import Evidence
from evalkit.pii.masker import Masker
from evalkit.runner.veil import Veil
from evalkit.secrets import Redactor
from tests.runner.projects import SmallProject, wire
from tests.servers import Fault, ModelServer, Reply, Seen, Trouble

EMAILS = [f"person{n}@example.org" for n in range(6)]
CARD = "4111 1111 1111 1111"


def cases() -> list[dict[str, Any]]:
    return [
        {
            "id": f"case-{n}",
            "question": f"Who is {one}? Asked on 2026-11-21, order 1234567890.",
            "context": [f"Card {CARD} belongs to {EMAILS[0]}."],
            "expected": f"It is {one}.",
            "tags": {"n": str(n)},
        }
        for n, one in enumerate(EMAILS)
    ]


def answer(seen: Seen) -> Reply:
    address = next(one for one in EMAILS if f"Who is {one}" in seen.text)
    return Reply(text=f"It is {address}.")


def everything(small: SmallProject) -> str:
    tables = ("trials", "scores", "cases", "runs", "events")
    return "".join(repr(small.sql(f"SELECT * FROM {one}")) for one in tables)


def on_disk(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.rglob("*") if one.is_file())


def test_scorers_see_the_text_and_the_store_does_not(small: SmallProject) -> None:
    with ModelServer(answer) as server:
        target = wire(server.openai, limits={"concurrency": 1})
        mask = {"mask": ["email", "card"]}
        small.write({"t": target}, cases(), scorers=["exact_match", "contains"], privacy=mask)
        small.write_suite(
            {
                "dataset": "golden/cases.jsonl",
                "targets": ["t"],
                "scorers": ["exact_match", {"regex": {"pattern": r"person\d@example\.org"}}],
            }
        )
        outcome = small.run()
        assert all("@example.org" in one.text for one in server.seen), "the target gets the truth"
    assert outcome.answered == 6
    assert small.sql("SELECT min(value) AS v FROM scores") == [{"v": 1.0}]
    stored = everything(small)
    assert "example.org" not in stored
    assert CARD not in stored
    assert CARD.replace(" ", "") not in stored
    assert b"person3@" not in on_disk(small.folder / ".evalkit")
    rows = small.sql(
        "SELECT t.output, c.inputs, c.expected, c.context FROM trials t JOIN cases c"
        " USING (case_id) ORDER BY case_row"
    )
    for number, row in enumerate(rows, 1):
        assert row["output"] == f"It is <EMAIL_{number}>."
        assert f"<EMAIL_{number}>" in row["inputs"]
        assert "2026-11-21, order 1234567890" in row["inputs"]
        assert row["context"] == ["Card <CARD_1> belongs to <EMAIL_1>."]


def test_a_continued_run_keeps_its_placeholders(small: SmallProject) -> None:
    broken = True

    def sometimes(seen: Seen) -> Reply | Fault:
        if broken and "person1@" in seen.text:
            return Fault(trouble=Trouble.BAD_REQUEST, message="no: person1@example.org")
        return Reply(text=f"ask {'new' if broken else 'other'}@invented.org")

    with ModelServer(sometimes) as server:
        target = wire(server.openai, limits={"concurrency": 1})
        small.write({"t": target}, cases(), privacy={"mask": ["email"]})
        first = small.run()
        assert first.errors == 1
        (row,) = small.sql("SELECT error FROM trials WHERE status = 'error'")
        assert "<EMAIL_2>" in row["error"]
        broken = False
        small.resume()
    outputs = [one["output"] for one in small.sql("SELECT output FROM trials ORDER BY case_row")]
    assert outputs == ["ask <EMAIL_7>", "ask <EMAIL_8>", *["ask <EMAIL_7>"] * 4]
    (row,) = small.sql("SELECT messages FROM trials WHERE case_name = 'case-1'")
    assert "<EMAIL_2>" in row["messages"]


def test_without_the_setting_nothing_is_masked(small: SmallProject) -> None:
    with ModelServer(answer) as server:
        small.write({"t": wire(server.openai)}, cases())
        small.run()
    assert "person3@example.org" in everything(small)


def test_an_unknown_kind_is_an_error_at_its_place(small: SmallProject) -> None:
    small.write({"t": wire("http://127.0.0.1:9")}, cases(), privacy={"mask": ["emial"]})
    with pytest.raises(ConfigError, match="email") as caught:
        small.run()
    assert "evalkit.yaml" in str(caught.value.where)


def test_evidence_points_into_the_text_as_it_is_stored() -> None:
    veil = Veil(Redactor(["sk-0123456789abcdef"]), Masker(["email"]))
    text = "key sk-0123456789abcdef, mail a.long.name@example.org says 14 days."
    stored = veil.text(text)
    assert stored == "key [redacted], mail <EMAIL_1> says 14 days."
    for piece, expected in (
        ("14 days", "14 days"),
        ("key", "key"),
        ("mail a.long.name@example.org says", "mail <EMAIL_1> says"),
        ("long.name", "<EMAIL_1>"),
        ("name@example.org says", "<EMAIL_1> says"),
    ):
        start = text.index(piece)
        one = Evidence(source="output", start=start, end=start + len(piece), text=piece)
        moved = veil.evidence(one, ["another text", text])
        assert stored[moved.start : moved.end] == moved.text == expected
