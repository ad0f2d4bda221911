"""`plinth routes …`, as a person types it, on a real home."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plinth.bootstrap.platform import Platform
from plinth.cli import main
from plinth.gateway.routes import CHANGED
from plinth.identity import Actor, AuditQuery
from plinth.kit import events
from plinth.kit.db import metadata

CHAT, EMBED = "smollm2-135m-instruct", "multilingual-e5-small"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("home")
    platform = Platform.open(root)
    platform.migrate()
    metadata.create_all(platform.db.engine)
    with platform.db.write() as session:
        platform.identity.bootstrap_organization(session, "Acme")
    platform.db.close()
    return root


class Terminal:
    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self._capsys = home, capsys

    def __call__(self, *arguments: str, fails: bool = False) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["routes", *arguments, "--home", str(self.home)])
        shown = self._capsys.readouterr()
        assert bool(ended.value.code) is fails, shown
        assert not (fails and "Traceback" in shown.err)
        return shown.err if fails else shown.out

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments))


@pytest.fixture
def terminal(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("PLINTH_LANG", "en")
    monkeypatch.delenv("PLINTH_PROJECT", raising=False)
    return Terminal(home, capsys)


def test_from_nothing_to_a_promoted_canary_and_back(terminal: Terminal) -> None:
    assert "version 1: smollm2" in terminal("set", "support", "--target", CHAT)
    assert f"canary: {EMBED} 5 % (user)" in terminal("canary", "support", "5", "--model", EMBED, "--sticky", "user")
    assert f"canary: {EMBED} 50 % (user)" in terminal("canary", "support", "50")
    listed = terminal("list").splitlines()
    assert listed[0].split() == ["NAME", "VERSION", "TARGETS", "CANARY", "CHANGED"]
    (line,) = (line for line in listed if line.startswith("support "))
    assert line.split()[:6] == ["support", "3", CHAT, EMBED, "50", "%"]
    assert f"version 4: {EMBED}; canary: -" in terminal("canary", "support", "--promote")
    assert f"version 5: {CHAT}" in terminal("rollback", "support")
    assert f"version 6: {CHAT}" in terminal("rollback", "support", "--to", "1")
    assert terminal("canary", "support", "--stop") == f"Route 'support' is at version 6: {CHAT}; canary: -\n"
    lines = terminal("history", "support").splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "6", "5", "4", "3", "2", "1"]
    assert "rolled back to 1" in lines[1]
    assert terminal.json("history", "support", "--json", "--limit", "1")[0]["restored"] == 1


def test_options_keep_what_they_do_not_name(terminal: Terminal) -> None:
    terminal("set", "kept", "--target", CHAT, "--fallback", EMBED)
    assert f"{CHAT} 75 %, {EMBED} 25 %" in terminal("set", "kept", "--target", f"{CHAT}=3", "--target", EMBED)
    assert terminal.json("show", "kept")["plan"]["fallbacks"] == [EMBED]


def test_a_shown_plan_can_be_set_again(terminal: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal("set", "copied", "--target", CHAT)
    plan = terminal.json("show", "copied", "--plan")
    window = {"targets": [{"model": EMBED}], "days": ["sat"], "start": "08:00", "timezone": "Asia/Shanghai"}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({**plan, "retries": 0, "schedule": [window]}), encoding="utf-8")
    assert "version 2" in terminal("set", "copied", "--file", str(file))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(plan).encode())))
    assert "version 3" in terminal("set", "copied", "--file", "-")
    assert terminal.json("show", "copied", "--plan") == plan


def test_mistakes_are_one_sentence(terminal: Terminal, tmp_path: Path) -> None:
    terminal("set", "mistaken", "--target", CHAT)
    bad, wrong = tmp_path / "bad.json", tmp_path / "wrong.json"
    bad.write_text("{", encoding="utf-8")
    wrong.write_text('{"targets": [{"modell": "x"}]}', encoding="utf-8")
    for expected, arguments in {
        "'targets.0.model' names 'nobody'": ("set", "mistaken", "--target", "nobody"),
        "MODEL=WEIGHT": ("set", "mistaken", "--target", f"{CHAT}=many"),
        "between 0.001": ("set", "mistaken", "--target", f"{CHAT}=0"),
        "either --file": ("set", "mistaken"),
        "is not JSON": ("set", "mistaken", "--file", str(bad)),
        "targets.0.model": ("set", "mistaken", "--file", str(wrong)),
        "does not exist in this project": ("show", "unknown"),
        "no canary to promote": ("canary", "mistaken", "--promote"),
        "a percentage and --model": ("canary", "mistaken", "5"),
        "or --promote": ("canary", "mistaken"),
        "0<=x<=100": ("canary", "mistaken", "101", "--model", EMBED),
        "at version 1 now": ("set", "mistaken", "--target", EMBED, "--expected-version", "7"),
        "no version 9": ("rollback", "mistaken", "--to", "9"),
        "no active project 'proj_x'": ("list", "--project", "proj_x"),
    }.items():
        assert expected in terminal(*arguments, fails=True), arguments
    assert terminal.json("show", "mistaken")["version"] == 1


def test_a_mistyped_home_is_not_created(terminal: Terminal, tmp_path: Path) -> None:
    terminal.home = tmp_path / "typo"
    assert "no installation" in terminal("list", fails=True)
    assert not terminal.home.exists()


def test_an_old_schema_says_what_to_run(terminal: Terminal, tmp_path: Path) -> None:
    terminal.home = tmp_path
    assert "plinth migrate" in terminal("list", fails=True)


def test_deleting_asks_first_and_can_be_undone(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal("set", "temporary", "--target", CHAT)
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    terminal("delete", "temporary", fails=True)
    assert terminal.json("show", "temporary")["version"] == 1
    assert "rollback temporary" in terminal("delete", "temporary", "--yes")
    terminal("show", "temporary", fails=True)
    assert "deleted" in terminal("history", "temporary")
    assert "version 3" in terminal("rollback", "temporary")


def test_with_two_projects_one_must_be_named(terminal: Terminal) -> None:
    platform = Platform.open(terminal.home)
    with platform.db.write() as session:
        (first,) = platform.identity.active_projects(session)
        organization = platform.identity.active_projects(session)[first]
        system = Actor(organization, "", "", "system")
        second = platform.identity.create_project(session, system, "Second").id
    try:
        assert second in terminal("list", fails=True)
        assert "no routes" in terminal("list", "--project", second)
        terminal("set", "mine", "--target", CHAT, "--project", second)
        assert [route["name"] for route in terminal.json("list", "--json", "--project", second)] == ["mine"]
        assert "mine" not in terminal("list", "--project", first)
    finally:
        with platform.db.write() as session:
            platform.identity.archive_project(session, system, second)
        platform.db.close()


def test_changes_from_the_command_line_are_audited_and_announced(terminal: Terminal) -> None:
    terminal("set", "audited", "--target", CHAT)
    platform = Platform.open(terminal.home)
    with platform.db.read() as session:
        ((project, organization),) = platform.identity.active_projects(session).items()
        page = platform.identity.log.page(session, organization, AuditQuery(types=("route.created",)))
        assert CHANGED in events.kinds_between(session, 0, events.latest_seq(session))
    platform.db.close()
    entry = next(entry for entry in page.entries if entry.target == "audited")
    assert (entry.principal, entry.project_id) == ("system", project)
    assert entry.detail["after"]["targets"] == [{"model": CHAT, "weight": 1.0}]


def test_it_speaks_chinese(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal("set", "spoken", "--target", CHAT)
    monkeypatch.setenv("PLINTH_LANG", "zh")
    lines = terminal("list").splitlines()
    assert lines[0].split()[:2] == ["名称", "版本"]
    assert "本项目没有名为 'nobody' 的路由" in terminal("show", "nobody", fails=True)


def test_help_loads_neither_the_platform_nor_the_web() -> None:
    program = (
        "import sys, plinth.cli\n"
        "try: plinth.cli.main(['routes', '--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted({'fastapi', 'sqlalchemy', 'plinth.bootstrap.platform'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "rollback" in done.stdout
