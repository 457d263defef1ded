"""From a project's file to a call: the wire targets as a user configures them."""

from __future__ import annotations

from pathlib import Path

import pytest

from evalkit.config import load_project, resolve_env
from evalkit.errors import ConfigError
from evalkit.model import Target
from evalkit.targets import build_target
from tests.servers import ModelServer, Raw, Reply
from tests.targets.calls import KEY, ask_one, request_of


def build(folder: Path, target: str, environ: dict[str, str]) -> Target:
    (folder / "a.j2").write_text("{{ question }}\n")
    (folder / "evalkit.yaml").write_text(f"project: p\ntargets:\n  one:\n{target}")
    project = load_project(folder / "evalkit.yaml")
    spec = project.targets["one"]
    options, _ = resolve_env(spec.options, environ, where=spec.positions)
    return build_target(spec, options, root=project.root, allow_code=False)


def test_a_chat_model(tmp_path: Path) -> None:
    text = """\
    kind: openai_compatible
    prompt: a.j2
    model: m-1
    base_url: ${env:BASE}
    api_key: ${env:KEY}
    params: {temperature: 0, max_tokens: 30}
    extra_body: {top_k: 3}
    tools: [{type: function, function: {name: f, parameters: {type: object}}}]
    idle_timeout_s: 3
    limits: {timeout: 5s}
"""
    with ModelServer(Reply(text="Hi")) as server:
        output = ask_one(build(tmp_path, text, {"BASE": server.openai, "KEY": KEY}))
        body = server.seen[-1].body
    assert output.text == "Hi"
    assert (body["temperature"], body["top_k"], body["stream"]) == (0, 3, True)


def test_a_claude(tmp_path: Path) -> None:
    text = """\
    kind: anthropic
    prompt: a.j2
    model: claude-haiku-4-5
    base_url: ${env:BASE}
    api_key: ${env:KEY}
    max_tokens: 9
    params: {stop_sequences: [x]}
"""
    with ModelServer(Reply(text="Hi")) as server:
        output = ask_one(build(tmp_path, text, {"BASE": server.anthropic, "KEY": KEY}))
        assert server.seen[-1].body["stop_sequences"] == ["x"]
    assert output.text == "Hi"


def test_any_endpoint_without_a_prompt(tmp_path: Path) -> None:
    text = """\
    kind: http
    url: ${env:BASE}
    headers: {Authorization: "Bearer ${env:KEY}"}
    body: {q: "{{ inputs.question }}", documents: "{{ context }}"}
    answer: $.text
    usage: {input_tokens: $.n}
"""
    with ModelServer(Raw(chunks=[b'{"text": "Hi", "n": 3}'])) as server:
        target = build(tmp_path, text, {"BASE": server.url, "KEY": KEY})
        output = ask_one(target, request_of("why?", context=("one",)))
        seen = server.seen[-1]
    assert (output.text, output.usage.input_tokens) == ("Hi", 3)
    assert seen.body == {"q": "why?", "documents": ["one"]}
    assert seen.headers["Authorization"] == f"Bearer {KEY}"


GPT = """\
    kind: openai_compatible
    prompt: a.j2
    model: gpt-5-mini
    api_key: kkk
    params:
      max_completion_tokens: 9
      temperature: 0
"""
ENDPOINT = """\
    kind: http
    url: http://h/x
    answer: $.a
    body:
      q: '{{ prompt }}'
      list:
        - '{{ expected }}'
"""
CLAUDE = """\
    kind: anthropic
    prompt: a.j2
    model: claude-opus-5
    api_key: kkk
    max_tokens: 0
"""


@pytest.mark.parametrize(
    ("target", "what", "line"),
    [
        (
            GPT,
            "params.temperature is not taken by 'gpt-5-mini'",
            10,
        ),
        (
            ENDPOINT,
            "body.list[0]: unknown variable 'expected'",
            10,
        ),
        (
            CLAUDE,
            "max_tokens: must be a whole number above 0",
            8,
        ),
    ],
)
def test_a_mistake_is_shown_with_its_line(
    tmp_path: Path, target: str, what: str, line: int
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, target, {})
    assert what in caught.value.what
    assert f"evalkit.yaml:{line}:" in str(caught.value.where)
