"""Chinese and English. English lives beside the code; Chinese in `plinth/locales/zh/*.yaml`.

`zh/errors/<slice>.yaml` maps an error's code to its Chinese template; other tables (`cli.yaml`,
`report.yaml`, …) map keys to texts and have an `en/` twin. Tests hold keys and placeholders of
both languages in step.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from plinth.kit.errors import PlinthError

LANGUAGES = ("en", "zh")
LOCALES = Path(__file__).parent.parent / "locales"


def negotiate(accept_language: str | None) -> str:
    """The best language for an `Accept-Language` header (RFC 9110): 'zh' or 'en' (the default)."""
    best, best_quality = "en", 0.0
    for part in (accept_language or "").split(","):
        tag, _, parameter = part.strip().partition(";")
        language = tag.strip().lower().split("-")[0]
        try:
            quality = float(parameter.strip().removeprefix("q=")) if parameter else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best


def from_environment() -> str:
    """The terminal user's language: `PLINTH_LANG`, else the locale."""
    value = os.environ.get("PLINTH_LANG") or os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if value.lower().startswith("zh") else "en"


@cache
def _table(language: str, name: str) -> dict[str, str]:
    import yaml

    root = LOCALES / language
    merged: dict[str, str] = {}
    for path in [root / f"{name}.yaml", *sorted((root / name).glob("*.yaml"))]:
        if path.exists():
            merged.update(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    return merged


def text(table: str, key: str, language: str, /, **fields: Any) -> str:
    """The text `key` of the table in that language, falling back to English, then the key."""
    template = _table(language, table).get(key) or _table("en", table).get(key) or key
    return template.format(**fields)


def error_message(error: PlinthError, language: str) -> str:
    if language == "en":
        return error.message
    template = _table(language, "errors").get(error.code)
    return template.format(**error.fields) if template else error.message
