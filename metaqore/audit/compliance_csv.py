"""A report as CSV (RFC 4180): one line for each control, what was found for it as JSON in the last column. Pure.

A spreadsheet takes a cell that begins with one of ``= + - @`` for a formula, also within quotes. Such a text gets an
apostrophe in front (OWASP, CSV injection): nothing that somebody was named may run on an auditor's machine.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "report", "organization", "framework", "from", "to", "log_entries", "group", "control", "title", "state", "why",
    "cites", "payload",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def as_csv(document: Mapping[str, Any]) -> str:
    """Return the lines, each ending in CR LF, the names of the columns first."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    about = (
        document["report"], document["organization"], document["framework"]["id"], document["period"]["from"],
        document["period"]["to"], document["log"]["entries"],
    )  # fmt: skip
    leaves = {cited["seq"]: cited["leaf_hash"] for cited in document["citations"]}
    for control in document["controls"]:
        payload = {
            "evidence": {
                name: document["evidence"][name]["finding"]
                for name in (*control.get("needs", ()), *control.get("applies_when", ()))
            },
            "leaf_hashes": {str(seq): leaves[seq] for seq in control["cites"]},
        }
        writer.writerow(cell(value) for value in (
            *about, control["group"], control["id"], control["title"], control["state"], control["why"],
            " ".join(map(str, control["cites"])), json.dumps(payload, ensure_ascii=False, separators=(",", ":")),
        ))  # fmt: skip
    return out.getvalue()


def cell(value: Any) -> Any:
    """Return a value as no spreadsheet takes it for a formula; numbers are as they were."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
