"""The user's function is called with the request, and its failures name its own lines."""

import asyncio
import time
from pathlib import Path

import pytest

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Case, Message, Output, Request, Usage
from evalkit.targets import build_target

APP = """
import asyncio, time
from evalkit import ErrorClass, Output, TargetError

def text(request):
    return request.messages[0].content.upper()

async def later(request):
    await asyncio.sleep(0.01)
    return {"text": "later", "usage": {"input_tokens": 1, "output_tokens": 2}}

def whole(request):
    return Output(text="whole", latency_s=9.0)

def returns_coroutine(request):
    return later(request)

def blocks(request):
    time.sleep(0.5)
    return "done"

def hangs(request):
    time.sleep(30)

async def hangs_too(request):
    await asyncio.sleep(30)

def number(request):
    return 3

def wrong_key(request):
    return {"txt": "x"}

def fails(request):
    return inner(request)

def inner(request):
    raise KeyError("no such thing")

def refuses(request):
    raise TargetError(ErrorClass.REFUSED, "I will not")

def own_timeout(request):
    raise TimeoutError("the database is slow")

def leaves(request):
    raise SystemExit(3)

def stops(request):
    raise StopIteration

class Bot:
    async def __call__(self, request):
        return "called"
    def method(self, request):
        return "method"

bot = Bot()
not_callable = 5
"""
LINE = 1 + APP[: APP.index("raise KeyError")].count("\n")


@pytest.fixture
def project(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def build(root, function):
    options = {"function": function}
    spec = TargetSpec(name="app", kind="python", options=options)
    return build_target(spec, options, root=Path(root), allow_code=True)


def ask(root, name, timeout_s=5.0):
    request = Request(
        case=Case.of({"question": "hi"}),
        messages=(Message(role="user", content="hi"),),
        timeout_s=timeout_s,
    )
    return asyncio.run(build(root, f"app.py:{name}").send(request))


def test_the_forms_of_an_answer(project):
    assert ask(project, "text").text == "HI"
    assert ask(project, "text").latency_s > 0
    assert ask(project, "whole") == Output(text="whole", latency_s=9.0)
    later = ask(project, "later")
    assert later.usage == Usage(input_tokens=1, output_tokens=2)
    assert later.latency_s >= 0.009
    assert ask(project, "returns_coroutine").text == "later"
    assert ask(project, "bot").text == "called"
    assert ask(project, "bot.method").text == "method"


def test_a_blocking_function_does_not_hold_the_others_up(project):
    target = build(project, "app.py:blocks")
    request = Request(case=Case.of({}), timeout_s=30.0)

    async def many():
        return await asyncio.gather(*(target.send(request) for _ in range(40)))

    started = time.perf_counter()
    assert len(asyncio.run(many())) == 40
    assert time.perf_counter() - started < 15, "one after the other take 20 s"


@pytest.mark.parametrize("name", ["hangs", "hangs_too"])
def test_a_timeout(project, name):
    started = time.perf_counter()
    with pytest.raises(TargetError) as caught:
        ask(project, name, timeout_s=0.1)
    assert caught.value.error_class is ErrorClass.TIMEOUT
    assert "within 0.1 s" in caught.value.message
    assert time.perf_counter() - started < 20


def test_an_exception_names_the_users_line(project):
    with pytest.raises(TargetError) as caught:
        ask(project, "fails")
    assert caught.value.error_class is ErrorClass.CRASH
    assert caught.value.message == f"KeyError: 'no such thing' (app.py:{LINE})"


@pytest.mark.parametrize(
    ("name", "error_class", "message"),
    [
        ("refuses", ErrorClass.REFUSED, "I will not"),
        ("own_timeout", ErrorClass.CRASH, "TimeoutError: the database is slow (app.py:"),
        ("leaves", ErrorClass.CRASH, "SystemExit: 3"),
        ("stops", ErrorClass.CRASH, "StopIteration"),
        ("number", ErrorClass.INVALID_RESPONSE, "returned int"),
        ("wrong_key", ErrorClass.INVALID_RESPONSE, "unknown key 'txt' (did you mean 'text'?)"),
    ],
)
def test_failures(project, name, error_class, message):
    with pytest.raises(TargetError) as caught:
        ask(project, name)
    assert caught.value.error_class is error_class
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("app.py", "'function' is 'app.py'"),
        ("app.py:nothing", "has no function 'nothing'"),
        ("app.py:not_callable", "has no function 'not_callable'"),
        ("nowhere.py:f", "there is no file"),
        ("no_such_module_here:f", "ModuleNotFoundError"),
        ("broken.py:f", "SyntaxError"),
        ("leaves.py:f", "SystemExit"),
        ("fails.py:f", "ZeroDivisionError: division by zero (fails.py:2)"),
    ],
)
def test_what_cannot_be_loaded(project, function, message):
    (project / "broken.py").write_text("def f(:\n")
    (project / "leaves.py").write_text("raise SystemExit(1)\n")
    (project / "fails.py").write_text("\n1 / 0\n")
    with pytest.raises(ConfigError) as caught:
        build(project, function)
    assert message in caught.value.what


def test_a_module_of_the_project_and_two_files_of_one_name(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "bot.py").write_text(f"def f(request):\n    return {name!r}\n")
    (tmp_path / "bot_of_this_project.py").write_text("from one.bot import f\n")
    request = Request(case=Case.of({}))
    for function, text in [
        ("one/bot.py:f", "one"),
        ("two/bot.py:f", "two"),
        ("bot_of_this_project:f", "one"),
    ]:
        assert asyncio.run(build(tmp_path, function).send(request)).text == text
