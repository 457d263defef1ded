"""Targets are constructed in one place, and everything wrong with them is said there."""

from pathlib import Path

import pytest

from evalkit import registry
from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, ExitCode, Position, UnknownName
from evalkit.model import Output
from evalkit.registry import Kind, TargetPlugin
from evalkit.targets import build_target

HERE = Path("evalkit.yaml")


def spec(kind, positions=None, **options):
    return TargetSpec(
        name="mine",
        kind=kind,
        options=options,
        position=Position(HERE, 3, 3),
        positions=positions or {},
    )


def build(kind, *, allow_code=False, root=Path(), children=None, positions=None, **options):
    return build_target(
        spec(kind, positions, **options),
        options,
        root=root,
        allow_code=allow_code,
        children=children,
    )


async def child(request):
    return Output(text="x")


@pytest.mark.parametrize("kind", ["extractive", "builtin:extractive"])
def test_the_embedded_reader_needs_nothing(kind):
    assert type(build(kind)).__name__ == "Extractive"


def test_unknown_kind_says_the_nearest():
    with pytest.raises(UnknownName) as caught:
        build("extractve")
    assert caught.value.exit_code is ExitCode.USAGE
    assert "did you mean 'extractive'?" in str(caught.value)
    assert "evalkit.yaml:3:3" in str(caught.value)


def test_unknown_option_points_at_its_line():
    place = Position(HERE, 7, 5)
    with pytest.raises(ConfigError) as caught:
        build("extractive", positions={"anwser": place}, anwser="span")
    assert caught.value.where == place
    assert caught.value.hint == "did you mean 'answer'?"


def test_missing_option_is_named():
    with pytest.raises(ConfigError, match="needs the option 'argv'"):
        build("command", allow_code=True)


def test_refused_value_points_at_its_option():
    place = Position(HERE, 8, 5)
    with pytest.raises(ConfigError) as caught:
        build("extractive", positions={"abstain_below": place}, abstain_below=2.0)
    assert caught.value.where == place


@pytest.mark.parametrize(
    ("kind", "options", "shown"),
    [
        ("python", {"function": "app.py:answer"}, "app.py:answer"),
        ("command", {"argv": ["node", "bot.js"]}, "['node', 'bot.js']"),
    ],
)
def test_code_runs_only_when_allowed(kind, options, shown, tmp_path):
    (tmp_path / "app.py").write_text("raise SystemExit('this must not run')")
    with pytest.raises(ConfigError) as caught:
        build(kind, root=tmp_path, **options)
    assert caught.value.exit_code is ExitCode.USAGE
    assert shown in caught.value.what
    assert "--allow-code" in caught.value.hint


def test_what_would_run_is_shown_without_resolved_secrets():
    written = spec("command", argv=["bot", "${env:KEY}"])
    with pytest.raises(ConfigError) as caught:
        build_target(written, {"argv": ["bot", "s3cret"]}, root=Path(), allow_code=False)
    assert "s3cret" not in str(caught.value)


def test_routes_name_targets_that_exist():
    with pytest.raises(UnknownName) as caught:
        build("fallback", children={"cheap": child, "strong": child}, targets=["cheep", "strong"])
    assert "did you mean 'cheap'?" in str(caught.value)


def test_a_list_is_wanted_for_a_route():
    with pytest.raises(ConfigError, match="must be a list"):
        build("fallback", children={"cheap": child}, targets="cheap")


@pytest.mark.parametrize(
    "name", ["command", "extractive", "fallback", "python", "replay", "router"]
)
def test_every_kind_declares_itself(name):
    plugin = registry.get(Kind.TARGET, name)
    assert isinstance(plugin, TargetPlugin)
    assert plugin.name == name
    assert plugin.code == (name in ("command", "python"))
    assert plugin.takes_prompt == (name in ("command", "python", "extractive"))
    assert plugin.children == ("targets" if name in ("fallback", "router") else None)
    assert plugin.summary.endswith(".")


def test_a_third_partys_target_without_send_is_refused(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from evalkit import registry\n"
        "@registry.target(name='half_a_target')\n"
        "class Half:\n"
        "    def __init__(self, *, x: int = 1): self.x = x\n"
    )
    registry.load_file(path)
    with pytest.raises(ConfigError, match="without send"):
        build("half_a_target")
