"""Projects, suites and cards that are right, and how they become values."""

import subprocess
import sys
from pathlib import Path

import pytest
from config_examples import PROJECT, SUITE
from hypothesis import given
from hypothesis import strategies as st

from evalkit.config import (
    find_project,
    load_card,
    load_project,
    load_suite,
    resolve_env,
    suite_names,
)
from evalkit.config.check import nearest_file
from evalkit.config.spec import CacheSpec, Cap
from evalkit.config.suite import golden_names, group_names, suites_in
from evalkit.config.target import seconds
from evalkit.errors import ConfigError, Position, UnknownName, UsageError

FULL = """\
project: demo
store: data/runs.duckdb
seed: 7
prices:
  small: {input: 0.25, output: 2, cached_input: 0.025}
targets:
  support:
    kind: chat
    prompt: prompts/answer.j2
    model: small
    api_key: ${env:KEY}
    headers: {Authorization: "Bearer ${env:TOKEN}"}
    params: {stop: [a, "b ${env:KEY}"], max: 300}
    limits: {concurrency: 4, requests_per_minute: 500, timeout: 200ms, max_retries: 0,
      adaptive: false, deadline: 2s, patience: 1m}
    price: {input: 1, output: 2.5}
  both:
    kind: pick
    targets: [support]
cache: {mode: write, path: data/answers.sqlite}
budget:
  max_usd: $5.00
  max_tokens: 1000000
  monthly_usd: 100
  targets: {support: {max_usd: 2.5}}
  judges: {max_usd: 1, max_tokens: 5000}
suites_dir: suites
"""


def test_a_project_becomes_values_with_absolute_paths(write, project):
    loaded = load_project(write("evalkit.yaml", FULL))
    assert loaded.name == "demo"
    assert loaded.root == project
    assert loaded.store == project / "data/runs.duckdb"
    assert loaded.seed == 7
    assert loaded.prices["small"].cached_input == 0.025
    support = loaded.targets["support"]
    assert support.prompt == project / "prompts/answer.j2"
    assert support.options["api_key"] == "${env:KEY}"
    assert support.options["params"] == {"stop": ["a", "b ${env:KEY}"], "max": 300}
    assert support.limits.timeout_s == pytest.approx(0.2)
    assert support.limits.concurrency == 4
    limits = support.limits
    assert (limits.adaptive, limits.deadline_s, limits.patience_s) == (False, 2.0, 60.0)
    assert support.limits.max_retries == 0
    assert support.price.output == 2.5
    assert support.price.cached_input is None
    assert str(support.where()) == "evalkit.yaml:7:3"
    assert str(support.where("model")) == "evalkit.yaml:10:12"
    assert str(support.where("params.stop[1]")) == "evalkit.yaml:13:24"
    assert str(support.where("params")) == "evalkit.yaml:13:5"
    assert loaded.targets["both"].options == {"targets": ["support"]}
    assert loaded.cache == CacheSpec(path=project / "data/answers.sqlite", mode="write")
    budget = loaded.budget
    assert budget.whole == Cap(max_usd=5.0, max_tokens=1_000_000)
    assert budget.monthly_usd == 100.0
    assert budget.targets == {"support": Cap(max_usd=2.5)}
    assert budget.judges == Cap(max_usd=1.0, max_tokens=5_000)
    assert str(budget.where("targets.support")) == "evalkit.yaml:25:13"


@pytest.mark.parametrize("mode", ["off", "read", "write", "refresh"])
def test_a_bare_word_is_the_mode_of_the_cache(write, project, mode):
    loaded = load_project(write("evalkit.yaml", PROJECT + f"cache: {mode}\n"))
    assert loaded.cache == CacheSpec(path=project / ".evalkit/cache.sqlite", mode=mode)


def test_defaults_are_those_of_the_values(write, project):
    loaded = load_project(write("evalkit.yaml", PROJECT))
    assert loaded.store == project / ".evalkit/evalkit.duckdb"
    assert loaded.targets["support"].limits.timeout_s == 60
    assert loaded.targets["support"].price is None
    assert (loaded.suites_dir, loaded.prompts_dir) == (project / "suites", project / "prompts")


