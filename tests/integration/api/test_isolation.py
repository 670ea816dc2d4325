"""Every operation of the OpenAPI document × who calls: a new operation without a row here fails."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from metaqore import bootstrap
from metaqore.audit.compliance_reporting import project_of
from metaqore.clock import now_ms
from metaqore.security.keys import mint
from metaqore.security.tokens import DELEGABLE
from metaqore.store.engine import Database
from tests.running import Answer, Running, best_of, seconds_until, wait_until

#: operationId → a body that would be accepted from the owner; None for those without one.
BODIES: dict[str, Any] = {
    "listProjects": None, "createProject": {"name": "n"}, "getProject": None, "changeProject": {"name": "m"},
    "archiveProject": None, "getBlockingReport": None, "listArtifacts": None,
    "declareArtifact": {"project": "{project}", "type": "code", "name": "n", "content": 1},
    "declareArtifacts": {"items": [{"project": "{project}", "type": "code", "name": "n", "content": 1}]},
    "getArtifact": None, "getProvenance": None, "listVersions": None, "getVersion": None,
    "moveArtifact": {"to": "active"},
    "deleteArtifact": None, "listAliases": None, "setAlias": {"version": 1}, "removeAlias": None,
    "declassifyArtifact": {"label": "PUBLIC", "reason": "r"},
    "listIntents": None, "getIntent": None, "withdrawIntent": None, "getManifest": None,
    "announceIntent": {"purpose": "p", "expires_in_s": 60, "claims": {"resources": ["r"]}},
    "listCheckpoints": None, "createCheckpoint": {"name": "n"}, "getCheckpoint": None, "deleteCheckpoint": None,
    "diffProject": None, "restoreProject": {"to": 1},
    "previewDecisions": {"project": "{project}", "declarations": [{"type": "code", "name": "n", "content": 1}]},
    "replayDecisions": {"project": "{project}"},
    "listTasks": None, "createTask": {"project": "{project}", "title": "t"}, "getTask": None,
    "changeTask": {"title": "u"}, "listConflicts": None, "getConflict": None,
    "resolveConflict": {"strategy": "escalate"}, "getProposal": None, "withdrawProposal": {}, "listApprovals": None,
    "getApproval": None, "approve": {}, "deny": {}, "listRequests": None, "getRequest": None, "cancelRequest": None,
    "assessPayload": {"project": "{project}", "content": "text"},
    "generate": {"project": "{project}", "prompt": "text"}, "listPatterns": None, "discoverPatterns": {},
    "listSpecialists": None, "trainSpecialist": {"pattern": "pat_none"}, "retireSpecialist": None, "listEvents": None,
    "listWebhooks": None,
    "createWebhook": {"url": "http://127.0.0.1:9/", "project": "{project}"}, "getWebhook": None,
    "changeWebhook": {"state": "disabled"}, "deleteWebhook": None, "testWebhook": None, "listDeliveries": None,
    "listAuditEntries": None, "listAuditCheckpoints": None, "getAuditProof": None, "getAuditConsistency": None,
    "verifyAuditReceipt": {"receipt": {"format": "metaqore-audit-receipt/1", "seq": 1, "leaf_hash": "00", "proof": [],
    "checkpoint": "none"}},
    "replayDeliveries": {}, "replayDelivery": None, "listKeys": None, "createKey": {"name": "n", "principal": "p",
    "scopes": ["projects:read"]}, "revokeKey": None, "rotateKey": {}, "listBudgets": None,
    "setBudget": {"scope": "organization", "unit": "calls", "amount": None}, "listTokens": None, "revokeToken": None,
    "createToken": {"agent": "a", "project": "{project}", "scopes": ["artifacts:read"]},
    "listFrameworks": None, "listReports": None, "makeReport": {"framework": "soc2"}, "getReport": None,
    "exportDecisions": None,
    "listPolicies": None, "getDecision": None, "listStops": None,
    "savePolicy": {"project": "{project}", "document": {}, "reason": "r"},
    "previewPolicy": {"project": "{project}", "document": {}},
    "setStop": {"kind": "principal", "subject": "nobody", "reason": "r"},
    "liftStop": {"kind": "principal", "subject": "nobody"},
    "listErasures": None, "eraseSubject": {"subject": "classified-none"}, "getErasure": None, "exportSubject": None,
    "listHolds": None, "placeHold": {"subject": "classified-none", "reason": "r"}, "releaseHold": None,
    "listRetention": None, "setRetention": {"class": "requests", "days": 400},
}  # fmt: skip
#: Operations that a stranger may do, because they name nothing that exists: they only ever touch the stranger's own.
OWN_ONLY = frozenset(
    {
        "setBudget",
        "createProject",
        "createKey",
        "discoverPatterns",
        "exportDecisions",
        "makeReport",
        "trainSpecialist",
        "setStop",
        "liftStop",
        "eraseSubject",
        "exportSubject",
        "placeHold",
        "setRetention",
        "getAuditConsistency",
        "verifyAuditReceipt",
    }
)
QUERIES = {"getAuditConsistency": "?old=0",
           "diffProject": "?from=0", "listArtifacts": "?project={project}", "listTasks": "?project={project}",
           "listEvents": "?format=json", "exportSubject": "?subject=developer", "listConflicts": "?project={project}",
           "listRequests": "?project={project}"}  # fmt: skip


@pytest.fixture(scope="module")
def things(mq: Running) -> dict[str, str]:
    """One of each thing that the owner has: path parameter → id."""
    project = mq.project("isolated")
    body = {"project": project, "type": "code", "name": "secret.py", "content": "classified-4711"}
    created = mq.post("/artifacts", body, prefer="wait=60").json
    blocked = mq.post("/artifacts", body, prefer="wait=60").json
    endpoint = mq.post("/webhooks", {"url": "http://127.0.0.1:9/classified-4711"}).json["id"]
    mq.post(f"/webhooks/{endpoint}/test")
    deliveries = wait_until(lambda: mq.get(f"/webhooks/{endpoint}/deliveries").json["items"], "a delivery")
    return {
        "project": project,
        "artifact": created["result"]["artifact"]["id"],
        "version": "1",
        "alias": "released",
        "checkpoint": mq.post(f"/projects/{project}/checkpoints", {"name": "c", "note": "classified-4711"}).json["id"],
        "task": mq.post("/tasks", {"project": project, "title": "classified-4711"}).json["id"],
        "conflict": blocked["blocking_report"]["conflicts"][0]["id"],
        "proposal": blocked["blocking_report"]["proposal"],
        "approval": mq.post(
            f"/conflicts/{blocked['blocking_report']['conflicts'][0]['id']}/resolve",
            {"strategy": "escalate", "reason": "classified-4711"},
            prefer="wait=60",
        ).json["result"]["approval"]["id"],
        "request_id": created["id"],
        "endpoint": endpoint,
        "erasure": _erased(mq, project),
        "specialist": _specialist(mq),
        "hold": mq.post("/privacy/holds", {"subject": None, "reason": "classified-4711"}).json["id"],
        "intent": mq.post(
            f"/projects/{project}/intents",
            {"purpose": "classified-4711", "expires_in_s": 600, "claims": {"resources": ["r"]}},
            prefer="wait=60",
        ).json["result"]["intent"]["id"],
        "delivery": deliveries[0]["id"],
        # A number that no log here reaches: every organization has entries with the low ones.
        "seq": "987654321987",
        "decision": mq.post(
            "/security/assess", {"content": "x", "agent_name": "classified-4711"}, prefer="wait=60"
        ).json["result"]["decision"]["id"],
        "report": mq.post("/compliance/reports", {"framework": "soc2"}, prefer="wait=60").json["result"]["report"],
        "token": mq.post(
            "/tokens", {"agent": "classified-4711", "project": project, "scopes": ["artifacts:read"]}
        ).json["id"],
        "key_id": mq.post("/keys", {"name": "n", "principal": "classified-4711", "scopes": ["audit:read"]}).json["id"],
    }


def _specialist(mq: Running) -> str:
    """A specialist that somebody else may not even know of."""
    database = Database(mq.settings.dsn)
    sql = (
        "INSERT INTO specialists (id, organization, pattern, version, state, manifest, gate, request_id, created_at) "
        "VALUES (?, ?, 'pat_classified-4711', 1, 'active', '{}', '{}', 'req_0', 1)"
    )
    with database.write() as connection:
        connection.exec_driver_sql(database.sql(sql), ("spec_isolated", mq.settings.organization))
    database.close()
    return "spec_isolated"


def _erased(mq: Running, project: str) -> str:
    """Have a data subject's task erased, whatever holds other tests have left; return the erasure's id."""
    for hold in mq.get("/privacy/holds").json["items"]:
        mq.call("DELETE", f"/privacy/holds/{hold['id']}")
    mq.post("/tasks", {"project": project, "title": "t"}, headers={"Data-Subject": "classified-4711"})
    return str(mq.post("/privacy/erasures", {"subject": "classified-4711"}).json["id"])


@pytest.fixture(scope="module")
def operations(mq: Running) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """operationId → (method, path, operation)."""
    spec = mq.get("/openapi.json").json
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in spec["paths"].items()
        for method, operation in methods.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def _fill(value: Any, things: dict[str, str]) -> Any:
    if isinstance(value, str):
        return things["project"] if value == "{project}" else value
    if isinstance(value, dict):
        return {name: _fill(member, things) for name, member in value.items()}
    return [_fill(member, things) for member in value] if isinstance(value, list) else value


def _call(mq: Running, name: str, found: tuple[str, str, Any], things: dict[str, str], key: str) -> Answer:
    method, path, _ = found
    path = path.removeprefix("/api/v1").format(**things) + QUERIES.get(name, "").format(**things)
    headers = {"If-Match": "*"} if method == "PATCH" else {}
    return mq.call(method, path, _fill(BODIES[name], things), key=key, headers=headers)


def _each(operations: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from sorted(operations.items())


def test_every_operation_has_a_row(operations: dict[str, Any]) -> None:
    assert set(operations) == set(BODIES)


def test_without_a_valid_key_nothing_answers(mq: Running, operations: dict[str, Any], things: dict[str, str]) -> None:
    unknown = "mq_live_" + "0" * 12 + "_" + "0" * 72
    mistyped = mq.key[:-1] + ("0" if mq.key[-1] != "0" else "1")
    # Well formed, of a key that exists, with another secret.
    guessed, _ = mint(mq.key.split("_")[1], mq.key.split("_")[2])
    made = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["*"]}).json
    mq.call("DELETE", f"/keys/{made['id']}")
    expired = bootstrap.create_key(
        mq.settings, principal="p", name="n", scopes=["*"], expires_at=now_ms() + 500
    )  # fmt: skip
    for key in (made["secret"], expired):
        wait_until(lambda: mq.get("/projects", key=key).status == 401, "the key has ended")  # noqa: B023
    for name, found in _each(operations):
        for key in ("", "nonsense", unknown, mistyped, guessed, made["secret"], expired, "mqd_" + unknown, "a.b.c"):
            answer = _call(mq, name, found, things, key)
            assert (answer.status, answer.json["code"]) == (401, "unauthenticated"), (name, key)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer"), name


def test_without_its_scope_nothing_answers(mq: Running, operations: dict[str, Any], things: dict[str, str]) -> None:
    powerless = mq.make_key(["metrics:read"])
    for name, found in _each(operations):
        scope = found[2]["security"][0]["apiKey"][0]
        answer = _call(mq, name, found, things, powerless)
        assert (answer.status, answer.json["code"], answer.json["scope"]) == (403, "forbidden", scope), name


def test_a_stranger_sees_nothing_and_changes_nothing(
    mq: Running, operations: dict[str, Any], things: dict[str, str], stranger: str
) -> None:
    for name, found in _each(operations):
        answer = _call(mq, name, found, things, stranger)
        if name == "declareArtifacts":
            assert (answer.status, answer.json["errors"][0]["detail"][:8]) == (422, "project "), name
        elif "{" in found[1] or (isinstance(BODIES[name], dict) and "project" in BODIES[name]):
            assert (answer.status, answer.json["code"]) == (404, "not_found"), (name, answer.body)
        elif name not in OWN_ONLY:
            assert answer.status == 200, (name, answer.body)
            assert not [item for item in answer.json["items"] if "classified" in str(item)], name
        assert b"classified-4711" not in answer.body, name
    assert mq.get(f"/projects/{things['project']}").json["state"] == "initialized"


def test_a_token_for_another_project_sees_nothing_and_changes_nothing(
    mq: Running, operations: dict[str, Any], things: dict[str, str]
) -> None:
    elsewhere = mq.project("elsewhere")
    handed = {"agent": "a", "project": elsewhere, "scopes": sorted(DELEGABLE)}
    token = mq.post("/tokens", handed).json["token"]
    for name, found in _each(operations):
        answer = _call(mq, name, found, things, token)
        assert answer.status in (403, 404), (name, answer.status, answer.body)
        assert b"classified-4711" not in answer.body, name
    assert mq.get(f"/artifacts?project={elsewhere}", key=token).status == 200
    assert mq.get(f"/projects/{things['project']}").json["state"] == "initialized"


def test_a_foreign_thing_answers_as_one_that_does_not_exist(
    mq: Running, operations: dict[str, Any], things: dict[str, str], stranger: str
) -> None:
    nothing = {name: f"{value[:4]}{uuid.uuid4().hex}" for name, value in things.items()} | {"version": "1"}
    for name, found in _each(operations):
        if "{" in found[1]:
            foreign, absent = (_call(mq, name, found, some, stranger) for some in (things, nothing))
            left = foreign.body.decode()
            for parameter in things:
                left = left.replace(things[parameter], nothing[parameter])
            for volatile in (foreign.json["request_id"],):
                left = left.replace(volatile, absent.json["request_id"])
            assert (foreign.status, left) == (absent.status, absent.body.decode()), name


def test_an_idempotency_key_does_not_reach_over_organizations(mq: Running, stranger: str) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}

    mine = mq.post("/projects", {"name": "same"}, headers=key).json["id"]
    theirs = mq.post("/projects", {"name": "same"}, headers=key, key=stranger).json["id"]

    assert mine != theirs


def test_a_cursor_does_not_reach_over_organizations(mq: Running, stranger: str) -> None:
    for _ in range(2):
        mq.project("paged")
    token = mq.get("/projects?page_size=1").json["next_page_token"]

    assert token
    theirs = mq.get(f"/projects?page_token={token}", key=stranger)
    made = {item["id"] for item in theirs.json["items"] if item["created_by"] != "stranger"}
    assert made <= {project_of("elsewhere")}


def test_no_cursor_reaches_over_organizations(
    mq: Running, operations: dict[str, Any], things: dict[str, str], stranger: str
) -> None:
    """Every list that has pages, with the cursor that its owner was given."""
    turned: set[str] = set()
    for name, (method, path, operation) in _each(operations):
        if "page_token" not in {given.get("name") for given in operation.get("parameters", ())}:
            continue
        query = QUERIES.get(name, "").format(**things) or "?"
        asked = f"{path.removeprefix('/api/v1').format(**things)}{query}&page_size=1"
        token = mq.call(method, asked).json.get("next_page_token")
        if token:
            turned.add(name)
            answer = mq.call(method, f"{asked}&page_token={token}", key=stranger)
            assert answer.status in (200, 404), (name, answer.body)
            assert b"classified-4711" not in answer.body, name
            assert things["project"].encode() not in answer.body.replace(path.encode(), b"") or answer.status == 404, (
                name
            )
    assert turned >= {"listProjects", "listRequests", "listEvents", "listAuditEntries", "listKeys"}


@pytest.mark.alone
def test_a_revoked_key_stops_within_a_second(mq: Running) -> None:
    def revoked() -> float:
        made = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]}).json
        assert mq.get("/projects", key=made["secret"]).status == 200

        assert mq.call("DELETE", f"/keys/{made['id']}").status == 204

        return seconds_until(lambda: mq.get("/projects", key=made["secret"]).status == 401, "the key is refused")

    assert best_of(5, revoked) <= 1.0


def test_a_key_gives_only_what_it_has(mq: Running) -> None:
    manager = mq.make_key(["keys:manage", "projects:read"])

    given = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]}, key=manager)
    beyond = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["projects:write"]}, key=manager)
    all_of_it = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["*"]}, key=manager)

    assert (given.status, beyond.status, all_of_it.status) == (201, 403, 403)


def test_a_rotated_key_has_two_secrets_until_the_overlap_ends(mq: Running) -> None:
    made = mq.post("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]}).json
    second = mq.post(f"/keys/{made['id']}/rotate", {"overlap_s": 3600}).json["secret"]
    guessed, _ = mint("live", made["id"])

    wait_until(lambda: mq.get("/projects", key=second).status == 200, "the new secret works")
    assert mq.get("/projects", key=made["secret"]).status == 200
    assert mq.get("/projects", key=guessed).status == 401
    third = mq.post(f"/keys/{made['id']}/rotate", {"overlap_s": 0}).json["secret"]
    wait_until(lambda: mq.get("/projects", key=third).status == 200, "the newest secret works")
    for ended in (made["secret"], second, guessed):
        assert mq.get("/projects", key=ended).status == 401


def test_a_token_ends_with_what_it_depends_on(mq: Running, things: dict[str, str]) -> None:
    project = things["project"]
    task = mq.post("/tasks", {"project": project, "title": "to be ended"}).json["id"]
    key = mq.post("/keys", {"name": "n", "principal": "lender", "role": "agent"}).json
    body = {"agent": "a", "project": project, "scopes": ["projects:read"]}
    revoked, bound, kept = (
        mq.post("/tokens", {**body, "task": of}, key=key["secret"]).json for of in (None, task, None)
    )

    def answers(token: str) -> int:
        return mq.get(f"/projects/{project}", key=token).status

    assert [answers(each["token"]) for each in (revoked, bound, kept)] == [200] * 3
    assert mq.call("DELETE", f"/tokens/{revoked['id']}", key=key["secret"]).status == 204
    ended = mq.call("PATCH", f"/tasks/{task}", {"state": "cancelled"}, headers={"If-Match": "*"})
    assert ended.status == 200, ended.body
    for token in (revoked["token"], bound["token"]):
        wait_until(lambda: answers(token) == 401, "the token has ended")  # noqa: B023
    assert answers(kept["token"]) == 200
    mq.call("DELETE", f"/keys/{key['id']}")
    wait_until(lambda: answers(kept["token"]) == 401, "the token has ended with its key")


def test_a_token_does_at_home_what_it_was_given_and_nothing_else(mq: Running, things: dict[str, str]) -> None:
    project, task = things["project"], mq.post("/tasks", {"project": things["project"], "title": "mine"}).json["id"]
    other = mq.post("/tasks", {"project": project, "title": "other"}).json["id"]
    scopes = ["artifacts:read", "artifacts:write", "tasks:write", "projects:read", "security:assess"]
    token = mq.post("/tokens", {"agent": "a", "project": project, "task": task, "scopes": scopes}).json["token"]
    body = {"type": "doc", "name": "home", "content": "at home"}
    change: Any = {"key": token, "headers": {"If-Match": "*"}}

    assert mq.get(f"/artifacts/{things['artifact']}", key=token).status == 200
    assert mq.get(f"/artifacts?project={project}", key=token).status == 200
    assert mq.get("/artifacts", key=token).status == 403
    assert mq.post("/artifacts", {"project": project, **body}, key=token).status == 202
    assert mq.post("/security/assess", {"content": "at no home"}, key=token).status == 403
    assert mq.post("/security/assess", {"content": "at home", "project": project}, key=token).status == 202
    assert mq.get(f"/tasks/{other}", key=token).status == 200
    assert mq.call("PATCH", f"/tasks/{other}", {"title": "u"}, **change).status == 403
    assert mq.call("PATCH", f"/tasks/{task}", {"title": "u"}, **change).status == 200
    assert mq.get(f"/requests/{things['request_id']}", key=token).status == 403


def test_a_token_names_nothing_outside_of_its_project(mq: Running, things: dict[str, str]) -> None:
    project = mq.project("small")
    body = {"agent": "a", "project": project, "scopes": ["llm:generate"]}
    token = mq.post("/tokens", body).json["token"]

    for artifact in (things["artifact"], "art_none"):
        answer = mq.post("/llm/generate", {"project": project, "prompt": "p", "inputs": [artifact]}, key=token)
        assert (answer.status, answer.json["detail"]) == (404, f"inputs: artifact {artifact} does not exist")
    at_home = mq.post("/tokens", {**body, "project": things["project"]}).json["token"]
    own = {"project": things["project"], "prompt": "p", "inputs": [things["artifact"]]}
    assert mq.post("/llm/generate", own, key=at_home).status == 202


def test_a_token_is_given_only_what_its_giver_has(mq: Running, things: dict[str, str]) -> None:
    weak = mq.make_key(["tokens:delegate", "artifacts:read"], principal="weak")
    body = {"agent": "a", "project": things["project"], "scopes": ["artifacts:read"]}

    given = mq.post("/tokens", body, key=weak)
    beyond = mq.post("/tokens", {**body, "scopes": ["artifacts:write"]}, key=weak)
    handed_on = mq.post("/tokens", body, key=given.json["token"])
    no_task = mq.post("/tokens", {**body, "task": "tsk_none"}, key=weak)
    elsewhere = mq.post("/tokens", {**body, "project": mq.project("taskless"), "task": things["task"]}, key=weak)
    of_others = mq.call("DELETE", f"/tokens/{things['token']}", key=weak)

    assert (given.status, beyond.status, handed_on.status, of_others.status) == (201, 403, 403, 404)
    assert (no_task.status, elsewhere.status) == (404, 404)


def test_what_is_stopped_is_refused_and_nothing_else(mq: Running) -> None:
    halted, going = mq.project("halted"), mq.project("going")
    mallory, agent, other = (mq.make_key(["*"], principal=name) for name in ("mallory", "mallory/agent", "malory"))
    body = {"type": "doc", "name": "n", "content": "c"}
    stops = [{"kind": "principal", "subject": "mallory"}, {"kind": "project", "subject": halted}]
    for stop in stops:
        assert mq.post("/stops", {**stop, "reason": "it loops"}).status in (200, 201)

    wait_until(lambda: mq.get("/projects", key=mallory).status == 403, "the stop holds")
    assert mq.get("/projects", key=agent).json["code"] == "stopped"
    assert mq.get("/projects", key=other).status == 200
    assert mq.post("/artifacts", {"project": halted, **body}, key=other).json["code"] == "stopped"
    assert mq.post("/artifacts", {"project": going, **body}, key=other).status == 202
    # What governs a stopped project still can: or nobody could ever end what stopped it.
    assert mq.post("/policies", {"project": halted, "document": {"rules": []}, "reason": "r"}).status == 200
    for stop in stops:
        assert mq.post("/stops/lift", stop).status in (200, 204)
    wait_until(lambda: mq.get("/projects", key=mallory).status == 200, "the stop is lifted")


def test_a_key_that_expires_is_refused_from_then_on(mq: Running) -> None:
    past = mq.post(
        "/keys", {"name": "n", "principal": "p", "scopes": ["audit:read"], "expires_at": "2020-01-01T00:00:00Z"}
    )

    assert (past.status, past.json["code"]) == (422, "invalid_input")


def test_a_secret_is_shown_once(mq: Running) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"name": "once", "principal": "p", "scopes": ["audit:read"]}

    first = mq.post("/keys", body, headers=key).json
    again = mq.post("/keys", body, headers=key).json

    assert first["secret"].startswith("mq_live_")
    assert (again["id"], again["secret"]) == (first["id"], None)
    page = mq.get("/keys?page_size=200").body.decode()
    assert first["id"] in page
    assert first["secret"][22:86] not in page
    requests = mq.get("/requests?kind=key.create&page_size=200").body.decode()
    assert first["secret"][22:86] not in requests


def test_metrics_need_their_scope_and_probes_need_no_key(mq: Running, stranger: str) -> None:
    assert mq.get("//metrics", key="").status == 401
    assert mq.get("//metrics", key=mq.make_key(["projects:read"])).status == 403
    # It counts for all organizations, and says their names.
    assert mq.get("//metrics", key=stranger).status == 403
    assert b"metaqore_queue_depth" in mq.get("//metrics", key=mq.make_key(["metrics:read"])).body
    assert mq.get("//healthz", key="").json == {"status": "alive"}
    assert mq.get("//readyz", key="").json["status"] == "ready"


def test_what_does_not_exist_is_no_secret_only_for_those_with_a_key(mq: Running) -> None:
    assert mq.get("//nowhere", key="").status == 401
    assert mq.get("//nowhere").status == 404
