"""What the OpenAPI document promises, held against the running server: generated requests, real answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.running import Running, wait_until


@pytest.fixture(scope="module")
def things(mq: Running) -> dict[str, Any]:
    """One of each thing: path parameter → id."""
    project = mq.project("contract")
    body = {"project": project, "type": "code", "name": "a.py", "content": {"x": [1]}}
    created = mq.post("/artifacts", body, prefer="wait=20").json
    blocked = mq.post("/artifacts", body, prefer="wait=20").json
    endpoint = mq.post("/webhooks", {"url": "http://127.0.0.1:9/"}).json["id"]
    mq.post(f"/webhooks/{endpoint}/test")
    deliveries = wait_until(lambda: mq.get(f"/webhooks/{endpoint}/deliveries").json["items"], "a delivery")
    return {
        "project": project,
        "artifact": created["result"]["artifact"]["id"],
        "version": 1,
        "task": mq.post("/tasks", {"project": project, "title": "t"}).json["id"],
        "conflict": blocked["blocking_report"]["conflicts"][0]["id"],
        "proposal": blocked["blocking_report"]["proposal"],
        "approval": mq.post(
            f"/conflicts/{blocked['blocking_report']['conflicts'][0]['id']}/resolve",
            {"strategy": "escalate"},
            prefer="wait=20",
        ).json["result"]["approval"]["id"],
        "request_id": created["id"],
        "endpoint": endpoint,
        "delivery": deliveries[0]["id"],
        # Of these one that does not exist is enough: 404 is documented too.
        "checkpoint": "chk_none",
        "alias": "released",
        "report": "rpt_none",
        "intent": "intent_none",
        "decision": "dec_none",
        "seq": 1,
        "token": "tok_none",
        "erasure": "ers_none",
        "hold": "hold_none",
        "key_id": mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["audit:read"]}).json["id"],
    }


@pytest.fixture(scope="module")
def document(mq: Running) -> Any:
    """The OpenAPI document, of which the stream is left out: it does not end."""
    spec = copy.deepcopy(mq.get("/openapi.json").json)
    del spec["paths"]["/api/v1/events"]
    return schemathesis.openapi.from_dict(spec)


CHECKS = (not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance)


def try_out(mq: Running, operation: Any, things: dict[str, Any]) -> None:
    """Send generated requests for one operation, about things that exist, and hold each answer to the document."""

    @given(case=operation.as_strategy())
    @settings(max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
    def answers_hold(case: Case) -> None:
        for parameter in case.path_parameters or {}:
            case.path_parameters[parameter] = things[parameter]
        if isinstance(case.body, dict) and "project" in case.body:
            case.body["project"] = things["project"]
        if "project" in (case.query or {}):
            case.query["project"] = things["project"]
        headers = {"Authorization": f"Bearer {mq.key}", "Prefer": "wait=5"}
        case.call_and_validate(base_url=mq.url, headers=headers, checks=CHECKS)

    answers_hold()


def test_answers_are_as_they_are_documented(mq: Running, document: Any, things: dict[str, Any]) -> None:
    operations = [found.ok() for found in document.get_all_operations()]
    failures = {}
    for operation in operations:
        try:
            try_out(mq, operation, things)
        except (Exception, BaseExceptionGroup) as error:
            failures[operation.label] = f"{error}\n{getattr(error, 'exceptions', '')}"

    assert len(operations) >= 80
    assert not failures, "\n\n".join(f"{label}: {text[:1500]}" for label, text in failures.items())
