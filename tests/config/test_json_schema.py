"""The JSON Schemas: whatever the loaders accept, they accept, and they find most mistakes too."""

import copy
import json
from pathlib import Path

import jsonschema_rs
import pytest
from config_examples import PROJECT, SUITE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_broken import PROJECTS, SUITES
from test_project import CARD, FULL, SUITE_FULL

from evalkit.config import json_schema, load_card, load_project, load_suite
from evalkit.config.schema import SCHEMA_KINDS
from evalkit.config.tree import parse_yaml
from evalkit.errors import ConfigError


@pytest.fixture
def validators(plugins):
    return {one: jsonschema_rs.validator_for(json_schema(one)) for one in SCHEMA_KINDS}


def plain(text):
    return parse_yaml(text, Path("a.yaml")).root.plain()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("project", PROJECT),
        ("project", FULL),
        ("suite", SUITE),
        ("suite", SUITE_FULL),
        ("card", CARD),
        ("prompt", "label: v1\nowner: me\ndescription: x\n"),
    ],
)
def test_what_is_right_passes(validators, kind, text):
    validators[kind].validate(plain(text))


BEYOND = (
    "no ",  # files are looked for by the loaders only
    "unknown target 'suport'",
    "leads back",
    "two scorers are called",
    "'${",
    "'$OPENAI",
    "not valid YAML",
    "YAML does not",
    "is given twice",
    "not finite",
    "more than 0 and at most 24h",
    "unknown option 'coment'",
    "unknown option 'split'",
)


@pytest.mark.parametrize(
    ("kind", "text", "what"),
    [("project", text, what) for text, _, what, _ in PROJECTS]
    + [("suite", text, what) for text, _, what, _ in SUITES],
)
def test_what_the_loader_refuses_the_schema_refuses_where_it_can(validators, kind, text, what):
    if any(one in what for one in BEYOND):
        return
    assert not validators[kind].is_valid(plain(text)), what


def test_every_scorer_and_target_of_evalkit_is_in_its_schema():
    suite, project = json_schema("suite"), json_schema("project")
    assert "scorer exact_match" in suite["$defs"]
    assert suite["$defs"]["scorer exact_match"]["properties"]["ignore_case"]["default"] is False
    assert "target extractive" in project["$defs"]
    assert (
        "builtin:extractive"
        in (project["$defs"]["target extractive"]["properties"]["kind"]["enum"])
    )
    for one in (suite, project):
        jsonschema_rs.meta.validate(one)


JUNK = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        1,
        -1,
        2.5,
        "",
        "x",
        "60s",
        "no",
        [],
        ["a"],
        [1],
        {},
        {"a": 1},
        {"a": "b"},
    ]
)


def places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key, one in value.items():
            yield from places(one, (*path, key))
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from places(one, (*path, index))


@st.composite
def changed(draw, text):
    """The document with a few values replaced, removed or added."""
    value = plain(text)
    for _ in range(draw(st.integers(1, 3))):
        *parents, last = draw(st.sampled_from([one for one in places(value) if one]))
        owner = value
        for step in parents:
            owner = owner[step]
        how = draw(st.sampled_from(["put", "put", "remove", "add"]))
        if how == "put":
            owner[last] = copy.deepcopy(draw(JUNK))
        elif how == "remove":
            del owner[last]
        elif isinstance(owner, dict):
            owner[draw(st.sampled_from(["threshold", "as", "trials", "price", "limits", "x"]))] = (
                copy.deepcopy(draw(JUNK))
            )
        if not any(one for one in places(value) if one):
            break
    return value


FIXTURE = settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@FIXTURE
@given(changed(FULL))
def test_a_project_that_the_loader_accepts_the_schema_accepts(project, validators, value):
    path = project / "evalkit.yaml"
    path.write_text(json.dumps(value), encoding="utf-8")
    try:
        load_project(path)
    except ConfigError:
        return
    validators["project"].validate(value)


@FIXTURE
@given(changed(SUITE_FULL))
def test_a_suite_that_the_loader_accepts_the_schema_accepts(project, validators, value):
    path = project / "suites/support.yaml"
    path.write_text(json.dumps(value), encoding="utf-8")
    try:
        load_suite(load_project(project / "evalkit.yaml"), "support")
    except ConfigError:
        return
    validators["suite"].validate(value)


@FIXTURE
@given(changed(CARD + "languages: [en]\nversion: '1'\n"))
def test_a_card_and_its_schema_agree(project, validators, value):
    path = project / "golden/cases.card.yaml"
    path.write_text(json.dumps(value), encoding="utf-8")
    try:
        load_card(project / "golden/cases.lines")
    except ConfigError:
        assert not validators["card"].is_valid(value)
        return
    validators["card"].validate(value)