def test_the_project_is_found_upwards(project, tmp_path_factory):
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    assert find_project(inner) == project / "evalkit.yaml"
    assert find_project(file=project) == project / "evalkit.yaml"
    assert find_project(file=Path("evalkit.yaml")) == project / "evalkit.yaml"
    with pytest.raises(ConfigError, match="does not exist"):
        find_project(file=project / "other.yaml")
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path_factory.mktemp("empty"))
    assert "evalkit init" in caught.value.hint


SUITE_FULL = """\
description: Everything a suite can say.
kind: adversarial
datasets:
  - golden/cases.lines
  - path: golden/cases.lines
    columns: {inputs.question: q, expected: answer, tags.lang: language}
    types: {count: integer}
    options: {comment: ";"}
targets: [support]
trials: 3
scorers:
  - overlap
  - overlap: {stemmer: true, threshold: 0.4}
    as: stemmed
  - holds: {any: [refund], weights: {a: 1}, schema: {type: [object]}}
  - seconds: {threshold: 12}
slices: [lang]
"""


def test_a_suite_becomes_values(write, project):
    path = write("suites/support.yaml", SUITE_FULL)
    suite = load_suite(load_project(project / "evalkit.yaml"), "support")
    assert (suite.name, suite.path, suite.kind, suite.trials) == ("support", path, "adversarial", 3)
    first, second = suite.datasets
    assert first.source == str(project / "golden/cases.lines")
    assert (first.format, first.columns) == ("lines", {})
    assert second.columns["inputs.question"] == "q"
    assert second.types == {"count": "integer"}
    assert second.options == {"comment": ";"}
    assert [one.name for one in suite.scorers] == ["overlap", "stemmed", "holds", "seconds"]
    assert suite.scorers[1].scorer == "overlap"
    assert suite.scorers[1].options == {"stemmer": True}
    assert suite.scorers[1].threshold == 0.4
    assert suite.scorers[2].options["weights"] == {"a": 1.0}
    assert suite.scorers[3].threshold == 12
    assert str(suite.scorers[1].position) == "suites/support.yaml:13:5"
    assert suite.slices == ("lang",)


def test_the_hash_of_a_suite_is_of_what_it_says(write, project):
    loaded = load_project(project / "evalkit.yaml")
    first = load_suite(loaded, "support").content_hash
    write("suites/support.yaml", "# a comment\n" + SUITE.replace("[support]", "['support']"))
    assert load_suite(loaded, "support").content_hash == first
    write("suites/support.yaml", SUITE + "trials: 2\n")
    assert load_suite(loaded, "support").content_hash != first


def test_suites_are_found_by_name_and_by_path(write, project):
    write("suites/other.yml", SUITE)
    write("suites/notes.txt", "")
    loaded = load_project(project / "evalkit.yaml")
    assert suite_names(loaded) == ["other", "support"]
    assert load_suite(loaded, "other").path == project / "suites/other.yml"
    assert load_suite(loaded, "suites/other.yml").name == "other"
    assert load_suite(loaded, str(project / "suites/support.yaml")).name == "support"
    with pytest.raises(UnknownName, match="did you mean 'support'"):
        load_suite(loaded, "suport")
    with pytest.raises(ConfigError, match=r"did you mean 'suites/support\.yaml'"):
        load_suite(loaded, "suites/suport.yaml")
    write("suites/support.yml", SUITE)
    with pytest.raises(ConfigError, match="two files hold the suite 'support'"):
        load_suite(loaded, "support")


def test_a_folder_of_suites_is_a_group(write, project):
    write("suites/attacks/one.yaml", "kind: adversarial\n" + SUITE)
    write("suites/attacks/two.yml", SUITE)
    write("suites/.hidden/three.yaml", SUITE)
    write("suites/empty/notes.txt", "")
    loaded = load_project(project / "evalkit.yaml")
    assert suite_names(loaded) == ["one", "support", "two"]
    assert group_names(loaded) == ["attacks"]
    assert suites_in(loaded, "attacks") == ["one", "two"]
    assert suites_in(loaded, "one") == ["one"]
    assert golden_names(loaded) == ["support", "two"]
    for name in ("one", "attacks/one", "suites/attacks/one.yaml"):
        assert load_suite(loaded, name).path == project / "suites/attacks/one.yaml"
    with pytest.raises(UnknownName, match="did you mean 'attacks'"):
        load_suite(loaded, "atacks")
    with pytest.raises(UsageError, match="'attacks' is a group of 2 suites") as caught:
        load_suite(loaded, "attacks")
    assert "name one of them: one, two" in str(caught.value)
    write("suites/attacks.yaml", SUITE)
    with pytest.raises(ConfigError, match="'attacks' is a suite and a group of suites"):
        suites_in(loaded, "attacks")
    write("suites/two.yaml", SUITE)
    with pytest.raises(ConfigError, match="two files hold the suite 'two'") as caught:
        load_suite(loaded, "two")
    assert "suites/attacks/two.yml" in str(caught.value)


