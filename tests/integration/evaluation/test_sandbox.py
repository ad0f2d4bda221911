"""Escapes from the python grader's sandbox, tried for real."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plinth.evaluation import sandbox, sandbox_child
from plinth.evaluation.errors import InvalidGrader, SandboxUnavailable
from plinth.evaluation.sandbox import Limits, PythonSandbox, ScriptFailed

QUICK = PythonSandbox(Limits(item_seconds=3.0))


def body(*lines: str) -> str:
    return "def grade(sample, item):\n" + "".join(f"    {line}\n" for line in lines)


def attempt(source: str, box: PythonSandbox = QUICK) -> float | str:
    (result,) = box.grade(source, [({"output_text": "x"}, {})])
    return result.message if isinstance(result, ScriptFailed) else result


DENIED = {
    "read a file": body("return len(open('/etc/passwd').read())"),
    "write a file": body("open('/tmp/plinth-escape', 'w').write('x')", "return 1"),
    "read its own memory map": body("return len(open('/proc/self/maps').read())"),
    "list a folder": body("import os", "return len(os.listdir('/'))"),
    "look at a file": body("import os", "return os.stat('/').st_size"),
    "change folder": body("import os", "os.chdir('/tmp')", "return 1"),
    "import from disk": body("import sqlite3", "return 1"),
    "import sockets": body("import socket", "return 1"),
    "raw socket": body("import _socket", "_socket.socket(2, 1)", "return 1"),
    "fork": body("import os", "return os.fork()"),
    "fork bomb": body("import os", "while True: os.fork()"),
    "spawn": body("import posix", "return posix.posix_spawn('/bin/true', ['true'], {})"),
    "exec": body("import os", "os.execv('/bin/true', ['true'])"),
    "thread": body("import _thread", "_thread.start_new_thread(print, ())", "return 1"),
    "signal the parent": body("import os", "os.kill(os.getppid() or 1, 9)", "return 1"),
    "signal everyone": body("import os", "os.kill(-1, 9)", "return 1"),
    "raise its own limits": body("import resource", "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))", "return 1"),
    "pipe": body("import os", "return os.pipe()[0]"),
    "read another descriptor": body("import os", "return len(os.read(3, 10))"),
    "write another descriptor": body("import os", "return os.write(2, b'x')"),
    "executable memory": body("import mmap", "return len(mmap.mmap(-1, 4096, prot=7))"),
    "sleep": body("import time", "time.sleep(60)", "return 1"),
    "memory bomb": body("return len(bytearray(10 ** 12))"),
    "growing list": body("hoard = []", "while True: hoard.append(bytes(10 ** 6))"),
    "recursion": body("return grade(sample, item)"),
    "quit": body("raise SystemExit(0)"),
    "quit hard": body("import os", "os._exit(0)"),
    "abort": body("import os", "os.abort()"),
    "hostile error": body("class E(Exception):", "    def __str__(self): raise E()", "raise E()"),
}


@pytest.mark.parametrize("attack", DENIED)
def test_denied(attack: str) -> None:
    assert isinstance(attempt(DENIED[attack]), str)
    assert not Path("/tmp/plinth-escape").exists()


def test_a_shell_cannot_start() -> None:
    marker = f"/tmp/plinth-escape-{os.getpid()}"
    attempt(body("import os", f"return os.system('touch {marker}')"))
    assert not Path(marker).exists()


CTYPES = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def grade(sample, item):
    results = [
        libc.open(b'/etc/passwd', 0), libc.socket(2, 1, 0), libc.fork(), libc.kill(libc.getppid(), 9),
        libc.prctl(22, 0, 0, 0, 0), libc.ptrace(16, 1, 0, 0), libc.execve(b'/bin/true', None, None),
        libc.mprotect(ctypes.c_void_p(ctypes.addressof(ctypes.create_string_buffer(8192)) & ~4095), 4096, 7),
        libc.syscall(41, 2, 1, 0), libc.syscall(0x40000000 + 2, b'/etc/passwd', 0, 0), libc.dup(0),
    ]
    return float(sum(result != -1 for result in results))
"""


def test_direct_system_calls_fail_too() -> None:
    assert attempt(CTYPES) == 0.0


def test_a_foreign_architecture_is_killed() -> None:
    """The 32-bit entry into the kernel has other numbers; the filter's first check is the architecture."""
    program = sandbox_child.filter_program("x86_64")
    instructions = [struct.unpack("HBBI", program[i : i + 8]) for i in range(0, len(program), 8)]
    assert instructions[0][3] == sandbox_child.ARCHITECTURE
    assert instructions[1][3] == 0xC000003E
    assert instructions[2] == (sandbox_child.RETURN, 0, 0, sandbox_child.RET_KILL_PROCESS)


def test_an_endless_loop_is_stopped_and_later_rows_go_on() -> None:
    source = body("while item.get('loop'): pass", "return 0.5")
    box = PythonSandbox(Limits(item_seconds=0.5))
    results = box.grade(source, [({}, {}), ({}, {"loop": True}), ({}, {})])
    assert [results[0], results[2]] == [0.5, 0.5]
    assert isinstance(results[1], ScriptFailed)
    assert "0.5 seconds" in results[1].message


def test_a_grader_that_always_breaks_its_limits_is_given_up() -> None:
    box = PythonSandbox(Limits(item_seconds=0.2))
    results = box.grade(body("while True: pass"), [({}, {})] * 50)
    assert len(results) == 50
    assert all(isinstance(result, ScriptFailed) for result in results)
    assert "3 items" in str(results[-1])


