"""The door over either database: every list and every read, on real tables, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.door import EXTENSION
from metaqore import bootstrap
from metaqore.settings import load
from metaqore.store.engine import Database


class Client:
    """Calls the application without a network; whoever listens to Redis is not needed here."""

    def __init__(self, client: FlaskClient, key: str, drain: Any) -> None:
        self._client = client
        self._headers = {"Authorization": f"Bearer {key}"}
        self.drain = drain

    def get(self, path: str) -> Any:
        answer = self._client.get("/api/v1" + path, headers=self._headers)
        assert answer.status_code == 200, answer.text
        return answer.json

    def post(self, path: str, body: Any, status: int = 202) -> Any:
        answer = self._client.post("/api/v1" + path, json=body, headers=self._headers)
        assert answer.status_code == status, answer.text
        return answer.json

    def all(self, path: str) -> list[Any]:
        """Return every item of a list, read in pages of two."""
        items: list[Any] = []
        token = ""
        while True:
            page = self.get(f"{path}{'&' if '?' in path else '?'}page_size=2&page_token={token}")
            assert len(page["items"]) <= 2
            items += page["items"]
            token = page["next_page_token"]
            if not token:
                return items


class Silent:
    """Rings nothing: no worker is there to hear it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def ring(self, queue: str, ids: Any) -> None:
        """Do nothing."""


@pytest.fixture
def client(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setattr("api.app.PublisherBell", Silent)
    # Port 9 of this machine: nobody listens, so nothing is rung and nothing is announced.
    settings = load(
        {"storage_dsn": database.dsn, "data_dir": str(tmp_path), "redis_url": "redis://127.0.0.1:9/0",
         "webhook_allow_private": True},
        environ={},
    )  # fmt: skip
    key = bootstrap.create_key(settings, principal="tester", name="test", scopes=["*"])
    app = create_app(settings)
    engine = app.extensions[EXTENSION].engine
    yield Client(app.test_client(), key, lambda: engine.executor.drain("psmp"))
    engine.database.close()


def test_what_was_written_is_read_and_listed(client: Client) -> None:
    project = client.post("/projects", {"name": "p", "metadata": {"a": [1]}}, 201)["id"]
    body = {"project": project, "type": "code", "content": {"x": "é"}, "metadata": {"m": 1}}
    requests = [client.post("/artifacts", {**body, "name": f"n{i}"})["id"] for i in range(5)]
    blocked = client.post("/artifacts", {**body, "name": "n0"})["id"]
    needs = {
        **body,
        "name": "n5",
        "claims": ["c"],
        "depends_on": [{"type": "code", "name": "n0"}],
        "requires": [{"name": "six"}],
    }
    requests.append(client.post("/artifacts", needs)["id"])
    client.drain()

    assert client.get(f"/projects/{project}")["metadata"] == {"a": [1]}
    artifacts = client.all(f"/artifacts?project={project}")
    assert [a["name"] for a in artifacts] == [f"n{i}" for i in range(6)]
    assert [a["name"] for a in client.all(f"/artifacts?project={project}&type=code&name=n3&state=proposed")] == ["n3"]
    shown = client.get(f"/artifacts/{artifacts[5]['id']}")
    assert (shown["content"], shown["metadata"], shown["claims"]) == ({"x": "é"}, {"m": 1}, ["c"])
    assert (shown["requires"][0]["name"], shown["request"]) == ("six", requests[5])
    assert client.get(f"/artifacts/{artifacts[5]['id']}/versions/1")["content"] == {"x": "é"}
    assert [v["version"] for v in client.all(f"/artifacts/{artifacts[0]['id']}/versions")] == [1]

    listed = client.all(f"/requests?project={project}&kind=artifact.declare&state=succeeded")
    assert [r["id"] for r in listed] == [*requests[5:], blocked, *reversed(requests[:5])]
    assert [r["id"] for r in client.all("/requests?verdict=blocked")] == [blocked]
    conflict = client.all(f"/conflicts?project={project}&state=open&severity=medium&class=version_mismatch")[0]
    assert client.get(f"/conflicts/{conflict['id']}") == conflict
    assert conflict["request"] == blocked
    report = client.get(f"/projects/{project}/blocking-report")
    assert (report["open"], report["by_class"], report["is_blocked"]) == (1, {"version_mismatch": 1}, True)
    assert report["items"][0]["remedies"]


def test_what_goes_out_is_read_and_listed(client: Client) -> None:
    endpoint = client.post("/webhooks", {"url": "http://127.0.0.1:9/hook", "events": ["project.*"]}, 201)["id"]
    projects = [client.post("/projects", {"name": f"p{i}"}, 201)["id"] for i in range(3)]
    client.post("/tasks", {"project": projects[0], "title": "t", "assigned_to": "me"}, 201)

    assert [p["id"] for p in client.all("/projects")] == projects
    assert [p["id"] for p in client.all("/projects?state=archived")] == []
    tasks = client.all(f"/tasks?project={projects[0]}&state=pending&assigned_to=me")
    assert client.get(f"/tasks/{tasks[0]['id']}") == tasks[0]
    assert [e["id"] for e in client.all("/webhooks")] == [endpoint]
    assert client.get(f"/webhooks/{endpoint}")["events"] == ["project.*"]
    assert len(client.all(f"/webhooks/{endpoint}/deliveries?state=pending")) == 3
    events = client.all("/events?format=json")
    # The first two say which policy files hold.
    assert [e["seq"] for e in events] == [1, 2, 3, 4, 5, 6]
    assert [e["type"] for e in client.all("/events?format=json&types=task.*")] == ["task.created"]
    assert [e["seq"] for e in client.all("/events?format=json&after=4")] == [5, 6]
    assert len(client.all("/keys")) == 1
    assert client.all("/patterns?state=proposed") == client.all("/specialists?state=active") == []


def test_the_metrics_count_what_is_open(client: Client) -> None:
    project = client.post("/projects", {"name": "p"}, 201)["id"]
    client.post("/artifacts", {"project": project, "type": "code", "name": "n", "content": 1})

    answer = client._client.get("/metrics", headers=client._headers)

    assert 'metaqore_queue_depth{queue="psmp",state="accepted"} 1.0' in answer.text
    # Its key, the two policy files that hold, the project and the artifact.
    assert "metaqore_requests_accepted_total 5.0" in answer.text


def test_readiness_names_the_database_and_misses_the_broker(client: Client, database: Database) -> None:
    answer = client._client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json is not None
    assert answer.json["status"] == "degraded"
    assert answer.json["checks"]["database"]["version"] == database.version()
    assert answer.json["checks"]["database"]["ok"] is True
    assert answer.json["checks"]["broker"]["ok"] is False
