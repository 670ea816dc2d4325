"""Twenty secrets, planted where callers put them: none turns up where it does not belong."""

from __future__ import annotations

import io
import json
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from click.testing import CliRunner

from metaqore.adapters.logging import configure
from metaqore.audit.compliance_forms import FORMS
from metaqore.cli.audit import group
from metaqore.security.keys import mint
from tests.log_settings import logging_as_before
from tests.running import Running, running, wait_until

#: Secret → the columns that are there to hold it. A caller's own content is stored; nothing else of it is.
CONTENT = {"requests.payload", "artifact_versions.content", "artifact_versions.body", "llm_calls.command",
           "llm_calls.response", "requests.result"}  # fmt: skip
BELONGS: Mapping[str, set[str]] = {
    "authorization": set(), "basic authorization": set(), "api key header": set(), "cookie": set(),
    "proxy authorization": set(), "query": set(), "unknown path": set(), "unknown member": set(),
    "broken body": set(), "wrong type": set(), "forged token": set(), "jwt": set(), "new key": set(),
    "rotated key": set(), "delegated token": set(), "artifact": CONTENT, "prompt": CONTENT,
    "assessed": {"requests.payload"},
    "endpoint address": {"webhook_endpoints.url", "requests.payload", "requests.result"},
    "endpoint secret": {"webhook_endpoints.secret", "webhook_endpoints.secrets"},
}  # fmt: skip


#: What a data subject reads about itself: what it sent, and nothing that opens a door. It may also see where to.
OWN = {"artifact", "prompt", "assessed", "endpoint address"}


class Plants:
    """The secrets by name."""

    def __init__(self) -> None:
        self.planted = {name: "canary" + secrets.token_hex(16) for name in BELONGS}

    def __getitem__(self, name: str) -> str:
        return self.planted[name]

    def found_in(self, text: str) -> set[str]:
        """Return the names of the secrets that stand in ``text``."""
        return {name for name, secret in self.planted.items() if secret in text}


def plant(mq: Running, plants: Plants) -> None:
    """Send each secret the way somebody would."""
    forged, _ = mint()
    plants.planted["authorization"] = forged
    mq.get("/projects", key=forged)
    for header, name in (("X-Api-Key", "api key header"), ("Cookie", "cookie"), ("Proxy-Authorization",
                         "proxy authorization"), ("Authorization", "basic authorization")):  # fmt: skip
        mq.get("/projects", headers={header: f"Basic {plants[name]}" if "A" in header else plants[name]})
    mq.get("/projects", key=f"mqd_{plants['forged token']}")
    mq.get("/projects", key=f"a.{plants['jwt']}.b")
    mq.get(f"/projects?token={plants['query']}")
    mq.get(f"/{plants['unknown path']}")
    project = mq.project("planted")
    mq.post("/projects", {"name": "n", plants["unknown member"]: 1})
    mq.post("/projects", f'{{"name": "{plants["broken body"]}'.encode())
    mq.post("/projects", {"name": {"x": plants["wrong type"]}})
    made = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]}).json
    plants.planted["new key"] = made["secret"]
    plants.planted["rotated key"] = mq.post(f"/keys/{made['id']}/rotate", {}).json["secret"]
    handed = {"agent": "a", "project": project, "scopes": ["artifacts:read"]}
    plants.planted["delegated token"] = mq.post("/tokens", handed).json["token"]
    content = {"project": project, "type": "code", "name": "n", "content": {"password": plants["artifact"]}}
    assert mq.post("/artifacts", content, prefer="wait=60").status == 201
    mq.post("/artifacts", content, prefer="wait=60")
    mq.post("/llm/generate", {"project": project, "prompt": f"password={plants['prompt']}"}, prefer="wait=60")
    mq.post("/security/assess", {"content": f"api_key = '{plants['assessed']}'"}, prefer="wait=60")
    hook = mq.post("/webhooks", {"url": f"http://127.0.0.1:9/{plants['endpoint address']}"}).json
    plants.planted["endpoint secret"] = hook["secret"]
    mq.post(f"/webhooks/{hook['id']}/test")
    wait_until(lambda: mq.get(f"/webhooks/{hook['id']}/deliveries").json["items"], "a delivery was tried")


def exported(mq: Running) -> dict[str, str]:
    """Return everything that can be carried away over HTTP."""
    report = mq.post("/compliance/reports", {"framework": "gdpr"}, prefer="wait=60").json
    listed = wait_until(
        lambda: mq.get("/compliance/reports").json["items"], f"a report is made of {report}", seconds=60
    )
    made, [project] = listed[0]["id"], mq.get("/projects").json["items"]
    artifact = mq.get(f"/artifacts?project={project['id']}").json["items"][0]["id"]
    paths = {
        "compliance": "/compliance/export", "provenance": f"/artifacts/{artifact}/provenance",
        **{f"report as {form}": f"/compliance/reports/{made}?format={form}" for form in FORMS},
        "subject": "/privacy/export?subject=developer",
        "approvals": "/approvals?page_size=200", "receipts": "/audit/checkpoints?page_size=200",
    }  # fmt: skip
    answers = {name: mq.get(path) for name, path in paths.items()}
    assert {name: answer.status for name, answer in answers.items() if answer.status != 200} == {}
    return {name: answer.body.decode() for name, answer in answers.items()}


