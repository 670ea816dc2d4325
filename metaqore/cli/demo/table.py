"""The closing table, and the checks below it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaqore.cli.demo.drive import Drive
from metaqore.cli.demo.learning import Lesson
from metaqore.cli.demo.record import FATES, Record, percentile


def show(record: Record, drive: Drive, console: Console) -> None:
    """Print what the run came to."""
    table = Table(title="What happened", title_justify="left", box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows(record, drive):
        table.add_row(name, Text(value))
    console.print()
    for line in _story(record):
        console.print(line, soft_wrap=True)
    console.print(table)
    console.print()
    for check in record.checks:
        mark = Text("✓ " if check.ok else "✗ ", style="green" if check.ok else "bold red")
        console.print(Text.assemble(mark, (check.name, "bold"), f": {check.seen}"), soft_wrap=True)
    failed = sum(not check.ok for check in record.checks)
    verdict = f"{failed} of {len(record.checks)} checks failed" if failed else f"all {len(record.checks)} checks hold"
    console.print(Text(f"\n{verdict}, after {record.elapsed:.1f} s", style="bold red" if failed else "bold green"))


def _story(record: Record) -> Iterator[Text]:
    """Yield one blocking report as its agent got it, and what the agent did: the one that took most steps."""
    stories = record.facts.get("stories", [])
    if not stories:
        return
    story = max(stories, key=lambda each: len(each["steps"]))
    yield Text(f"Blocked: {story['agent']}, {story['artifact']}", style="bold")
    for conflict in story["report"]["conflicts"]:
        yield Text(f"  {conflict['class']}, severity {conflict['severity']}: {conflict['message']}")
    for remedy in story["report"]["remedies"]:
        yield Text.assemble("  what to do: ", (remedy["kind"], "bold"), f": {remedy['what']}")
    for step in story["steps"]:
        ok = step["status"] in (200, 201)
        said = (f"{step['status']} {'accepted' if ok else 'still blocked'}", "green" if ok else "yellow")
        yield Text.assemble("  what was done: ", (step["strategy"], "bold"), " → ", said)
    yield Text()


def rows(record: Record, drive: Drive) -> Iterator[tuple[str, str]]:
    """Yield the rows of the table: a name and a value."""
    material = drive.material
    if material is not None:
        source = material.own or material.shipped
        yield "input", f"{source.source}: {source.commits} commits, {len(source.changes)} changes"
        for note in material.notes:
            yield "", note
    fates = record.fates()
    yield "submitted", str(len(record.submissions))
    for fate in FATES[:-1]:
        yield fate, str(fates[fate])
    stopped = sum(each.fate == "vetoed" and each.act == "calls" for each in record.submissions)
    if stopped:
        yield "", f"{stopped} of the vetoed are change messages that read like attacks on a model"
    yield "retried", f"{record.retried} blocked, then admitted by trying again"
    for kind, name in (("artifact.declare", "submit → verdict"), ("llm.generate", "model call → answer")):
        times = record.times_ms(kind)
        shown = f"p50 {percentile(times, 0.5):.1f} ms, p99 {percentile(times, 0.99):.1f} ms"
        yield name, f"{shown} ({len(times)} of {kind})"
    yield "largest batch", f"{record.largest_batch()} model calls"
    yield "webhooks", f"{len(drive.webhooks)} received" + (f", {_verified(record)}" if drive.webhooks else "")
    for lesson in drive.lessons:
        if lesson.asked:
            yield "pattern", f"{lesson.asked} calls about changes of {lesson.source}"
            yield "→ specialist", _specialist(lesson)
    audit = record.facts.get("audit")
    if audit:
        yield (
            "audit log",
            f"{audit['entries']} entries, " + ("intact" if not audit["findings"] else audit["findings"][0]),
        )


def _verified(record: Record) -> str:
    return next((check.seen for check in record.checks if check.name == "signed webhooks arrive"), "")


def _specialist(lesson: Lesson) -> str:
    if not lesson.active:
        return f"none: {'; '.join(lesson.reasons)}"
    gate = lesson.gate
    text = f"{gate['accuracy']:.1%} right on {gate['examples']} changes it has not seen; passed the gate"
    if lesson.later[0]:
        text += f"; on {lesson.later[0]} later ones {lesson.later[1] / lesson.later[0]:.1%}"
    if lesson.served[1]:
        text += f"; it answered {lesson.served[1]} of {lesson.served[0]} calls itself"
    return text
