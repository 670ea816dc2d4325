"""Charts of a report as inline SVG: no script, no network, colours from the page's style sheet. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from html import escape
from typing import Any

from metaqore.audit.compliance_frameworks import STATES

#: How a state is shown beside its colour, so that nobody depends on the colour.
SYMBOLS: Mapping[str, str] = {"met": "✓", "not_met": "✕", "not_assessed": "?", "not_applicable": "–"}
NAMES: Mapping[str, str] = {
    "met": "met", "not_met": "not met", "not_assessed": "not assessed", "not_applicable": "not applicable"
}  # fmt: skip
_MOST_BARS = 92
_WIDTH = 720


def summary_bar(summary: Mapping[str, int]) -> str:
    """Return one bar that is divided as the controls are."""
    total = max(1, sum(summary.values()))
    parts, at = [], 0.0
    for state in STATES:
        width = _WIDTH * summary[state] / total
        if not width:
            continue
        label = f"{NAMES[state]}: {summary[state]} of {total}"
        parts.append(f'<rect class="{state}" x="{at:.1f}" y="0" width="{max(width - 2, 1):.1f}" height="34" rx="3">'
                     f"<title>{label}</title></rect>")  # fmt: skip
        if width > 26:
            parts.append(f'<text class="on {state}" x="{at + width / 2 - 1:.1f}" y="22">{summary[state]}</text>')
        at += width
    told = ", ".join(f"{summary[state]} {NAMES[state]}" for state in STATES)
    return _svg(34, f"Controls by state: {told}", parts)


def control_map(groups: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Return one row for each group and one square for each control, which leads to its line."""
    parts, y = [], 0
    left, size, per_row = 250, 24, (_WIDTH - 250) // 26
    for group, controls in groups.items():
        parts.append(f'<text class="label" x="0" y="{y + 17}">{escape(_short(group, 36))}</text>')
        for number, control in enumerate(controls):
            row, column = divmod(number, per_row)
            x, top, state = left + column * 26, y + row * 26, control["state"]
            parts.append(
                f'<a href="#{escape(anchor(control["id"]))}"><rect class="{state}" x="{x}" y="{top}" width="{size}" '
                f'height="{size}" rx="4"><title>{escape(control["id"])}: {NAMES[state]}</title></rect>'
                f'<text class="on {state}" x="{x + size / 2:.0f}" y="{top + 17}">{SYMBOLS[state]}</text></a>'
            )
        y += 26 * (1 + (len(controls) - 1) // per_row) + 6
    return _svg(max(y, 1), "Controls by group", parts)


def activity(by_day: Sequence[Mapping[str, Any]], start: str, end: str) -> str:
    """Return the entries of the period in time: one bar for each day, or for as many days as fit.

    Args:
        start, end: the days (ISO 8601) of the period's begin and end.
    """
    counts = {date.fromisoformat(day["day"]): int(day["entries"]) for day in by_day}
    first, last = date.fromisoformat(start), max([date.fromisoformat(end), *counts])
    days = (last - first).days + 1
    step = -(-days // _MOST_BARS)
    bars = [
        sum(counts.get(first + timedelta(days=at + more), 0) for more in range(step)) for at in range(0, days, step)
    ]
    most = max([1, *bars])
    wide, height, base = _WIDTH / len(bars), 130, 150
    parts = [f'<line class="axis" x1="0" y1="{base}" x2="{_WIDTH}" y2="{base}"/>']
    for number, count in enumerate(bars):
        if not count:
            continue
        tall = max(2.0, height * count / most)
        day = first + timedelta(days=number * step)
        until = f" and {step - 1} more days" if step > 1 else ""
        parts.append(
            f'<rect class="bar" x="{number * wide + 0.5:.1f}" y="{base - tall:.1f}" width="{max(wide - 1, 1):.1f}" '
            f'height="{tall:.1f}"><title>{day}{until}: {count:,} entries</title></rect>'
        )
    parts += [
        f'<text class="tick" x="0" y="{base + 16}">{first}</text>',
        f'<text class="tick end" x="{_WIDTH}" y="{base + 16}">{last}</text>',
        f'<text class="tick end" x="{_WIDTH}" y="10">most: {most:,}</text>',
    ]
    what = "day" if step == 1 else f"{step} days"
    return _svg(base + 22, f"Entries of the log in the period, one bar for each {what}", parts)


def amounts(rows: Sequence[tuple[str, int]]) -> str:
    """Return named amounts as bars."""
    most, parts = max([1, *(count for _, count in rows)]), []
    for number, (name, count) in enumerate(rows):
        y, wide = number * 24, max(2.0, 360 * count / most)
        parts.append(f'<text class="label" x="0" y="{y + 15}">{escape(_short(name, 40))}</text>')
        parts.append(f'<rect class="bar" x="280" y="{y + 3}" width="{wide:.1f}" height="16" rx="2"/>')
        parts.append(f'<text class="tick" x="{286 + wide:.1f}" y="{y + 15}">{count:,}</text>')
    return _svg(max(24 * len(rows), 1), "Entries by tag", parts)


def anchor(control: str) -> str:
    """Return the name under which a control's line is linked to."""
    return "c-" + "".join(c if c.isalnum() or c in ".-" else "_" for c in control)


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return f"{head}<title>{escape(title)}</title>{''.join(parts)}</svg>"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
