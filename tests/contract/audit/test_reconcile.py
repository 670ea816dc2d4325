"""Omission, the attack that no hash can find: an act without its entry, an entry without its act, an act twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from metaqore.audit.database import open_database
from metaqore.audit.findings import Attack, Finding, Verdict
from metaqore.audit.reconcile import MOST_NAMED, reconcile
from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote
from metaqore.requests.recorder import Recorder
from metaqore.store.engine import Database
from tests.contract.pipeline import ORGANIZATION, Pipeline


class Recorded(Pipeline):
    """A pipeline with one of everything that is recorded."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        project = self.project()
        for i in range(300):
            self.declare(project, f"a{i % 3}", f"text {i}", **({"base_version": i // 3} if i >= 3 else {}))
        self.settle_all()
        self.request = str(self.sql("SELECT id FROM requests WHERE kind = 'artifact.declare' LIMIT 1")[0][0])
        self.artifact = str(self.sql("SELECT id FROM artifacts ORDER BY id LIMIT 1")[0][0])
        self.change(
            "INSERT INTO webhook_deliveries (id, organization, endpoint, event_id, event_seq, state, next_at, "
            "created_at) SELECT 'del_1', organization, 'ep', id, seq, 'delivered', 0, created_at FROM events "
            "WHERE seq = 2"
        )
        [(of_event,)] = self.sql("SELECT request_id FROM events WHERE seq = 2")
        self.note(Tag.DELIVERY_FAILED, "del_1", "pending", of_event)
        self.note(Tag.DELIVERY_DELIVERED, "del_1", "delivered", of_event)
        self.decide("dec_1")
        self.note(Tag.DECISION_VETOED, "dec_1", "vetoed", self.request)

    def note(self, tag: Tag, subject: str, outcome: str, request: str, **details: object) -> None:
        with self.store.write() as tx:
            recorder = Recorder(self.catalogue, self.clock())
            note = AuditNote(tag=tag, subject=subject, outcome=outcome, details=details)
            recorder.note(ORGANIZATION, "metaqore", note, request=request)
            recorder.flush(tx)

    def decide(self, decision: str) -> None:
        self.change(
            "INSERT INTO decisions (id, organization, request_id, principal, verdict, label, policy, policy_digest, "
            "body, created_at) VALUES (?, ?, ?, 'ann', 'vetoed', 'public', 'p', 'd', '{}', ?)",
            decision, ORGANIZATION, self.request, self.clock(),
        )  # fmt: skip

    def findings(self) -> list[Finding]:
        source = open_database(self.database.dsn)
        verdict = Verdict(ORGANIZATION)
        reconcile(source, verdict)
        source.close()
        return verdict.findings


@pytest.fixture
def recorded(database: Database) -> Iterator[Recorded]:
    yield Recorded(database)


def test_what_was_done_and_what_was_recorded_agree(recorded: Recorded) -> None:
    assert recorded.findings() == []


OMISSIONS = {
    "request": "INSERT INTO requests (id, organization, principal, kind, queue, payload, state, available_at, "
               "created_at) VALUES ('req_x', 'acme', 'ann', 'artifact.declare', 'psmp', '{{}}', 'cancelled', 0, {now})",
    "decision": "INSERT INTO decisions (id, organization, request_id, principal, verdict, label, policy, "
                "policy_digest, body, created_at) VALUES ('dec_x', 'acme', '{request}', 'ann', 'approved', "
                "'public', 'p', 'd', '{{}}', 1)",
    "version": "UPDATE artifact_versions SET version = 999 WHERE artifact = '{artifact}' AND version = 1",
    "event": "INSERT INTO events (organization, seq, id, type, subject, request_id, data, created_at) "
             "VALUES ('acme', 9999, 'evt_x', 'artifact.created', 's', '{request}', '{{}}', {now})",
    "delivery": "UPDATE webhook_deliveries SET id = 'del_x'",
}  # fmt: skip


@pytest.mark.parametrize("what", OMISSIONS)
def test_an_act_that_was_never_logged_is_named(recorded: Recorded, what: str) -> None:
    now = recorded.clock()
    recorded.change(OMISSIONS[what].format(request=recorded.request, artifact=recorded.artifact, now=now))

    found = recorded.findings()

    omitted = [finding for finding in found if finding.attack is Attack.OMITTED]
    assert len(omitted) == 1
    assert omitted[0].why.startswith(f"{what} ")
    assert omitted[0].seq > 0


REMOVALS = {
    "request": "DELETE FROM requests WHERE id = '{request}'",
    "decision": "DELETE FROM decisions",
    "version": "DELETE FROM artifact_versions WHERE artifact = '{artifact}' AND version = 2",
    "event": "DELETE FROM events WHERE seq = 7",
    "delivery": "DELETE FROM webhook_deliveries",
}


@pytest.mark.parametrize("what", REMOVALS)
def test_an_entry_whose_act_is_gone_is_named(recorded: Recorded, what: str) -> None:
    recorded.change(REMOVALS[what].format(request=recorded.request, artifact=recorded.artifact))

    found = recorded.findings()

    assert found
    assert {finding.attack for finding in found} == {Attack.UNFOUNDED}
    assert all(finding.why.startswith(f"{what} ") for finding in found)


def test_an_act_that_is_recorded_twice_is_named(recorded: Recorded) -> None:
    [(request,)] = recorded.sql(
        "SELECT request_id FROM artifact_versions WHERE artifact = ? AND version = 1", recorded.artifact
    )
    recorded.note(Tag.ARTIFACT_ADMITTED, recorded.artifact, "approved", request, version=1)
    recorded.note(Tag.DECISION_VETOED, "dec_1", "vetoed", recorded.request)

    found = recorded.findings()

    assert [finding.attack for finding in found] == [Attack.UNFOUNDED] * 2
    assert sorted(finding.why for finding in found) == [
        "decision dec_1 is recorded 2 times", f"version {recorded.artifact} version 1 is recorded 2 times"
    ]  # fmt: skip


def test_an_act_that_is_recorded_for_another_request_is_named(recorded: Recorded) -> None:
    recorded.note(Tag.ARTIFACT_ADMITTED, recorded.artifact, "approved", recorded.request + "x", version=1)
    assert [finding.attack for finding in recorded.findings()] == [Attack.UNFOUNDED]


def test_of_a_thousand_differences_the_first_are_named_and_the_rest_counted(recorded: Recorded) -> None:
    recorded.change("DELETE FROM events")
    source = open_database(recorded.database.dsn)
    verdict = Verdict(ORGANIZATION)
    reconcile(source, verdict)
    source.close()
    assert len(verdict.findings) == MOST_NAMED
    assert "more" in verdict.notes[0]