PLUGIN = """\
from evalkit.registry import scorer
from evalkit.model import Score

open("ran", "w").close()

@scorer()
def own(case, output, *, depth: int = 1):
    "Whether it is ours."
    return Score(value=1.0)
"""


def test_code_of_the_project_runs_only_when_allowed(write, project):
    write("checks/own.py", PLUGIN)
    path = write("evalkit.yaml", PROJECT + "plugins: [checks/own.py]\n")
    write("suites/support.yaml", SUITE.replace("overlap", "own: {depth: 2}"))
    loaded = load_project(path)
    assert not (project / "ran").exists()
    with pytest.raises(ConfigError) as caught:
        load_suite(loaded, "support")
    assert caught.value.what == "unknown scorer 'own'"
    assert "if checks/own.py declares it, allow its code to run with --allow-code" in str(
        caught.value
    )
    loaded = load_project(path, allow_code=True)
    assert (project / "ran").exists()
    assert load_suite(loaded, "support").scorers[0].options == {"depth": 2}


@pytest.mark.parametrize(
    ("code", "what", "where"),
    [
        ("def f(:\n", "not valid Python", "checks/own.py:1:7"),
        ("import nowhere_at_all\n", "running 'checks/own.py' failed: ModuleNotFoundError", ":7:11"),
        ("1 / 0\n", "running 'checks/own.py' failed: ZeroDivisionError", ":7:11"),
        ("x = 1\n", "the file declares no scorer, target, dataset, renderer or transform", ":7:11"),
    ],
)
def test_a_plugin_that_fails_is_the_users_mistake(write, code, what, where):
    write("checks/own.py", code)
    path = write("evalkit.yaml", PROJECT + "plugins: [checks/own.py]\n")
    with pytest.raises(ConfigError) as caught:
        load_project(path, allow_code=True)
    assert what in caught.value.what
    assert where in str(caught.value.where)


def test_a_folder_is_a_hugging_face_dataset_and_a_hub_name_keeps_its_split(write, project):
    (project / "data").mkdir()
    loaded = load_project(project / "evalkit.yaml")
    write("suites/support.yaml", SUITE.replace("golden/cases.lines", "data"))
    dataset = load_suite(loaded, "support").datasets[0]
    assert (dataset.format, dataset.source) == ("huggingface", str(project / "data"))
    hub = "{huggingface: owner/name, split: test, columns: {expected: answer}}"
    write("suites/support.yaml", SUITE.replace("golden/cases.lines", hub))
    dataset = load_suite(loaded, "support").datasets[0]
    assert (dataset.format, dataset.source) == ("huggingface", "owner/name")
    assert dataset.options == {"split": "test"}


def test_a_card_is_not_offered_for_a_dataset_and_a_folder_is_named_as_one(write, project):
    write("golden/answers.card.yaml", "name: answers\n")
    (project / "prompts" / "folder.j2").mkdir(parents=True)
    assert "card" not in nearest_file(project / "golden" / "answers.jsonl", project)
    assert nearest_file(project / "prompts" / "folder.j2", project) == "this is a folder"


def test_a_value_that_may_be_a_secret_is_not_shown(write):
    path = write("evalkit.yaml", PROJECT + "    api_key: 123456789\n")
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert "api_key in target 'support' must be text" in str(caught.value)
    assert "123456789" not in str(caught.value)