def test_cpu_time_is_limited_without_anybody_watching() -> None:
    box = PythonSandbox(Limits(item_seconds=60.0, cpu_seconds=1))
    assert "process ended" in str(attempt(body("while True: pass"), box))


FORGERIES = {
    "junk": body("import os", "os.write(1, b'junk\\n')", "return 1"),
    "a score without the nonce": body("import os", "os.write(1, b'{\"score\": 1.0}\\n')", "return 0"),
    "endless output": body("import os", "while True: os.write(1, b'x' * 65536)"),
    "one endless line": body("import os", "os.write(1, b'[' * 60000)", "return 1"),
    "deep json": body("import os", "os.write(1, b'[' * 8000 + b'\\n')", "return 1"),
    "not a number": body("import os", "return float('nan')"),
    "a huge result": body("return 'x' * 10 ** 7"),
    "infinity": body("return 1e400"),
    "a subclass of float": body("class F(float): pass", "return F(1)"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_the_protocol_is_not_believed(forgery: str) -> None:
    message = attempt(FORGERIES[forgery])
    assert isinstance(message, str)
    assert len(message) < 1000


def test_a_reply_written_ahead_does_not_answer_the_next_row() -> None:
    source = body(
        "import os, json, __main__",
        "if item['n'] == 0:",
        "    real = __main__.reply",
        "    def twice(message):",
        "        real(message)",
        "        os.write(1, json.dumps(dict(message, score=1.0)).encode() + b'\\n')",
        "    __main__.reply = twice",
        "return 0.0",
    )
    results = QUICK.grade(source, [({}, {"n": 0}), ({}, {"n": 1}), ({}, {"n": 2})])
    assert results[0] == 0.0
    assert isinstance(results[1], ScriptFailed)
    assert results[2] == 0.0


def test_each_row_runs_in_a_fresh_namespace() -> None:
    source = "seen = []\n" + body("seen.append(1)", "return float(len(seen))")
    assert QUICK.grade(source, [({}, {})] * 3) == [1.0, 1.0, 1.0]


def test_useful_things_work() -> None:
    source = (
        "import json, re, math, statistics, difflib, unicodedata, datetime, decimal, random, collections, itertools\n"
        "from functools import lru_cache\n"
        + body(
            "assert datetime.datetime.strptime('2026-11-01', '%Y-%m-%d').year == 2026",
            "assert unicodedata.normalize('NFKC', 'ａ') == 'a'",
            "assert len('退款'.encode('gbk')) == 4",
            "assert decimal.Decimal('0.1') + decimal.Decimal('0.2') == decimal.Decimal('0.3')",
            "assert random.random() < 1",
            "assert json.loads(json.dumps(item)) == item",
            "print('ignored')",
            "return difflib.SequenceMatcher(None, sample['output_text'], item['answer']).ratio()",
        )
    )
    (score,) = QUICK.grade(source, [({"output_text": "退款申请"}, {"answer": "退款申请书"})])
    assert score == pytest.approx(8 / 9)


def test_integers_and_booleans_are_scores() -> None:
    assert QUICK.grade(body("return item['v']"), [({}, {"v": 1}), ({}, {"v": True})]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def grade(:", "SyntaxError"),
        ("grade = 3", "must define grade"),
        ("import requests\ndef grade(s, i): return 1", "ModuleNotFoundError"),
        ("raise SystemExit", "SystemExit"),
        ("while True: pass", "seconds"),
        ("import os\nos._exit(0)", "process ended"),
        ("import os\nos.write(1, b'{\"ready\": 1}\\n')\ndef grade(s, i): return 1", "protocol"),
        ("(" * 5000, "SyntaxError"),
        ("x = " + "-" * 200_000 + "1", "Error|ended"),
        ("\x00", "SyntaxError"),
    ],
)
def test_a_source_that_does_not_load_is_refused(source: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "START_SECONDS", 3.0)
    with pytest.raises(InvalidGrader, match=reason):
        QUICK.check(source)


def test_without_the_filter_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crippled = (
        Path(sandbox.CHILD)
        .read_text(encoding="utf-8")
        .replace("PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2", "PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 99")
    )
    child = tmp_path / "child.py"
    child.write_text(crippled, encoding="utf-8")
    monkeypatch.setattr(sandbox, "CHILD", child)
    with pytest.raises(SandboxUnavailable, match="seccomp"):
        QUICK.check(body("return 1"))
    with pytest.raises(SandboxUnavailable):
        QUICK.grade(body("return 1"), [({}, {})])


def test_a_filter_that_does_not_hold_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toothless = Path(sandbox.CHILD).read_text(encoding="utf-8").replace("        install_filter()\n", "")
    child = tmp_path / "child.py"
    child.write_text(toothless, encoding="utf-8")
    monkeypatch.setattr(sandbox, "CHILD", child)
    with pytest.raises((SandboxUnavailable, InvalidGrader)):
        QUICK.check(body("return 1"))


def test_the_child_ends_with_its_parent() -> None:
    """A child whose question pipe closes goes away by itself."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(sandbox.CHILD)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={}
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b'{"source": "def grade(s, i): return 1", "memory_bytes": 536870912, "cpu_seconds": 5}\n')
    process.stdin.flush()
    assert process.stdout.readline() == b'{"ready": true}\n'
    process.stdin.close()
    assert process.wait(timeout=20) == 0
    process.stdout.close()


def test_many_at_once_wait_for_a_place() -> None:
    results: list[object] = []
    alive = PythonSandbox(Limits(children=1))
    threads = [
        threading.Thread(target=lambda n=n: results.append(alive.grade(body("return item['n']"), [({}, {"n": n})])))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result[0] for result in results) == [0.0, 1.0, 2.0, 3.0]
