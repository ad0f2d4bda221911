"""Accuracies with their intervals as inline SVG: no script, no font, colours from the page's variables."""

from __future__ import annotations

from html import escape

from markupsafe import Markup

from plinth.cli.demo import words
from plinth.cli.demo.report import Report

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 250, 60, 36, 10


def interval_chart(report: Report) -> Markup:
    """One row a contender: name, interval, dot, figure. The table below holds the same numbers."""
    bottom = TOP + ROW * len(report.contenders)
    height = bottom + 26
    parts = [
        f'<svg class="chart" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(words.text(report, "chart_label"))}">'
    ]
    for tick in range(0, 101, 20):
        x = _x(tick / 100)
        parts.append(f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 18}" text-anchor="middle">{tick} %</text>')
    chance = _x(report.data.majority_share)
    parts.append(f'<line class="chance" x1="{chance}" y1="{TOP}" x2="{chance}" y2="{bottom}"/>')
    for index, one in enumerate(report.contenders):
        y = TOP + ROW * index + ROW // 2
        kind = "tuned" if one.key == "tuned" else "other"
        low, high = _x(one.interval.low), _x(one.interval.high)
        name = escape(words.text(report, one.key))
        parts += [
            f'<text class="name" x="{LEFT - 14}" y="{y + 5}" text-anchor="end">{name}</text>',
            f'<line class="bar {kind}" x1="{low}" y1="{y}" x2="{high}" y2="{y}"/>',
            f'<line class="cap {kind}" x1="{low}" y1="{y - 6}" x2="{low}" y2="{y + 6}"/>',
            f'<line class="cap {kind}" x1="{high}" y1="{y - 6}" x2="{high}" y2="{y + 6}"/>',
            f'<circle class="dot {kind}" cx="{_x(one.accuracy)}" cy="{y}" r="6"/>',
            f'<text class="value" x="{WIDTH - 2}" y="{y + 5}" text-anchor="end">{words.percent(one.accuracy)}</text>',
        ]
    return Markup("".join([*parts, "</svg>"]))  # noqa: S704 - every text in it was escaped above


def _x(share: float) -> float:
    return round(LEFT + (WIDTH - LEFT - RIGHT - 10) * share, 1)
