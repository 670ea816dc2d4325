"""What the OpenAPI document promises, held against the running server: generated requests, real answers.

The short form; ``python -m tests.fuzz`` is the long one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import Case

from tests.fuzz import CHECKS, Fuzz, aim, make_things, read_document
from tests.running import Running, running


def try_out(mq: Running, operation: Any, things: dict[str, Any]) -> None:
    """Send generated requests for one operation, about things that exist, and hold each answer to the document."""

    @given(case=operation.as_strategy())
    @settings(max_examples=12, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
    def answers_hold(case: Case[Any]) -> None:
        aim(case, things)
        headers = {"Authorization": f"Bearer {mq.key}", "Prefer": "wait=5"}
        case.call_and_validate(base_url=mq.url, headers=headers, checks=CHECKS)

    answers_hold()


def test_answers_are_as_they_are_documented(mq: Running) -> None:
    things = make_things(mq)
    operations = [found.ok() for found in read_document(mq).get_all_operations()]
    failures = {}
    for operation in operations:
        try:
            try_out(mq, operation, things)
        except (Exception, BaseExceptionGroup) as error:
            failures[operation.label] = f"{error}\n{getattr(error, 'exceptions', '')}"

    assert len(operations) >= 80
    assert not failures, "\n\n".join(f"{label}: {text[:1500]}" for label, text in failures.items())


@pytest.mark.skipif(not os.environ.get("METAQORE_TEST_LONG"), reason="the long form: set METAQORE_TEST_LONG=1")
def test_twenty_thousand_cases_are_answered_as_they_are_documented(tmp_path: Path) -> None:
    with running(tmp_path, webhook_allow_private=True, max_wait_s=20) as mq:
        fuzz = Fuzz(mq, 20_000, 1)
        fuzz.run()

    assert fuzz.sent >= 20_000
    assert not fuzz.failures


def test_every_post_documents_that_its_idempotency_key_may_belong_to_another_request(mq: Running) -> None:
    paths = mq.get("/openapi.json").json["paths"].values()
    posts = [operations["post"] for operations in paths if "post" in operations]

    assert len(posts) > 20
    assert [post["operationId"] for post in posts if "422" not in post["responses"]] == []
