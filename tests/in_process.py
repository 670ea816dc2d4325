"""The API in this very process, over a SQLite file of its own; whoever waits has the queues drained meanwhile.

It answers as ``tests.running.Running`` does, so that what asks the running stack can ask it too, much faster.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from api.app import create_app
from api.door import EXTENSION
from metaqore import bootstrap
from metaqore.ids import new_secret
from metaqore.requests import long_work
from metaqore.settings import Settings, load
from tests.running import Answer


class InProcess:
    """An application; ``close`` lets go of its database.

    Args:
        folder: where its data is; a database ``metaqore.db`` with all tables must be there.
        key: of the owner, where there is one already.
    """

    def __init__(self, folder: Path, key: str | None = None) -> None:
        self.folder = folder
        given = {"storage_dsn": f"sqlite:///{folder / 'metaqore.db'}", "data_dir": str(folder)}
        # Nobody listens there: Redis is dead, and ``drain`` takes the place of the workers.
        self.settings: Settings = load(
            {**given, "redis_url": "redis://127.0.0.1:1/0", "webhook_allow_private": True}, environ={}
        )
        self.key = key or self.make_key(["*"], principal="developer")
        self.app = create_app(self.settings)
        self._engine = self.app.extensions[EXTENSION].engine

    def drain(self) -> None:
        """Seal the log and decide what is open, as the workers would."""
        bootstrap.seal_now(self.settings)
        for queue in ("psmp", "security", "llm"):
            self._engine.executor.drain(queue)
            long_work.drain(self._engine.executor, queue)

    def close(self) -> None:
        """Let go of the database."""
        self._engine.database.close()

    def call(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, prefer: str | None = None,
        headers: Mapping[str, str] | None = None, timeout: float = 70.0,
    ) -> Answer:  # fmt: skip
        """See ``tests.running.Running.call``."""
        sent = {"Authorization": f"Bearer {self.key if key is None else key}", **(headers or {})}
        if prefer:
            # Asked for a second time under its key, after it was decided, it is answered with the verdict.
            sent["Idempotency-Key"] = new_secret(16)
        more: dict[str, Any] = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        where = path[1:] if path.startswith("//") else "/api/v1" + path
        answer = self.app.test_client().open(where, method=method, headers=sent, **more)
        if prefer and answer.status_code == 202:
            self.drain()
            again = {**sent, "Prefer": prefer}
            answer = self.app.test_client().open(where, method=method, headers=again, **more)
        return Answer(answer.status_code, dict(answer.headers), answer.data)

    def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        """POST."""
        return self.call("POST", path, body, **options)

    def make_key(self, scopes: Sequence[str], *, principal: str = "tester", organization: str | None = None) -> str:
        """Return a new API key."""
        given = {name: getattr(self.settings, name) for name in ("storage_dsn", "redis_url", "data_dir")}
        settings = load({**given, **({"organization": organization} if organization else {})}, environ={})
        return bootstrap.create_key(settings, principal=principal, name=principal, scopes=list(scopes))

    def project(self, name: str = "test", mode: str = "strict", **options: Any) -> str:
        """Create a project and return its id."""
        answer = self.post("/projects", {"name": name, "mode": mode}, **options)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])
