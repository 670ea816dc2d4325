"""Audit entries as CloudEvents 1.0 (https://cloudevents.io, JSON format), one by one or as a batch. Pure.

An entry keeps the id that it has: ``source`` names the log and ``id`` is its number in it, so a receiver that has seen
both has seen the entry. ``data`` is the entry's canonical bytes as they were hashed, and ``leafhash`` their leaf hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from metaqore.clock import to_rfc3339

Mode = Literal["structured", "batch"]
#: Media types (CloudEvents 1.0.2, JSON event format §3 and §4).
CONTENT_TYPES = {"structured": "application/cloudevents+json", "batch": "application/cloudevents-batch+json"}
_encode = msgspec.json.Encoder(order="deterministic").encode


class Recorded(NamedTuple):
    """One audit entry as it is stored."""

    seq: int
    tag: str
    ts_ms: int
    body: bytes
    leaf_hash: bytes


def event(entry: Recorded, source: str) -> bytes:
    """Return one entry as a CloudEvent in the JSON event format.

    Args:
        source: the origin of its log, e.g. ``metaqore/acme``: a URI reference.
    """
    said: dict[str, Any] = {
        "specversion": "1.0",
        "id": str(entry.seq),
        "source": source,
        "type": f"metaqore.audit.{entry.tag.replace(':', '.')}",
        "time": to_rfc3339(entry.ts_ms),
        "datacontenttype": "application/json",
        # CloudEvents' "sequence" extension: sorts as text.
        "sequence": f"{entry.seq:020}",
        "leafhash": entry.leaf_hash.hex(),
    }
    try:
        about = msgspec.json.decode(entry.body)["about"].get("subject")
        said["data"] = msgspec.Raw(entry.body)
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        # Bytes that are no entry were tampered with: they go out as they are, for the receiver to see.
        about, said["data_base64"] = None, entry.body
        said["datacontenttype"] = "application/octet-stream"
    if isinstance(about, str) and about:
        said["subject"] = about
    return _encode(said)


def body_of(events: Sequence[bytes], mode: Mode) -> bytes:
    """Return the HTTP body for events; structured mode takes one."""
    return events[0] if mode == "structured" else b"[" + b",".join(events) + b"]"
