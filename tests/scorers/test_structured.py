"""SQL, XML, HTML and code: what parses, what does not, and what hostile text does."""

from __future__ import annotations

import pytest

from evalkit.errors import ConfigError
from evalkit.model import ScoreStatus
from tests.scorers.helpers import bound, record, score, unscored, value

JOIN = "SELECT u.name FROM users u JOIN orders o ON u.id = o.user_id"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("select * form users", "not SQL"),
        ("select 1; select 2", "2 statements"),
        ("-- nothing", "no statement"),
        ("hello", "an expression, no statement"),
        ("select " + "(" * 2000 + "1" + ")" * 2000, "nested too deeply"),
    ],
)
def test_sql_that_is_none_says_why(text, reason):
    found = score("sql", text)
    assert found.passed is False
    assert reason in found.reason


def test_sql_is_compared_by_tables_columns_or_as_a_whole():
    other = "select name, id, user_id from orders join Users on id = user_id"
    assert value("sql", other, JOIN, compare="tables") == 1.0
    assert value("sql", other, JOIN, compare="columns") == 1.0
    assert value("sql", other, JOIN, compare="query") == 0.0
    assert value("sql", f"  {JOIN.lower()} ;", JOIN, compare="query") == 1.0
    assert value("sql", 'SELECT "A" FROM t', "select a from T", compare="query") == 0.0
    assert value("sql", 'SELECT "a" FROM t', "select a from T", compare="query") == 1.0
    with_name = "with x as (select * from orders) select * from x, users"
    assert value("sql", with_name, JOIN, compare="tables") == 1.0
    lacks = score("sql", "select name from users, items", JOIN, compare="tables")
    assert lacks.reason == "lacks table orders; uses table items"
    assert "expected answer" in unscored("sql", JOIN, "no query at all", compare="tables")
    assert "expects nothing" in unscored("sql", JOIN, None, compare="tables")


@pytest.mark.parametrize(
    "text",
    [
        "delete from users",
        "with x as (delete from users returning id) select * from x",
        "select * into copy from users",
        "create table t (a int)",
        "GRANT select ON a TO b",
        "VACUUM",
    ],
)
def test_sql_that_writes_is_refused_where_only_reading_is_allowed(text):
    assert score("sql", text, read_only=True, dialect="postgres").passed is False
    assert score("sql", JOIN, read_only=True, dialect="postgres").passed is True


def test_sql_of_an_unknown_dialect_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="postgres"):
        bound("sql", dialect="postgrse")


def test_sql_in_a_fence():
    assert value("sql", f"Here:\n```sql\n{JOIN}\n```\n", fenced=True) == 1.0
    assert value("sql", f"Here:\n```sql\n{JOIN}\n```\n") == 0.0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<a><b></a>", "mismatched tag at line 1 column 9"),
        ("<!DOCTYPE a [<!ENTITY x 'yy'>]><a>&x;</a>", "declares entities"),
        ("<a>\ud800</a>", "half a character"),
        ("<a>" * 5_000, "nested too deeply"),
        ("<a>\x00</a>", "not XML"),
        ("<a/>", "no element a/b"),
    ],
)
def test_xml_that_is_none_says_why(text, reason):
    assert reason in score("xml", text, elements=["a/b"]).reason


def test_xml_elements_are_found_by_path_and_nothing_is_fetched(tmp_path):
    (tmp_path / "secret").write_text("secret")
    assert value("xml", "<a><c/><b>ราคา</b></a>", elements=["a/b", "a/c"]) == 1.0
    declared = "<?xml version='1.0' encoding='utf-16'?><a>é</a>"
    assert value("xml", declared) == 1.0  # a text is decoded already
    outside = f'<!DOCTYPE a SYSTEM "{tmp_path}/secret"><a/>'
    assert value("xml", outside) == 1.0


def test_html_counts_the_parse_errors_of_the_standard():
    page = "<!doctype html><html><head><title>t</title></head><body><p>a</p></body></html>"
    assert value("html", page, document=True) == 1.0
    assert value("html", "<p>no doctype</p>", document=True) == 0.0
    assert value("html", "<p>an end tag may be left out<p>so") == 1.0
    open_ = score("html", "<div><span>x</div>")
    assert open_.reason.startswith("not HTML: ")
    assert "line 1" in open_.reason
    assert value("html", "<div><span>x</div>", errors=5) == 1.0
    assert score("html", "<p>x</p>", elements=["table"]).reason == "no element table"
    assert "script" in score("html", "<p>x<script>1</script></p>", without=["script"]).reason
    assert score("html", "plain").reason == "not HTML: no element"


@pytest.mark.parametrize(
    ("language", "good", "bad", "line"),
    [
        ("python", "x = [\n    1,\n]\n", "x = 1\ny = = 2\n", "line 2"),
        ("json", '{"a": [1]}', '{"a": NaN}', "NaN"),
        ("yaml", "a: &x [1]\nb: *x\n", "a: *nowhere\n", "undefined alias"),
        ("toml", "[a]\nb = 1\n", "[a]\nb = 1\nb = 2\n", "line 3"),
    ],
)
def test_code_parses_or_the_first_error_is_placed(language, good, bad, line):
    assert value("code", good, language=language) == 1.0
    assert line in score("code", bad, language=language).reason
    assert value("code", f"```{language}\n{good}\n```", language=language, fenced=True) == 1.0


@pytest.mark.parametrize("language", ["python", "json", "yaml", "toml"])
@pytest.mark.parametrize(
    "text",
    ["", "Sorry", "[" * 50_000, "-" * 50_000, "\x00", "a: \ud800", "- " * 50_000, "&a a: " * 9],
)
def test_code_that_is_none_is_judged_in_no_time(language, text):
    found = record(bound("code", language=language), text)
    assert found.status is ScoreStatus.SCORED, found.reason
    assert found.score.value == 0.0
    assert found.elapsed_s < 5


@pytest.mark.parametrize(
    ("scorer", "options"),
    [
        ("xml", {"elements": ["a//b"]}),
        ("html", {"elements": ["Table"]}),
        ("html", {"errors": -1}),
    ],
)
def test_impossible_options_of_structure_are_refused(scorer, options):
    with pytest.raises(ConfigError):
        bound(scorer, **options)


@pytest.mark.parametrize("scorer", ["sql", "xml", "html", "code"])
def test_five_megabytes_are_unscored_at_once(scorer):
    assert "too long" in unscored(scorer, "a b\n" * 1_250_000)
