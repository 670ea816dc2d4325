"""What a recorded decision is about, so that a replay can tell what follows from what. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Decided(Protocol):
    """What is needed of a recorded decision."""

    @property
    def kind(self) -> str:
        """The kind of request."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What was asked for."""

    @property
    def result(self) -> Mapping[str, Any]:
        """What was answered."""


def what_of(each: Decided) -> str:
    """Return what a request was about, for people."""
    payload = each.payload
    if each.kind == "artifact.declare":
        return f"{payload.get('type')}/{payload.get('name')}"
    named = (payload.get(name) for name in ("artifact", "conflict", "proposal", "approval", "id", "to", "purpose"))
    return str(next((name for name in named if name is not None), each.kind))


def subjects_of(each: Decided) -> list[str]:
    """Return the names and ids of what a decision is about, or rests on."""
    references = [*_list(each.payload, "depends_on"), *_list(each.payload, "read_set")]
    found = [what_of(each)] + [
        str(reference.get("artifact") or f"{reference.get('type')}/{reference.get('name')}")
        for reference in references if isinstance(reference, Mapping)
    ]  # fmt: skip
    artifact = each.result.get("artifact")
    if isinstance(artifact, Mapping):
        found += [str(artifact.get("id"))]
    report = each.result.get("blocking_report")
    if isinstance(report, Mapping):
        found += [str(report.get("proposal")), *(str(c.get("id")) for c in report.get("conflicts", ()))]
    return found


def _list(payload: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = payload.get(name)
    return value if isinstance(value, list) else ()
