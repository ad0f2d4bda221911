"""The inside of the python grader's sandbox. Run as `python -I -S sandbox_child.py`, never imported.

Order matters: import what graders may use, close every descriptor but the two pipes, set resource
limits, install the seccomp filter, prove that it holds, and only then compile what was sent.
From there on the kernel allows reading descriptor 0, writing descriptor 1, memory, clocks and
exit; everything else fails with EPERM. Python-level tricks do not matter: the wall is the kernel.

Protocol, one JSON object a line: in {"source", "memory_bytes", "cpu_seconds"}, out {"ready": true}
or {"refused": reason} / {"broken": reason}; then per item in {"nonce", "sample", "item"}, out
{"nonce", "score"} or {"nonce", "error"}. Each item runs the source in a fresh namespace; state
hidden in library modules can outlive an item, but never this process.
"""

import ctypes
import errno
import gc
import importlib
import json
import math
import os
import platform
import resource
import struct
import sys
from types import CodeType
from typing import Any

ALLOWED_MODULES = """
    abc ast base64 bisect calendar cmath codecs collections collections.abc contextlib copy csv dataclasses datetime
    decimal difflib enum fractions functools hashlib heapq html html.parser io itertools json keyword locale math
    numbers operator random re statistics string textwrap time types typing unicodedata uuid zlib _strptime
""".split()  # noqa: SIM905
ALLOWED_ENCODINGS = """
    ascii big5 cp1252 gb18030 gbk latin_1 utf_8 utf_8_sig utf_16 utf_16_le utf_16_be utf_32
""".split()  # noqa: SIM905

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RET_ALLOW, RET_KILL_PROCESS, RET_ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
PROT_EXEC, MAP_ANONYMOUS = 4, 0x20
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06

# machine -> (AUDIT_ARCH, system call numbers)
MACHINES = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0, "write": 1, "mmap": 9, "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigreturn": 15,
            "sched_yield": 24, "mremap": 25, "madvise": 28, "exit": 60, "gettimeofday": 96, "futex": 202,
            "restart_syscall": 219, "clock_gettime": 228, "exit_group": 231, "getrandom": 318,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "read": 63, "write": 64, "mmap": 222, "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigreturn": 139,
            "sched_yield": 124, "mremap": 216, "madvise": 233, "exit": 93, "gettimeofday": 169, "futex": 98,
            "restart_syscall": 128, "clock_gettime": 113, "exit_group": 94, "getrandom": 278,
        },
    ),
}  # fmt: skip


def filter_program(machine: str) -> bytes:
    """The BPF program: an allow-list, with the arguments of read, write, mmap and mprotect checked."""
    audit, numbers = MACHINES[machine]
    program = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, audit),
        (RETURN, 0, 0, RET_KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    denied = (RETURN, 0, 0, RET_ERRNO | errno.EPERM)
    allowed = (RETURN, 0, 0, RET_ALLOW)
    for name, number in numbers.items():
        if name in ("read", "write"):  # only from descriptor 0, only to descriptor 1
            body = [*_argument_equals(0, 0 if name == "read" else 1), allowed, denied]
        elif name == "mmap":  # anonymous, never executable
            body = [
                (LOAD, 0, 0, ARGUMENTS + 8 * 2), (JUMP_SET, 3, 0, PROT_EXEC),
                (LOAD, 0, 0, ARGUMENTS + 8 * 3), (JUMP_SET, 0, 1, MAP_ANONYMOUS), allowed, denied,
            ]  # fmt: skip
        elif name == "mprotect":
            body = [(LOAD, 0, 0, ARGUMENTS + 8 * 2), (JUMP_SET, 1, 0, PROT_EXEC), allowed, denied]
        else:
            body = [allowed]
        program += [(JUMP_EQUAL, 0, len(body), number), *body]
    program.append(denied)
    return b"".join(struct.pack("HBBI", *instruction) for instruction in program)


def _argument_equals(index: int, value: int) -> list[tuple[int, int, int, int]]:
    """Fall through to the next instruction if the 64-bit argument has this value, else skip it."""
    low, high = ARGUMENTS + 8 * index, ARGUMENTS + 8 * index + 4
    return [(LOAD, 0, 0, high), (JUMP_EQUAL, 0, 3, 0), (LOAD, 0, 0, low), (JUMP_EQUAL, 0, 1, value)]


def install_filter() -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    code = filter_program(platform.machine())
    program = Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, None, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


def prove_filter() -> None:
    """The filter must refuse what it is there to refuse."""
    for attempt in (lambda: os.open("/", os.O_RDONLY), lambda: os.pipe(), lambda: os.kill(0, 0), os.fork):
        try:
            attempt()
        except PermissionError:
            continue
        os._exit(70)


def limit_resources(memory_bytes: int, cpu_seconds: int) -> None:
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 2,
    }
    for kind, value in limits.items():
        resource.setrlimit(kind, (value, value))


