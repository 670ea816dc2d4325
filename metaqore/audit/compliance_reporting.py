"""Performs ``compliance.report``: reads the log, makes the document, and has it recorded as an artifact.

The artifact holds what the report says and the digest of the document; the document with its proofs is stored beside it
and so is always what that digest, and the log's entry about the report, were made of.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.audit.compliance_document import Order, ReportLog, make_document
from metaqore.audit.compliance_frameworks import Framework
from metaqore.audit.tags import Tag
from metaqore.clock import from_rfc3339
from metaqore.errors import InvalidInput, Unavailable
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Prepared, Request, Submission, Verdict, Write, failed

ARTIFACT_TYPE = "compliance_report"
#: Who declares the artifacts, and whom the project belongs to.
MAKER = "metaqore"
PROJECT_NAME = "Reports on controls"
_PROJECT_ABOUT = "What the audit log supports evidence for: one artifact for each report. MetaQore keeps this project."
_DAY_MS = 86_400_000
DEFAULT_DAYS, MAX_DAYS = 90, 3_660


class SaveReport(Write, frozen=True):
    """Effect: a report is kept. ``summary`` and ``document`` are JSON; times are milliseconds."""

    id: str
    organization: str
    framework: str
    period_start: int
    period_end: int
    created_by: str
    request_id: str
    created_at: int
    entries: int
    summary: str
    digest: str
    document: str


class Asked(msgspec.Struct, frozen=True):
    """A checked payload; times in milliseconds."""

    framework: Framework
    start_ms: int
    end_ms: int


class ReportReads(Protocol):
    """Look-ups inside the claiming transaction."""

    def has_project(self, organization: str, project: str) -> bool:
        """Tell whether there is such a project."""


class Reporting:
    """Long work: one pass over the log for each report.

    Args:
        frameworks: the frameworks as they are now, by id.
    """

    def __init__(
        self, log: ReportLog, frameworks: Callable[[], Mapping[str, Framework]], clock: Callable[[], int]
    ) -> None:
        self._log = log
        self._frameworks = frameworks
        self._clock = clock

    def study(self, request: Request) -> Asked:
        """Check a payload ``{"framework", "from", "to"}``; the times (RFC 3339) may be left out.

        Raises:
            InvalidInput: says which member, its value and what is allowed.
        """
        payload = request.payload
        unknown = sorted(set(payload) - {"framework", "from", "to"})
        if unknown:
            raise InvalidInput(f"{unknown[0]}: unknown here, use framework, from and to")
        name, frameworks = str(payload.get("framework")), self._frameworks()
        if name not in frameworks:
            raise InvalidInput(f"framework {name!r}: one of {', '.join(sorted(frameworks))}")
        end = _moment("to", payload.get("to"), request.created_at)
        start = _moment("from", payload.get("from"), end - DEFAULT_DAYS * _DAY_MS)
        if not 0 <= start < end or end - start > MAX_DAYS * _DAY_MS:
            raise InvalidInput(f"from and to: a period of at most {MAX_DAYS} days is needed, the later time last")
        return Asked(frameworks[name], start, end)

    def prepare(self, batch: Sequence[Request], reads: ReportReads, now: int) -> list[Outcome | Prepared]:
        """Look whether the project of the reports is there."""
        return [Prepared(work=reads.has_project(r.organization, project_of(r.organization))) for r in batch]

    def perform(self, batch: Sequence[tuple[Request, bool]]) -> list[Outcome]:
        """Make each report."""
        return [self._report(request, has_project) for request, has_project in batch]

    def _report(self, request: Request, has_project: bool) -> Outcome:
        asked: Asked = request.studied
        order = Order(
            report=new_id("rpt"), organization=request.organization, framework=asked.framework,
            start_ms=asked.start_ms, end_ms=asked.end_ms, by=request.principal, request=request.id, at=self._clock(),
        )  # fmt: skip
        try:
            document = make_document(self._log, order)
        except Unavailable as error:
            return failed("not_sealed", error.message, retryable=True)
        text = msgspec.json.encode(document)
        digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
        summary, entries = document["summary"], document["log"]["entries"]
        write = SaveReport(
            id=order.report, organization=order.organization, framework=asked.framework.id,
            period_start=order.start_ms, period_end=order.end_ms, created_by=order.by, request_id=order.request,
            created_at=order.at, entries=entries, summary=msgspec.json.encode(summary).decode(), digest=digest,
            document=text.decode(),
        )  # fmt: skip
        details = {"framework": asked.framework.id, "digest": digest, "through": entries, **summary}
        return Outcome(
            verdict=Verdict.APPROVED,
            result={"report": order.report, "framework": asked.framework.id, "period": document["period"],
                    "summary": summary, "entries": entries, "digest": digest,
                    "project": project_of(order.organization)},
            writes=[write],
            audit=[AuditNote(tag=Tag.REPORT_MADE, subject=order.report, outcome="made", details=details)],
            events=[EventNote("compliance.report_made", order.report, {"framework": asked.framework.id, **summary})],
            follow_ups=_follow_ups(order, document, digest, has_project=has_project),
        )  # fmt: skip


def _follow_ups(order: Order, document: Mapping[str, Any], digest: str, *, has_project: bool) -> list[Submission]:
    """Return what makes an artifact of a report: the project, where there is none, and the declaration."""
    project = project_of(order.organization)
    about = {"name": PROJECT_NAME, "description": _PROJECT_ABOUT}
    controls = [{key: c[key] for key in ("id", "title", "state", "why", "cites")} for c in document["controls"]]
    content = {
        **{key: document[key] for key in ("format", "report", "statement", "framework", "period", "made", "summary")},
        "log": document["log"], "digest": digest, "controls": controls,
    }  # fmt: skip
    days = f"{document['period']['from'][:10]}..{document['period']['to'][:10]}"
    declaration = {
        "type": ARTIFACT_TYPE, "name": f"{order.framework.id} {days} {order.report}", "content": content,
        "label": "INTERNAL",
    }  # fmt: skip
    wanted: list[tuple[str, Mapping[str, Any]]] = [] if has_project else [("project.provide", about)]
    return [
        Submission(organization=order.organization, project=project, principal=MAKER, kind=kind, payload=payload)
        for kind, payload in [*wanted, ("artifact.register", declaration)]
    ]


def project_of(organization: str) -> str:
    """Return the id of the project that holds an organization's reports: always the same, so that it is made once."""
    return f"prj_{hashlib.sha256(f'metaqore reports {organization}'.encode()).hexdigest()[:32]}"


def _moment(name: str, value: Any, otherwise: int) -> int:
    if value is None:
        return otherwise
    try:
        return from_rfc3339(str(value))
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{name}: {value!r} is no RFC 3339 time with offset, as 2026-01-02T00:00:00Z") from error
