"""What a browser fetches before the first page shows, measured on the built files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from plinth.console.bundle import FOLDER

LIMIT_BYTES = 600 * 1000


@pytest.fixture
def manifest() -> dict[str, dict[str, object]]:
    path = FOLDER / ".vite" / "manifest.json"
    if not path.exists():
        pytest.skip("the console has not been built: run `make console`")
    found: dict[str, dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def closure(manifest: dict[str, dict[str, object]], *entries: str) -> set[str]:
    """The entries' files and everything that they import at once."""
    waiting, keys = list(entries), set[str]()
    while waiting:
        key = waiting.pop()
        if key not in keys:
            keys.add(key)
            imports = manifest[key].get("imports", [])
            assert isinstance(imports, list)
            waiting.extend(imports)
    files = {str(manifest[key]["file"]) for key in keys}
    for key in keys:
        styles = manifest[key].get("css", [])
        assert isinstance(styles, list)
        files.update(styles)
    return files


def sent_bytes(name: str) -> int:
    packed = FOLDER / f"{name}.gz"
    return (packed if packed.exists() else FOLDER / name).stat().st_size


@pytest.mark.parametrize("page", ["home", "signin"])
def test_first_load_is_small(manifest: dict[str, dict[str, object]], page: str) -> None:
    files = closure(manifest, "index.html", f"src/pages/{page}/index.tsx")
    size = sum(map(sent_bytes, files))
    assert size <= LIMIT_BYTES, f"{size} bytes in {sorted(files)}"


def test_no_file_names_another_host(manifest: dict[str, dict[str, object]]) -> None:
    """Namespaces and documentation links in library messages are no requests; scripts, styles and fonts would be."""
    loading = re.compile(rb"""(?:@import\s*|url\(|\bsrc\s*=\s*|import\()["']?https?://""")
    for path in Path(FOLDER).rglob("*"):
        if path.suffix in (".js", ".css", ".html", ".svg"):
            assert not loading.search(path.read_bytes()), path.name
