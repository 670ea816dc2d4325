"""Agents that keep a history of what they were promised, the way Jepsen's clients do.

An operation is *invoked*; it ends as *ok* (202: a promise), *fail* (refused: nothing was stored) or *info* (nobody can
say). A client that does not know repeats with the same Idempotency-Key, as a real one would.
"""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field

import urllib3

#: How often a client repeats one operation before it leaves it as info.
_TRIES = 12


@dataclass
class Operation:
    """One declaration: version ``number`` of the artifact ``name``."""

    key: str
    name: str
    number: int
    outcome: str = "info"
    request: str | None = None


@dataclass
class Agent:
    """Declares version after version of its own artifacts, without waiting for verdicts in between."""

    number: int
    url: str
    token: str
    project: str
    pause_s: float
    history: list[Operation] = field(default_factory=list)
    ids_seen: dict[str, set[str]] = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Declare until told to stop."""
        http = urllib3.PoolManager(maxsize=1, retries=False)
        artifact = version = 0
        while not stop.is_set():
            version += 1
            if version > 6:
                artifact, version = artifact + 1, 1
            operation = Operation(f"a{self.number}-{artifact}-{version}", f"a{self.number}-{artifact}", version)
            self.history.append(operation)
            self._declare(http, operation, stop)
            if operation.outcome != "ok":
                # The next version would build on something that may not be there.
                artifact, version = artifact + 1, 0
            time.sleep(self.pause_s)

    def _declare(self, http: urllib3.PoolManager, operation: Operation, stop: threading.Event) -> None:
        body = {"project": self.project, "type": "doc", "name": operation.name,
                "content": f"{operation.key}\n" * 8}  # fmt: skip
        if operation.number > 1:
            body["base_version"] = operation.number - 1  # type: ignore[assignment]
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json",
                   "Idempotency-Key": operation.key}  # fmt: skip
        for attempt in range(_TRIES):
            try:
                answer = http.request("POST", f"{self.url}/artifacts", body=json.dumps(body), headers=headers,
                                      timeout=urllib3.Timeout(connect=1, read=12))  # fmt: skip
            except urllib3.exceptions.HTTPError:
                time.sleep(0.1 * (attempt + 1))
                continue
            if answer.status == 202:
                operation.outcome, operation.request = "ok", str(json.loads(answer.data)["id"])
                self.ids_seen.setdefault(operation.key, set()).add(operation.request)
                return
            if answer.status < 500 and answer.status != 429:
                operation.outcome = f"fail {answer.status} {answer.data[:200]!r}"
                return
            time.sleep(0.1 * (attempt + 1))
            if stop.is_set() and attempt > 4:
                return
