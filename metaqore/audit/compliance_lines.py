"""The lines of ``compliance_audit_<organization>.jsonl``: routing decisions and vetoes of SecureGateway, one a line.

::

    {"timestamp":"2026-01-02T03:04:05.678000+00:00","event_type":"routing_decision","organization":"acme","payload":{…}}

Keys stand in this order. What the known format has no word for is under ``payload.metadata``: the numbers with which
a line is found again in the audit log. This file is an extract for people and their scripts; it is the log that proves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from metaqore.errors import InvalidInput

ROUTING, VETO = "routing_decision", "veto"
#: A veto stops what was asked for, always: the known format's word for that.
_SEVERITY = "critical"
#: No line of ours is longer (an audit entry has 65,535 bytes at most); a longer one is not read into memory.
MAX_LINE_BYTES = 1 << 20


class Decided(NamedTuple):
    """A recorded decision with what is known of what it was about; see ``metaqore.store.views.compliance``."""

    organization: str
    #: Number and leaf hash (hex) of the audit entry.
    seq: int
    leaf_hash: str
    ts_ms: int
    decision: str
    request: str | None
    approved: bool
    label: str
    policy: str
    policy_digest: str | None
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    agent: str
    task_type: str
    #: What was asked for; "" leaves the choice to SecureGateway.
    requested: str
    #: Who was called, or else recommended; None where nobody may be.
    provider: str | None
    #: ``local`` where the payload has to stay on local providers, else ``any``; None where nobody knows.
    residency: str | None = None


class Line(NamedTuple):
    """One line of a file as it was read: an event, or what is wrong with it."""

    number: int
    event: Mapping[str, Any] | None
    fault: str


def file_name(organization: str) -> str:
    """Return the name of an organization's file.

    Raises:
        InvalidInput: the name would lead to another directory.
    """
    if not organization or any(c in "/\\" or not c.isprintable() for c in organization):
        raise InvalidInput(f"organization {organization!r}: a name without slashes and control characters is needed")
    return f"compliance_audit_{organization}.jsonl"


def line_of(decided: Decided) -> bytes:
    """Return the line of a decision, with its end."""
    return json.dumps(event_of(decided), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def event_of(decided: Decided) -> dict[str, Any]:
    """Return the event of a decision, its keys in the known order."""
    return {
        "timestamp": datetime.fromtimestamp(decided.ts_ms / 1000, UTC).isoformat(timespec="microseconds"),
        "event_type": ROUTING if decided.approved else VETO,
        "organization": decided.organization,
        "payload": _routing(decided) if decided.approved else _veto(decided),
    }


def _routing(decided: Decided) -> dict[str, Any]:
    return {
        "agent_name": decided.agent or "auto",
        "task_type": decided.task_type,
        "sensitivity": decided.label.lower(),
        "provider": decided.provider,
        "policy": decided.policy,
        "reason": "allowed" if decided.requested else "auto_recommendation",
        **_chosen(decided, decided.provider),
        "metadata": _metadata(decided),
    }


def _veto(decided: Decided) -> dict[str, Any]:
    return {
        "veto": {
            "reason": "; ".join(decided.reasons),
            "policy_violated": decided.policy,
            "severity": _SEVERITY,
            "details": {"policy": decided.policy, "rules": list(decided.rules)},
        },
        "agent_name": decided.agent or "auto",
        "task_type": decided.task_type,
        "sensitivity": decided.label.lower(),
        "provider": decided.requested or None,
        **_chosen(decided, None),
        "metadata": _metadata(decided),
    }


def _chosen(decided: Decided, provider: str | None) -> dict[str, Any]:
    """Return what the other known format of such lines says: there the same things have other names."""
    return {
        "selected_provider": provider,
        "policy_decision": "allowed" if decided.approved else "denied",
        "policy_name": decided.policy,
        "data_residency": decided.residency,
    }


def _metadata(decided: Decided) -> dict[str, Any]:
    return {
        "audit_seq": decided.seq, "leaf_hash": decided.leaf_hash, "decision": decided.decision,
        "request": decided.request, "policy_digest": decided.policy_digest,
    }  # fmt: skip


def read_lines(path: Path) -> Iterator[Line]:
    """Yield what stands in a file, line by line; blank lines are passed over, corrupt ones are not.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                _pass_over(file)
                yield Line(number, None, f"longer than {MAX_LINE_BYTES} bytes")
            elif line.strip():
                yield _read(number, line)


def _pass_over(file: BinaryIO) -> None:
    while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


def _read(number: int, line: bytes) -> Line:
    try:
        event = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return Line(number, None, "not UTF-8")
    except (ValueError, RecursionError):
        return Line(number, None, "not JSON")
    fault = _fault(event)
    return Line(number, None, fault) if fault else Line(number, event, "")


def _fault(event: object) -> str:
    """Return what keeps a JSON value from being an event, "" for nothing."""
    if not isinstance(event, dict):
        return "not an object"
    for key in ("event_type", "organization"):
        if not isinstance(event.get(key), str) or not event[key]:
            return f"{key} is no text"
    payload = event.get("payload")
    if not isinstance(payload, dict):
        return "payload is no object"
    if not isinstance(payload.get("provider", ""), str | None):
        return "payload.provider is no text"
    veto = payload.get("veto")
    if veto is not None and not isinstance(veto, dict):
        return "payload.veto is no object"
    if not isinstance((veto or {}).get("policy_violated", ""), str | None):
        return "payload.veto.policy_violated is no text"
    return ""
