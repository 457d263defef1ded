"""``evalkit schema``: JSON Schemas on standard output or in files."""

import json

import jsonschema_rs
import pytest

from evalkit.cli.app import run_command
from evalkit.config.scaffold import write_project
from evalkit.config.tree import read_yaml
from evalkit.errors import ExitCode


@pytest.mark.parametrize("kind", ["project", "suite", "card", "prompt", "pairs"])
def test_a_schema_is_printed(capsys, kind):
    assert run_command(["schema", kind]) == ExitCode.PASS
    jsonschema_rs.meta.validate(json.loads(capsys.readouterr().out))


def test_all_schemas_are_written_and_accept_a_new_project(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run_command(["schema", "--out", "schemas"]) == ExitCode.PASS
    assert capsys.readouterr().out.splitlines()[1] == "wrote schemas/suite.json"
    write_project(tmp_path)
    for kind, name in [
        ("project", "evalkit.yaml"),
        ("suite", "suites/example.yaml"),
        ("card", "golden/example.card.yaml"),
    ]:
        schema = json.loads((tmp_path / f"schemas/{kind}.json").read_text(encoding="utf-8"))
        jsonschema_rs.validator_for(schema).validate(read_yaml(tmp_path / name).root.plain())


def test_one_schema_can_be_written(tmp_path):
    assert run_command(["schema", "suite", "--out", str(tmp_path)]) == ExitCode.PASS
    assert [one.name for one in tmp_path.iterdir()] == ["suite.json"]


def test_scorers_of_the_project_are_in_it_only_when_its_code_may_run(tmp_path, monkeypatch, capsys):
    from evalkit import registry

    monkeypatch.setattr(registry._local, "found", {})
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path)
    (tmp_path / "own.py").write_text(
        "from evalkit.registry import scorer\nfrom evalkit.model import Score\n"
        "@scorer()\ndef of_ours(case, output, *, depth: int = 1):\n    'Ours.'\n"
        "    return Score(value=1.0)\n",
        encoding="utf-8",
    )
    with (tmp_path / "evalkit.yaml").open("a", encoding="utf-8") as file:
        file.write("plugins: [own.py]\n")
    assert run_command(["schema", "suite"]) == ExitCode.PASS
    assert "of_ours" not in capsys.readouterr().out
    assert run_command(["schema", "suite", "--allow-code"]) == ExitCode.PASS
    definitions = json.loads(capsys.readouterr().out)["$defs"]
    assert definitions["scorer of_ours"]["properties"]["depth"]["type"] == "integer"


def test_wrong_usage_says_what_there_is(capsys):
    assert run_command(["schema"]) == ExitCode.USAGE
    assert "name one of project, suite, card, prompt, pairs" in capsys.readouterr().err
    assert run_command(["schema", "suit"]) == ExitCode.USAGE
    assert "did you mean 'suite'?" in capsys.readouterr().err
