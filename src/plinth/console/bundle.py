"""The built web app on disk: one page and its assets, whose names hold a hash of what is in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "bundle"
NONCE = "__PLINTH_NONCE__"

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Asset:
    """`packed` is the same file compressed with gzip, written by the build; None where it gained nothing."""

    path: Path
    media_type: str
    packed: Path | None


class Bundle:
    """Reads the folder again when the app has been built anew, so that a build needs no restart."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._page, self._assets_folder = folder / "index.html", folder / "assets"
        self._built_at = 0
        self._html = ""
        self._assets: dict[str, Asset] = {}

    def html(self, nonce: str) -> str | None:
        """The page, with the nonce that its style tags will carry. None when nothing has been built."""
        return self._html.replace(NONCE, nonce) if self._current() else None

    def asset(self, name: str) -> Asset | None:
        """Looked up among what is there, never joined to a path: `..` means nothing here."""
        return self._assets.get(name) if self._current() else None

    def _current(self) -> bool:
        try:
            built_at = self._page.stat().st_mtime_ns
            if built_at != self._built_at:
                self._html = self._page.read_text(encoding="utf-8")
                self._assets = {path.name: _asset(path) for path in _plain_files(self._assets_folder)}
                self._built_at = built_at
        except OSError:  # not built, or just now being built
            return False
        return True


def _plain_files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in MEDIA_TYPES]


def _asset(path: Path) -> Asset:
    packed = path.with_name(f"{path.name}.gz")
    return Asset(path, MEDIA_TYPES[path.suffix], packed if packed.exists() else None)
