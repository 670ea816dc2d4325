"""Remedies, put into answers at the moment at which they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from api.door import caller, door
from api.moments import place_of
from metaqore.errors import MetaQoreError
from metaqore.psmp.standing import told

log = structlog.get_logger(__name__)

#: What a report says beyond the conflicts that were found when it was blocked.
_ADDED = ("summary", "minimal_core", "core_is_minimal", "remedies", "complete")
_NOT_NOW: Mapping[str, Any] = {
    "summary": "Read /api/v1/proposals/{proposal} for the ways out of this.", "minimal_core": [],
    "core_is_minimal": False, "remedies": [], "complete": False,
}  # fmt: skip
_UNRESOLVED = ("open", "escalated")
_AS_IT_WAS = "This is how it was; read the report without as_of for the ways out of it now."


def with_remedies(blocked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the blocked proposals of a page with what to do about each; those there was no time for say so."""
    found = door().engine.reports.of(caller().organization, [item["proposal"] for item in blocked])
    return [_joined(item, found.get(item["proposal"])) for item in blocked]


def without_remedies(blocked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the proposals that were blocked at an earlier moment; what could have been done then is not tried now."""
    return [{**item, **_NOT_NOW, "summary": _AS_IT_WAS} for item in blocked]


def proposal(identifier: str, as_of: str | None) -> dict[str, Any] | None:
    """Return a proposal as it is now, with its report, or as it was, with the conflicts that stood then.

    None where there is none, or was none yet.

    Raises:
        InvalidInput: its project has no such moment.
    """
    who, reports = caller().organization, door().engine.reports
    if as_of is None:
        return reports.proposal(who, identifier)
    found = reports.kept(who, identifier)
    if found is None:
        return None
    at = place_of(found["project"], as_of, "as_of").position
    then = door().views.time.at(at).proposal(who, identifier)
    if then is None:
        return None
    approval = door().views.approvals.open_for(who, identifier, at)
    report = None
    if then["state"] == "blocked" and then["report"] is not None:
        left = {conflict["id"] for conflict in then["conflicts"]}
        conflicts = [conflict for conflict in then["report"]["conflicts"] if conflict["id"] in left]
        report = {**then["report"], **_NOT_NOW, "summary": _AS_IT_WAS, "conflicts": conflicts}
    return {**found, "state": then["state"], "approval": approval, "blocking_report": report}


def present(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the report of a blocked request as it is now; as it was where it is not blocked any more."""
    proposal = report.get("proposal")
    if proposal is None:
        return report
    try:
        return door().engine.reports.of(caller().organization, [proposal]).get(proposal, report)
    except MetaQoreError as error:
        # The verdict stands, whatever keeps us from saying more about it.
        log.warning("no_remedies", proposal=proposal, exc_info=error)
        return report


def _joined(item: Mapping[str, Any], report: Mapping[str, Any] | None) -> dict[str, Any]:
    if report is None:
        summary = str(_NOT_NOW["summary"]).format(proposal=item["proposal"])
        return {**item, **_NOT_NOW, "summary": summary}
    conflicts = [{**conflict, **told(conflict, report["obsolete"])} for conflict in item["conflicts"]]
    return {**item, **{name: report[name] for name in _ADDED}, "conflicts": conflicts}


def with_standing(conflicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return conflicts with whether each that is unresolved applies at this moment; null where nobody could look."""
    asked = [each["proposal"] for each in conflicts if each["state"] in _UNRESOLVED and each["proposal"] is not None]
    found = door().engine.reports.obsolete(caller().organization, asked) if asked else {}
    return [
        {**each, **told(each, found.get(each["proposal"]) if each["state"] in _UNRESOLVED else None)}
        for each in conflicts
    ]
