"""The forms in which SecureGateway's decisions are handed out: the known lines, one JSON object, or CSV. Pure.

========  ====================================================================================================
 jsonl    the lines of ``compliance_audit_<organization>.jsonl``
 json     ``{organization, format, events: […], report: {…}}``, the report as the known command counts it
 csv      ``timestamp,event_type,organization,payload`` (RFC 4180), the payload as JSON
========  ====================================================================================================

All are written as they are read, in constant memory; a report is known at the end only, so it stands there.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from metaqore.audit.compliance_csv import cell
from metaqore.audit.compliance_lines import Decided, event_of, file_name, line_of
from metaqore.audit.compliance_report import report_of
from metaqore.clock import to_rfc3339

#: What each is called, and its media type.
EXTRACT_FORMS: Mapping[str, str] = {
    "jsonl": "application/x-ndjson",
    "json": "application/json",
    "csv": "text/csv; charset=utf-8; header=present",
}
_COLUMNS = ("timestamp", "event_type", "organization", "payload")


def extract_name(form: str, organization: str, now: int) -> str:
    """Return the name of an extract's file; ``now`` is in milliseconds.

    Raises:
        InvalidInput: the organization's name cannot be part of a file's.
    """
    lines = file_name(organization)
    if form == "jsonl":
        return lines
    stamp = to_rfc3339(now)[:19].replace("-", "").replace(":", "")
    return f"compliance_{organization}_{stamp}Z.{form}"


def extract(form: str, organization: str, decided: Iterable[Decided]) -> Iterator[tuple[int, bytes]]:
    """Yield pieces of an extract, each with the number of events that it holds."""
    if form == "jsonl":
        for one in decided:
            yield 1, line_of(one)
    elif form == "csv":
        yield 0, _row(_COLUMNS)
        for one in decided:
            event = event_of(one)
            payload = json.dumps(event["payload"], ensure_ascii=False, separators=(",", ":"))
            yield 1, _row((event["timestamp"], event["event_type"], event["organization"], payload))
    else:
        yield from _object(organization, decided)


def _object(organization: str, decided: Iterable[Decided]) -> Iterator[tuple[int, bytes]]:
    events: Counter[str] = Counter()
    providers: Counter[str] = Counter()
    violations: Counter[str] = Counter()
    head = json.dumps({"organization": organization, "format": "json"}, ensure_ascii=False)
    yield 0, f'{head[:-1]}, "events": ['.encode()
    for one in decided:
        event = event_of(one)
        payload = event["payload"]
        yield 1, (b",\n" if events else b"\n") + line_of(one).rstrip(b"\n")
        events[event["event_type"]] += 1
        providers.update([payload["provider"]] if payload["provider"] else [])
        violations.update([payload["veto"]["policy_violated"]] if "veto" in payload else [])
    report = report_of(organization, events, providers, violations)
    yield 0, f'\n], "report": {json.dumps(report, ensure_ascii=False)}}}\n'.encode()


def _row(cells: Iterable[str]) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(cell(value) for value in cells)
    return out.getvalue().encode()
