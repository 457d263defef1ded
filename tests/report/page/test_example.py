"""The example in ``reports/`` is what the project makes today: page, answers and scores."""

import runpy
from pathlib import Path

from tests.report.page.test_page import Page

REPORTS = Path(__file__).parents[3] / "reports"


def facts(path):
    """All of a page that does not depend on the clock."""
    page = Page(path.read_text("utf-8"))
    index = page.data("index")
    ids = index["id"].split("\n")
    texts = {}
    for name in page.scripts:
        if name.startswith("data-b"):
            for case in page.data(name.removeprefix("data-")):
                texts[ids[case["row"]]] = [
                    [one["text"], one["error"], [s["value"] for s in one["scores"]]]
                    for one in (*case["before"], *case["after"])
                ]
    return {
        "policy": next(one["content"] for tag, one in page.tags if "http-equiv" in one),
        "outcomes": dict(
            zip(
                index["name"].split("\n"),
                (index["outcomes"][one]["name"] for one in index["outcome"]),
                strict=True,
            )
        ),
        "texts": texts,
        "tags": index["tags"].keys(),
    }


def test_the_example_report_is_current(tmp_path):
    made = runpy.run_path(str(REPORTS / "make.py"))["make"](tmp_path)
    old, new = facts(REPORTS / "handbook.html"), facts(made)
    assert old == new, "write it anew: nox -s example"
