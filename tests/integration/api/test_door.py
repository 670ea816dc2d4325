"""Who gets in, for how long and how far: keys, delegated tokens and JWTs over the real application."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from flask.testing import FlaskClient

from api import keyring
from api.app import create_app
from api.door import EXTENSION
from metaqore import bootstrap
from metaqore.clock import now_ms
from metaqore.settings import Settings, load
from tests.issuer import LocalIssuer, issuing
from tests.running import best_of, seconds_until, wait_until


class Silent:
    """Rings nothing: no worker is there to hear it."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def ring(self, queue: str, ids: Any) -> None:
        """Do nothing."""


class Site:
    """Two processes' worth of applications over one database, each with caches of its own."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.apps = [create_app(settings) for _ in range(2)]
        self.clients: list[FlaskClient] = [app.test_client() for app in self.apps]
        self.key = bootstrap.create_key(settings, principal="boss", name="test", scopes=["*"])

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None, at: int = 0) -> Any:
        """Call ``/api/v1`` + path at one of the two."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return self.clients[at].open("/api/v1" + path, method=method, json=body, headers=headers)

    def made(self, path: str, body: Any, **options: Any) -> Any:
        """POST and return what was made."""
        answer = self.call("POST", path, body, **options)
        assert answer.status_code in (200, 201), answer.text
        return answer.json

    def works(self, key: str, at: int = 0) -> bool:
        """Return whether a key may list projects."""
        return bool(self.call("GET", "/projects", key=key, at=at).status_code == 200)

    def close(self) -> None:
        for app in self.apps:
            app.extensions[EXTENSION].engine.database.close()


