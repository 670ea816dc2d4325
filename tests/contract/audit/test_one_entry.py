"""One entry for each thing of the list: a story that does everything once, and what the log then says of each request.

Whatever kind of request there is has a line here, or the test fails; so has every tag that the log knows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from api.failed_logins import FailedLogins
from metaqore import bootstrap
from metaqore.audit.database import open_database
from metaqore.audit.findings import Verdict
from metaqore.audit.reconcile import reconcile
from metaqore.audit.sealer import build
from metaqore.audit.tags import Tag
from metaqore.delivery.dispatch import Dispatcher
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.webhooks import Sender
from metaqore.messages import Submission
from metaqore.requests import long_work
from metaqore.requests.recorder import Recorder
from metaqore.security.keys import SCOPES
from metaqore.settings import load
from metaqore.store.engine import Database
from tests.contract.pipeline import Bell, Clock, Results
from tests.webhooks import FakeNetwork

ROOT = Path(__file__).resolve().parents[3]
ORGANIZATION = "acme"
ACCEPTED = Tag.REQUEST_ACCEPTED.value
#: Of a request that changes nothing of its own: what it leads to has entries of its own.
DECIDED = Tag.REQUEST_DECIDED.value
_SPECIALIST = (
    "INSERT INTO specialists (id, organization, pattern, version, state, gate, manifest, weights, request_id, "
    "created_at) VALUES (?, ?, 'pat_1', ?, 'active', '{}', '{}', NULL, 'req_0', ?)"
)
#: Recorded elsewhere than in this story: what a test of its own is about.
ELSEWHERE = frozenset(
    {
        # tests/contract/test_executor.py, test_long_work.py, test_sweep.py
        Tag.REQUEST_RETRIED, Tag.REQUEST_DEAD,
        # tests/contract/test_psmp_*.py
        Tag.ARTIFACT_MERGED, Tag.CONFLICT_RECORDED, Tag.FIELD_TAKEN_OVER, Tag.INTENT_FULFILLED, Tag.PROJECT_ARCHIVED,
        # tests/contract/test_security_policy.py
        Tag.DECISION_VETOED, Tag.MESSAGE_REFUSED,
        # tests/contract/test_budgets.py, tests/unit/llm
        Tag.CALL_REFUSED, Tag.CALL_LOST, Tag.BUDGET_EXCEEDED,
        # tests/contract/test_specialists.py
        Tag.PATTERN_PROPOSED, Tag.SPECIALIST_TRAINED, Tag.SPECIALIST_REFUSED, Tag.SPECIALIST_ACTIVATED,
        Tag.SPECIALIST_PROPOSED, Tag.SPECIALIST_ROUTED, Tag.SPECIALIST_DRIFTED,
        # tests/contract/test_delivery.py
        Tag.ENDPOINT_DISABLED, Tag.DELIVERY_FAILED, Tag.EVENT_PUBLISHED,
        # test_privacy.py
        Tag.RETENTION_APPLIED,
    }
)  # fmt: skip
#: Nothing of that kind is done by anybody yet. A tag is never taken back; whoever does it takes it out of here.
RESERVED = frozenset(
    {
        Tag.PROPOSAL_OFFERED, Tag.PROPOSAL_APPLIED, Tag.PROJECT_DELETED, Tag.PAYLOAD_DECLASSIFIED, Tag.POLICY_REPLAYED,
        Tag.ORGANIZATION_CREATED, Tag.ORGANIZATION_CHANGED, Tag.PRINCIPAL_CREATED, Tag.PRINCIPAL_CHANGED,
        Tag.PATTERN_DISMISSED,
    }
)  # fmt: skip


class Story:
    """All of the engine over one database, and what each request is expected to have left in the log."""

    def __init__(self, database: Database, folder: Path) -> None:
        settings = load(
            {"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0", "data_dir": str(folder),
             "organization": ORGANIZATION}, environ={},
        )  # fmt: skip
        self.database = database
        self.clock = Clock()
        self.engine = bootstrap.build(settings, lambda _: Bell())
        self.executor, self.intake = self.engine.executor, self.engine.intake
        self.executor.results, self.executor.clock = Results(), self.clock
        self.intake._clock = self.clock
        self.expected: dict[str, list[str]] = {}
        self.told: dict[str, str] = {}
        self.network = FakeNetwork()
        self.dispatcher = Dispatcher(
            self.executor.store, Sender(self.network, EgressPolicy(), clock=self.clock),
            lambda now: Recorder(self.engine.catalogue, now), lambda journal: None, clock=self.clock,
        )  # fmt: skip

    def now(self, kind: str, payload: Mapping[str, Any], *tags: str, project: str | None = None) -> Any:
        """Run a control-plane request; return its result."""
        ran = self.executor.run_now(self._asked(kind, project, payload))
        self._expect(ran.request_id, kind, tags)
        return ran.result

    def queued(
        self, kind: str, payload: Mapping[str, Any], *tags: str, project: str | None = None, by: str = "ann"
    ) -> Any:
        """Submit a request and have it decided; return its result."""
        self.clock.advance(1)
        [request] = self.intake.submit([self._asked(kind, project, payload, by)]).ids
        self.drain()
        self._expect(request, kind, tags)
        [(result,)] = self.sql("SELECT result FROM requests WHERE id = ?", request)
        return {"request": request, **(json.loads(result) if result else {})}

    def drain(self) -> None:
        """Have everything decided that waits."""
        for _ in range(3):
            for queue in ("psmp", "security", "llm", "hmcp"):
                self.executor.drain(queue)
                long_work.drain(self.executor, queue)

    def _asked(self, kind: str, project: str | None, payload: Mapping[str, Any], by: str = "ann") -> Submission:
        return Submission(organization=ORGANIZATION, project=project, principal=by, kind=kind, payload=payload)

    def _expect(self, request: str, kind: str, tags: Sequence[str]) -> None:
        self.told[request] = kind
        self.expected[request] = [ACCEPTED, *tags]

    def sql(self, text: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        with self.database.read() as connection:
            return list(connection.exec_driver_sql(self.database.sql(text), values).fetchall())

    def recorded(self) -> dict[str | None, list[str]]:
        """Return request id (None: none) → tags of its entries, in their order, without deliveries."""
        found: dict[str | None, list[str]] = {}
        for request, tag in self.sql(
            "SELECT request_id, tag FROM audit_entries WHERE organization = ? ORDER BY seq", ORGANIZATION
        ):
            found.setdefault(request, []).append(tag)
        return found


def tell(story: Story, folder: Path) -> None:
    """Do everything once."""
    project = _work(story)
    _govern(story, project)
    _models(story, project)
    _privacy(story, folder)


def _work(story: Story) -> str:
    project: str = story.now("project.save", {"name": "p", "mode": "strict"}, "psmp:project:created")["id"]
    story.now("project.save", {"id": project, "description": "d", "version": 1}, "psmp:project:changed")
    task = story.now("task.save", {"title": "t"}, "psmp:task:created", project=project)["id"]
    story.now("task.save", {"id": task, "title": "u", "version": 1}, "psmp:task:changed", project=project)

    def declare(name: str, content: str, *tags: str, **more: Any) -> Any:
        payload = {"type": "doc", "name": name, "content": content, **more}
        return story.queued("artifact.declare", payload, *tags, project=project)

    first = declare("a", "first text", "psmp:artifact:admitted")["artifact"]["id"]
    blocked = ("psmp:artifact:blocked", "psmp:conflict:opened")
    about = {"proposal": declare("a", "another text", *blocked)["blocking_report"]["proposal"]}
    story.queued("proposal.withdraw", about, "psmp:proposal:withdrawn", "psmp:conflict:resolved", project=project)
    report = declare("a", "a third text", *blocked)["blocking_report"]
    conflict = report["conflicts"][0]["id"]
    story.queued(
        "conflict.resolve",
        {"conflict": conflict, "strategy": "override", "reason": "r", "authority": list(SCOPES)},
        "psmp:artifact:admitted",
        "psmp:conflict:resolved",
        project=project,
    )
    for answer in ("approve", "deny", None):
        report = declare("a", f"a text to {answer}", *blocked)["blocking_report"]
        asked = {"conflict": report["conflicts"][0]["id"], "strategy": "escalate", "expires_in_s": 60}
        escalated = story.queued(
            "conflict.resolve", asked, "security:approval:requested", "psmp:conflict:escalated", project=project
        )
        approval = escalated["approval"]["id"]
        _answer(story, project, approval, answer)
    story.queued(
        "artifact.transition",
        {"artifact": first, "to": "deprecated", "authority": list(SCOPES)},
        "psmp:artifact:deprecated",
        project=project,
    )
    aside = declare("aside", "a text to be set aside", "psmp:artifact:admitted")["artifact"]["id"]
    story.queued("artifact.set_aside", {"artifact": aside, "to": "quarantined"}, "psmp:artifact:changed",
                 project=project)  # fmt: skip
    story.queued(
        "artifact.alias", {"artifact": first, "alias": "stable", "version": 1}, "psmp:artifact:aliased", project=project
    )
    story.queued(
        "artifact.declassify",
        {"artifact": first, "label": "PUBLIC", "reason": "r", "authority": list(SCOPES)},
        "psmp:artifact:admitted",
        "psmp:artifact:declassified",
        project=project,
    )
    intent = {"purpose": "p", "expires_in_s": 60, "claims": {"resources": ["r"]}}
    made = story.queued("intent.announce", intent, "psmp:intent:announced", project=project)["intent"]["id"]
    story.queued("intent.withdraw", {"intent": made}, "psmp:intent:withdrawn", project=project)
    mark = story.now(
        "checkpoint.create",
        {"name": "c", "expires_at": story.clock() + 5_000},
        "psmp:checkpoint:created",
        project=project,
    )
    kept = story.now("checkpoint.create", {"name": "d"}, "psmp:checkpoint:created", project=project)
    story.now("checkpoint.hold", {"checkpoint": kept["id"], "by": "x", "for_s": 0}, DECIDED, project=project)
    story.now("checkpoint.delete", {"checkpoint": kept["id"]}, "psmp:checkpoint:deleted", project=project)
    declare("b", "a text of b", "psmp:artifact:admitted")
    story.queued(
        "project.restore", {"to": mark["id"]}, "psmp:checkpoint:restored", "psmp:artifact:changed", project=project
    )
    story.clock.advance(10)
    story.queued("checkpoint.prune", {}, "psmp:checkpoint:deleted")
    story.queued(
        "artifact.delete", {"artifact": first, "authority": list(SCOPES)}, "psmp:artifact:deleted", project=project
    )
    registered = {"type": "compliance_report", "name": "r", "content": "a text of r"}
    story.queued("artifact.register", registered, "psmp:artifact:admitted", project=project)
    question = {"subject_kind": "specialist", "subject": "spec_1", "content_hash": "0" * 64, "author": "bob"}
    story.queued("approval.open", question, "security:approval:requested", project=project)
    story.queued("history.replay", {"start": 0, "end": 3}, DECIDED, project=project)
    story.queued("project.provide", {"name": "own", "description": ""}, "psmp:project:created", project="prj_own")
    return project


def _answer(story: Story, project: str, approval: str, answer: str | None) -> None:
    tags = {
        "approve": ["psmp:artifact:admitted", "psmp:conflict:resolved", "security:approval:granted"],
        "deny": ["psmp:conflict:resolved", "security:approval:refused"],
        None: ["security:approval:ended"],
    }
    if answer is None:
        story.clock.advance(61)
        story.queued("approval.expire", {"approval": approval}, *tags[None], project=project)
        return
    payload = {"approval": approval, "answer": answer, "authority": list(SCOPES)}
    story.queued("approval.answer", payload, *tags[answer], project=project, by="pam")


def _govern(story: Story, project: str) -> None:
    key = {
        "id": "key_000000000001",
        "secret_hash": "0" * 64,
        "principal": "bob",
        "name": "n",
        "scopes": ["projects:read"],
    }
    story.now("key.create", key, "security:key:created")
    story.now("key.rotate", {"id": key["id"], "secret_hash": "1" * 64, "overlap_s": 0}, "security:key:rotated")
    story.now("key.revoke", {"id": key["id"]}, "security:key:revoked")
    token = {
        "agent": "x",
        "project": project,
        "task": None,
        "scopes": ["artifacts:read"],
        "expires_in_s": 600,
        "authority": list(SCOPES),
        "not_after": None,
        "key_id": None,
    }
    made = story.now("token.create", token, "security:token:created")
    story.now("token.revoke", {"id": made["id"], "any": True}, "security:token:revoked")
    story.now(
        "policy.save", {"project": None, "document": {}, "reason": "r", "version": None}, "security:policy:changed"
    )
    file = {"file": "security.yaml", "digest": "sha256:1", "before": "", "stamp": "1"}
    story.now("policy.reload", file, "security:policy:changed")
    story.now("policy.reload", {**file, "digest": "sha256:2", "refused": True}, "security:policy:refused")
    stop = {"kind": "principal", "subject": "mallory", "reason": "r"}
    story.now("stop.set", {**stop, "quarantine_since": None}, "security:stop:set")
    story.now("stop.lift", stop, "security:stop:lifted")
    story.queued("artifact.quarantine", {"principal": "mallory", "since": 0, "reason": "r"}, DECIDED)
    story.now(
        "budget.set",
        {"scope": "organization", "subject": "", "unit": "calls", "period": "month", "amount": 1000},
        "llm:budget:changed",
    )
    story.now("budget.release", {}, DECIDED)
    open_request = story.intake.submit(
        [story._asked("artifact.declare", project, {"type": "doc", "name": "z", "content": 1})]
    ).ids[0]
    # What was cancelled is the subject of the entry, which belongs to the request that asked for it.
    story.now("request.cancel", {"request": open_request}, "requests:request:cancelled")
    story._expect(open_request, "artifact.declare", [])
    hook = story.now("endpoint.save", {"url": "https://hooks.example.com/x"}, "delivery:endpoint:created")["id"]
    story.now("endpoint.save", {"id": hook, "events": ["task.*"]}, "delivery:endpoint:changed")
    story.now("endpoint.test", {"id": hook}, DECIDED, "delivery:delivery:delivered")
    story.dispatcher.run()
    story.now("delivery.replay", {"endpoint": hook, "states": ["delivered"]}, "delivery:delivery:replayed")
    story.now("endpoint.delete", {"id": hook}, "delivery:endpoint:deleted")


def _models(story: Story, project: str) -> None:
    story.queued("payload.assess", {"content": "a harmless text"}, "security:decision:approved", project=project)
    call = {"prompt": "write a haiku about queues", "max_tokens": 20}
    story.queued(
        "llm.generate", call, "security:decision:approved", "llm:call:prepared", "llm:call:settled", project=project
    )
    story.queued("patterns.discover", {}, DECIDED)
    story.queued("specialist.train", {"pattern": "pat_none"}, "requests:request:failed")
    build(story.engine.settings, story.executor.store, "sealer").run()
    story.queued("compliance.report", {"framework": "gdpr"}, "audit:report:made")
    # A specialist and a call that it may have learned from.
    with story.database.write() as connection:
        for version in (1, 2):
            values = (f"spec_{version}", ORGANIZATION, version, story.clock())
            connection.exec_driver_sql(story.database.sql(_SPECIALIST), values)
    story.queued("specialist.review", {"specialist": "spec_1"}, DECIDED)
    story.now("specialist.retire", {"specialist": "spec_2"}, "hmcp:specialist:retired")


def _privacy(story: Story, folder: Path) -> None:
    story.queued("payload.assess", {"content": "x"}, "security:decision:approved")
    [(key,)] = story.sql("SELECT id FROM subject_keys WHERE subject = 'ann'")
    hold = story.now("hold.place", {"key": key, "reason": "r"}, "privacy:hold:placed")["id"]
    story.now("hold.release", {"hold": hold}, "privacy:hold:released")
    story.now("retention.save", {"class": "requests", "days": 200}, "privacy:retention:changed")
    story.now("retention.apply", {}, DECIDED)
    story.now("subject.export", {"key": key}, "privacy:subject:exported")
    story.now("signing_key.rotate", {"key_id": "00", "retired": False}, "audit:signing_key:rotated")
    story.now("compliance.export", {"events": 0, "digest": "sha256:" + "0" * 64}, "audit:export:made")
    sink = {"name": "siem", "kind": "file", "target": str(folder / "siem.jsonl")}
    story.now("sink.add", sink, "audit:sink:added")
    story.now("sink.remove", {"name": "siem"}, "audit:sink:removed")
    erased = story.now(
        "subject.erase",
        {"key": key, "basis": "art17"},
        "hmcp:specialist:retired",
        "privacy:subject:erased",
    )["id"]
    story.now("erasure.cleaned", {"erasure": erased, "what": "files"}, "privacy:subject:cleaned")


@pytest.fixture
def story(database: Database, tmp_path: Path) -> Iterator[Story]:
    made = Story(database, tmp_path)
    yield made
    made.engine.database.close()


def test_everything_of_the_list_leaves_exactly_its_entry(story: Story, tmp_path: Path) -> None:
    tell(story, tmp_path)
    logins = FailedLogins(story.executor.store, ORGANIZATION, story.clock)
    # Its thread would write at a time of its own.
    logins._pid = os.getpid()
    logins.note(ORGANIZATION, "key_1", "revoked")
    logins.write()

    found = story.recorded()

    outside = found.pop(None, [])
    assert outside == ["security:login:failed"], "what no request asked for"
    wrong = {
        (story.told[request], tuple(tags), tuple(story.expected[request]))
        for request, tags in found.items()
        if request in story.expected and tags != story.expected[request]
    }
    assert not wrong, "\n".join(map(str, wrong))
    # What the engine asked itself for.
    assert all(tags[0] == ACCEPTED for tags in found.values())
    assert set(story.expected) <= set(found), "a request is not in the log"
    untold = set(story.engine.catalogue.all()) - set(story.told.values())
    assert not untold, f"kinds of requests that this story does not have: {sorted(untold)}"
    seen = {Tag(tag) for tags in [*found.values(), outside] for tag in tags}
    assert seen | ELSEWHERE | RESERVED == set(Tag), sorted(set(Tag) - seen - ELSEWHERE - RESERVED)
    assert not seen & RESERVED, "what is done by somebody is not reserved"
    verdict = Verdict(ORGANIZATION)
    source = open_database(story.database.dsn)
    reconcile(source, verdict)
    source.close()
    assert not verdict.findings, verdict.findings


def test_a_tag_that_is_reserved_is_used_by_no_code() -> None:
    names = {tag.name for tag in RESERVED}
    for folder in ("metaqore", "api", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            used = set(re.findall(r"Tag\.([A-Z_]+)", path.read_text(encoding="utf-8")))
            assert not used & names, f"{path}: {sorted(used & names)} is done now: say so in RESERVED, and test it"
