"""A report as one HTML file that needs nothing else: style, charts and links are inside. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from metaqore.audit.compliance_charts import NAMES, SYMBOLS, activity, amounts, anchor, control_map, summary_bar
from metaqore.audit.compliance_frameworks import NOT_ASSESSED, STATES
from metaqore.audit.compliance_markdown import CHECK_STEPS, asked, grouped
from metaqore.audit.compliance_report import visible
from metaqore.audit.compliance_style import STYLE
from metaqore.clock import to_rfc3339

_MOST_TAGS = 12
_CODE = re.compile(r"`([^`]+)`")
_FOUND = {"found": "found", "against": "speaks against it", "clear": "nothing against it", "none": "not found"}


def as_html(document: Mapping[str, Any]) -> str:
    """Return the page."""
    title = escape(visible(f"{document['framework']['title']} · {document['organization']}"))
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Nothing is loaded from anywhere, and nothing could run, whatever an entry holds.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f'<meta name="color-scheme" content="light dark"><title>{title}</title><style>{STYLE}</style></head>'
    )
    return f"{head}<body><main>{''.join(_parts(document))}</main></body></html>\n"


def _parts(document: Mapping[str, Any]) -> Iterator[str]:
    yield from _heading(document)
    yield from _summary(document)
    yield from _controls(document)
    yield from _evidence(document)
    yield from _citations(document)
    yield from _check(document)


def _heading(document: Mapping[str, Any]) -> Iterator[str]:
    framework, period, log, made = (document[key] for key in ("framework", "period", "log", "made"))
    yield f'<header><p class="over">Report on controls · {escape(visible(document["organization"]))}</p>'
    yield f"<h1>{escape(framework['title'])}</h1>"
    yield f'<p class="sub">What the audit log supports evidence for, {_day(period["from"])} to {_day(period["to"])}</p>'
    yield "</header>"
    yield f'<p class="statement">{escape(document["statement"])}</p><dl class="facts">'
    facts = [
        ("Framework", f"{framework['edition']} · file version {framework['version']}"),
        ("Period", f"{_time(period['from'])} up to {_time(period['to'])}"),
        ("Log", f"{log['origin']} · {log['entries']:,} entries, {log['in_period']:,} of them in the period; all "
                "lead to the signed root"),
        ("Reaches from", f"{_time(log['first'])} to {_time(log['last'])}"),
        ("Erased", f"{log['erasures_in_period']:,} erasures in the period; {log['cited_erased']:,} of {log['cited']:,} "
                   "cited entries speak of a payload that is erased"),
        ("Made", f"{_time(made['at'])} for {made['by']} · {document['report']}"),
    ]  # fmt: skip
    yield from (f"<div><dt>{name}</dt><dd>{escape(visible(text))}</dd></div>" for name, text in facts)
    yield "</dl>"


def _summary(document: Mapping[str, Any]) -> Iterator[str]:
    summary, period = document["summary"], document["period"]
    beyond = sum(bool(control.get("outside")) for control in document["controls"])
    yield '<section><h2>Summary</h2><ul class="tiles">'
    for state in STATES:
        more = f'<div class="by">{beyond} of them no log can tell</div>' if state == NOT_ASSESSED and beyond else ""
        yield f"<li><b>{summary[state]}</b><span>{_pill(state)}</span>{more}</li>"
    yield f"</ul><figure>{summary_bar(summary)}</figure>"
    yield f"<figure>{control_map(grouped(document['controls']))}"
    yield "<figcaption>Every control, by group</figcaption></figure>"
    yield f"<figure>{activity(document['activity']['by_day'], period['from'][:10], period['to'][:10])}"
    yield "<figcaption>Entries of the log in the period</figcaption></figure>"
    tags = [*document["activity"]["by_tag"].items()]
    shown, rest = tags[:_MOST_TAGS], tags[_MOST_TAGS:]
    if rest:
        shown.append((f"other tags: {len(rest)}", sum(count for _, count in rest)))
    if shown:
        yield f"<figure>{amounts(shown)}<figcaption>What was recorded in the period</figcaption></figure>"
    yield "</section>"


def _controls(document: Mapping[str, Any]) -> Iterator[str]:
    yield "<section><h2>Controls</h2>"
    for group, controls in grouped(document["controls"]).items():
        yield f"<h3>{escape(group)}</h3><table><thead><tr><th>Control</th><th>State</th><th>Why</th>"
        yield "<th>Cited entries</th></tr></thead><tbody>"
        for control in controls:
            yield f'<tr id="{escape(anchor(control["id"]))}"><td><b>{escape(control["id"])}</b><br>'
            yield f'{escape(control["title"])}</td><td data-of="State">{_pill(control["state"])}</td>'
            yield f'<td data-of="Why">{escape(control["why"])}{_needs(control)}</td>'
            yield f'<td data-of="Cited entries">{_links(control["cites"])}</td></tr>'
        yield "</tbody></table>"
    yield "</section>"


def _needs(control: Mapping[str, Any]) -> str:
    names = ", ".join(f'<a href="#q-{escape(name)}">{escape(name)}</a>' for name in control.get("needs", ()))
    return f'<div class="by">asks for {names}</div>' if names else ""


def _evidence(document: Mapping[str, Any]) -> Iterator[str]:
    yield "<section><h2>Evidence</h2><table><thead><tr><th>What it says</th><th>Found</th><th>First and last</th>"
    yield "<th>Cited entries</th></tr></thead><tbody>"
    for name, one in document["evidence"].items():
        found = one["finding"]
        note = f"<br>{escape(found['note'])}" if found["note"] else ""
        yield f'<tr id="q-{escape(name)}"><td>{escape(one["says"])}<details><summary>{escape(name)}</summary>'
        yield f'<code>{escape(asked(one))}</code></details></td><td data-of="Found">{_FOUND[found["state"]]}<br>'
        yield f"{found['count']:,} {'entry' if found['count'] == 1 else 'entries'}{note}</td>"
        yield '<td class="when" data-of="First and last">'
        yield f"{_moment(found['first'])}<br>{_moment(found['last'])}</td>"
        yield f'<td data-of="Cited entries">{_links(found["cites"])}</td></tr>'
    yield "</tbody></table></section>"


def _citations(document: Mapping[str, Any]) -> Iterator[str]:
    yield "<section><h2>Cited entries</h2><p>Each entry as it is in the log, with its proof of inclusion (RFC 9162) "
    yield "against the checkpoint below.</p>"
    for cited in document["citations"]:
        entry, seq = json.loads(cited["entry"]), cited["seq"]
        erased = ' <b class="erased">payload erased</b>' if cited["payload"] == "erased" else ""
        proof = "\n".join(cited["proof"])
        yield f'<article id="e-{seq}"><p><b>{seq}</b> {escape(entry["tag"])} · {escape(visible(entry["actor"]))} · '
        yield f"{_moment(entry['ts'])}{erased}</p><code>{cited['leaf_hash']}</code>"
        yield f"<details><summary>Entry and proof</summary><pre>{escape(cited['entry'])}</pre>"
        yield f"<pre>{proof}</pre></details></article>"
    yield "</section>"


def _check(document: Mapping[str, Any]) -> Iterator[str]:
    yield '<section class="check"><h2>How to check this</h2><ol>'
    for step in CHECK_STEPS:
        text = _CODE.sub(r"<code>\1</code>", escape(step.partition(". ")[2]))
        yield f"<li>{text}</li>"
    yield f"</ol><h3>Checkpoint</h3><pre>{escape(document['log']['checkpoint'])}</pre>"
    framework = document["framework"]
    yield f'<p class="by">Controls and queries: {escape(framework["id"])}, {escape(framework["digest"])}. '
    yield f"The text of the framework itself: {escape(framework['source'])}</p></section>"


def _pill(state: str) -> str:
    return f'<span class="pill {state}">{SYMBOLS[state]} {NAMES[state]}</span>'


def _links(numbers: list[int]) -> str:
    return " ".join(f'<a href="#e-{seq}">{seq}</a>' for seq in numbers) or '<span class="by">no entries</span>'


def _moment(ms: int | None) -> str:
    return "–" if ms is None else _time(to_rfc3339(ms))


def _time(text: str | None) -> str:
    return "–" if text is None else f"{text[:10]} {text[11:19]} UTC"


def _day(text: str) -> str:
    return text[:10]
