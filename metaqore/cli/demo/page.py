"""The page about a run: one HTML file that loads nothing from anywhere."""

from __future__ import annotations

import datetime
import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from metaqore import __version__
from metaqore.cli.demo import charts
from metaqore.cli.demo.drive import Drive
from metaqore.cli.demo.page_parts import blocked_story, lesson_section, merge_section, webhook_section
from metaqore.cli.demo.record import FATES, Record, percentile

_STYLE = Path(__file__).with_name("page.css")
#: Nothing may be loaded or run, whatever stands in a commit message.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_page(out: Path, record: Record, drive: Drive) -> None:
    """Write the page of a run."""
    out.write_text(page(record, drive), encoding="utf-8")


def page(record: Record, drive: Drive) -> str:
    """Return the page of a run as HTML."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>MetaQore: a run</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body><main>",
            *_head(record, drive),
            *_tiles(record, drive),
            *_checks(record),
            *_time(record),
            *_stories(record),
            *merge_section(record.facts.get("merge")),
            *_dependencies(record),
            *_veto(record),
            *(part for lesson in drive.lessons for part in lesson_section(lesson)),
            *webhook_section(drive.webhooks, record),
            *_audit(record),
            *_foot(),
            "</main></body></html>",
        ]
    )


def _head(record: Record, drive: Drive) -> Iterator[str]:
    failed = sum(not check.ok for check in record.checks)
    word = f"{failed} of {len(record.checks)} checks failed" if failed else f"all {len(record.checks)} checks hold"
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    yield "<h1>MetaQore at work</h1>"
    yield (
        f'<p class="soft">{escape(now)} · MetaQore {escape(__version__)} · Python {platform.python_version()} · '
        f"{escape(platform.system())}, {os.cpu_count()} cores · {record.elapsed:.1f} s</p>"
    )
    yield f'<p class="verdict {"off" if failed else "ok"}">{word}</p>'
    if drive.material is not None:
        source = drive.material.own or drive.material.shipped
        yield (
            f"<p>Input: {escape(source.source)}, {source.commits} commits with {len(source.changes)} changes of files. "
            "What follows went over HTTP through a real API, a real Valkey, Celery workers and a database.</p>"
        )
        yield from (f'<p class="soft">Note: {escape(note)}.</p>' for note in drive.material.notes)


def _tiles(record: Record, drive: Drive) -> Iterator[str]:
    fates = record.fates()
    declared = record.times_ms("artifact.declare")
    rows = [("", str(len(record.submissions)), "submitted")]
    rows += [(fate, str(fates[fate]), fate) for fate in FATES[:-1]]
    rows += [
        ("", str(record.retried), "admitted by trying again"),
        ("", f"{percentile(declared, 0.5):.1f} ms", "submit → verdict, p50"),
        ("", f"{percentile(declared, 0.99):.1f} ms", "submit → verdict, p99"),
        ("", str(record.largest_batch()), "model calls in the largest batch"),
        ("", str(len(drive.webhooks)), "signed webhooks"),
        ("", str(record.facts.get("audit", {}).get("entries", 0)), "audit entries verified"),
    ]
    active = next((lesson for lesson in drive.lessons if lesson.active), None)
    if active is not None:
        rows.append(("", f"{active.gate['accuracy']:.1%}", "specialist right on unseen changes"))
    yield '<div class="tiles">'
    for kind, value, name in rows:
        yield f'<div class="tile {kind}"><b>{escape(value)}</b><span>{escape(name)}</span></div>'
    yield "</div>"


def _checks(record: Record) -> Iterator[str]:
    yield '<h2>What was expected</h2><div class="panel"><table>'
    for check in record.checks:
        mark, kind = ("✓", "ok") if check.ok else ("✗", "off")
        yield (
            f'<tr class="{kind}"><td class="mark">{mark}</td><td>{escape(check.name)}</td>'
            f'<td class="soft">{escape(check.seen)}</td></tr>'
        )
    yield "</table></div>"


def _time(record: Record) -> Iterator[str]:
    submissions = record.submissions
    yield "<h2>Over time</h2>" + _keys()
    yield f'<div class="panel">{charts.timeline(submissions, record.acts)}</div>'
    by_act: dict[str, Counter[str]] = defaultdict(Counter)
    for each in submissions:
        by_act[each.act][each.fate] += 1
    yield f'<h3>What became of it</h3><div class="panel">{charts.shares(by_act, "Verdicts by part of the run")}</div>'
    yield '<div class="three">'
    for kind, name in (("artifact.declare", "Declaration"), ("llm.generate", "Model call")):
        times = record.times_ms(kind)
        yield f'<div class="panel"><h3>{name}: from submitting to the verdict</h3>'
        yield charts.histogram(times, "ms", f"{name}: time to the verdict") + "</div>"
    sizes = Counter(each.batch for each in submissions if each.batch)
    # A batch of n answers n calls, so the calls of size n make up calls/n batches.
    batches = {size: round(calls / size) for size, calls in sizes.items()}
    yield '<div class="panel"><h3>Batches of model calls, by size</h3>'
    yield charts.columns(batches, "Batches of model calls by size") + "</div></div>"


def _stories(record: Record) -> Iterator[str]:
    stories: Sequence[Mapping[str, object]] = record.facts.get("stories", [])
    yield "<h2>Blocked, and the way out</h2>"
    yield "<p>In strict mode every conflict blocks. The answer says what stands in the way and what to do about it; "
    yield "the agents did just that.</p>"
    for story in stories:
        yield from blocked_story(story)


def _dependencies(record: Record) -> Iterator[str]:
    found = record.facts.get("dependencies")
    if found:
        yield "<h2>Dependencies</h2>"
        yield (
            f"<p>{found['distributions']} installed distributions were declared as artifacts, with the "
            f"{found['constraints']} constraints that their metadata declares. The last one came first, was blocked "
            f"with {found['missing']} missing dependencies, and got in by <code>retry</code> once they were there.</p>"
        )


def _veto(record: Record) -> Iterator[str]:
    found = record.facts.get("veto")
    if found:
        yield "<h2>What must not leave</h2>"
        yield (
            "<p>A model call with a private key in it was addressed to a cloud provider. SecureGateway labelled it "
            f"<b>{escape(str(found['label']))}</b> and vetoed it:</p><ul>"
        )
        yield from (f"<li>{escape(reason)}</li>" for reason in found["reasons"])
        yield f"</ul><p>Connections to the provider's address: <b>{found['connections']}</b>.</p>"


def _audit(record: Record) -> Iterator[str]:
    found = record.facts.get("audit")
    if found:
        yield "<h2>Audit log</h2>"
        yield (
            f"<p>{found['entries']} entries were verified offline, from the database alone, after everything was "
            f"stopped: {escape(found['findings'][0]) if found['findings'] else 'nothing was changed'}. "
            f"{found['sealed']} of them are covered by a trusted signature.</p>"
        )
        if found.get("forgery"):
            yield "<p>In a copy of the database, one entry was forged. The verification says:</p>"
            yield f"<pre>{escape(found['forgery'][0])}</pre>"


def _foot() -> Iterator[str]:
    yield (
        "<footer><p>To go on: <code>metaqore up</code> starts the same on fixed ports and keeps its data; "
        "<code>/docs</code> there is the API.</p></footer>"
    )


def _keys() -> str:
    return '<p class="keys">' + "".join(f'<span><i class="{fate}"></i>{fate}</span>' for fate in FATES) + "</p>"
