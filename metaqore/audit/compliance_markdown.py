"""A report as Markdown (CommonMark with tables). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from metaqore.audit.compliance_charts import NAMES, SYMBOLS
from metaqore.audit.compliance_frameworks import STATES
from metaqore.audit.compliance_report import visible

#: Also what makes an entity, a picture, or a link of a bare address (GitHub's autolinks).
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$]|(?<=[A-Za-z]):(?=//)|(?<=www)\.|@)", re.IGNORECASE)


def as_markdown(document: Mapping[str, Any]) -> str:
    """Return the text, ending in a newline."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    framework, period, log = document["framework"], document["period"], document["log"]
    yield f"# {plain(framework['title'])}: what the log supports evidence for"
    yield ""
    yield f"> {plain(document['statement'])}"
    yield ""
    yield from _table(("", ""), [
        ("Organization", plain(document["organization"])),
        ("Framework", f"{plain(framework['title'])}, {plain(framework['edition'])} ({plain(framework['source'])})"),
        ("Period", f"{period['from']} to {period['to']}"),
        ("Made", f"{document['made']['at']} for {plain(document['made']['by'])}, report {document['report']}"),
        ("Log", f"{plain(log['origin'])}, {log['entries']:,} entries, {log['in_period']:,} of them in the period"),
        ("Erased", f"{log['erasures_in_period']} erasures in the period, {log['cited_erased']} of {log['cited']} cited "
                   "entries speak of a payload that is erased"),
    ])  # fmt: skip
    yield from ("", "## Summary", "")
    rows = [(f"{SYMBOLS[state]} {NAMES[state]}", str(document["summary"][state])) for state in STATES]
    yield from _table(("State", "Controls"), rows)
    yield from _controls(document)
    yield from _evidence(document)
    yield from _citations(document)
    yield from ("", "## How to check this", "", *CHECK_STEPS, "", "```", log["checkpoint"].rstrip("\n"), "```")


#: What an auditor does; plain text with Markdown's code marks.
CHECK_STEPS = (
    "1. Get the JSON form of this report, and the stand-alone verifier: `metaqore audit verifier`.",
    "2. Get the log's verifier key from somebody you trust, not from this report.",
    "3. Run `python3 metaqore_audit_verifier.py check-report report.json --trust KEY`: each cited entry is proven "
    "to be in the signed log, and each state is derived again.",
    "4. With an export of the log, add `--export FILE`: every entry is counted again, so nothing can have "
    "been left out.",
)


def _controls(document: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Controls")
    for group, controls in grouped(document["controls"]).items():
        yield from ("", f"### {plain(group)}", "")
        rows = [
            (plain(c["id"]), plain(c["title"]), f"{SYMBOLS[c['state']]} {NAMES[c['state']]}", plain(c["why"]),
             ", ".join(map(str, c["cites"])) or "no entries")
            for c in controls
        ]  # fmt: skip
        yield from _table(("Control", "Title", "State", "Why", "Cited entries"), rows)


def _evidence(document: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Evidence", "")
    rows = []
    for name, one in document["evidence"].items():
        found = one["finding"]
        note = f" ({plain(found['note'])})" if found["note"] else ""
        rows.append((f"`{name}`", plain(one["says"]), f"{found['state']}{note}", f"{found['count']:,}",
                     f"`{asked(one)}`".replace("|", "\\|")))  # fmt: skip
    yield from _table(("Name", "What it says", "Found", "Entries", "Query"), rows)


def _citations(document: Mapping[str, Any]) -> Iterator[str]:
    yield from ("", "## Cited entries", "")
    rows = []
    for cited in document["citations"]:
        entry = json.loads(cited["entry"])
        rows.append((str(cited["seq"]), plain(entry["tag"]), plain(entry["actor"]), cited["payload"] or "none",
                     f"`{cited['leaf_hash']}`"))  # fmt: skip
    yield from _table(("Entry", "Tag", "Actor", "Payload", "Leaf hash"), rows)


def grouped(controls: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Return controls by their groups, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for control in controls:
        found.setdefault(control["group"], []).append(control)
    return found


def asked(evidence: Mapping[str, Any]) -> str:
    """Return what a piece of evidence asks the log for, as JSON on one line."""
    shown = {name: value for name, value in evidence.items() if name not in ("says", "finding")}
    return json.dumps(shown, ensure_ascii=False)


def plain(text: str) -> str:
    """Return a text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", visible(" ".join(text.split())))


def _table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(names)} |"
    yield f"| {' | '.join('---' for _ in names)} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
