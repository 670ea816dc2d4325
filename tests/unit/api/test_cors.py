from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from werkzeug.test import Client

from api.cors import Cors, origins
from api.labels import Labelled
from metaqore.errors import SettingsError

CONSOLE = "https://console.example"


def inner(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("401 Unauthorized" if environ["REQUEST_METHOD"] == "OPTIONS" else "200 OK", [])
    return iter([b"data: 1\n\n", b"data: 2\n\n"])


def client(allowed: str = CONSOLE) -> Client:
    return Client(Labelled(Cors(inner, origins(allowed))))


def asked(origin: str | None, method: str | None = None) -> dict[str, str]:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return {name: value for name, value in headers.items() if value is not None}


def test_a_page_of_a_named_site_may_read_and_ask_first() -> None:
    preflight = client().options("/x", headers=asked(CONSOLE, "PUT"))
    answer = client().get("/x", headers=asked(CONSOLE))

    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, CONSOLE)
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert (answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (CONSOLE, "Origin")
    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
    assert "Access-Control-Allow-Credentials" not in {**answer.headers, **preflight.headers}
    assert answer.data == b"data: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "null", "https://console.example.evil.example",
                                    "http://console.example", "https://console.example/", None])  # fmt: skip
def test_a_page_of_any_other_site_may_not(origin: str | None) -> None:
    preflight = client().options("/x", headers=asked(origin, "GET"))
    answer = client().get("/x", headers=asked(origin))

    assert preflight.status_code == 401
    for one in (preflight, answer):
        assert not [name for name in one.headers if name[0].startswith("Access-Control")]
        assert one.headers["Vary"] == "Origin"


@pytest.mark.parametrize("text", ["*", "console.example", "https://console.example/", "https://u@console.example",
                                  "https://a.example, ftp://b.example"])  # fmt: skip
def test_what_is_no_origin_stops_the_start(text: str) -> None:
    with pytest.raises(SettingsError):
        origins(text)
    assert origins("") == frozenset()
