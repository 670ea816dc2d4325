from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import structlog
from flask import Flask, request

from api import logs
from api.door import CALLER
from api.labels import REQUEST_ID
from metaqore.adapters import logging
from metaqore.security.keys import Principal
from tests.log_settings import logging_as_before


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    with logging_as_before():
        yield


def test_every_line_of_the_api_says_which_request_of_whom_about_which_project(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app = Flask("t")
    logging.configure("info", "json", about=logs.about)
    # Threads that others left would keep a logger that writes here.
    structlog.configure(cache_logger_on_first_use=False)
    with app.test_request_context("/api/v1/tasks?project=prj_1"):
        request.environ[REQUEST_ID] = "r-1"
        request.environ[CALLER] = Principal(key_id="k", name="agent", organization="acme", scopes=frozenset())
        structlog.get_logger("t").warning("something", attempt=2)
    structlog.get_logger("t").warning("outside")

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    # A thread of an earlier test may still have something to say.
    inside, outside = (line for line in lines if line["event"] in ("something", "outside"))
    assert {name: inside[name] for name in ("event", "request_id", "organization", "project", "attempt")} == {
        "event": "something", "request_id": "r-1", "organization": "acme", "project": "prj_1", "attempt": 2,
    }  # fmt: skip
    assert "request_id" not in outside
