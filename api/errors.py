"""Every error as a problem document (RFC 9457), and the one map from MetaQore's errors to HTTP statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import flask_smorest
import msgspec
import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, InternalServerError

from api.labels import REQUEST_ID
from api.patterns import portable
from api.schemas.problem import ProblemSchema
from metaqore import errors

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"

#: The first class of an error's ancestry that is named here decides.
STATUS: Mapping[type[errors.MetaQoreError], int] = {
    errors.Malformed: 400,
    errors.InvalidInput: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.RateLimited: 429,
    errors.Unavailable: 503,
    errors.Retryable: 503,
    errors.MetaQoreError: 500,
}

#: What a status is called where no MetaQore error stands behind it.
CODES: Mapping[int, str] = {
    400: "malformed",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    415: "unsupported_media_type",
    428: "precondition_required",
    500: "internal_error",
}

#: Statuses after which the same request may succeed, and after how many seconds it is worth a try.
RETRY_AFTER_S: Mapping[int, int] = {429: 1, 503: 2}

_FAILED = "The server failed; its log says why, under this request id."

_encode = msgspec.json.Encoder().encode


def document(
    status: int,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, Any]] = (),
    **members: Any,
) -> dict[str, Any]:
    """Return the problem document of one error; ``members`` are extension members."""
    return {
        "type": f"/docs/problems#{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": detail,
        "instance": request.path,
        "code": code,
        "retryable": status in RETRY_AFTER_S,
        "errors": list(errors),
        "request_id": request.environ.get(REQUEST_ID),
        **members,
    }


def respond(problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem document as a response, with ``Retry-After`` where repeating makes sense."""
    status = problem["status"]
    response = Response(_encode(problem), status, content_type=CONTENT_TYPE)
    if status in RETRY_AFTER_S:
        response.headers["Retry-After"] = str(RETRY_AFTER_S[status])
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="MetaQore"'
    response.headers.update(headers or {})
    return response


def status_of(error: errors.MetaQoreError) -> int:
    """Return the HTTP status of an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def as_document(error: errors.MetaQoreError) -> dict[str, Any]:
    """Return the problem document of a MetaQore error."""
    members = {name: value for name, value in error.details.items() if name not in ("errors", "retry_after_s")}
    status = status_of(error)
    message = error.message
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        # What a driver says may name files, hosts and statements: that is for the log.
        _log(error)
        message = (type(error).__doc__ or "").strip() if status != HTTPStatus.INTERNAL_SERVER_ERROR else _FAILED
    return document(status, error.code, message, errors=error.details.get("errors", ()), **members)


def _log(error: BaseException) -> None:
    log.error("request_failed", exc_info=error, path=request.path)


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest with problem documents instead of its own errors."""

    ERROR_SCHEMA = ProblemSchema

    def _register_responses(self) -> None:
        # The one place where flask-smorest documents errors, as of 0.47: always with the type of other answers.
        self.DEFAULT_RESPONSE_CONTENT_TYPE = CONTENT_TYPE
        super()._register_responses()
        del self.DEFAULT_RESPONSE_CONTENT_TYPE

    def _openapi_json(self) -> Response:
        """Serve the document; anybody may ask, so it is made once."""
        if self._encoded is None:
            self._encoded = _encode(portable(self.spec.to_dict()))
        return Response(self._encoded, content_type="application/json")

    _encoded: bytes | None = None

    def handle_http_exception(self, error: HTTPException) -> Response:
        """Answer what Flask, werkzeug and flask-smorest raise."""
        if isinstance(error, InternalServerError):
            original = error.original_exception
            _log(original or error)
            return respond(document(500, "internal_error", _FAILED))
        status = error.code or 500
        code = CODES.get(status, HTTPStatus(status).name.lower())
        allow = dict(error.get_headers()).get("Allow")
        detail = error.description or HTTPStatus(status).phrase
        return respond(document(status, code, detail), {"Allow": allow} if allow else None)


def register(app: Flask) -> None:
    """Answer MetaQore's own errors."""

    def handle(error: errors.MetaQoreError) -> Response:
        problem = as_document(error)
        seconds = error.details.get("retry_after_s")
        return respond(problem, {"Retry-After": str(seconds)} if seconds is not None else None)

    app.register_error_handler(errors.MetaQoreError, handle)
