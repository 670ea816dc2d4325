"""The isolation matrix row by row, over an application in this process: for faults put into what it guards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

from msgspec import structs

from api.keyring import KeyRing
from metaqore.adapters.jwks import Jwks
from metaqore.errors import Unauthenticated
from metaqore.security.foreign import Issuer
from tests.integration.api import test_isolation as isolation
from tests.integration.api.test_lookups import World, check_look_up, look_ups
from tests.issuer import issuing
from tests.running import Answer, wait_until
from tests.unit.api import test_small_parts, test_stops
from tests.unit.security import test_tokens


class Row(NamedTuple):
    """Something to ask; fails where somebody may do what they may not, or may not do what they may."""

    name: str
    run: Callable[[], None]


def rows(world: World) -> Iterator[Row]:
    """Yield every row; the order is that of a world, and never changes."""
    mq: Any = world.mq
    for look_up in look_ups(world):
        yield Row(f"look-up {look_up.name}", partial(check_look_up, look_up, mq.settings.organization))
    for module in (test_small_parts, test_stops, test_tokens):
        for name in dir(module):
            test = getattr(module, name)
            if name.startswith("test_") and not test.__code__.co_argcount and not hasattr(test, "hypothesis"):
                yield Row(name, test)
    for each in (doors, rotations, token_at_home, tokens_end, stopped, stopped_in_the_queue, not_found, keys_given,
                 jwts, differences):  # fmt: skip
        yield Row(each.__name__, partial(each, world))
    few = {name: world.operations[name] for name in ("listProjects", "createProject", "getArtifact")}
    things, stranger = world.things, world.stranger
    yield Row("no valid key", partial(isolation.test_without_a_valid_key_nothing_answers, mq, few, things))
    yield Row("no scope", partial(isolation.test_without_its_scope_nothing_answers, mq, world.operations, things))
    for name, operation in sorted(world.operations.items()):
        one = {name: operation}
        asked = partial(isolation.test_a_stranger_sees_nothing_and_changes_nothing, mq, one, things, stranger)
        yield Row(f"stranger {name}", asked)
    for name, operation in sorted(world.operations.items()):
        one = {name: operation}
        asked = partial(isolation.test_a_token_for_another_project_sees_nothing_and_changes_nothing, mq, one, things)
        yield Row(f"token for another project {name}", asked)


def doors(world: World) -> None:
    """Who has a key gets in, who has none does not, and probes answer everybody."""
    mq: Any = world.mq
    assert mq.get(f"/artifacts/{world.things['artifact']}").status == 200
    assert mq.call("HEAD", "/projects").status == 200
    assert mq.get("/projects", key="").status == 401
    assert mq.get("//healthz", key="").status == 200
    assert mq.get("//docs/problems", key="").status == 200
    assert mq.get("//metrics").status == 200
    assert mq.get("//metrics", key=world.stranger).status == 403
    assert mq.get("//nowhere").status == 404
    assert mq.get("//nowhere", key="").status == 401


def rotations(world: World) -> None:
    """The secret before a rotation holds until its overlap ends, and no other one ever does."""
    isolation.test_a_rotated_key_has_two_secrets_until_the_overlap_ends(world.mq)  # type: ignore[arg-type]


def tokens_end(world: World) -> None:
    """Tokens end by revocation, with their key and with their task."""
    isolation.test_a_token_ends_with_what_it_depends_on(world.mq, world.things)  # type: ignore[arg-type]


def keys_given(world: World) -> None:
    """Nobody gives, or takes on, what they do not have."""
    isolation.test_a_key_gives_only_what_it_has(world.mq)  # type: ignore[arg-type]
    isolation.test_a_token_is_given_only_what_its_giver_has(world.mq, world.things)  # type: ignore[arg-type]


def token_at_home(world: World) -> None:
    """A token does in its own project what it was given, and names nothing outside of it."""
    isolation.test_a_token_names_nothing_outside_of_its_project(world.mq, world.things)  # type: ignore[arg-type]
    isolation.test_a_token_does_at_home_what_it_was_given_and_nothing_else(world.mq, world.things)  # type: ignore[arg-type]


def stopped(world: World) -> None:
    """Whoever is stopped, and whatever project is, does nothing more; all others go on."""
    isolation.test_what_is_stopped_is_refused_and_nothing_else(world.mq)  # type: ignore[arg-type]


def not_found(world: World) -> None:
    """What does not exist is not found, by those who may see everything."""
    mq: Any = world.mq
    nothing = {name: f"{value[:4]}none" for name, value in world.things.items()}
    for name, (method, path, operation) in sorted(world.operations.items()):
        if "{" in path:
            answer: Answer = isolation._call(mq, name, (method, path, operation), nothing, mq.key)
            assert answer.status == 404, (name, answer.status, answer.body)
    there = f"/artifacts/{world.things['artifact']}/versions"
    assert [mq.get(f"{there}/{name}").status for name in ("1", "released", "none", "7")] == [200, 200, 404, 404]
    assert [mq.get(f"/audit/proofs/{seq}").status for seq in ("1", "x", "0", "9" * 20)] == [200, 404, 404, 404]


def differences(world: World) -> None:
    """An artifact differs in its own project and in no other one."""
    mq: Any = world.mq
    found = mq.get(f"/projects/{world.things['project']}/diff?from=0&artifact={world.things['artifact']}")
    other = mq.get(f"/projects/{mq.project('other')}/diff?from=0&artifact={world.things['artifact']}")
    assert (found.status, other.status) == (200, 404)


def stopped_in_the_queue(world: World) -> None:
    """What was accepted before its principal or project was stopped is refused, and nobody else's is."""
    mq: Any = world.mq
    projects = {name: mq.project(name) for name in ("queued", "halted")}
    keys = {name: mq.make_key(["artifacts:write"], principal=name) for name in ("eve", "eve/agent", "ann")}
    ids = {}
    for name, project in (("eve", "queued"), ("eve/agent", "queued"), ("ann", "queued"), ("ann", "halted")):
        body = {"project": projects[project], "type": "doc", "name": name, "content": name}
        ids[name, project] = mq.post("/artifacts", body, key=keys[name]).json["id"]
    mq.post("/stops", {"kind": "principal", "subject": "eve", "reason": "it loops"})
    mq.post("/stops", {"kind": "project", "subject": projects["halted"], "reason": "it loops"})
    mq.drain()
    verdicts = {name: mq.get(f"/requests/{request}").json["verdict"] for name, request in ids.items()}
    assert verdicts == {
        ("eve", "queued"): "vetoed", ("eve/agent", "queued"): "vetoed", ("ann", "queued"): "approved",
        ("ann", "halted"): "vetoed",
    }  # fmt: skip