def everything_in_redis(mq: Running) -> str:
    """Return every key and value of the broker: queues, results, limits, schedules."""
    client: Any = redis.Redis.from_url(mq.broker.url, socket_timeout=30)
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get, b"hash": client.hgetall, b"set": client.smembers,
        b"list": lambda key: client.lrange(key, 0, -1), b"zset": lambda key: client.zrange(key, 0, -1),
    }  # fmt: skip
    kinds = [(key, client.type(key)) for key in client.scan_iter("*", count=1000)]
    # One that has expired since is of the type "none".
    return repr([(key, read[kind](key)) for key, kind in kinds if kind in read])


def columns(path: Path) -> Iterator[tuple[str, str]]:
    """Yield (table.column, text) of everything in a SQLite file."""
    connection = sqlite3.connect(path)
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        cursor = connection.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        for row in cursor:
            for name, value in zip(names, row, strict=True):
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
                yield f"{table}.{name}", text
    connection.close()


def test_no_secret_turns_up_where_it_does_not_belong(tmp_path: Path) -> None:
    plants = Plants()
    assert len(plants.planted) == 20
    with running(tmp_path, queues=("psmp", "security", "llm", "system"), log_level="debug",
                 webhook_allow_private=True) as mq:  # fmt: skip
        plant(mq, plants)
        shown = {path: mq.get(path).body.decode() for path in (
            "//metrics", "/events?format=json&page_size=200", "/keys?page_size=200", "/tokens?page_size=200",
            "/requests?page_size=200&kind=key.create", "/audit/entries?page_size=200", "/stops",
            "//readyz")}  # fmt: skip
        carried = exported(mq)
        in_redis = everything_in_redis(mq)
    logs = {path.name: path.read_text(errors="replace") for path in (tmp_path / "logs").rglob("*.log*")}

    assert logs["api.log"] and logs["worker.log"]
    assert {name: plants.found_in(text) for name, text in logs.items()} == {name: set() for name in logs}
    assert {path: plants.found_in(text) for path, text in shown.items()} == {path: set() for path in shown}
    assert "celery-task-meta-req_" in in_redis, "there was something to look through"
    assert plants.found_in(in_redis) <= OWN, (
        "the cache of results holds what results hold, and nothing that opens a door"
    )
    carried["log"] = log_export(tmp_path)
    assert {name: plants.found_in(text) for name, text in carried.items() if name != "subject"} == {
        name: set() for name in carried if name != "subject"
    }
    assert plants.found_in(carried["subject"]) <= OWN
    assert {"artifact", "prompt"} <= plants.found_in(carried["subject"]), "the export was not empty"
    stored = {(name, column) for column, text in columns(tmp_path / "metaqore.db") for name in plants.found_in(text)}
    assert {(name, column) for name, column in stored if column not in BELONGS[name]} == set()
    assert {name for name, _ in stored} >= {"artifact", "prompt", "endpoint address", "endpoint secret"}


def log_export(folder: Path) -> str:
    """Export the log as an auditor does, and return the file."""
    out = folder / "log.jsonl"
    done = CliRunner().invoke(group, ["export", "--db", str(folder / "metaqore.db"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    text = out.read_text()
    assert "requests:request:accepted" in text
    return text


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    with logging_as_before():
        configure("debug", "json")
        # Threads that others left would keep a logger that writes here.
        structlog.configure(cache_logger_on_first_use=False)
        yield stream.getvalue


@pytest.mark.parametrize("said", [
    "{key}", "Authorization: Bearer {key}", "postgresql://user:{word}@host/db", "redis://:{word}@host:1/0",
    "Bearer mqd_{word}", "whsec_{word}", "Bearer eyJhbGciOiJSUzI1NiJ9.{word}.{word}",
    "Authorization: Basic {word}",
])  # fmt: skip
def test_a_secret_in_the_text_of_an_exception_is_not_logged(said: str, written: Any) -> None:
    word, key = "canary" + secrets.token_hex(16), mint()[0]
    log = structlog.get_logger("planted")
    try:
        raise RuntimeError("it broke: " + said.format(word=word, key=key))
    except RuntimeError:
        log.exception("failed", reason=said.format(word=word, key=key), token=word)
        logging.getLogger("library").exception("failed with %s", said.format(word=word, key=key))

    # What other tests have left running may speak meanwhile.
    lines = [line for line in map(json.loads, written().splitlines()) if str(line["event"]).startswith("failed")]
    assert len(lines) == 2
    text = json.dumps(lines)
    assert word not in text
    assert key[22:86] not in text
    assert "it broke" in text
