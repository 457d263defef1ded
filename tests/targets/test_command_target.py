"""A program of the user's gets the request and is bounded in time, output and environment."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest

from evalkit.config.spec import TargetSpec
from evalkit.errors import ConfigError, ErrorClass, TargetError
from evalkit.model import Case, Message, Request, Usage
from evalkit.targets import build_target

REQUEST = Request(
    case=Case.of({"question": "où?"}, expected="secret answer", context=["ici"], name="where"),
    messages=(Message(role="user", content="où?"),),
    trial=2,
    seed=7,
    timeout_s=10.0,
)


def build(root, code, **options):
    (root / "bot.py").write_text(code)
    options = {"argv": [sys.executable, "-S", "bot.py"], **options}
    spec = TargetSpec(name="bot", kind="command", options=options)
    return build_target(spec, options, root=Path(root), allow_code=True)


def ask(root, code, request=REQUEST, **options):
    target = build(root, code, **options)

    async def once():
        try:
            return await target.send(request)
        finally:
            await target.aclose()

    return asyncio.run(once())


def fails(root, code, **options):
    with pytest.raises(TargetError) as caught:
        ask(root, code, **options)
    return caught.value


ECHO = """
import json, sys
given = json.load(sys.stdin)
print(json.dumps({"text": json.dumps(given), "model": "m", "context": ["c"], "extra": {"k": 1},
                  "usage": {"input_tokens": 3, "output_tokens": 1}}))
"""


def test_the_request_goes_in_and_the_answer_comes_out(tmp_path):
    out = ask(tmp_path, ECHO)
    assert json.loads(out.text) == {
        "messages": [{"role": "user", "content": "où?"}],
        "inputs": {"question": "où?"},
        "context": ["ici"],
        "trial": 2,
        "seed": 7,
        "case": {"id": REQUEST.case.id, "name": "where"},
    }
    assert "secret" not in out.text
    assert (out.model, out.context, out.extra) == ("m", ("c",), {"k": 1})
    assert out.usage == Usage(input_tokens=3, output_tokens=1)
    assert out.latency_s > 0
    assert out.ttft_s is None


def test_plain_text(tmp_path):
    out = ask(tmp_path, "print('ici\\n  là')", output="text")
    assert out.text == "ici\n  là"


def test_only_what_is_named_reaches_the_program(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_SECRET", "x")
    code = "import os; print(' '.join(sorted(os.environ)))"
    out = ask(tmp_path, code, output="text", env={"MINE": "1"})
    assert "MINE" in out.text.split()
    assert set(out.text.split()) <= {"MINE", "PATH", "HOME", "LANG", "LC_CTYPE"}


@pytest.mark.parametrize(
    ("code", "error_class", "message"),
    [
        ("import sys; sys.exit('it broke')", ErrorClass.CRASH, "exit code 1: it broke"),
        ("import os; os.kill(os.getpid(), 9)", ErrorClass.CRASH, "ended by signal 9"),
        ("print('hello')", ErrorClass.INVALID_RESPONSE, "not JSON"),
        ("print('[1]')", ErrorClass.INVALID_RESPONSE, "not a JSON object"),
        ("print('{}')", ErrorClass.INVALID_RESPONSE, "'text' must be a string"),
        ("import sys; sys.stdout.buffer.write(b'\\xff')", ErrorClass.INVALID_RESPONSE, "UTF-8"),
        (
            "import sys\nfor _ in range(9999): sys.stderr.write('x' * 99)\nsys.exit(2)",
            ErrorClass.CRASH,
            "exit code 2: xxx",
        ),
    ],
)
def test_failures(tmp_path, code, error_class, message):
    error = fails(tmp_path, code)
    assert error.error_class is error_class
    assert message in error.message
    assert len(error.message) < 3000


def test_a_flood_of_output_is_refused(tmp_path):
    started = time.perf_counter()
    error = fails(tmp_path, "while True: print('x' * 1000)", max_bytes=50_000)
    assert error.error_class is ErrorClass.INVALID_RESPONSE
    assert "more than 50000 bytes" in error.message
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("mode", ["once", "lines"])
def test_a_timeout_ends_the_program_and_its_children(tmp_path, mode):
    code = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "time.sleep(60)\n"
    )
    request = Request(case=REQUEST.case, timeout_s=1.0)
    error = fails(tmp_path, code, request=request, mode=mode)
    assert error.error_class is ErrorClass.TIMEOUT
    pids = [int(one) for one in (tmp_path / "pids").read_text().split()]
    deadline = time.monotonic() + 5
    while any(_alive(one) for one in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc").exists():
            return False
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True
    return state != "Z"


def test_a_program_that_does_not_read_may_still_answer(tmp_path):
    big = Request(case=Case.of({"text": "x" * 500_000}), timeout_s=10.0)
    assert ask(tmp_path, "print('ok')", request=big, output="text").text == "ok"


def test_a_program_that_does_not_exist(tmp_path):
    error = fails(tmp_path, "", argv=["/no/such/program"])
    assert error.error_class is ErrorClass.CRASH
    assert not error.retryable
    assert "cannot be started" in error.message


LINES = """
import json, os, sys
for line in sys.stdin:
    given = json.loads(line)
    if given["trial"] == 13:
        sys.exit("unlucky")
    print(json.dumps({"text": str(given["trial"]), "extra": {"pid": os.getpid()}}), flush=True)
"""


def test_lines_keep_one_program_for_many_requests(tmp_path):
    target = build(tmp_path, LINES, mode="lines")

    async def many():
        one_by_one = [
            await target.send(Request(case=REQUEST.case, trial=n, timeout_s=10.0)) for n in range(5)
        ]
        together = await asyncio.gather(
            *(target.send(Request(case=REQUEST.case, trial=n, timeout_s=10.0)) for n in range(3))
        )
        with pytest.raises(TargetError) as caught:
            await target.send(Request(case=REQUEST.case, trial=13, timeout_s=10.0))
        after = await target.send(REQUEST)
        await target.aclose()
        await target.aclose()
        return one_by_one, together, caught.value, after

    one_by_one, together, error, after = asyncio.run(many())
    assert [out.text for out in one_by_one] == ["0", "1", "2", "3", "4"]
    assert len({out.extra["pid"] for out in one_by_one}) == 1
    assert [out.text for out in together] == ["0", "1", "2"]
    assert len({out.extra["pid"] for out in together}) == 3
    assert error.error_class is ErrorClass.CRASH
    assert "unlucky" in error.message
    assert after.text == "2"


def test_a_line_that_never_ends_is_refused(tmp_path):
    code = "import sys\nwhile True: sys.stdout.write('x' * 1000)"
    error = fails(tmp_path, code, mode="lines", max_bytes=20_000)
    assert error.error_class is ErrorClass.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"argv": "python bot.py"}, "there is no shell"),
        ({"argv": []}, "must be a list of texts"),
        ({"argv": ["a\0b"]}, "NUL"),
        ({"max_bytes": 0}, "at least 1"),
    ],
)
def test_options_that_cannot_work(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        build(tmp_path, "", **options)
