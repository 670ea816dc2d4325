"""Reads from stored rows what a version, or a model call, says that it was made from. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from metaqore.psmp import declared_calls

_ARTIFACT = re.compile(r"\bart_[0-9A-Za-z-]{20,40}\b")
#: How many of the calls that an author names are looked up; only what exists in the same organization is shown.
_MAX_NAMED = 32
#: Role of an input → what kind of derivation that is; a dependency or a reading is none (PROV-DM §5.2).
DERIVED: Mapping[str, str] = {"base": "prov:Revision", "merged": "mq:Merge", "restored": "mq:Restoration"}
_ANSWERERS = (("resolver", "resolved_by"), ("approver", "approved_by"))


def decoded(text: str) -> dict[str, Any]:
    """Return a stored JSON object; empty where it is none."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def inputs_of(
    row: Mapping[str, Any], body: Mapping[str, Any]
) -> Iterator[tuple[str, str | tuple[str, str], int | None]]:
    """Yield (role, artifact, version) of what a version was made from.

    An artifact is named by its id, or by type and name in the same project; version None: as it stood then.
    """
    me = row["artifact"]
    made = _mapping(body.get("provenance"))
    if row["base_version"]:
        yield "base", me, int(row["base_version"])
    for parent in _sequence(made.get("parents")):
        if isinstance(parent, Mapping):
            number = parent.get("version") or parent.get("base_version")
            if type(number) is int:
                yield "merged", me, number
    restored = _mapping(made.get("restored")).get("version")
    if type(restored) is int:
        yield "restored", me, restored
    for read in _sequence(body.get("read_set")):
        if isinstance(read, Mapping) and type(read.get("version")) is int:
            yield "read", read.get("artifact") or (str(read.get("type")), str(read.get("name"))), read["version"]
    for artifact in _sequence(json.loads(row["edges"]) if row["edges"] else ()):
        yield "dependency", str(artifact), None


def answerers(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (role, principal) of who resolved or approved what blocked a version."""
    made = _mapping(body.get("provenance"))
    for role, name in _ANSWERERS:
        if isinstance(made.get(name), str):
            yield role, made[name]
    declassified = _mapping(made.get("declassified")).get("by")
    if isinstance(declassified, str):
        yield "declassifier", declassified


def calls_named(body: Mapping[str, Any]) -> list[str]:
    """Return the model calls, and their requests, that the author names anywhere under ``provenance``."""
    return list(islice(declared_calls.calls_named(_mapping(body.get("provenance")).get("declared")), _MAX_NAMED))


def prompted_by(command: str) -> list[str]:
    """Return the artifacts that a prompt was made from: those it declares and those it names."""
    return list(dict.fromkeys(_ARTIFACT.findall(command)))[:_MAX_NAMED]


def policy_of(entries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the digest of the policy that a request was decided by, as its audit entries have it."""
    for entry in entries:
        digest = _mapping(decoded(bytes(entry["body"]).decode()).get("about")).get("policy")
        if isinstance(digest, str) and not str(entry["tag"]).startswith("security:decision:"):
            return digest
    return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
