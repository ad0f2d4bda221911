"""`report.json` and `report.html` into a folder. The page is one file that loads nothing."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from plinth.cli.demo import words
from plinth.cli.demo.chart import interval_chart
from plinth.cli.demo.report import MICRO, Report
from plinth.kit import i18n

TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write(report: Report, folder: Path) -> list[Path]:
    """Both files, each replaced in one step so that a reader never sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {"report.json": as_json(report), "report.html": as_html(report)}
    return [_replace(folder / name, content) for name, content in contents.items()]


def as_json(report: Report) -> str:
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"


def as_html(report: Report) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return (
        template.render(
            r=report,
            t=partial(words.text, report),
            stage=partial(_stage, report),
            words=words,
            date=datetime.fromtimestamp(report.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC"),
            chart=interval_chart(report),
            money=_money,
            micro=MICRO,
            flat=flat,
            errored=sum(one.errored for one in report.contenders),
        )
        + "\n"
    )


def flat(value: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """A report of the platform as (name, value) lines: nested objects joined by dots, lists counted."""
    lines: list[tuple[str, str]] = []
    for key, entry in value.items():
        name = f"{prefix}{key}"
        if isinstance(entry, dict):
            lines += flat(entry, f"{name}.")
        elif isinstance(entry, list):
            short = all(not isinstance(one, dict | list) for one in entry) and len(entry) <= 4
            lines.append((name, (", ".join(map(_plain, entry)) or "–") if short else f"[{len(entry)}]"))
        else:
            lines.append((name, _plain(entry)))
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else str(value)


def _money(micros: int) -> str:
    return f"{micros / MICRO:.4f}".rstrip("0").rstrip(".") if micros else "0"


def _stage(report: Report, name: str) -> str:
    return i18n.text("demo", f"stage_{name}", report.language)


def _replace(path: Path, content: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)
    return path.resolve()
