"""What differs between two moments of a project: its members (artifacts and tasks), compared one by one. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

#: An artifact in one of these states is as good as gone.
GONE = frozenset({"deleted"})
#: What a version says beside its content that makes it another one. Where it came from (provenance, read set) does not.
PARTS = ("depends_on", "requires", "claims", "metadata")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An artifact or a task at one moment."""

    kind: Literal["artifact", "task"]
    id: str
    #: ``type/name`` of an artifact, the title of a task.
    title: str
    version: int
    state: str
    #: None for tasks.
    content_hash: str | None = None
    label: str | None = None
    #: What else makes it what it is: part → value.
    parts: Mapping[str, Any] = {}


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A member that is not the same at two moments. ``moved``: only its state differs."""

    change: Literal["added", "removed", "changed", "moved"]
    before: Member | None
    after: Member | None
    #: content, label, state, title, or a part.
    differs: tuple[str, ...]

    def shown(self) -> dict[str, Any]:
        """Return it as callers see it."""
        member = self.after or self.before
        if member is None:
            raise ValueError("a difference between nothing and nothing")
        return {
            "kind": member.kind, "id": member.id, "title": member.title, "change": self.change,
            "differs": list(self.differs), "from": _shown(self.before), "to": _shown(self.after),
        }  # fmt: skip


def _there(member: Member | None, gone: frozenset[str]) -> Member | None:
    return None if member is None or (member.kind == "artifact" and member.state in gone) else member


def _shown(member: Member | None) -> dict[str, Any] | None:
    if member is None:
        return None
    shown = {"version": member.version, "state": member.state}
    if member.kind == "artifact":
        shown |= {"content_hash": member.content_hash, "label": member.label}
    return shown


def compare(before: Member | None, after: Member | None, gone: frozenset[str] = GONE) -> Difference | None:
    """Return what differs; None where a member is the same, though it may have gone through other versions between.

    Args:
        gone: states in which an artifact does not count as there.
    """
    before, after = _there(before, gone), _there(after, gone)
    if before is None or after is None:
        if before is after:
            return None
        return Difference(change="removed" if after is None else "added", before=before, after=after, differs=())
    differs = [
        name
        for name, attribute in (("content", "content_hash"), ("label", "label"), ("state", "state"))
        if getattr(before, attribute) != getattr(after, attribute)
    ]
    differs += [part for part in sorted({*before.parts, *after.parts})
                if before.parts.get(part) != after.parts.get(part)]  # fmt: skip
    if not differs:
        return None
    change: Literal["moved", "changed"] = "moved" if differs == ["state"] else "changed"
    return Difference(change=change, before=before, after=after, differs=tuple(differs))


def content_lines(before: Any, after: Any) -> list[str]:
    """Return a unified diff of two contents, three lines of context; documents are compared as indented JSON."""
    return [
        line.rstrip("\n")
        for line in difflib.unified_diff(_lines(before), _lines(after), "from", "to", n=3)
    ]  # fmt: skip


def _lines(content: Any) -> list[str]:
    if content is None:
        return []
    if isinstance(content, str):
        return content.splitlines(keepends=True)
    text = msgspec.json.format(msgspec.json.encode(content, order="sorted"), indent=2).decode()
    return text.splitlines(keepends=True)
