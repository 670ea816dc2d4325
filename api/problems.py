"""The kinds of problems there are, for the page that ``type`` of a problem document points to."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import msgspec

from api import answers, errors
from metaqore.errors import MetaQoreError

_OTHERS = {
    "method_not_allowed": "The path exists, but not with this method; Allow says which ones.",
    "payload_too_large": "The body is larger than max_body_bytes: send less, or several requests.",
    "unsupported_media_type": "The body is not application/json, or it is compressed.",
    "precondition_required": "Changing this needs If-Match with the ETag that you have read.",
    "internal_error": "The server failed. Its log has the request_id.",
    "blocked": "PSMP blocked the request; blocking_report says what stands in the way and what to do about it.",
    "vetoed": "SecureGateway vetoed the request; decision has the reasons.",
    "cancelled": "The request was cancelled before it was decided.",
    "project_closed": "The project is completed or archived: it admits nothing more.",
    "illegal_transition": "The lifecycle does not allow this move; detail says which ones it does.",
    "already_resolved": "The conflict was resolved before.",
    "already_answered": "The approval was answered before, or is not needed any more.",
    "approval_expired": "Nobody answered the approval in time: escalate the conflict again.",
    "attempts_exhausted": "Every attempt to decide the request ended without an outcome.",
}


class Described(msgspec.Struct, frozen=True):
    """One kind of problem."""

    code: str
    status: int
    what: str


def described() -> list[Described]:
    """Return every kind of problem by its code."""
    statuses = {code: status for status, code in errors.CODES.items()} | dict(answers.STATUS_OF_FAILURE)
    statuses |= {"blocked": 409, "vetoed": 403, "cancelled": 409}
    found = {code: Described(code, int(statuses.get(code, 500)), what) for code, what in _OTHERS.items()}
    for kind in _all(MetaQoreError):
        what = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ")
        found.setdefault(kind.code, Described(kind.code, _status(kind), what))
    return sorted(found.values(), key=lambda problem: problem.code)


def _all(kind: type[MetaQoreError]) -> Iterator[type[MetaQoreError]]:
    for below in kind.__subclasses__():
        yield below
        yield from _all(below)


def _status(kind: type[MetaQoreError]) -> int:
    return next(errors.STATUS[parent] for parent in kind.__mro__ if parent in errors.STATUS)
