from __future__ import annotations

from typing import Any

import pytest

from tests.running import Running

MEMBERS = {"type", "title", "status", "detail", "instance", "code", "retryable", "errors", "request_id"}


def check(answer: Any, status: int, code: str) -> Any:
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert set(answer.json) >= MEMBERS
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    return answer.json


@pytest.mark.parametrize(
    ("body", "says", "pointer"),
    [
        (b"", "is empty", ""),
        (b"{", "not JSON", ""),
        (b"\xff", "not JSON", ""),
        (b'{"name": "\xff"}', "not UTF-8", ""),
        (b'{"name": "a", "name": "b"}', "'name' appears twice", "/name"),
        (b'{"metadata": {"a": 1, "\\u0061": 2}}', "'a' appears twice", "/metadata/a"),
        (b'{"name": NaN}', "not JSON", ""),
        (b'{"name": Infinity}', "not JSON", ""),
        (b'{"metadata": {"x": 1e999}}', "not JSON", ""),
        (b'{"metadata": {"x": 9007199254740993}}', "beyond 2^53-1", ""),
        (b'{"name": "\\ud800"}', "not JSON", ""),
        (b'{"name": "a\\u0000b"}', "U+0000", "/name"),
        (b"[" * 40 + b"]" * 40, "deeper than 32", ""),
        (b"[" * 9000 + b"]" * 9000, "deeper than 32", ""),
        (b"[" + b"1," * 200_000 + b"1]", "0000 values", ""),
        (b"1" * 5000, "not JSON", ""),
    ],
)
def test_a_body_that_could_be_read_in_two_ways_is_refused(mq: Running, body: bytes, says: str, pointer: str) -> None:
    for path in ("/projects", "/artifacts", "/artifacts/batch", "/llm/generate"):
        problem = check(mq.post(path, body), 400, "malformed")
        assert says in problem["detail"], path
        assert problem["errors"][0]["pointer"] == pointer, path


def test_unknown_fields_are_refused_with_their_place(mq: Running, project: str) -> None:
    for path, body, pointer in (
        ("/projects", {"name": "n", "colour": 1}, "/colour"),
        ("/artifacts", {"project": project, "type": "code", "name": "n", "content": 1, "colour": 1}, "/colour"),
        (
            "/artifacts",
            {
                "project": project,
                "type": "code",
                "name": "n",
                "content": 1,
                "depends_on": [{"artifact": "a", "x~/": 1}],
            },
            "/depends_on/0/x~0~1",
        ),
        ("/llm/generate", {"prompt": "p", "colour": 1}, "/colour"),
    ):
        problem = check(mq.post(path, body), 422, "invalid_input")
        assert [place["pointer"] for place in problem["errors"]] == [pointer]


def test_everything_that_is_wrong_is_said_at_once(mq: Running) -> None:
    problem = check(mq.post("/artifacts", {"type": "CODE", "name": " ", "base_version": -1}), 422, "invalid_input")

    pointers = {place["pointer"] for place in problem["errors"]}
    assert pointers == {"/project", "/type", "/name", "/content", "/base_version"}


def test_unknown_query_parameters_are_refused(mq: Running) -> None:
    problem = check(mq.get("/projects?colour=1"), 422, "invalid_input")

    assert problem["errors"][0]["pointer"] == "/colour"


def test_a_page_token_that_was_not_given_here_is_refused(mq: Running) -> None:
    for token in ("nonsense", "bm8", "MQ"):
        problem = check(mq.get(f"/projects?page_token={token}"), 422, "invalid_input")
        assert problem["errors"][0]["pointer"] == "/page_token"


def test_a_wrong_method_says_which_are_right(mq: Running) -> None:
    answer = mq.call("PUT", "/projects", {})

    check(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


def test_a_body_that_is_too_large_is_refused(mq: Running) -> None:
    check(mq.post("/projects", {"name": "n", "description": "x" * 1_100_000}), 413, "payload_too_large")


def test_a_chunked_body_that_is_too_large_is_refused(mq: Running) -> None:
    headers = {"Authorization": f"Bearer {mq.key}", "Content-Type": "application/json"}
    chunks = (b"x" * 65_536 for _ in range(32))
    answer = mq.pool.request("POST", mq.url + "/api/v1/projects", body=chunks, headers=headers)

    assert answer.status == 413


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "application/x-www-form-urlencoded", ""])
def test_what_is_not_json_is_refused(mq: Running, kind: str) -> None:
    check(mq.post("/projects", b'{"name": "n"}', headers={"Content-Type": kind}), 415, "unsupported_media_type")


def test_a_compressed_body_is_refused(mq: Running) -> None:
    answer = mq.post("/projects", b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    check(answer, 415, "unsupported_media_type")


def test_changing_needs_the_version_that_was_read(mq: Running, project: str) -> None:
    path = f"/projects/{project}"
    check(mq.call("PATCH", path, {"name": "n"}), 428, "precondition_required")
    check(mq.call("PATCH", path, {"name": "n"}, headers={"If-Match": '"7"'}), 412, "precondition_failed")
    check(mq.call("PATCH", path, {"name": "n"}, headers={"If-Match": "abc"}), 412, "precondition_failed")
    assert mq.call("PATCH", path, {"name": "n"}, headers={"If-Match": '"1"'}).json["version"] == 2


def test_every_answer_carries_the_security_headers_and_the_request_id(mq: Running) -> None:
    for path, key in (("//healthz", ""), ("/projects", mq.key), ("/projects", ""), ("//nowhere", mq.key)):
        answer = mq.get(path, key=key, headers={"X-Request-Id": "trace-1234"})
        assert answer.headers["X-Request-Id"] == "trace-1234"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_request_id_that_could_forge_a_log_line_is_replaced(mq: Running) -> None:
    answer = mq.get("//healthz", headers={"X-Request-Id": "x" * 200})

    assert len(answer.headers["X-Request-Id"]) < 64


def test_the_type_of_a_problem_is_described(mq: Running, project: str) -> None:
    page = mq.get("//docs/problems", key="").body.decode()

    for code in ("blocked", "vetoed", "not_found", "malformed", "rate_limited", "internal_error"):
        assert f'id="{code}"' in page
