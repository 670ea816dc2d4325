"""The known report over ``compliance_audit_<organization>.jsonl``: counts, as an object and as text.

Reads in constant memory. A line that cannot be read is neither counted as an event nor passed over in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from metaqore.audit.compliance_lines import read_lines

#: Corrupt lines that are named; the others are counted.
MAX_NAMED = 100


def report_on(path: Path, organization: str) -> dict[str, Any]:
    """Return ``{organization, total_events, by_event, by_provider, policy_violations}`` of a file.

    ``corrupt_lines`` (``{count, lines: [{line, fault}]}``, the first 100 named) and ``other_organizations`` (how many
    events are another's and were not counted) are there only where there is something to say; the latter is no part of
    the known report and is shown beside it.

    Raises:
        OSError: the file cannot be read.
    """
    events: Counter[str] = Counter()
    providers: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    named: list[dict[str, Any]] = []
    corrupt = others = 0
    for number, event, fault in read_lines(path):
        if event is None:
            corrupt += 1
            if len(named) < MAX_NAMED:
                named.append({"line": number, "fault": fault})
            continue
        if event["organization"] != organization:
            others += 1
            continue
        payload = event["payload"]
        events[event["event_type"]] += 1
        if payload.get("provider"):
            providers[payload["provider"]] += 1
        violated = (payload.get("veto") or {}).get("policy_violated")
        if violated:
            violations[violated] += 1
    report = report_of(organization, events, providers, violations)
    if corrupt:
        report["corrupt_lines"] = {"count": corrupt, "lines": named}
    if others:
        report["other_organizations"] = others
    return report


def report_of(
    organization: str,
    events: Mapping[str, int] = MappingProxyType({}),
    providers: Mapping[str, int] = MappingProxyType({}),
    violations: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the known report of what was counted; of nothing, where nothing is given."""
    return {
        "organization": organization,
        "total_events": sum(events.values()),
        "by_event": _ordered(events),
        "by_provider": _ordered(providers),
        "policy_violations": _ordered(violations),
    }


def text_of(report: Mapping[str, Any]) -> str:
    """Return a report as text, without an end of line; what is corrupt has a section of its own at the end."""
    heading = f"Compliance Report :: {visible(report.get('organization') or 'unknown')}"
    parts = [
        f"{heading}\n{'=' * len(heading)}\nTotal Events: {report.get('total_events') or 0}",
        _section("Events by Type", report.get("by_event") or {}),
        _section("Events by Provider", report.get("by_provider") or {}),
        _section("Policy Violations", report.get("policy_violations") or {}),
    ]
    corrupt = report.get("corrupt_lines")
    if corrupt:
        lines = [f"  - line {line['line']}: {line['fault']}" for line in corrupt["lines"]]
        more = corrupt["count"] - len(lines)
        lines += [f"  - and {more} more"] if more else []
        parts.append("\n".join([f"Corrupt Lines (not counted): {corrupt['count']}", *lines]))
    return "\n\n".join(parts)


def _section(title: str, counts: Mapping[str, int]) -> str:
    lines = [f"  - {visible(name)}: {count}" for name, count in _ordered(counts).items()] or ["  (none)"]
    return "\n".join([title, *lines])


def _ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts, the largest first, then by name."""
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def visible(name: str) -> str:
    """Return a name as it may be shown: a line end in it could write lines of a report, and what turns the direction of
    writing would hide what stands there."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
