from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from plinth.cli.demo import run
from plinth.cli.demo.command import demo
from plinth.cli.demo.machine import describe, processor_name, versions
from plinth.cli.demo.screen import Screen


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[run.Options]:
    seen: list[run.Options] = []
    monkeypatch.setattr(run, "demo", seen.append)
    return seen


def test_defaults_use_a_fresh_home_each_time(asked: list[run.Options], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLINTH_LANG", "zh_CN.UTF-8")
    done = CliRunner().invoke(demo, [])
    assert done.exit_code == 0, done.output
    (options,) = asked
    assert (options.data, options.port, options.keep, options.language) == (None, None, False, "zh")
    assert options.home.parent == Path("demo-home")
    assert options.price.per_hour.micros == 400_000


def test_quick_never_asks_for_more_than_was_asked(asked: list[run.Options]) -> None:
    CliRunner().invoke(demo, ["--quick", "--rows", "100", "--epochs", "5", "--language", "en"])
    CliRunner().invoke(demo, ["--quick"])
    assert [(o.rows, o.evaluated, o.epochs) for o in asked] == [(100, 60, 5), (240, 60, 3)]


@pytest.mark.parametrize("arguments", [["--rows", "1"], ["--port", "0"], ["--data", "/nowhere"], ["--language", "fr"]])
def test_impossible_options_are_refused(asked: list[run.Options], arguments: list[str]) -> None:
    assert CliRunner().invoke(demo, arguments).exit_code == 2
    assert asked == []


def test_a_terminate_signal_ends_it_like_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    caught: list[bool] = []

    def terminated(_options: run.Options) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        except KeyboardInterrupt:
            caught.append(True)

    monkeypatch.setattr(run, "demo", terminated)
    CliRunner().invoke(demo, [])
    assert caught == [True]
    assert signal.getsignal(signal.SIGTERM) is before


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys; from plinth.cli.demo.command import demo; demo.main(['--help'], standalone_mode=False);"
        "print(sorted({'openai', 'sklearn', 'rich', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--price-per-hour" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_terminal_gets_a_bar() -> None:
    output = io.StringIO()
    screen = Screen("en", Console(file=output, width=100, force_terminal=True))
    with screen.progress("tuning") as update:
        update(1, 4, "loss 2.0")
        update(4, 4, "")
    assert "4/4" in output.getvalue()
    assert "━" in output.getvalue()


def test_text_of_a_model_is_shown_as_it_is() -> None:
    output = io.StringIO()
    screen = Screen("en", Console(file=output, width=20))
    screen.token("[bold]lost")
    screen.token("_card[/bold] :smile:")
    screen.token("\x1b[2J")
    assert output.getvalue() == "[bold]lost_card[/bold] :smile:\ufffd[2J"


def test_the_machine_is_named() -> None:
    assert processor_name(["processor\t: 0", "model name\t: Example 9000 @ 2 GHz"]) == "Example 9000 @ 2 GHz"
    assert processor_name([])
    found = describe()
    assert found.cores >= 1
    assert found.memory_bytes > 1 << 28
    assert {"plinth", "python", "openai"} <= versions().keys()
