"""What a caller, and the log, hear of an exception that nobody expected."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import pytest

from api.door import EXTENSION
from api.labels import SECURITY_HEADERS
from metaqore.errors import MetaQoreError
from tests.in_process import InProcess
from tests.running import Answer

SECRET = "postgresql://metaqore:canary-4711@db.internal"


def fail_in_the_resource(mq: InProcess, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(type(mq.app.extensions[EXTENSION].views.psmp), "projects", broken)


def fail_at_the_door(mq: InProcess, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def broken(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(mq.app.extensions[EXTENSION].keys, "authenticate", broken)


def check(answer: Answer) -> None:
    """It is a problem document that says nothing but under which request id the log says more."""
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    document = answer.json
    assert (document["code"], document["status"], document["retryable"]) == ("internal_error", 500, False)
    assert (document["request_id"], answer.headers["X-Request-Id"]) == ("r-4711", "r-4711")
    assert document["detail"] == "The server failed; its log says why, under this request id."
    assert {name: answer.headers[name] for name, _ in SECURITY_HEADERS} == dict(SECURITY_HEADERS)
    for word in (b"canary", b"Traceback", b"RuntimeError", b".py", b"projects:read"):
        assert word not in answer.body + str(answer.headers).encode()


@pytest.mark.parametrize("fail", [fail_in_the_resource, fail_at_the_door])
@pytest.mark.parametrize("error", [RuntimeError(SECRET), KeyError(SECRET), MetaQoreError(SECRET)], ids=repr)
def test_an_unexpected_exception_is_a_problem_that_shows_nothing_and_is_logged_once(
    mq: InProcess, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fail: Any, error: Exception
) -> None:
    fail(mq, monkeypatch, error)
    caplog.clear()

    answer = mq.get("/projects", headers={"X-Request-Id": "r-4711"})

    check(answer)
    said = [record for record in caplog.records if SECRET in _whole(record)]
    assert len(said) == 1, [_whole(record) for record in said]
    assert "request_failed" in said[0].getMessage()
    assert "/api/v1/projects" in said[0].getMessage()


def _whole(record: logging.LogRecord) -> str:
    """Return a record with its traceback, as a handler would write it."""
    shown = "".join(traceback.format_exception(*record.exc_info)) if record.exc_info else ""
    return record.getMessage() + shown


def test_the_next_caller_is_answered_as_if_nothing_had_been(mq: InProcess) -> None:
    with pytest.MonkeyPatch.context() as patched:
        fail_in_the_resource(mq, patched, RuntimeError(SECRET))
        assert mq.get("/projects").status == 500

    assert mq.get("/projects").status == 200
