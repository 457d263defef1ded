"""Broken configurations: each says what is wrong, at which line and column, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from config_examples import PROJECT, SUITE

from evalkit.config import load_project, load_suite
from evalkit.errors import ConfigError, ExitCode

PROJECTS = [
    (PROJECT + "seeed: 1\n", "7:1", "unknown key 'seeed' in evalkit.yaml", "did you mean 'seed'?"),
    (
        PROJECT + "seed: no\n",
        "7:7",
        "seed in evalkit.yaml must be a whole number, not the text 'no'",
        "",
    ),
    (
        PROJECT + "seed: '3'\n",
        "7:7",
        "seed in evalkit.yaml must be a whole number, not the text '3'",
        "remove the quotes",
    ),
    (PROJECT + "seed: 1.5\n", "7:7", "seed in evalkit.yaml must be a whole number, not 1.5", ""),
    (PROJECT + "seed: -1\n", "7:7", "seed in evalkit.yaml must be at least 0, not -1", ""),
    (
        "project: 3\ntargets:\n  support:\n    kind: chat\n    prompt: prompts/answer.j2\n    model: small\n",
        "1:10",
        "project in evalkit.yaml must be text, not 3",
        'put it in quotes: "3"',
    ),
    (
        PROJECT + "plugins: x.py\n",
        "7:10",
        "plugins in evalkit.yaml must be a list, not the text 'x.py'",
        "write [x.py]",
    ),
    (PROJECT + "plugins: [x.py]\n", "7:11", "no Python file 'x.py'", "did you mean 'x.pyy'?"),
    (
        PROJECT + "store:\n",
        "7:7",
        "store in evalkit.yaml must be text, not nothing",
        "give a value, or remove the key",
    ),
    (
        PROJECT + "prices: {m: {input: 1}}\n",
        "7:10",
        "the price of 'm' lacks the key 'output'",
        "add a line 'output: ...'",
    ),
    (
        PROJECT + "prices: {m: {input: 1, output: -2}}\n",
        "7:32",
        "output in the price of 'm' must be at least 0, not -2",
        "",
    ),
    (
        PROJECT + "prices: {m: 3}\n",
        "7:13",
        "the price of 'm' must be a mapping (key: value lines), not 3",
        "",
    ),
    (
        PROJECT + "prices: {m: {inptu: 1, output: 1}}\n",
        "7:14",
        "unknown key 'inptu' in the price of 'm'",
        "did you mean 'input'?",
    ),
    ("project: demo\ntargets: {}\n", "2:10", "targets in evalkit.yaml must not be empty", ""),
    ("project: demo\n", "1:1", "evalkit.yaml lacks the key 'targets'", "add a line 'targets: ...'"),
    (
        "targets:\n  a: {kind: reader, prompt: prompts/answer.j2}\n",
        "1:1",
        "evalkit.yaml lacks the key 'project'",
        "add a line 'project: ...'",
    ),
    (
        "project: demo\ntargets: [a]\n",
        "2:10",
        "targets in evalkit.yaml must be a mapping, not a list",
        "",
    ),
    (
        "project: demo\ntargets:\n  a: 3\n",
        "3:6",
        "target 'a' must be a mapping (key: value lines), not 3",
        "",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chta\n    prompt: prompts/answer.j2\n    model: small\n",
        "4:11",
        "unknown target kind 'chta'",
        "did you mean 'chat'?",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: builtin:chat\n    prompt: prompts/answer.j2\n    model: small\n",
        "4:11",
        "unknown target kind 'builtin:chat'",
        "did you mean 'builtin:pick'?",
    ),
    (
        "project: demo\ntargets:\n  support:\n    prompt: prompts/answer.j2\n    model: small\n",
        "3:3",
        "target 'support' lacks the key 'kind'",
        "add a line 'kind: ...'",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chat\n    prompt: prompts/answer.j2\n",
        "3:3",
        "target 'support' lacks the key 'model'",
        "add a line 'model: ...'",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chat\n    prompt: prompts/answer.j2\n    modell: small\n",
        "6:5",
        "unknown option 'modell' of target kind 'chat'",
        "did you mean 'model'?",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chat\n    prompt: prompts/answer.j2\n    model: 5\n",
        "6:12",
        "model in target 'support' must be text, not 5",
        'put it in quotes: "5"',
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chat\n    prompt: prompts/anwser.j2\n    model: small\n",
        "5:13",
        "no prompt file 'prompts/anwser.j2'",
        "did you mean 'prompts/answer.j2'?",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chat\n    prompt: prompt/answer.j2\n    model: small\n",
        "5:13",
        "no prompt file 'prompt/answer.j2'",
        "did you mean 'prompts/answer.j2'?",
    ),
    (
        "project: demo\ntargets:\n  support:\n    kind: chat\n    model: small\n",
        "3:3",
        "target 'support' lacks the key 'prompt'",
        "add a line 'prompt: prompts/answer.j2'",
    ),
    (
        PROJECT + "    stream: no\n",
        "7:13",
        "stream in target 'support' must be true or false, not the text 'no'",
        "write false; evalkit reads YAML 1.2, where no is text",
    ),
    (
        PROJECT + "    api: respones\n",
        "7:10",
        "api in target 'support' must be one of chat, responses, not the text 'respones'",
        "did you mean 'responses'?",
    ),
    (
        PROJECT + "    headers: {a: 1}\n",
        "7:18",
        "headers.a in target 'support' must be text, not 1",
        'put it in quotes: "1"',
    ),
    (
        PROJECT + "    limits: {timeout: 60}\n",
        "7:23",
        "timeout in limits of target 'support' must be a duration with its unit, as 200ms, 60s or 2m, not 60",
        "write 60s",
    ),
    (
        PROJECT + "    limits: {timeout: 60x}\n",
        "7:23",
        "timeout in limits of target 'support' must be a duration with its unit, as 200ms, 60s or 2m, not the text '60x'",
        "",
    ),
    (
        PROJECT + "    limits: {concurency: 3}\n",
        "7:14",
        "unknown key 'concurency' in limits of target 'support'",
        "did you mean 'concurrency'?",
    ),
    (
        PROJECT + "    limits: {concurrency: 0}\n",
        "7:27",
        "concurrency in limits of target 'support' must be at least 1, not 0",
        "",
    ),
    (
        PROJECT + "    limits: {requests_per_minute: fast}\n",
        "7:35",
        "requests_per_minute in limits of target 'support' must be a number, not the text 'fast'",
        "",
    ),
    (
        PROJECT + "    price: 3\n",
        "7:12",
        "price of target 'support' must be a mapping (key: value lines), not 3",
        "",
    ),
    (
        PROJECT + "    price: {input: 0.1}\n",
        "7:5",
        "price of target 'support' lacks the key 'output'",
        "add a line 'output: ...'",
    ),
    (
        PROJECT + "    api_key: ${OPENAI_API_KEY}\n",
        "7:14",
        "'${OPENAI_API_KEY}' is not a reference evalkit knows",
        "write ${env:OPENAI_API_KEY}, or $${ to mean the text itself",
    ),
    (
        PROJECT + "    api_key: $OPENAI_API_KEY\n",
        "7:14",
        "'$OPENAI_API_KEY' is not replaced",
        "write ${env:OPENAI_API_KEY}, or $$OPENAI_API_KEY to mean the text itself",
    ),
    (
        PROJECT + "    api_key: ${env:KEY:-x}\n",
        "7:14",
        "'${env:KEY:-x}' is not a reference evalkit knows",
        "write ${env:KEY}, or $${ to mean the text itself",
    ),
    (
        PROJECT + "    api_key: 'Bearer ${env:KEY'\n",
        "7:14",
        "'${' is not closed by '}'",
        "write $${ to mean the text itself",
    ),
    (
        PROJECT + "store: ${HOME}/x\n",
        "7:8",
        "'${' has no meaning here",
        "environment variables are read in the options of targets only, as ${env:NAME}",
    ),
    (
        PROJECT + "    prompt: x\n",
        "7:5",
        "the key 'prompt' is given twice",
        "it is already on line 5; keep one of them",
    ),
    (
        PROJECT + "  bad name: {kind: reader, prompt: prompts/answer.j2}\n",
        "7:3",
        "'bad name' is no name for a target",
        "use letters, digits, '-', '_' and '.', at most 64",
    ),
    (
        PROJECT + "  p: {kind: pick, targets: [suport]}\n",
        "7:29",
        "unknown target 'suport' in the route 'p'",
        "did you mean 'support'?",
    ),
    (
        PROJECT + "  p: {kind: pick, targets: [p]}\n",
        "7:29",
        "the route 'p' leads back to itself by way of 'p'",
        "",
    ),
    (
        PROJECT + "  p: {kind: pick, targets: [support], prompt: prompts/answer.j2}\n",
        "7:39",
        "a target of kind 'pick' takes no prompt",
        "remove it",
    ),
    (
        PROJECT + "  p: {kind: pick, targets: support}\n",
        "7:28",
        "targets in target 'p' must be a list, not the text 'support'",
        "write [support]",
    ),
    (
        PROJECT + "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\n",
        "7:1",
        "unknown key 'a' in evalkit.yaml",
        "known: plugins, prices, project, prompts_dir, seed, store, suites_dir, targets",
    ),
    (PROJECT + "\tx: 1\n", "7:1", "YAML does not allow a tab here", "use spaces"),
    (
        "project: demo\ntargets:\n  support\n    kind: chat\n    prompt: prompts/answer.j2\n    model: small\n",
        "4:9",
        "not valid YAML: mapping values are not allowed in this context",
        "a text that contains ': ' must be quoted",
    ),
    (
        PROJECT + "    limits: {timeout: 0s}\n",
        "7:23",
        "timeout in limits of target 'support' must be a duration of more than 0 and at most 24h, not the text '0s'",
        "",
    ),
    (
        PROJECT + "    limits: {timeout: true}\n",
        "7:23",
        "timeout in limits of target 'support' must be a duration with its unit, as 200ms, 60s or 2m, not true",
        "",
    ),
    (
        PROJECT + "    limits:\n",
        "7:12",
        "limits of target 'support' must be a mapping (key: value lines), not nothing",
        "",
    ),
    (
        PROJECT + "    params: {x: .nan}\n",
        "7:17",
        "the number .nan is not finite",
        "to mean the text, put it in quotes",
    ),
    (
        "kind: [\n",
        "2:1",
        "not valid YAML: did not find expected node content",
        "check the bracket that starts on line 2",
    ),
]
SUITES = [
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - ovrelap\n",
        "4:5",
        "unknown scorer 'ovrelap'",
        "did you mean 'overlap'?",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap: {stemer: true}\n",
        "4:15",
        "unknown option 'stemer' of scorer 'overlap'",
        "did you mean 'stemmer'?",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap: {stemmer: yes}\n",
        "4:24",
        "stemmer in scorer 'overlap' must be true or false, not the text 'yes'",
        "write true; evalkit reads YAML 1.2, where yes is text",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap: {threshold: 40}\n",
        "4:26",
        "threshold in scorer 'overlap' is outside its range",
        "it goes from 0 to 1, higher is better",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap: {threshold: high}\n",
        "4:26",
        "threshold in scorer 'overlap' must be a number, not the text 'high'",
        "",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap:\n    stemmer: true\n",
        "5:5",
        "'stemmer' stands beside the scorer 'overlap', not below it",
        "indent the options of 'overlap' by two more spaces",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap: 3\n",
        "4:14",
        "the options of scorer 'overlap' must be a mapping, not 3",
        "as in 'overlap: {threshold: 0.4}'",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - 3\n",
        "4:5",
        "a scorer must be a name or a mapping, not 3",
        "as in 'rouge_l' or 'rouge_l: {threshold: 0.4}'",
    ),
    (
        SUITE + "  - overlap\n",
        "5:5",
        "two scorers are called 'overlap'",
        "give one a name of its own: {overlap: {...}, as: other_name}",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - {overlap: , seconds: }\n",
        "4:17",
        "'seconds' stands beside the scorer 'overlap', not below it",
        "indent the options of 'overlap' by two more spaces",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - {as: x}\n",
        "4:5",
        "a scorer has a name beside 'as'",
        "",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - {overlap: {}, as: 'a b'}\n",
        "4:23",
        "as in scorer 'overlap' must be a name of letters, digits, '-', '_' and '.', at most 64, not the text 'a b'",
        "",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - holds\n",
        "4:5",
        "scorer 'holds' lacks the key 'any'",
        "add a line 'any: ...'",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - holds: {any: refund}\n",
        "4:18",
        "any in scorer 'holds' must be a list, not the text 'refund'",
        "write [refund]",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - holds: {any: [refund, 14]}\n",
        "4:27",
        "any[1] in scorer 'holds' must be text, not 14",
        'put it in quotes: "14"',
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - holds: {any: [a], mode: word}\n",
        "4:29",
        "mode in scorer 'holds' must be one of words, text, not the text 'word'",
        "did you mean 'words'?",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support]\nscorers:\n  - holds: {any: [a], weights: {b: x}}\n",
        "4:36",
        "weights.b in scorer 'holds' must be a number, not the text 'x'",
        "",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [suport]\nscorers:\n  - overlap\n",
        "2:11",
        "unknown target 'suport'",
        "did you mean 'support'?",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: support\nscorers:\n  - overlap\n",
        "2:10",
        "targets in the suite must be a list, not the text 'support'",
        "write [support]",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: [support, support]\nscorers:\n  - overlap\n",
        "2:20",
        "the target 'support' is given twice",
        "keep one of them",
    ),
    (
        "dataset: golden/cases.jsonl\ntargets: []\nscorers:\n  - overlap\n",
        "2:10",
        "targets in the suite must not be empty",
        "",
    ),
    (
        "dataset: golden/cases.jsonl\nscorers:\n  - overlap\n",
        "1:1",
        "the suite lacks the key 'targets'",
        "add a line 'targets: ...'",
    ),
    (
        "dataset: golden/casse.jsonl\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:10",
        "no dataset file 'golden/casse.jsonl'",
        "did you mean 'golden/cases.jsonl'?",
    ),
    (
        "dataset: goldn/cases.jsonl\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:10",
        "no dataset file 'goldn/cases.jsonl'",
        "did you mean 'golden/cases.jsonl'?",
    ),
    (
        "dataset: {path: golden/cases.jsonl, format: line}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:45",
        "unknown dataset format 'line'",
        "did you mean 'lines'?",
    ),
    (
        "dataset: {path: golden/cases.jsonl, columns: {expectd: a}}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:47",
        "unknown field 'expectd' of a case",
        "did you mean 'expected'?",
    ),
    (
        "dataset: {path: golden/cases.jsonl, columns: {question: a}}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:47",
        "unknown field 'question' of a case",
        "an input variable is written 'inputs.question'",
    ),
    (
        "dataset: {path: golden/cases.jsonl, types: {count: int}}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:52",
        "types.count in the dataset must be one of text, integer, number, boolean, json, not the text 'int'",
        "did you mean 'integer'?",
    ),
    (
        "dataset: {path: golden/cases.jsonl, options: {coment: x}}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:47",
        "unknown option 'coment' of dataset format 'lines'",
        "did you mean 'comment'?",
    ),
    (
        "dataset: {pth: golden/cases.jsonl}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:11",
        "unknown key 'pth' in the dataset",
        "did you mean 'path'?",
    ),
    (
        "dataset: 3\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:10",
        "a dataset must be a path or a mapping, not 3",
        "as in 'golden/cases.jsonl'",
    ),
    (
        "datasets: []\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:11",
        "datasets in the suite must not be empty",
        "for a single one write 'dataset: golden/cases.jsonl'",
    ),
    (
        "targets: [support]\nscorers:\n  - overlap\n",
        "1:1",
        "the suite lacks the key 'dataset'",
        "add a line 'dataset: golden/cases.jsonl'",
    ),
    (
        SUITE + "datasets: [golden/cases.jsonl]\n",
        "5:1",
        "a suite has 'dataset' or 'datasets', not both",
        "",
    ),
    (SUITE + "trials: 0\n", "5:9", "trials in the suite must be at least 1, not 0", ""),
    (
        SUITE + "trials: three\n",
        "5:9",
        "trials in the suite must be a whole number, not the text 'three'",
        "",
    ),
    (
        SUITE + "kind: goldn\n",
        "5:7",
        "kind in the suite must be one of golden, adversarial, not the text 'goldn'",
        "did you mean 'golden'?",
    ),
    (
        SUITE + "slices: [lang, lang]\n",
        "5:16",
        "the slice 'lang' is given twice",
        "keep one of them",
    ),
    (
        SUITE + "slices: lang\n",
        "5:9",
        "slices in the suite must be a list, not the text 'lang'",
        "write [lang]",
    ),
    (
        SUITE + "description: ${HOME}\n",
        "5:14",
        "'${' has no meaning here",
        "environment variables are read in the options of targets only, as ${env:NAME}",
    ),
    (SUITE + "trails: 3\n", "5:1", "unknown key 'trails' in the suite", "did you mean 'trials'?"),
    (
        "dataset: golden/cases.xyz\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:10",
        "the format of 'golden/cases.xyz' is not known from its name",
        "write {path: ..., format: NAME}; known: lines",
    ),
    (
        "dataset: {path: golden/cases.jsonl, split: test}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:37",
        "unknown option 'split' of dataset format 'lines'",
        "known: comment",
    ),
    (
        "dataset: {huggingface: a/b, path: golden/cases.jsonl}\ntargets: [support]\nscorers:\n  - overlap\n",
        "1:10",
        "a dataset has exactly one of 'path' and 'huggingface'",
        "as in 'path: golden/cases.jsonl'",
    ),
    (
        "scorers: []\ntargets: [support]\ndataset: golden/cases.jsonl\n",
        "1:10",
        "scorers in the suite must not be empty",
        "",
    ),
]


@pytest.mark.parametrize(("text", "where", "what", "hint"), PROJECTS)
def test_a_broken_project_says_where(
    write: Callable[[str, str], Path], text: str, where: str, what: str, hint: str
) -> None:
    write("x.pyy", "")
    path = write("evalkit.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert str(caught.value.where) == f"evalkit.yaml:{where}"
    assert caught.value.what == what
    assert caught.value.hint.partition("\n")[0] == hint
    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize(("text", "where", "what", "hint"), SUITES)
def test_a_broken_suite_says_where(
    write: Callable[[str, str], Path],
    project: Path,
    text: str,
    where: str,
    what: str,
    hint: str,
) -> None:
    write("golden/cases.xyz", "")
    write("suites/support.yaml", text)
    with pytest.raises(ConfigError) as caught:
        load_suite(load_project(project / "evalkit.yaml"), "support")
    assert str(caught.value.where) == f"suites/support.yaml:{where}"
    assert caught.value.what == what
    assert caught.value.hint.partition("\n")[0] == hint
    assert len(caught.value.lines()) <= 3


def test_windows_line_ends_keep_the_places(write: Callable[[str, str], Path]) -> None:
    path = write("evalkit.yaml", (PROJECT + "seed: no\n").replace("\n", "\r\n"))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert str(caught.value.where) == "evalkit.yaml:7:7"


def test_several_mistakes_are_shown_at_once_and_counted(write: Callable[[str, str], Path]) -> None:
    path = write("evalkit.yaml", PROJECT + "".join(f"{one}: 1\n" for one in "abcdefg"))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    lines = caught.value.hint.split("\n")
    assert lines[1] == "also at evalkit.yaml:8:1: unknown key 'b' in evalkit.yaml"
    assert lines[-1] == "and 2 more"


def test_a_typing_mistake_is_one_finding_not_two(write: Callable[[str, str], Path]) -> None:
    path = write("evalkit.yaml", PROJECT.replace("model: small", "modell: small"))
    with pytest.raises(ConfigError) as caught:
        load_project(path)
    assert caught.value.lines() == (
        "unknown option 'modell' of target kind 'chat'",
        "at evalkit.yaml:6:5",
        "did you mean 'model'?",
    )