class Sink:
    """What a grader prints is dropped."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


class Lines:
    """Lines of descriptor 0, read with nothing but `os.read`."""

    def __init__(self) -> None:
        self._buffer = b""

    def next(self) -> dict[str, Any] | None:
        while b"\n" not in self._buffer:
            data = os.read(0, 1 << 16)
            if not data:
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        request: dict[str, Any] = json.loads(line)
        return request


def reply(message: dict[str, Any]) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[os.write(1, data) :]


def explain(error: BaseException) -> str:
    try:
        text = str(error)[:300]
    except BaseException:  # a hostile __str__ must not end the conversation
        text = ""
    line = error.__traceback__
    number = None
    while line is not None:
        if line.tb_frame.f_code.co_filename == "<grader>":
            number = line.tb_lineno
        line = line.tb_next
    where = f" (line {number})" if number else ""
    return f"{type(error).__name__}: {text}{where}"[:400]


def score_of(code: CodeType, request: dict[str, Any]) -> float:
    namespace: dict[str, Any] = {"__name__": "grader", "__builtins__": __builtins__}
    exec(code, namespace)  # noqa: S102 - the very purpose of this process; the kernel filter is the wall
    value = namespace["grade"](request["sample"], request["item"])
    if type(value) not in (int, float, bool):
        raise TypeError(f"grade must return a number, not {type(value).__name__}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("grade must return a finite number")
    return number


def main() -> None:
    lines = Lines()
    setup = lines.next()
    if setup is None:
        return
    try:
        for name in ALLOWED_MODULES:
            importlib.import_module(name)
        for name in ALLOWED_ENCODINGS:
            "".encode(name)
        os.closerange(2, 1 << 16)
        for stream in ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__"):
            setattr(sys, stream, Sink())
        sys.path.clear()
        sys.path_importer_cache.clear()
        gc.collect()
        limit_resources(setup["memory_bytes"], setup["cpu_seconds"])
        install_filter()
        prove_filter()
    except Exception as error:  # whatever failed, there is no sandbox: refuse
        reply({"refused": explain(error)})
        os._exit(71)
    try:
        code = compile(setup["source"], "<grader>", "exec", dont_inherit=True)
        probe: dict[str, Any] = {"__name__": "grader", "__builtins__": __builtins__}
        exec(code, probe)  # noqa: S102 - see score_of
        if not callable(probe.get("grade")):
            raise TypeError("it must define grade(sample, item)")
    except BaseException as error:  # the grader's own code may raise anything, SystemExit included
        reply({"broken": explain(error)})
        os._exit(72)
    reply({"ready": True})
    while (request := lines.next()) is not None:
        try:
            answer: dict[str, Any] = {"score": score_of(code, request)}
        except BaseException as error:  # as above
            answer = {"error": explain(error)}
        reply({"nonce": request["nonce"], **answer})


if __name__ == "__main__":
    main()
    os._exit(0)
