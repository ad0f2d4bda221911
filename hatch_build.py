"""Build hook: wheels and source archives carry the built console, so that whoever installs one needs no Node.

An editable install builds nothing: `make console` does, when somebody works on the console. A bundle that is newer
than its sources is taken as it is, so a wheel made from a source archive needs no Node either.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = Path("src/plinth/console/bundle/index.html")
SOURCES = ("web/src", "web/scripts")
FILES = ("web/index.html", "web/package.json", "web/package-lock.json", "web/tsconfig.json", "web/vite.config.ts")
INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")


class ConsoleHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        if version == "editable" or os.environ.get("PLINTH_WITHOUT_CONSOLE") == "1" or is_current(root):
            return
        if shutil.which("npm") is None:
            raise SystemExit(
                "Plinth's console must be built, which needs Node 20.19 or newer with npm. "
                "Install it, or set PLINTH_WITHOUT_CONSOLE=1 to build a package without the console."
            )
        build(root)


def build(root: Path) -> None:
    if not (root / "web/node_modules").is_dir():
        subprocess.run(INSTALL, cwd=root / "web", check=True)  # noqa: S603 (our own command)
    subprocess.run(("npm", "run", "build"), cwd=root / "web", check=True)  # noqa: S607


def is_current(root: Path) -> bool:
    """Whether there is a bundle that is not older than any of its sources."""
    bundle = root / BUNDLE
    if not bundle.exists():
        return False
    found = [path for folder in SOURCES for path in (root / folder).rglob("*") if path.is_file()]
    found += [root / name for name in FILES if (root / name).exists()]
    return all(path.stat().st_mtime <= bundle.stat().st_mtime for path in found)
