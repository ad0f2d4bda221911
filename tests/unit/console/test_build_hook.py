"""When the wheel's build hook builds the console, and when it leaves Node alone."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    pytest.importorskip("hatchling", reason="hatchling is not installed: the build hook cannot be tried")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, age in (
        ("web/src/main.tsx", 100),
        ("web/package.json", 100),
        ("src/plinth/console/bundle/index.html", 50),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return tmp_path


def test_a_newer_bundle_is_taken_as_it_is(hook: ModuleType, tree: Path) -> None:
    assert hook.is_current(tree)


def test_files_of_one_moment_are_current(hook: ModuleType, tree: Path) -> None:
    """A source archive gives every file the same time."""
    for path in tree.rglob("*"):
        os.utime(path, (1_000_000, 1_000_000))
    assert hook.is_current(tree)


@pytest.mark.parametrize("name", ["web/src/main.tsx", "web/package.json"])
def test_a_newer_source_asks_for_a_build(hook: ModuleType, tree: Path, name: str) -> None:
    os.utime(tree / name, (2_000_000, 2_000_000))
    assert not hook.is_current(tree)


def test_no_bundle_asks_for_a_build(hook: ModuleType, tree: Path) -> None:
    (tree / "src/plinth/console/bundle/index.html").unlink()
    assert not hook.is_current(tree)


def test_an_editable_install_needs_no_node(hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    made = hook.ConsoleHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    made.initialize("editable", {})
    with pytest.raises(SystemExit, match="PLINTH_WITHOUT_CONSOLE"):
        made.initialize("standard", {})
    monkeypatch.setenv("PLINTH_WITHOUT_CONSOLE", "1")
    made.initialize("standard", {})