def jwts(_: World) -> None:
    """A JWT of the provider gets in, one that is off in any way does not."""
    with issuing() as provider:
        issuer = Issuer(issuer=provider.url, audience="metaqore", algorithms=("RS256", "ES256", "EdDSA"),
                        organization_claim="org")  # fmt: skip
        ring = KeyRing(lambda _: None, issuer=(issuer, Jwks(provider.url, "")))
        good = {"sub": "ann", "org": "acme", "scope": "projects:read nonsense *"}
        for kid in provider.keys:
            who = ring.authenticate(f"Bearer {provider.token(kid, **good)}")
            assert (who.name, who.organization, who.scopes) == ("oidc:ann", "acme", {"projects:read"})
        for what, token in provider.wrong(**good).items():
            try:
                ring.authenticate(f"Bearer {token}")
            except Unauthenticated:
                continue
            raise AssertionError(what)
        # Its signature is believed for ever, but not the token.
        strict = structs.replace(issuer, leeway_s=0)
        ring = KeyRing(lambda _: None, lambda: 0.0, issuer=(strict, Jwks(provider.url, "")))
        short = provider.token("ed", lifetime=1, **good)
        wait_until(lambda: not _gets_in(ring, short), "the token has expired")


def _gets_in(ring: KeyRing, token: str) -> bool:
    try:
        return bool(ring.authenticate(f"Bearer {token}"))
    except Unauthenticated:
        return False
