"""Agents: each has a key of its own and talks HTTP to the API, several of them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import urllib3

from metaqore.cli.demo.record import Fate, Record, Submission
from metaqore.errors import MetaQoreError

#: How long a submission waits for its verdict at the door before it asks again, and in all.
WAIT_S, PATIENCE_S = 20, 180

T = TypeVar("T")


class Unexpected(MetaQoreError):
    """The API gave an answer that ends the demonstration; the message has it."""

    code = "unexpected_answer"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer with its parsed body."""

    status: int
    body: Any

    @property
    def result(self) -> dict[str, Any]:
        """The result of a finished request."""
        return dict(self.body.get("result") or {})

    @property
    def report(self) -> dict[str, Any]:
        """The blocking report of a 409."""
        return dict(self.body.get("blocking_report") or {})

    @property
    def fate(self) -> Fate:
        """What became of a submission."""
        code = self.body.get("code") if isinstance(self.body, dict) else None
        if self.status in (200, 201):
            merged = any(each.get("resolution") == "merged" for each in self.result.get("conflicts", ()))
            by = self.result.get("provenance", {}).get("merged_by")
            return "merged" if merged or by else "accepted"
        return {"blocked": "blocked", "vetoed": "vetoed"}.get(code or "", "failed")  # type: ignore[return-value]


class Agent:
    """Somebody with a key.

    Args:
        url: the API's base URL.
        pool: shared connections.
    """

    def __init__(self, name: str, key: str, url: str, pool: urllib3.PoolManager, record: Record) -> None:
        self.name = name
        self._key = key
        self._url = f"{url}/api/v1"
        self._pool = pool
        self._record = record

    def call(
        self, method: str, path: str, body: Any = None, *, wait: int = 0, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Call the API; ``path`` begins after ``/api/v1``, or with it.

        Raises:
            Unexpected: no answer, or none in JSON.
        """
        headers = {**(headers or {}), "Authorization": f"Bearer {self._key}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if wait:
            headers["Prefer"] = f"wait={wait}"
        path = path.removeprefix("/api/v1")
        data = None if body is None else msgspec.json.encode(body)
        try:
            answer = self._pool.request(method, self._url + path, body=data, headers=headers, timeout=wait + 30.0)
            return Answer(answer.status, msgspec.json.decode(answer.data) if answer.data else None)
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError) as error:
            raise Unexpected(f"{method} {path}: {type(error).__name__}: {error}") from error

    def get(self, path: str) -> Any:
        """Read something.

        Raises:
            Unexpected: it is not there.
        """
        return self._expected("GET", path, self.call("GET", path)).body

    def make(self, path: str, body: Any) -> Any:
        """Make something with a control-plane request, and return it.

        Raises:
            Unexpected: it was refused.
        """
        return self._expected("POST", path, self.call("POST", path, body)).body

    def submit(self, kind: str, path: str, body: Any, *, act: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Submit a request, wait for its verdict and write it down.

        Raises:
            Unexpected: it failed, or there was no verdict in time.
        """
        began = self._record.elapsed
        answer = self.call("POST", path, body, wait=WAIT_S, headers=headers)
        while answer.status == 202 and self._record.elapsed - began < PATIENCE_S:
            found = self._expected("GET", path, self.call("GET", f"/requests/{answer.body['id']}", wait=WAIT_S))
            answer = _as_answered(found.body)
        took = self._record.elapsed - began
        batch = answer.result.get("batch", {}).get("size", 0) if answer.status == 200 else 0
        self._record.submitted(Submission(kind, self.name, act, answer.fate, began, took, batch))
        if answer.fate == "failed":
            raise Unexpected(f"POST {path}: {_told(answer)}")
        return answer

    def declare(self, body: Mapping[str, Any], *, act: str) -> Answer:
        """Declare an artifact."""
        return self.submit("artifact.declare", "/artifacts", body, act=act)

    def _expected(self, method: str, path: str, answer: Answer) -> Answer:
        if answer.status not in (200, 201, 202):
            raise Unexpected(f"{method} {path}: {_told(answer)}")
        return answer


def at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run all jobs at the same time, each in a thread of its own; return what they return, in order.

    Raises:
        Exception: whatever the first of them raised, once all have ended.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(jobs))) as threads:
        return [future.result() for future in [threads.submit(job) for job in jobs]]


def _as_answered(request: Mapping[str, Any]) -> Answer:
    """Return a request that was polled as the answer that waiting at the door would have given."""
    if request["state"] in ("accepted", "running"):
        return Answer(202, request)
    verdict = request.get("verdict")
    if request["state"] == "succeeded" and verdict in ("approved", None):
        return Answer(200, request)
    result = request.get("result") or {}
    if verdict == "blocked":
        return Answer(409, {**result, "code": "blocked", "result": result})
    if verdict == "vetoed":
        return Answer(403, {**result, "code": "vetoed", "result": result})
    return Answer(500, {**(request.get("error") or {}), "result": None})


def _told(answer: Answer) -> str:
    body = answer.body if isinstance(answer.body, dict) else {}
    detail = body.get("detail") or body.get("message") or msgspec.json.encode(answer.body).decode()[:500]
    return f"{answer.status} {body.get('code', '')}: {detail}"
