"""Agents that keep a history of what they were promised, the way Jepsen's clients do.

An operation is *invoked*; it ends as *ok* (a promise, or a verdict), *fail* (refused: nothing was stored) or *info*
(nobody can say). A client that does not know repeats with the same Idempotency-Key, as a real one would; now and then
it repeats what it does know, and reads what it was promised.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import urllib3

#: How often a client repeats one operation before it leaves it as info.
_TRIES = 12
TERMINAL = ("succeeded", "failed", "cancelled", "dead")


@dataclass
class Operation:
    """One submission. Times are of the monotonic clock, in seconds."""

    key: str
    path: str
    body: dict[str, Any]
    #: Where its verdict depends on the one before it, so that only another order could block it.
    in_order: bool = False
    outcome: str = "info"
    requests: list[str] = field(default_factory=list)
    invoked_at: float = 0.0
    ended_at: float = 0.0
    tries: int = 0


@dataclass
class Agent:
    """One client with one API key. ``role``: declare, batch, generate or cancel."""

    number: int
    role: str
    url: str
    token: str
    project: str
    pause_s: float
    history: list[Operation] = field(default_factory=list)
    ids_seen: dict[str, set[tuple[str, ...]]] = field(default_factory=dict)
    #: request → every terminal state that was ever read.
    ends_seen: dict[str, set[str]] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._random = random.Random(self.number)
        self._http = urllib3.PoolManager(maxsize=1, retries=False)

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop."""
        work = {"declare": self._declarations, "batch": self._batches, "generate": self._calls, "cancel": self._alone}
        for operation in work[self.role]():
            if stop.is_set():
                return
            self.history.append(operation)
            operation.invoked_at = time.monotonic()
            self._submit(operation)
            operation.ended_at = time.monotonic()
            if operation.outcome == "ok":
                self._look_back(operation)
            stop.wait(self.pause_s)

    # --- what each role asks for --------------------------------------------------------------------------------

    def _declared(self, name: str, version: int) -> dict[str, Any]:
        body = {"project": self.project, "type": "doc", "name": name, "content": f"{name} {version}\n" * 8}
        return {**body, "base_version": version - 1} if version > 1 else body

    def _declarations(self) -> Iterator[Operation]:
        """Six versions of an artifact, not waiting for verdicts in between; then the next artifact."""
        artifact = 0
        while True:
            artifact += 1
            name = f"a{self.number}-{artifact}"
            for version in range(1, 7):
                operation = Operation(f"{name}-{version}", "/artifacts", self._declared(name, version), in_order=True)
                yield operation
                if operation.outcome != "ok":
                    # The next version would build on something that may not be there.
                    break

    def _batches(self) -> Iterator[Operation]:
        """Eight versions of one artifact in one batch."""
        batch = 0
        while True:
            batch += 1
            name = f"b{self.number}-{batch}"
            items = [self._declared(name, version) for version in range(1, 9)]
            yield Operation(name, "/artifacts/batch", {"items": items}, in_order=True)

    def _calls(self) -> Iterator[Operation]:
        call = 0
        while True:
            call += 1
            name = f"g{self.number}-{call}"
            yield Operation(name, "/llm/generate", {"prompt": f"Say {name}", "provider": "mock"})

    def _alone(self) -> Iterator[Operation]:
        """Artifacts of one version, each of which is cancelled at once, where that is still possible."""
        artifact = 0
        while True:
            artifact += 1
            name = f"c{self.number}-{artifact}"
            operation = Operation(name, "/artifacts", self._declared(name, 1))
            yield operation
            for request in operation.requests:
                self._cancel(request)

    # --- how it is asked ----------------------------------------------------------------------------------------

    def _call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Return (status, body); status 0 where there was no answer."""
        sent = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._http.request(method, self.url + path, body=data, headers=sent,
                                        timeout=urllib3.Timeout(connect=1, read=12))  # fmt: skip
            return answer.status, json.loads(answer.data or b"null")
        except (urllib3.exceptions.HTTPError, ValueError):
            return 0, None

    def _submit(self, operation: Operation) -> None:
        for attempt in range(_TRIES):
            operation.tries += 1
            status, answer = self._call("POST", operation.path, operation.body, **{"Idempotency-Key": operation.key})
            if status in (200, 202):
                operation.outcome = "ok"
                operation.requests = _ids(answer)
                self.ids_seen.setdefault(operation.key, set()).add(tuple(operation.requests))
                return
            if 0 < status < 500 and status != 429:
                operation.outcome = f"fail {status} {str(answer)[:200]}"
                return
            time.sleep(0.1 * (attempt + 1))

    def _look_back(self, operation: Operation) -> None:
        if self._random.random() < 0.1:
            again = self._random.choice([o for o in self.history if o.outcome == "ok"])
            status, answer = self._call("POST", again.path, again.body, **{"Idempotency-Key": again.key})
            if status in (200, 202):
                self.ids_seen[again.key].add(tuple(_ids(answer)))
        if self._random.random() < 0.2:
            request = self._random.choice(self._random.choice(self.history[-20:]).requests or operation.requests)
            status, answer = self._call("GET", f"/requests/{request}")
            if status == 200 and answer["state"] in TERMINAL:
                self.ends_seen.setdefault(request, set()).add(answer["state"])

    def _cancel(self, request: str) -> None:
        status, _ = self._call("POST", f"/requests/{request}/cancel", {})
        if status == 200:
            self.cancelled.add(request)


def _ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]] if "items" in answer else [answer["id"]]
