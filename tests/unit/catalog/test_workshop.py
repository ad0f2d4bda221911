"""Derived files are made once, by one child, and a killed child leaves nothing that looks finished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from plinth.adapters.sources import workshop
from plinth.adapters.sources.workshop import Task, Workshop, damaged_file, is_complete
from plinth.catalog.errors import ConversionFailed, HubUnreachable, SourceRefused
from plinth.kit.errors import StorageFull

PROGRAM = """
import argparse, errno, os, time
from pathlib import Path
from plinth.adapters.sources import _child

def main():
    parser = argparse.ArgumentParser()
    for name in ("--work", "--out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--do", default="")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--text", type=Path)
    a = parser.parse_args()
    with a.log.open("a") as log:
        log.write(f"{os.getpid()}\\n")
    a.work.mkdir(parents=True)
    (a.work / "part").write_text(a.text.read_text() if a.text else "x")
    _child.report(0.5)
    if a.do == "wait":
        while not (a.log.parent / "go").exists():
            time.sleep(0.02)
    if a.do == "hang":
        time.sleep(60)
    if a.do == "full":
        raise OSError(errno.ENOSPC, "No space left on device")
    if a.do == "refuse":
        raise _child.Refused("no such thing.")
    if a.do == "unreachable":
        raise _child.Unreachable("ConnectError")
    if a.do == "crash":
        raise ValueError("bad weights")
    if a.do == "die":
        os._exit(9)
    print("a library talks")
    _child.finish(a.work, a.out, "test-1")

_child.run(main)
"""


class Shop:
    def __init__(self, folder: Path) -> None:
        (folder / "making_program.py").write_text(PROGRAM)
        self.folder, self.log = folder, folder / "log"

    def task(self, do: str = "", files: dict[str, str] | None = None) -> Task:
        return Task(
            base_id="m",
            folder=self.folder / "models" / "m-00000000",
            form="form",
            program="making_program",
            arguments=("--do", do, "--log", str(self.log)),
            files=files or {},
            environment={"PYTHONPATH": str(self.folder)},
            hub="huggingface",
        )

    def makers(self) -> list[int]:
        return [int(line) for line in self.log.read_text().split()] if self.log.exists() else []

    def wait_for_maker(self) -> int:
        deadline = time.monotonic() + 30
        while not self.makers() or not (self.folder / "models/m-00000000/.form.work/part").exists():
            assert time.monotonic() < deadline, "no maker started"
            time.sleep(0.01)
        return self.makers()[-1]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_made_once_with_progress_and_a_manifest(shop: Shop) -> None:
    seen: list[float] = []
    out = Workshop(60).make(shop.task(files={"--text": "hello"}), seen.append)
    assert (out / "part").read_text() == "hello"
    assert seen == [0.5, 1.0]
    assert is_complete(out)
    assert damaged_file(out) is None
    assert Workshop(60).make(shop.task()) == out
    assert len(shop.makers()) == 1


def test_two_callers_make_it_once(shop: Shop) -> None:
    results: list[Path] = []
    threads = [threading.Thread(target=lambda: results.append(Workshop(60).make(shop.task("wait")))) for _ in range(2)]
    for thread in threads:
        thread.start()
    shop.wait_for_maker()
    (shop.folder / "go").touch()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert results[0] == results[1]
    assert len(shop.makers()) == 1


def test_a_killed_maker_leaves_nothing_that_looks_finished(shop: Shop) -> None:
    failures: list[Exception] = []

    def make() -> None:
        try:
            Workshop(60).make(shop.task("hang"))
        except ConversionFailed as error:
            failures.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    os.kill(shop.wait_for_maker(), signal.SIGKILL)
    thread.join()
    assert len(failures) == 1
    assert not shop.task().out.exists()
    assert is_complete(Workshop(60).make(shop.task()))


def test_a_maker_goes_on_when_its_caller_is_killed(shop: Shop, tmp_path: Path) -> None:
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_workshop import Shop
from plinth.adapters.sources.workshop import Workshop
Workshop(60).make(Shop(Path({str(tmp_path)!r})).task("wait"))
"""
    caller = subprocess.Popen([sys.executable, "-c", script])
    maker = shop.wait_for_maker()
    caller.kill()
    caller.wait()
    threading.Timer(0.3, (shop.folder / "go").touch).start()
    out = Workshop(60).make(shop.task("wait"))  # waits for the orphaned maker's lock
    assert is_complete(out)
    assert shop.makers() == [maker]


def test_damage_is_seen_and_mended(shop: Shop) -> None:
    out = Workshop(60).make(shop.task())
    (out / "part").write_text("y")
    assert damaged_file(out) == out / "part"
    (out / "part").write_text("longer")
    assert not is_complete(out)
    assert (Workshop(60).make(shop.task()) / "part").read_text() == "x"


@pytest.mark.parametrize(
    ("do", "error", "text"),
    [
        ("full", StorageFull, "disk"),
        ("refuse", SourceRefused, "no such thing"),
        ("unreachable", HubUnreachable, "ConnectError"),
        ("crash", ConversionFailed, "bad weights"),
        ("die", ConversionFailed, "status 9"),
    ],
)
def test_a_failure_has_its_reason_and_leaves_no_work(shop: Shop, do: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        Workshop(60).make(shop.task(do))
    assert not shop.task().out.exists()
    assert not (shop.task().folder / ".form.work").exists()


def test_a_maker_that_takes_too_long_is_ended(shop: Shop) -> None:
    with pytest.raises(ConversionFailed, match="took too long"):
        Workshop(2.0).make(shop.task("hang"))


def test_waiting_for_another_maker_ends(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workshop, "POLL_SECONDS", 0.01)
    thread = threading.Thread(target=lambda: Workshop(60).make(shop.task("wait")))
    thread.start()
    shop.wait_for_maker()
    with pytest.raises(ConversionFailed, match="still making"):
        Workshop(0.1).make(shop.task())
    (shop.folder / "go").touch()
    thread.join()


def test_the_child_gets_none_of_our_settings(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLINTH_INSTANCE_KEY", "secret")
    (shop.folder / "telling.py").write_text(
        "import os\nfrom plinth.adapters.sources import _child\n"
        "_child.result({'names': sorted(n for n in os.environ if n.startswith('PLINTH_')),"
        " 'offline': os.environ['HF_HUB_OFFLINE']})\n"
    )
    child = workshop.Child("telling", [], {"PYTHONPATH": str(shop.folder)}, None)
    assert child.follow(30) == {"names": [], "offline": "1"}
