"""Every look-up × an organization that has nothing: it gets nothing of another one's; a new look-up needs a row here.

The isolation matrix asks over HTTP, where one check may stand before another. Here each look-up is asked by itself, and
the owner must get an answer, so that no row is empty for the wrong reason.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import msgspec
import pytest

from api.door import EXTENSION
from metaqore.audit.provenance import Graph
from metaqore.clock import now_ms
from metaqore.errors import MetaQoreError
from metaqore.psmp.checkpoints import Point
from metaqore.store.views import Views
from tests.in_process import InProcess
from tests.integration.api import test_isolation as isolation

#: Parameter → what is asked for, where ``things`` has nothing of this name. Whatever is not here is left open (None).
GIVEN: Mapping[str, Any] = {
    "limit": 200, "types": (), "depth": 3, "subject": "developer", "default_days": 1, "queue": "psmp",
    "kind": "code", "name": "secret.py", "field": "at", "old": 0, "seq": 1, "size": 1,
}  # fmt: skip
#: Look-up → what it is asked with besides, or instead.
ROWS: Mapping[str, Mapping[str, Any]] = {
    "audit._covering": {},
    "audit.entries": {"project": None, "request": None},
    "delivery.events": {"after": 0},
    "psmp.artifacts": {"name": None},
    "psmp.conflicts": {"project": None},
    "past.conflicts": {"project": None},
    "past.artifacts": {"name": None},
    "psmp.project_of": {"table": "artifacts", "key": "{artifact}"},
    "requests.find": {"project": None, "kind": None},
    "security.policies": {"project": ""},
    "security.latest_decisions": {"project": None},
    "security.project_of": {"table": "artifacts", "thing": "{artifact}"},
    "time.place": {"point": Point("position", 1)},
    "compliance.decided": {"through": 1000},
    "compliance._decisions": {"ids": ["{decision}"]},
    "privacy.key_of erased": {"subject": "classified-4711", "erased": True},
}
#: What an organization that has nothing gets, where that is not nothing.
DEFAULTS: Mapping[str, Any] = {
    "privacy.retention": lambda answer: set(answer.values()) == {1},
    # It repeats what was asked for.
    "privacy.everything": lambda answer: not any(value for value in answer.values() if isinstance(value, list)),
}
#: Of all organizations on purpose, or only what was found by one of the others. Each takes no organization.
WITHOUT = frozenset(
    {
        "requests.finished",  # who waits for a request has found it before
        "security.all_stops", "security.gate", "security.principal", "security.token",  # the door, which asks whose
        "health.counts", "health.database", "health.open_requests", "health.sinks", "health.specialists",  # numbers
        "time.at", "time.diff", "time.difference", "time.recorded",  # of a project that ``time.place`` has found
        "holdings.manifest", "holdings.manifest_at", "audit.verifier_keys",
    }
)  # fmt: skip


class LookUp(NamedTuple):
    """A look-up, and what it is asked with besides the organization."""

    name: str
    method: Any
    given: Mapping[str, Any]

    def ask(self, organization: str) -> Any:
        """Return the whole answer, or None where it is refused."""
        try:
            answer = self.method(**self.given, organization=organization)
            return [*answer] if isinstance(answer, Iterator | types.GeneratorType) else answer
        except MetaQoreError:
            return None


class World(NamedTuple):
    """An application in this process that has one of each thing, and a database that can be copied."""

    mq: InProcess
    things: dict[str, str]
    operations: dict[str, tuple[str, str, dict[str, Any]]]
    #: A key that may do everything, in another organization.
    stranger: str

    @property
    def views(self) -> Views:
        """The look-ups."""
        found: Views = self.mq.app.extensions[EXTENSION].views
        return found


def make_world(folder: Path) -> World:
    """Make one of each thing in ``folder``, which has a database with all tables."""
    mq: Any = InProcess(folder)
    fixtures: Any = isolation
    things, operations = fixtures.things.__wrapped__(mq), fixtures.operations.__wrapped__(mq)
    project, artifact = things["project"], things["artifact"]
    said = {"reason": "classified-4711"}
    for method, path, body in (
        ("PUT", f"/artifacts/{artifact}/aliases/released", {"version": 1}),
        ("POST", "/policies", {"document": {"rules": []}, **said}),
        ("PUT", "/budgets", {"scope": "organization", "unit": "calls", "amount": 10**6}),
        ("PUT", "/privacy/retention", {"class": "requests", "days": 400}),
        ("POST", "/stops", {"kind": "provider", "subject": "nobody", **said}),
    ):
        answer = mq.call(method, path, body)
        assert answer.status < 300, (path, answer.body)
    mq.drain()
    # One conflict that nobody has answered, and one request that nobody has decided.
    body = {"project": project, "type": "code", "name": "secret.py", "content": "classified-4711 again"}
    assert mq.post("/artifacts", body, prefer="wait=60").status == 409
    mq.post("/artifacts", body)
    with mq.app.extensions[EXTENSION].engine.database.write() as connection:
        # To find a pattern and to train takes hundreds of calls.
        connection.exec_driver_sql(
            "INSERT INTO patterns (id, organization, signature, state, support, body, request_id, created_at, "
            "updated_at) SELECT 'pat_1', organization, 's', 'proposed', 9, '{}', id, 1, 1 FROM requests LIMIT 1"
        )
        connection.exec_driver_sql(
            "INSERT INTO specialists (id, organization, pattern, version, state, manifest, gate, request_id, "
            "created_at) SELECT 'spc_1', organization, 'pat_1', 1, 'proposed', '{}', '{}', id, 1 FROM requests LIMIT 1"
        )
    stranger = mq.make_key(["*"], principal="stranger", organization="elsewhere")
    return World(mq, {**things, "pattern": "pat_1"}, operations, stranger)


def look_ups(world: World) -> Iterator[LookUp]:
    """Yield every look-up that takes an organization, with what the owner gets an answer to."""
    groups = {name: getattr(world.views, name) for name in get_type_hints(Views)}
    for group, views in {**groups, "past": world.views.time.at(10**9)}.items():
        for name, method in inspect.getmembers(views, inspect.ismethod):
            parameters = inspect.signature(method).parameters
            if "organization" in parameters and (not name.startswith("_") or f"{group}.{name}" in ROWS):
                for row in [f"{group}.{name}", *(row for row in ROWS if row.startswith(f"{group}.{name} "))]:
                    given = {each: _given(each, ROWS.get(row, {}), world.things) for each in parameters}
                    del given["organization"]
                    yield LookUp(row, method, given)


def _given(parameter: str, row: Mapping[str, Any], things: Mapping[str, str]) -> Any:
    if parameter in row:
        value = row[parameter]
        value = [each.format(**things) for each in value] if isinstance(value, list) else value
        return value.format(**things) if isinstance(value, str) else value
    known = {**things, **GIVEN, "request": things["request_id"], "key": things["key_id"], "ids": [things["project"]]}
    return {**known, "version": 1, "now": now_ms(), "at": now_ms() + 1000}.get(parameter)


def is_nothing(answer: Any) -> bool:
    """Return whether an answer says nothing: empty, zero, or made of such."""
    if isinstance(answer, msgspec.Struct):
        return is_nothing([getattr(answer, name) for name in answer.__struct_fields__])
    if isinstance(answer, Graph):
        return is_nothing(answer.nodes)
    if isinstance(answer, Mapping):
        return all(map(is_nothing, answer.values()))
    if isinstance(answer, list | tuple | set | frozenset):
        return all(map(is_nothing, answer))
    return not answer


def check_look_up(look_up: LookUp, owner: str = "acme") -> None:
    """Hold a look-up to its organization."""
    nowhere = look_up.ask("nowhere")
    own = look_up.ask(owner)
    assert own != nowhere and not is_nothing(own), f"{look_up.name}: the owner gets no answer: give it a row"
    empty = DEFAULTS.get(look_up.name, is_nothing)
    assert empty(nowhere), f"{look_up.name}: {nowhere!r}"


@pytest.fixture(scope="module")
def world(data_folder: Path) -> Iterator[World]:
    made = make_world(data_folder)
    yield made
    made.mq.close()


def test_no_look_up_gives_anything_of_another_organization(world: World) -> None:
    organization = world.mq.settings.organization
    found = [*look_ups(world)]

    assert len(found) >= 60
    for look_up in found:
        check_look_up(look_up, organization)


def test_a_look_up_without_its_filter_is_noticed(world: World) -> None:
    # It imports this module.
    from tests.authz_mutants import faulty, unfiltered

    organization = world.mq.settings.organization
    every, mutants, unnoticed = [*look_ups(world)], [*unfiltered()], []
    for mutant in mutants:
        with faulty(mutant):
            # Its own row first; what stands below others is noticed in theirs.
            for look_up in sorted(every, key=lambda each: each.method.__func__ is not mutant.function):
                try:
                    check_look_up(look_up, organization)
                except AssertionError:
                    break
            else:
                unnoticed.append(str(mutant))

    assert len(mutants) >= 60
    assert unnoticed == []


def test_every_look_up_takes_an_organization_or_says_why_not() -> None:
    missing = set()
    for group, views in get_type_hints(Views).items():
        for name, function in inspect.getmembers(views, inspect.isfunction):
            own = not name.startswith("_") and name not in ("rows", "row", "page")
            if own and "organization" not in inspect.signature(function).parameters:
                missing.add(f"{group}.{name}")

    assert missing == WITHOUT
