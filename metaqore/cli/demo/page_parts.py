"""Parts of the page that show what was sent and answered: reports, merges, specialists, webhooks."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import msgspec

from metaqore.cli.demo import charts
from metaqore.cli.demo.learning import Lesson
from metaqore.cli.demo.receiver import Received
from metaqore.cli.demo.record import Record

_LINES = 60


def blocked_story(story: Mapping[str, Any]) -> Iterator[str]:
    """Yield how an agent was blocked, what the report said, and what it did."""
    report = story["report"]
    yield f'<div class="panel"><h3>{escape(story["agent"])}: <code>{escape(story["artifact"])}</code></h3>'
    for conflict in report["conflicts"]:
        yield (
            f'<p>{escape(conflict["message"])} <span class="soft">({escape(conflict["class"])}, severity '
            f"{escape(conflict['severity'])})</span></p>"
        )
    yield "<p>What to do, says the report:</p><ol>"
    for remedy in report["remedies"]:
        yield f"<li><b>{escape(remedy['kind'])}</b>: {escape(remedy['what'])}</li>"
    yield "</ol><p>What was done:</p><ol>"
    for step in story["steps"]:
        ok = step["status"] in (200, 201)
        yield (
            f'<li><b>{escape(step["strategy"])}</b> → <span class="{"pass" if ok else "fail"}">'
            f"{step['status']} {'accepted' if ok else 'still blocked'}</span> "
            f'<span class="soft">{escape(step["what"])}</span></li>'
        )
    yield f"</ol><details><summary>The report as the agent got it</summary>{_json(report)}</details></div>"


def merge_section(example: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield one merge: what each agent changed, and what came of it."""
    if not example:
        return
    piece = example["piece"]
    yield "<h2>Merged</h2>"
    yield (
        f"<p>In adaptive mode edits that do not collide are merged. <code>{escape(piece.path)}</code> was edited by "
        f"{len(piece.edits)} agents at the same time ({escape(piece.origin)}); the last version is what the history "
        'has.</p><div class="two">'
    )
    for nth, edit in enumerate(piece.edits, 1):
        yield f'<div class="panel"><h3>edit {nth}</h3>{diff(piece.base, edit)}</div>'
    yield "</div>"
    made = ", ".join(f"version {version} by {author}" for version, author in example["versions"])
    yield f'<div class="panel"><h3>all of it</h3>{diff(piece.base, piece.merged)}'
    yield f'<p class="soft">{escape(made)}</p></div>'


def lesson_section(lesson: Lesson) -> Iterator[str]:
    """Yield what became of one source of changes: pattern, specialist, gate."""
    yield f"<h2>{'A specialist' if lesson.active else 'No specialist'} for {escape(lesson.source)}</h2>"
    if lesson.asked:
        yield (
            f"<p>{lesson.asked} calls of several agents with one template: which maintenance type has this change? "
            "The teacher is the model that answered them.</p>"
        )
    if lesson.reasons:
        yield f"<p>Why there is none: {escape('; '.join(lesson.reasons))}.</p>"
    if not lesson.stages:
        return
    rows = [
        ("always the commonest answer, unseen changes", lesson.gate["majority_accuracy"]),
        ("the specialist, unseen changes", lesson.gate["accuracy"]),
    ]
    total, right, routed, good = lesson.later
    if total:
        rows.append((f"the specialist, {total} later changes", right / total))
    if routed:
        rows.append((f"where it would answer itself ({routed} of them)", good / routed))
    if lesson.answer:
        yield f"<p>It then answered {lesson.served[1]} of {lesson.served[0]} calls itself; one of its answers:</p>"
        yield _json({name: lesson.answer[name] for name in ("text", "provider", "model", "usage", "specialist")})
    chart = charts.accuracies(rows, "Share of answers that are the same as the teacher's")
    yield f'<div class="panel">{chart}</div>'
    yield '<div class="panel"><table><tr><th></th><th>stage of the gate</th><th>measured</th><th>allowed</th></tr>'
    for name, stage in lesson.stages.items():
        mark, kind = ("✓", "ok") if stage["passed"] else ("✗", "off")
        yield (
            f'<tr class="{kind}"><td class="mark">{mark}</td><td>{escape(name.replace("_", " "))}</td>'
            f'<td class="soft">{_measures(stage["measures"])}</td>'
            f'<td class="soft">{_measures(stage["limits"])}</td></tr>'
        )
    yield "</table></div>"


def webhook_section(received: Sequence[Received], record: Record) -> Iterator[str]:
    """Yield one webhook as it came in."""
    if not received:
        return
    example = next((each for each in received if each.type == "artifact.blocked"), received[0])
    seen = next((check.seen for check in record.checks if check.name == "signed webhooks arrive"), "")
    names = [name for name in example.headers if name.startswith("webhook-")]
    heads = "\n".join(f"{name}: {example.headers[name]}" for name in names)
    yield "<h2>Webhooks</h2>"
    yield f"<p>{len(received)} came to a receiver on this machine; {escape(seen)} (Standard Webhooks, HMAC-SHA256).</p>"
    yield f"<pre>{escape(heads)}</pre>{_json(msgspec.json.decode(example.body))}"


def diff(old: str, new: str) -> str:
    """Return the difference of two texts as HTML."""
    lines = list(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2))[2:]
    kinds = {"+": "a", "-": "d", "@": "h"}
    shown = "".join(
        f'<span class="{kinds[line[0]]}">{escape(line)}</span>' if line[:1] in kinds else f"{escape(line)}\n"
        for line in lines[:_LINES]
    )
    more = f'<span class="h">… {len(lines) - _LINES} lines more</span>' if len(lines) > _LINES else ""
    return f"<pre>{shown}{more}</pre>"


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, ensure_ascii=False, indent=2))}</pre>"


def _measures(values: Mapping[str, Any]) -> str:
    shown = []
    for name, value in values.items():
        if value is None:
            continue
        text = f"{value:.3g}" if isinstance(value, float) else str(value)
        shown.append(f"{escape(name.replace('_', ' '))} {escape(text[:24])}")
    return "<br>".join(shown)
