"""Charts as inline SVG. Pure; colours come from the page's style sheet by class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from metaqore.cli.demo.record import FATES, Act, Submission, percentile

_WIDTH = 960


def _svg(height: float, parts: Sequence[str], title: str, width: float = _WIDTH) -> str:
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _rect(x: float, y: float, width: float, height: float, kind: str, tip: str = "") -> str:
    inner = f"<title>{escape(tip)}</title>" if tip else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect {place} class="{kind}">{inner}</rect>'


def _ticks(longest: float, wanted: int = 8) -> list[float]:
    """Return round values from 0 up to ``longest``."""
    step = 10 ** math.floor(math.log10(max(longest, 1e-9) / wanted))
    step *= next(factor for factor in (1, 2, 5, 10) if longest / (step * factor) <= wanted)
    return [step * nth for nth in range(int(longest / step) + 1)]


def timeline(submissions: Sequence[Submission], acts: Sequence[Act]) -> str:
    """Return every submission as a mark in its agent's row, over the acts of the run, from the first on."""
    if not submissions:
        return ""
    names = sorted({each.agent for each in submissions})
    left, top, row = 86.0, 74.0, 34.0
    height = top + row * len(names) + 26
    start = min(each.began for each in submissions)
    longest = max(each.began + each.took for each in submissions) - start
    scale = (_WIDTH - left - 10) / max(longest, 1e-9)
    during = [act for act in acts if act.ended > start and act.began < start + longest]
    parts = _bands(during, start, left, scale, row * len(names))
    for nth, name in enumerate(names):
        y = top + row * nth
        parts.append(_text(left - 8, y + row / 2 + 4, name, "label", "end"))
        for each in submissions:
            if each.agent == name:
                # Rejections are rare: they are drawn taller, so that they are not lost among the rest.
                tall = row - 6 if each.fate in ("blocked", "vetoed", "merged") else row - 16
                tip = f"{each.kind}: {each.fate} after {each.took * 1000:.0f} ms"
                x, wide = left + (each.began - start) * scale, max(each.took * scale, 1.4)
                parts.append(_rect(x, y + (row - tall) / 2, wide, tall, f"mark {each.fate}", tip))
    parts += [_text(left + at * scale, height - 6, f"{at:g} s", "axis", "middle") for at in _ticks(longest)]
    return _svg(height, parts, "Submissions over time, one row for each agent")


def _bands(acts: Sequence[Act], start: float, left: float, scale: float, height: float) -> list[str]:
    """Return the acts as bands behind the rows, each named above it where one of four lines has room for the name."""
    parts = []
    taken = [0.0] * 4
    for nth, act in enumerate(acts):
        x = left + max(act.began - start, 0) * scale
        wide = left + (act.ended - start) * scale - x
        parts.append(_rect(x, 58, wide, height + 20, f"band{nth % 2}", f"{act.name}: {act.ended - act.began:.1f} s"))
        length = 6.2 * len(act.name) + 8
        line = next((line for line, until in enumerate(taken) if until <= x and x + length < _WIDTH), None)
        if line is not None:
            taken[line] = x + length
            parts.append(_text(x, 51 - 13 * line, act.name, "label"))
    return parts


def histogram(values: Sequence[float], unit: str, title: str) -> str:
    """Return how often values fall into each of 36 steps of equal ratio, with the median and the 99th percentile.

    Args:
        values: above 0, the smallest first.
    """
    if not values:
        return ""
    width, height, left, base = 460.0, 170.0, 8.0, 138.0
    low, high = math.log(values[0]) - 0.05, math.log(values[-1]) + 0.05
    steps = 36
    counts = [0] * steps
    for value in values:
        counts[min(steps - 1, int((math.log(value) - low) / (high - low) * steps))] += 1
    most, step = max(counts), (width - 2 * left) / steps
    parts = [
        _rect(left + nth * step, base - 100 * count / most, step - 1.5, 100 * count / most, "bar", f"{count}")
        for nth, count in enumerate(counts)
        if count
    ]
    parts.append(f'<line x1="{left}" x2="{width - left}" y1="{base}" y2="{base}" class="rule"/>')
    for share, name in ((0.5, "p50"), (0.99, "p99")):
        value = percentile(values, share)
        x = left + (math.log(value) - low) / (high - low) * (width - 2 * left)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="26" y2="{base}" class="marker"/>')
        parts.append(_text(x, 18, f"{name} {value:.1f} {unit}", "label", "end" if x > width * 0.7 else "middle"))
    parts.append(_text(left, base + 18, f"{values[0]:.1f} {unit}", "axis"))
    parts.append(_text(width - left, base + 18, f"{values[-1]:.1f} {unit}", "axis", "end"))
    return _svg(height, parts, title, width)


def columns(counts: Mapping[int, int], title: str) -> str:
    """Return one column for each number from 1 to the largest."""
    if not counts:
        return ""
    width, height, base = 460.0, 170.0, 138.0
    largest, most = max(counts), max(counts.values())
    step = (width - 16) / largest
    parts = [f'<line x1="8" x2="{width - 8}" y1="{base}" y2="{base}" class="rule"/>']
    for size in range(1, largest + 1):
        tall = 100 * counts.get(size, 0) / most
        x = 8 + (size - 1) * step
        parts.append(_text(x + step / 2, base + 18, str(size), "axis", "middle"))
        if tall:
            parts.append(_rect(x + 1, base - tall, step - 3, tall, "bar", f"{counts[size]} of size {size}"))
            parts.append(_text(x + step / 2, base - tall - 5, str(counts[size]), "axis", "middle"))
    return _svg(height, parts, title, width)


def shares(rows: Mapping[str, Mapping[str, int]], title: str) -> str:
    """Return one bar for each row, made of its fates."""
    left, row = 120.0, 30.0
    parts = []
    for nth, (name, fates) in enumerate(rows.items()):
        y, x = nth * row, left
        total = sum(fates.values())
        parts.append(_text(left - 8, y + 19, name, "label", "end"))
        for fate in FATES:
            width = (_WIDTH - left - 60) * fates.get(fate, 0) / max(total, 1)
            if width:
                parts.append(_rect(x, y + 5, width - 1, row - 10, f"mark {fate}", f"{fates[fate]} {fate}"))
                if width > 26:
                    parts.append(_text(x + width / 2, y + 19, str(fates[fate]), "inside", "middle"))
                x += width
        parts.append(_text(x + 6, y + 19, str(total), "axis"))
    return _svg(row * len(rows) + 4, parts, title)


def accuracies(rows: Sequence[tuple[str, float]], title: str) -> str:
    """Return one bar for each (name, share from 0 to 1)."""
    left, row = 330.0, 28.0
    parts = []
    for nth, (name, share) in enumerate(rows):
        y = nth * row
        parts.append(_text(left - 8, y + 18, name, "label", "end"))
        parts.append(_rect(left, y + 5, _WIDTH - left - 70, row - 10, "empty"))
        parts.append(_rect(left, y + 5, (_WIDTH - left - 70) * share, row - 10, "bar", f"{share:.1%}"))
        parts.append(_text(_WIDTH - 62, y + 18, f"{share:.1%}", "label"))
    return _svg(row * len(rows) + 4, parts, title)
