"""What a submitter hears: a promise, a verdict, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from flask import Response

from api import errors, reports
from api.preconditions import tag
from metaqore.messages import State, Verdict
from metaqore.requests.model import Ran
from metaqore.store.views.requests import Shown

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

JSON = "application/json"
#: Seconds after which it is worth asking for a verdict.
RETRY_AFTER_S = "1"

#: How the door names the failures that a handler can report; others are 422 (failed) or 500 (dead).
STATUS_OF_FAILURE: Mapping[str, int] = {
    "not_found": 404,
    "forbidden": 403,
    "already_resolved": 409,
    "already_answered": 409,
    "approval_expired": 409,
    "precondition_failed": 412,
    "project_closed": 409,
    "artifact_deleted": 409,
    "too_many_aliases": 409,
    "too_many_dependants": 409,
    "internal_error": 500,
    "attempts_exhausted": 500,
    "contention": 503,
    "provider_unavailable": 503,
}

#: A result, or a part of one.
Report = Mapping[str, Any]

_encode = msgspec.json.Encoder().encode


class Decided(msgspec.Struct):
    """What the door reads of a finished document; the rest is passed on as it is."""

    id: str
    state: State
    verdict: Verdict | None
    result: dict[str, Any] | None
    error: dict[str, Any] | None


_decode = msgspec.json.Decoder(Decided).decode


class Whole(Response):
    """A finished answer: its headers are right as they are and need no second look."""

    def __init__(self, data: bytes, status: int = 200, content_type: str = JSON) -> None:
        super().__init__([data], status)
        self.headers["Content-Type"] = content_type
        self.headers["Content-Length"] = str(len(data))
        self._data = data

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        start_response(self.status, self.headers.to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self._data]


def promise(request: str) -> dict[str, Any]:
    """Return the body of a 202."""
    here = f"/api/v1/requests/{request}"
    return {"id": request, "state": "accepted", "links": {"self": here, "cancel": here + "/cancel"}}


def accepted(request: str) -> Response:
    """Answer 202: it is stored and will be decided."""
    answer = Whole(_encode(promise(request)), 202)
    answer.headers["Location"] = f"/api/v1/requests/{request}"
    answer.headers["Retry-After"] = RETRY_AFTER_S
    return answer


def decided(document: bytes) -> Response:
    """Answer with a finished request: 200 or 201 approved, 409 blocked, 403 vetoed, else the failure.

    A blocked one is told what to do as things are now: the remedies are tried while the caller waits.
    """
    found = _decode(document)
    here = f"/api/v1/requests/{found.id}"
    if found.state is State.SUCCEEDED and found.verdict in (Verdict.APPROVED, None):
        status = 201 if (found.result or {}).get("created") else 200
        answer = Whole(document, status)
        answer.headers["Location"] = here
        return answer
    return errors.respond(as_problem(found, reports.present), {"Location": here})


def as_problem(found: Decided, present: Callable[[Report], Report] = dict) -> dict[str, Any]:
    """Return the problem document of a finished request that was not approved.

    Args:
        present: returns a blocking report as it is by now.
    """
    result = found.result or {}
    if found.verdict is Verdict.BLOCKED:
        return _blocked(found.id, result, present)
    if found.verdict is Verdict.VETOED:
        decision = result.get("decision", {})
        return errors.document(403, "vetoed", _why_vetoed(decision), request=found.id, decision=decision)
    if found.state is State.CANCELLED:
        return errors.document(409, "cancelled", "this request was cancelled before it was decided", request=found.id)
    failure = found.error or {"code": "internal_error", "message": "no outcome was recorded"}
    fallback = HTTPStatus.INTERNAL_SERVER_ERROR if found.state is State.DEAD else HTTPStatus.UNPROCESSABLE_ENTITY
    status = STATUS_OF_FAILURE.get(failure["code"], fallback)
    return errors.document(int(status), failure["code"], failure["message"], request=found.id, state=found.state.value)


def _blocked(request: str, result: Report, present: Callable[[Report], Report]) -> dict[str, Any]:
    if "blocking_report" not in result:
        # Blocked by something else than conflicts, e.g. the gate of a specialist: its result says why.
        reasons = result.get("reasons") or result.get("gate", {}).get("reasons", ())
        why = "; ".join(map(str, reasons)) or "see result"
        return errors.document(409, "blocked", why, request=request, result=result)
    report = present(result["blocking_report"])
    return errors.document(409, "blocked", _why_blocked(report), request=request, blocking_report=report)


def _why_blocked(report: Report) -> str:
    if report.get("summary"):
        return str(report["summary"])
    conflicts: Sequence[Mapping[str, Any]] = report.get("conflicts", ())
    if not conflicts:
        return "the lifecycle does not allow this move" if "illegal_transition" in report else "blocked"
    more = f" (and {len(conflicts) - 1} more)" if len(conflicts) > 1 else ""
    return f"{conflicts[0]['message']}{more}"


def _why_vetoed(decision: Mapping[str, Any]) -> str:
    return "; ".join(map(str, decision.get("reasons", ()))) or "SecureGateway refused this"


def item(index: int, request: str, document: bytes | None) -> dict[str, Any]:
    """Return one item of a batch: its promise, or its outcome."""
    if document is None:
        return {"index": index, "status": 202, **promise(request)}
    found = _decode(document)
    if found.state is State.SUCCEEDED and found.verdict in (Verdict.APPROVED, None):
        status = 201 if (found.result or {}).get("created") else 200
        return {"index": index, "status": status, "id": request, "request": msgspec.Raw(document)}
    problem = as_problem(found)
    return {"index": index, "status": problem["status"], "id": request, "problem": problem}


def body(value: Any, status: Literal[200, 201, 202] = 200) -> Response:
    """Answer with a JSON value."""
    return Whole(_encode(value), status)


def raw(shown: Shown) -> msgspec.Raw:
    """Return a request's document to be embedded as it was encoded."""
    return msgspec.Raw(shown.document)


def labels(ran: Ran) -> dict[str, str]:
    """Return the headers of a thing that was just saved: its ETag, and whether this is a replay."""
    found = {"ETag": tag(ran.result["version"])}
    return {**found, "Idempotency-Replayed": "true"} if ran.replayed else found
