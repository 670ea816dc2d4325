"""Reads ``config/compliance``: one file of evidence that all frameworks share, and one file for each framework.

``evidence.yaml``::

    version: 1
    evidence:
      keys_managed:
        says: API keys are made, rotated and revoked by recorded decisions
        find: {tag: "security:key:*"}      # or never: …, or each: … with then: …, or span: 183d
        at_least: 1                        # find only; also no_gap_over: 31d
      approvals_answered:
        says: Every approval that is asked for is answered
        each: {tag: security:approval:requested}
        then: {tag: [security:approval:granted, security:approval:refused]}
        by: subject                        # what both have in common
        within: 14d                        # s, m, h or d

``<framework>.yaml``::

    framework: soc2
    version: 1
    title: …
    edition: …
    source: …
    controls:
      Logical access:                      # a group
        CC6.1: {title: …, needs: [keys_managed], applies_when: [calls_recorded]}
        CC1.1: {title: …, outside: Ask the board}
        P1.1: {title: …, not_applicable: We process no personal data}

The language of queries is that of ``metaqore.audit.compliance_query``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from metaqore.audit.compliance_evidence import EACH, FIND, NEVER, SPAN, EvidenceQuery
from metaqore.audit.compliance_frameworks import Control, Framework
from metaqore.audit.compliance_query import TESTS, Condition, Query, is_field
from metaqore.audit.tags import Tag
from metaqore.errors import SettingsError
from metaqore.places import Place, read_places

EVIDENCE_FILE = "evidence.yaml"
_TAGS = [tag.value for tag in Tag]
_ID = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CONTROL = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .()/_-]{0,63}")
_DURATION = re.compile(r"(0|[1-9][0-9]{0,5})([smhd])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
#: What goes with each kind of evidence: (needed, may be left out).
_BESIDE: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    FIND: ((), ("at_least", "no_gap_over")),
    NEVER: ((), ()),
    EACH: (("then", "by", "within"), ()),
    SPAN: ((), ()),
}
_WAYS = ("needs", "outside", "not_applicable")


def load_frameworks(directory: Path) -> dict[str, Framework]:
    """Return the frameworks of a directory by their ids.

    Raises:
        SettingsError: a file cannot be read or used; says file, line, key, what stands there and what is allowed.
    """
    files = sorted(path for path in directory.glob("*.yaml") if path.name != EVIDENCE_FILE)
    stamps = tuple(_stamp(path) for path in [directory / EVIDENCE_FILE, *files])
    return _load(stamps)


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    return path, status.st_mtime_ns, status.st_size


@lru_cache(maxsize=4)
def _load(stamps: tuple[tuple[Path, int, int], ...]) -> dict[str, Framework]:
    (shared, *_), *others = stamps
    evidence_text, root = read_places(shared)
    evidence = _evidence(root)
    found: dict[str, Framework] = {}
    for path, *_ in others:
        text, place = read_places(path)
        framework = _framework(place, evidence, f"{evidence_text}\0{text}")
        if framework.id in found:
            raise place.refuse(f"framework {framework.id!r} is defined in another file too")
        found[framework.id] = framework
    return found


def _evidence(root: Place) -> dict[str, EvidenceQuery]:
    top = root.only(("version", "evidence"))
    _version(top["version"], 1)
    found = {}
    for name, place in top["evidence"].members().items():
        if not _ID.fullmatch(name):
            raise place.refuse("use lower case letters, digits and '_' for the name")
        found[name] = _one(name, place)
    return found


def _one(name: str, place: Place) -> EvidenceQuery:
    kinds = [kind for kind in _BESIDE if kind in place.members()]
    if len(kinds) != 1:
        raise place.refuse(f"exactly one of {', '.join(_BESIDE)} is needed")
    [kind] = kinds
    needed, optional = _BESIDE[kind]
    given = place.only(("says", kind, *needed), optional)
    return EvidenceQuery(
        id=name,
        says=given["says"].text(),
        kind=kind,
        query=Query(("*",)) if kind == SPAN else _query(given[kind]),
        then=_query(given["then"]) if "then" in given else None,
        key=_field(given["by"]) if "by" in given else "subject",
        at_least=given["at_least"].whole() if "at_least" in given else 1,
        gap_ms=_duration(given.get("no_gap_over")),
        within_ms=_duration(given.get("within")),
        span_ms=_duration(given[SPAN]) if kind == SPAN else 0,
    )


def _query(place: Place) -> Query:
    members = place.members()
    if "tag" not in members:
        raise place.refuse("'tag' is missing: say which entries are looked at")
    where: list[Condition] = []
    for name, below in members.items():
        if name not in ("tag", "but"):
            _field(below, name)
            where += _conditions(name, below)
    return Query(
        tuple(_tag(item) for item in members["tag"].one_or_more()),
        tuple(_tag(item) for item in members["but"].one_or_more()) if "but" in members else (),
        tuple(where),
    )


def _tag(place: Place) -> str:
    found = place.name()
    if found.endswith("*"):
        if not any(tag.startswith(found[:-1]) for tag in _TAGS):
            raise place.refuse(f"no tag begins with {found[:-1]!r}")
        return found
    return place.known(_TAGS, "tag of the audit log")


def _field(place: Place, name: str | None = None) -> str:
    found = place.name() if name is None else name
    if not is_field(found):
        raise place.refuse(
            f"{found!r} is no field: use tag, but, actor, project, request, outcome, subject, policy, commitment "
            "or details.<name>"
        )
    return found


def _conditions(name: str, place: Place) -> list[Condition]:
    if not place.is_mapping():
        return [Condition(name, "in", tuple(_scalar(item) for item in place.one_or_more()))]
    members = place.only((), TESTS)
    if not members:
        raise place.refuse(f"use one of {', '.join(TESTS)}")
    found = []
    for test, below in members.items():
        values = tuple(_scalar(item) for item in below.one_or_more())
        kind = {"present": bool, "at_least": int, "at_most": int}.get(test)
        if kind is not None and (len(values) != 1 or type(values[0]) is not kind):
            raise below.refuse("use true or false" if kind is bool else "a whole number is expected")
        found.append(Condition(name, test, values))
    return found


def _scalar(place: Place) -> Any:
    value = place.value()
    if type(value) not in (str, int, bool):
        raise place.refuse(f"{value!r}: use a text (quoted), a whole number, true or false")
    return value


def _duration(place: Place | None) -> int:
    if place is None:
        return 0
    match = _DURATION.fullmatch(place.name())
    if match is None:
        raise place.refuse(f"{place.name()!r}: a number and s, m, h or d is expected, e.g. 31d")
    return int(match[1]) * _UNIT_MS[match[2]]


def _framework(root: Place, evidence: Mapping[str, EvidenceQuery], text: str) -> Framework:
    top = root.only(("framework", "version", "title", "edition", "source", "controls"))
    name = top["framework"].name()
    if not _ID.fullmatch(name):
        raise top["framework"].refuse("use lower case letters, digits and '_'")
    controls: dict[str, Control] = {}
    for group, members in top["controls"].members().items():
        for control, place in members.members().items():
            if control in controls:
                raise place.refuse("is given twice")
            controls[control] = _control(control, group, place, evidence)
    used = {needed for c in controls.values() for needed in (*c.needs, *c.applies_when)}
    return Framework(
        id=name, title=top["title"].text(), edition=top["edition"].text(), source=top["source"].text(),
        version=_version(top["version"]), digest=f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
        controls=tuple(controls.values()), evidence={key: one for key, one in evidence.items() if key in used},
    )  # fmt: skip


def _control(name: str, group: str, place: Place, evidence: Mapping[str, EvidenceQuery]) -> Control:
    if not _CONTROL.fullmatch(name):
        raise place.refuse("use letters, digits, spaces and . ( ) / _ - for the name")
    given = place.only(("title",), (*_WAYS, "applies_when"))
    ways = [way for way in _WAYS if way in given]
    if len(ways) != 1:
        raise place.refuse(f"exactly one of {', '.join(_WAYS)} is needed")
    needs, applies = _names(given.get("needs"), evidence), _names(given.get("applies_when"), evidence)
    if needs and all(evidence[one].kind == NEVER for one in needs):
        raise given["needs"].refuse("the absence of entries is no evidence: name a find, each or span as well")
    if applies and not needs:
        raise given["applies_when"].refuse("goes with needs only")
    return Control(
        id=name, group=group, title=given["title"].text(), needs=needs, applies_when=applies,
        outside=given["outside"].text() if "outside" in given else "",
        not_applicable=given["not_applicable"].text() if "not_applicable" in given else "",
    )  # fmt: skip


def _names(place: Place | None, evidence: Mapping[str, EvidenceQuery]) -> tuple[str, ...]:
    if place is None:
        return ()
    return tuple(item.known(evidence, f"evidence of {EVIDENCE_FILE}") for item in place.one_or_more())


def _version(place: Place, only: int | None = None) -> int:
    found = place.whole()
    if only is not None and found != only:
        raise place.refuse(f"use {only}")
    return found