@pytest.fixture(scope="module")
def local_issuer() -> Iterator[LocalIssuer]:
    with issuing() as made:
        yield made


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def site(request: Any, tmp_path_factory: pytest.TempPathFactory, local_issuer: LocalIssuer) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("door")
    if request.param == "postgres":
        server = request.getfixturevalue("postgres")
        dsn = server.url(server.take())
    else:
        shutil.copyfile(request.getfixturevalue("sqlite_template"), folder / "metaqore.db")
        dsn = f"sqlite:///{folder / 'metaqore.db'}"
    settings = load(
        {"storage_dsn": dsn, "data_dir": str(folder), "redis_url": "redis://127.0.0.1:9/0",
         "oidc_issuer": local_issuer.url, "oidc_organization_claim": "org"},
        environ={},
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("api.app.PublisherBell", Silent)
        made = Site(settings)
    yield made
    # The database is given to nobody else: threads of the applications, which count failed logins, live on.
    made.close()


@pytest.mark.alone
def test_a_revoked_key_stops_in_every_process_within_a_second(site: Site) -> None:
    def revoked() -> float:
        made = site.made("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]})
        assert site.works(made["secret"], at=0) and site.works(made["secret"], at=1)

        assert site.call("DELETE", f"/keys/{made['id']}", at=0).status_code == 204

        return seconds_until(lambda: not any(site.works(made["secret"], at=at) for at in (0, 1)), "the key is refused")

    assert best_of(5, revoked) <= 1.0


def test_a_rotated_key_works_with_both_secrets_until_the_overlap_ends(site: Site, monkeypatch: Any) -> None:
    old = site.made("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]})

    new = site.made(f"/keys/{old['id']}/rotate", {"overlap_s": 3600})

    assert new["secret"].split("_")[2] == old["id"]
    wait_until(lambda: site.works(new["secret"], at=1), "the new secret works")
    assert site.works(old["secret"], at=1)
    later = now_ms() + 3_600_000
    monkeypatch.setattr(keyring, "now_ms", lambda: later)
    assert site.works(new["secret"], at=1)
    assert not site.works(old["secret"], at=1)


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(site: Site) -> None:
    old = site.made("/keys", {"name": "n", "principal": "p", "scopes": ["projects:read"]})

    new = site.made(f"/keys/{old['id']}/rotate", {"overlap_s": 0})

    wait_until(lambda: not site.works(old["secret"]), "the old secret is refused")
    assert site.works(new["secret"])


def test_nobody_gets_the_secret_of_a_key_that_may_do_more_than_they_may(site: Site) -> None:
    manager = site.made("/keys", {"name": "n", "principal": "p", "scopes": ["keys:manage", "projects:read"]})["secret"]
    strong = site.made("/keys", {"name": "n", "principal": "q", "scopes": ["projects:write"]})["id"]

    answer = site.call("POST", f"/keys/{strong}/rotate", {}, key=manager)

    assert (answer.status_code, answer.json["scope"]) == (403, "projects:write")


def test_the_first_key_of_a_principal_says_what_it_is(site: Site) -> None:
    first = site.made("/keys", {"name": "n", "principal": "ann", "kind": "person", "role": "reviewer"})
    again = site.made("/keys", {"name": "n", "principal": "ann", "scopes": ["audit:read"]})
    other = site.call("POST", "/keys", {"name": "n", "principal": "ann", "kind": "agent", "scopes": ["audit:read"]})

    assert (first["kind"], again["kind"], other.status_code) == ("person", "person", 422)
    assert "conflicts:resolve" in first["scopes"]


# --- delegated tokens


@pytest.fixture(scope="module")
def planner(site: Site) -> str:
    return str(site.made("/keys", {"name": "n", "principal": "planner", "role": "agent"})["secret"])


def delegate(site: Site, key: str, project: str, **more: Any) -> Any:
    body = {"agent": "w1", "project": project, "scopes": ["artifacts:write", "artifacts:read", "projects:read"], **more}
    return site.call("POST", "/tokens", body, key=key)


def declared(project: str, **more: Any) -> dict[str, Any]:
    return {"project": project, "type": "code", "name": "n", "content": 1, **more}


def test_a_token_works_in_its_project_and_nowhere_else(site: Site, planner: str) -> None:
    mine, other = (site.made("/projects", {"name": name})["id"] for name in ("mine", "other"))
    made = delegate(site, planner, mine).json
    token = made["token"]

    assert made["principal"] == "planner/w1"
    assert site.call("POST", "/artifacts", declared(mine), key=token, at=1).status_code == 202
    assert site.call("POST", "/artifacts", declared(other), key=token).status_code == 403
    both = site.call("POST", "/artifacts/batch", {"items": [declared(mine), declared(other)]}, key=token)
    assert both.status_code in (403, 404, 405)
    assert site.call("GET", f"/artifacts?project={mine}", key=token).status_code == 200
    assert site.call("GET", f"/artifacts?project={other}", key=token).status_code == 403
    assert site.call("GET", f"/projects/{mine}", key=token).status_code == 200
    assert site.call("GET", f"/projects/{other}", key=token).status_code == 404
    assert site.call("GET", "/projects", key=token).status_code == 403
    assert site.call("GET", "/requests", key=token).status_code == 403


def test_nothing_is_handed_on_that_one_does_not_have_or_must_not_hand_on(site: Site, planner: str) -> None:
    project = site.made("/projects", {"name": "p"})["id"]
    weak = site.made("/keys", {"name": "n", "principal": "w", "scopes": ["tokens:delegate", "projects:read"]})["secret"]

    assert delegate(site, weak, project).json["scope"] == "artifacts:read"
    assert delegate(site, planner, project, scopes=["keys:manage"]).status_code == 422
    assert delegate(site, planner, project, expires_in_s=3601).status_code == 422
    assert delegate(site, planner, "prj_none").status_code == 404
    assert delegate(site, planner, project, task="tsk_none").status_code == 404
    token = delegate(site, planner, project).json["token"]
    assert delegate(site, token, project).status_code == 403


def test_a_token_ends_with_the_key_it_was_made_with(site: Site) -> None:
    project = site.made("/projects", {"name": "p"})["id"]
    made = site.made("/keys", {"name": "n", "principal": "planner2", "role": "agent"})
    token = delegate(site, made["secret"], project).json["token"]

    def works() -> bool:
        return bool(site.call("GET", f"/projects/{project}", key=token, at=1).status_code == 200)

    assert works()
    site.call("DELETE", f"/keys/{made['id']}")

    wait_until(lambda: not works(), "the token is refused")


def test_a_token_ends_with_its_task_by_revocation_and_by_itself(site: Site, planner: str, monkeypatch: Any) -> None:
    project = site.made("/projects", {"name": "p"})["id"]
    task = site.made("/tasks", {"project": project, "title": "t"})["id"]
    tokens = [delegate(site, planner, project, task=task).json for _ in range(3)]

    def works(index: int) -> bool:
        answer = site.call("GET", f"/tasks/{task}", key=tokens[index]["token"])
        return bool(answer.status_code == 200)

    assert all(works(i) for i in range(3))
    assert site.call("DELETE", f"/tokens/{tokens[0]['id']}", key=planner).status_code == 204
    wait_until(lambda: not works(0), "the revoked token is refused")
    with monkeypatch.context() as patched:
        later = now_ms() + 901_000
        patched.setattr(keyring, "now_ms", lambda: later)
        assert not works(1)
    assert works(1)
    headers = {"Authorization": f"Bearer {site.key}", "If-Match": "*", "Content-Type": "application/merge-patch+json"}
    ended = site.clients[0].patch(f"/api/v1/tasks/{task}", data='{"state": "cancelled"}', headers=headers)
    assert ended.status_code == 200, ended.text
    wait_until(lambda: not works(2), "a token of an ended task is refused")


def test_a_token_that_was_not_signed_here_is_refused(site: Site, planner: str) -> None:
    project = site.made("/projects", {"name": "p"})["id"]
    made = delegate(site, planner, project).json
    claims = jwt.decode(made["token"][4:], options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    forged = ["mqd_" + jwt.encode(claims, "0" * 64), "mqd_" + unsigned, "mqd_x", made["token"][4:]]

    for token in forged:
        assert site.call("GET", f"/projects/{project}", key=token).status_code == 401, token
    assert site.call("GET", f"/projects/{project}", key=made["token"]).status_code == 200


# --- JWTs


def test_a_jwt_of_the_provider_gets_in_with_the_scopes_that_it_names(site: Site, local_issuer: LocalIssuer) -> None:
    for kid in local_issuer.keys:
        token = local_issuer.token(kid, sub="ann", org="acme", scope="projects:read projects:write nonsense *")
        project = site.made("/projects", {"name": kid}, key=token)
        assert project["created_by"] == "oidc:ann"
        assert site.call("GET", "/keys", key=token).status_code == 403
    assert {p["name"] for p in site.call("GET", "/projects", key=token).json["items"]} == set(local_issuer.keys)
    elsewhere = local_issuer.token("rsa", sub="ann", org="elsewhere", scope=["projects:read"])
    assert site.call("GET", "/projects", key=elsewhere).json["items"] == []


def test_a_jwt_that_is_off_in_any_way_is_refused(site: Site, local_issuer: LocalIssuer) -> None:
    good = {"sub": "ann", "org": "acme", "scope": "projects:read"}
    off = local_issuer.wrong(**good)

    assert site.works(local_issuer.token("ec", **good))
    assert [what for what, token in off.items() if site.call("GET", "/projects", key=token).status_code != 401] == []


def test_a_delegated_token_of_a_jwt_ends_with_the_jwt(site: Site, local_issuer: LocalIssuer) -> None:
    token = local_issuer.token(
        "ec", sub="ann", org="acme", scope="projects:write tokens:delegate artifacts:read", lifetime=120
    )
    project = site.made("/projects", {"name": "p"}, key=token)["id"]

    made = delegate(site, token, project, scopes=["artifacts:read"], expires_in_s=3600).json

    assert made["principal"] == "oidc:ann/w1"
    claims = jwt.decode(made["token"][4:], options={"verify_signature": False})
    assert claims["exp"] == jwt.decode(token, options={"verify_signature": False})["exp"]


# --- limits


@pytest.fixture
def narrow(site: Site) -> Iterator[FlaskClient]:
    """An application that allows little; the shared counters are out of reach, so it is by itself."""
    tight = {"rate_limit_per_minute": 24, "rate_limit_failures_per_minute": 12, "quota_open_per_project": 2}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("api.app.PublisherBell", Silent)
        app = create_app(msgspec.structs.replace(site.settings, **tight))
    yield app.test_client()
    app.extensions[EXTENSION].engine.database.close()


def test_whoever_calls_too_often_hears_when_to_come_again(site: Site, narrow: FlaskClient) -> None:
    mine = {"Authorization": f"Bearer {site.key}"}
    answers = [narrow.get("/api/v1/projects", headers=mine) for _ in range(7)]

    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert answers[0].headers["RateLimit-Policy"] == '"principal";q=24;w=60, "organization";q=1200000;w=60'
    assert [a.headers["RateLimit"].split(";")[1] for a in answers] == ["r=5", "r=4", "r=3", "r=2", "r=1", "r=0", "r=0"]
    assert 1 <= int(answers[6].headers["Retry-After"]) <= 10
    assert (answers[6].json or {})["code"] == "rate_limited"


def test_an_address_that_guesses_is_refused_before_anything_is_looked_up(site: Site, narrow: FlaskClient) -> None:
    unknown = {"Authorization": "Bearer mq_live_" + "0" * 12 + "_" + "0" * 72}
    codes = [narrow.get("/api/v1/projects", headers=unknown).status_code for _ in range(4)]
    there = {"Authorization": f"Bearer {site.key}"}

    assert codes == [401, 401, 401, 429]
    assert narrow.get("/api/v1/projects", headers=there).status_code == 429
    elsewhere = narrow.get("/api/v1/projects", headers=there, environ_overrides={"REMOTE_ADDR": "192.0.2.9"})
    assert elsewhere.status_code == 200


def test_a_project_with_too_much_in_line_takes_no_more(site: Site, narrow: FlaskClient) -> None:
    project = site.made("/projects", {"name": "p"})["id"]
    mine = {"Authorization": f"Bearer {site.key}"}
    answers = [narrow.post("/api/v1/artifacts", json=declared(project), headers=mine) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert (answers[2].json or {})["code"] == "quota_exceeded"
    both = narrow.post("/api/v1/artifacts/batch", json={"items": [declared(project)] * 2}, headers=mine)
    assert both.status_code == 429


def test_budgets_are_set_and_read(site: Site) -> None:
    project = site.made("/projects", {"name": "p"})["id"]
    asked = {"scope": "project", "subject": project, "unit": "tokens", "period": "day", "amount": 1000}

    answer = site.call("PUT", "/budgets", asked)
    page = site.call("GET", "/budgets?scope=project").json

    assert (answer.status_code, answer.json["amount"], answer.json["spent"]) == (200, 1000, 0)
    mine = next(item for item in page["items"] if item["subject"] == project)
    assert (mine["left"], mine["reserved"], mine["period"]) == (1000, 0, "day")
    assert site.call("PUT", "/budgets", {**asked, "subject": "prj_none"}).status_code == 404
    assert site.call("PUT", "/budgets", {**asked, "amount": -1}).status_code == 422
    reader = site.made("/keys", {"name": "n", "principal": "r", "scopes": ["budgets:read"]})["secret"]
    assert site.call("PUT", "/budgets", asked, key=reader).status_code == 403
    assert site.call("PUT", "/budgets", {**asked, "amount": None}).status_code == 200
    assert project not in site.call("GET", "/budgets", key=reader).text