def test_environment_variables_are_put_in_where_they_are_named():
    options = {
        "api_key": "${env:KEY}",
        "headers": {"Authorization": "Bearer ${env:TOKEN}", "X": "$${literal}"},
        "params": {"stop": ["${env:KEY}${env:KEY}", 3, None, True], "path": "$.a[0]"},
        "name": "$$HOME",
    }
    resolved, secrets = resolve_env(options, {"KEY": "k1", "TOKEN": "t$x", "OTHER": "o"})
    assert resolved == {
        "api_key": "k1",
        "headers": {"Authorization": "Bearer t$x", "X": "${literal}"},
        "params": {"stop": ["k1k1", 3, None, True], "path": "$.a[0]"},
        "name": "$HOME",
    }
    assert secrets == {"k1", "t$x"}
    assert options["api_key"] == "${env:KEY}"


@pytest.mark.parametrize(("environ", "what"), [({}, "not set"), ({"KEY": ""}, "set to nothing")])
def test_a_missing_variable_is_named_with_its_place(write, environ, what):
    spec = load_project(
        write("evalkit.yaml", PROJECT + "    headers: {Authorization: 'Bearer ${env:KEY}'}\n")
    ).targets["support"]
    with pytest.raises(ConfigError) as caught:
        resolve_env(spec.options, environ, where=spec.where)
    assert what in caught.value.what
    assert "KEY" in caught.value.what
    assert str(caught.value.where) == "evalkit.yaml:7:30"
    with pytest.raises(ConfigError) as caught:
        resolve_env({"a": "${env:KEY}"}, environ, where=Position(Path("x"), 1, 2))
    assert str(caught.value.where) == "x:1:2"


@given(st.text(max_size=30), st.text(min_size=1, max_size=10))
def test_what_a_variable_holds_is_never_read_again(text, value):
    resolved, _ = resolve_env({"a": "${env:A}", "b": "x" + text.replace("$", "")}, {"A": value})
    assert resolved == {"a": value, "b": "x" + text.replace("$", "")}


@pytest.mark.parametrize(
    ("text", "value"), [("200ms", 0.2), ("60s", 60), ("1.5s", 1.5), ("2m", 120), ("1h", 3600)]
)
def test_durations_have_units(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["60", "", "s", "-1s", "1 s", "1S", "1d", "1e3s", "٣s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="200ms"):
        seconds(text)


CARD = "licence: CC0-1.0\norigin: here\nowner: me\ndescription: rows\n"


def test_a_card_stands_beside_its_dataset(write, project):
    assert load_card(project / "golden/cases.lines") is None
    path = write("golden/cases.card.yaml", CARD + "languages: [en]\nversion: '1'\n")
    for name in ("golden/cases.lines", "golden/cases.lines.gz"):
        card = load_card(project / name)
        assert (card.path, card.licence, card.languages) == (path, "CC0-1.0", ("en",))


@pytest.mark.parametrize(
    ("text", "where", "what", "hint"),
    [
        (CARD.replace("licence", "license"), "1:1", "unknown key 'license'", "'licence'"),
        (CARD.replace("owner: me\n", ""), "1:1", "the card lacks the key 'owner'", "owner: ..."),
        (CARD + "version: 0\n", "5:10", "version in the card must be at least 1 or", ""),
        (CARD + "owasp: [LLM11]\n", "5:9", "must be an id from LLM01 to LLM10", ""),
        (CARD + "atlas: [T0051]\n", "5:9", "must be an id as AML.T0051", ""),
        (CARD + "sha256: abc\n", "5:9", "must be a hash of 64 digits", ""),
        (CARD + "languages: en\n", "5:12", "languages in the card must be a list", "[en]"),
        (CARD + "notes: ${env:X}\n", "5:8", "'${' has no meaning here", "targets"),
        (CARD.replace("me", ""), "3:7", "owner in the card must be text, not nothing", "remove"),
    ],
)
def test_a_broken_card_says_where(write, project, text, where, what, hint):
    write("golden/cases.card.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_card(project / "golden/cases.lines")
    assert str(caught.value.where) == f"golden/cases.card.yaml:{where}"
    assert what in caught.value.what
    assert hint in caught.value.hint


def test_importing_the_room_imports_nothing_heavy():
    code = (
        "import sys, evalkit.config.spec\n"
        "print([n for n in ('yaml', 'pydantic', 'jinja2') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
