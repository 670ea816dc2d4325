"""What remedies are made from: the world as a blocked declaration meets it, and the edits that may help. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.psmp.edits import Edit, Payload


class Fix(msgspec.Struct, frozen=True):
    """One edit. ``kind`` is a stable name; ``what`` says in words what it does."""

    kind: str
    what: str
    edit: Edit
    #: The cause that it is for.
    pointer: str = "/base_version"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """What a fix can look at."""

    payload: Payload
    #: The present version; 0 where there is none.
    head: int
    head_content: Any
    moved_by: Sequence[str]
    #: What the present version keeps beside its content.
    head_body: Mapping[str, Any]
    #: The same of the version that the declaration started from; None where that is not an older one.
    base_content: Any
    base_body: Mapping[str, Any]
    #: Names of artifacts near a name, by (type, name).
    near: Callable[[str, str], Sequence[str]]

    def head_of(self, payload: Payload) -> int:
        """Return the head that a declaration is to be made on: under another name there is none."""
        return self.head if payload["name"] == self.payload["name"] else 0

    @property
    def base(self) -> int:
        """The version that the declaration started from."""
        return int(self.payload.get("base_version") or 0)
