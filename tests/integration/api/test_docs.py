from __future__ import annotations

import re

from tests.running import Running


def test_the_document_is_openapi_and_says_who_may(mq: Running) -> None:
    spec = mq.get("/openapi.json", key="").json

    assert spec["openapi"].startswith("3.1")
    assert spec["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"
    operations = [o for methods in spec["paths"].values() for m, o in methods.items() if m != "parameters"]
    assert len({o["operationId"] for o in operations}) == len(operations)
    for operation in operations:
        assert operation["security"][0]["apiKey"], operation["operationId"]
        assert operation["summary"], operation["operationId"]
        problem = operation["responses"]["default"]
        assert "DEFAULT_ERROR" in str(problem), operation["operationId"]
    default = spec["components"]["responses"]["DEFAULT_ERROR"]["content"]
    assert list(default) == ["application/problem+json"]


def test_the_patterns_of_the_document_are_anchored_and_of_the_dialect_that_it_is_read_in(mq: Running) -> None:
    found = re.findall(r'"pattern":"((?:[^"\\\\]|\\\\.)*)"', mq.get("/openapi.json", key="").body.decode())

    assert found
    for pattern in found:
        assert pattern.startswith("^"), pattern
        assert not re.search(r"\\[AZz]|\(\?[Pi]", pattern), pattern


def test_swagger_ui_loads_nothing_from_elsewhere(mq: Running) -> None:
    page = mq.get("//docs", key="")

    text = page.body.decode()
    assert page.status == 200
    assert not re.search(r"(?:src|href)=.?https?:", text)
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    for path in re.findall(r'(?:src|href)="([^"]+)"', text):
        answer = mq.get("/" + path, key="")
        assert answer.status == 200, path
        assert answer.body, path


def test_no_file_outside_of_the_package_is_served(mq: Running) -> None:
    for path in ("//docs/assets/../../app.py", "//docs/assets/%2e%2e/core.py", "//docs/assets//etc/passwd"):
        assert mq.get(path, key="").status in (401, 404)
