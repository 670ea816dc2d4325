"""Decides the control-plane requests about webhooks. They run inside the API call.

``endpoint.save`` creates (no ``id``), changes, disables, enables and rotates; ``endpoint.delete``; ``endpoint.test``
sends a ``webhook.test`` event; ``delivery.replay`` sends one delivery, or a range of an endpoint's, again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from metaqore.audit.tags import Tag
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.model import TEST_EVENT, DeleteEndpoint, ReplayDeliveries, SaveEndpoint
from metaqore.delivery.ports import DeliveryReads
from metaqore.delivery.signing import mint_secret
from metaqore.errors import Conflict, InvalidInput, NotFound
from metaqore.ids import new_id
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict

#: Every event of an organization is compared with each of its endpoints.
MAX_ENDPOINTS = 100
MAX_PATTERNS = 50
#: How long the old secret signs beside the new one, in seconds, where nothing else is asked for; and at most.
OVERLAP_S, MAX_OVERLAP_S = 86_400, 604_800
#: How many deliveries one request replays; the answer says where more are left.
REPLAY_BATCH = 1000
STATES = ("pending", "delivered", "dead")
#: The queue whose workers send.
_SENDERS = ("system",)
_PATTERN = re.compile(r"\*|[a-z_]+(\.[a-z_]+)*(\.\*)?")


class Handlers:
    """The handlers, with the policy that they check URLs against."""

    def __init__(self, policy: EgressPolicy) -> None:
        self._policy = policy

    def save(self, batch: Sequence[Request], reads: DeliveryReads, now: int) -> list[Outcome]:
        """Create or change endpoints; payload: id, url, project, events, state, rotate, overlap_s.

        A secret never enters a request or its stored result: it is made here and given in ``Outcome.once``. What the
        URL resolves to was checked at the door (``Sender.check``) and is checked again at each attempt.
        """
        return [self._save(request, reads, now) for request in batch]

    def _save(self, request: Request, reads: DeliveryReads, now: int) -> Outcome:
        asked = request.payload
        old = _existing(request, reads) if "id" in asked else None
        if old is None and reads.endpoint_count(request.organization) >= MAX_ENDPOINTS:
            raise Conflict(f"an organization has at most {MAX_ENDPOINTS} endpoints: delete one")
        project = asked.get("project", old["project"] if old else None)
        if project is not None and not reads.project_exists(request.organization, project):
            raise NotFound(f"project {project} does not exist")
        url = asked.get("url", old["url"] if old else None)
        if not isinstance(url, str):
            raise InvalidInput("url: where to send to, e.g. https://example.com/hooks")
        host = self._policy.parse(url).host
        state = asked.get("state", old["state"] if old else "active")
        if state not in ("active", "disabled"):
            raise InvalidInput(f"state {state!r}: active or disabled")
        secret, previous, until = _secrets(asked, old, now)
        write = SaveEndpoint(
            id=old["id"] if old else new_id("whk"), organization=request.organization, project=project, url=url,
            secret=secret, previous_secret=previous, previous_until=until, events=_events(asked, old), state=state,
            reason=None if state == "active" else old["reason"] if old and old["state"] == state else "by request",
            fresh=old is None, created_by=old["created_by"] if old else request.principal, at=now,
        )  # fmt: skip
        fresh_secret = old is None or secret != old["secret"]
        details = {"host": host, "state": state, "rotated": old is not None and fresh_secret}
        return Outcome(
            verdict=Verdict.APPROVED,
            result=_shown(write, old["created_at"] if old else now),
            once={"secret": secret} if fresh_secret else {},
            writes=[write],
            audit=[AuditNote(tag=_tag(old, state), subject=write.id, outcome="approved", details=details)],
            # What was pending while it was disabled or paused is due now.
            rings=_SENDERS if old and state == "active" else (),
        )

    def delete(self, batch: Sequence[Request], reads: DeliveryReads, now: int) -> list[Outcome]:
        """Delete endpoints; payload: id."""
        return [_delete(request, reads) for request in batch]

    def test(self, batch: Sequence[Request], reads: DeliveryReads, now: int) -> list[Outcome]:
        """Send a ``webhook.test`` event to an endpoint, whatever it is subscribed to; payload: id."""
        return [_test(request, reads) for request in batch]

    def replay(self, batch: Sequence[Request], reads: DeliveryReads, now: int) -> list[Outcome]:
        """Send deliveries again under their old ``webhook-id``.

        Payload: ``delivery``; or ``endpoint`` with ``states`` (default dead), ``since`` and ``until`` (ms).
        """
        return [_replay(request, reads, now) for request in batch]


def _existing(request: Request, reads: DeliveryReads) -> Mapping[str, Any]:
    row = reads.endpoint_row(request.organization, request.payload["id"])
    if row is None:
        raise NotFound(f"webhook endpoint {request.payload['id']} does not exist")
    return row


def _refuse_disabled(endpoint: str, row: Mapping[str, Any] | None) -> None:
    if row is None:
        raise NotFound(f"webhook endpoint {endpoint} does not exist")
    if row["state"] != "active":
        raise Conflict(f"webhook endpoint {endpoint} is {row['state']} ({row['reason']}): enable it first")


def _secrets(asked: Mapping[str, Any], old: Mapping[str, Any] | None, now: int) -> tuple[str, str | None, int | None]:
    """Return the secret, the one before it, and until when that one signs too."""
    if old is None:
        return mint_secret(), None, None
    if not asked.get("rotate", False):
        over = (old["previous_until"] or 0) <= now
        return old["secret"], None if over else old["previous_secret"], None if over else old["previous_until"]
    overlap_s = asked.get("overlap_s", OVERLAP_S)
    if type(overlap_s) is not int or not 0 <= overlap_s <= MAX_OVERLAP_S:
        raise InvalidInput(f"overlap_s: 0 to {MAX_OVERLAP_S} seconds")
    if overlap_s == 0:
        return mint_secret(), None, None
    return mint_secret(), old["secret"], now + overlap_s * 1000


def _events(asked: Mapping[str, Any], old: Mapping[str, Any] | None) -> str:
    if "events" not in asked:
        return str(old["events"]) if old else '["*"]'
    patterns = asked["events"]
    if not isinstance(patterns, list) or not 1 <= len(patterns) <= MAX_PATTERNS:
        raise InvalidInput(f"events: 1 to {MAX_PATTERNS} patterns")
    for pattern in patterns:
        if not isinstance(pattern, str) or len(pattern) > 100 or not _PATTERN.fullmatch(pattern):
            raise InvalidInput(f"events: {pattern!r} is neither '*', a prefix like 'artifact.*' nor an event type")
    return msgspec.json.encode(sorted(set(patterns))).decode()


def _tag(old: Mapping[str, Any] | None, state: str) -> Tag:
    if old is None:
        return Tag.ENDPOINT_CREATED
    return Tag.ENDPOINT_DISABLED if state == "disabled" != old["state"] else Tag.ENDPOINT_CHANGED


def _shown(write: SaveEndpoint, created_at: int) -> Mapping[str, Any]:
    return {
        "id": write.id, "project": write.project, "url": write.url, "events": msgspec.json.decode(write.events),
        "state": write.state, "reason": write.reason, "previous_secret_until": write.previous_until,
        "created_by": write.created_by, "created_at": created_at, "updated_at": write.at,
    }  # fmt: skip


def _delete(request: Request, reads: DeliveryReads) -> Outcome:
    row = _existing(request, reads)
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"id": row["id"]},
        writes=[DeleteEndpoint(row["id"], request.organization)],
        audit=[AuditNote(tag=Tag.ENDPOINT_DELETED, subject=row["id"], outcome="approved")],
    )


def _test(request: Request, reads: DeliveryReads) -> Outcome:
    row = _existing(request, reads)
    _refuse_disabled(row["id"], row)
    event = EventNote(TEST_EVENT, row["id"], {"endpoint": row["id"]})
    return Outcome(verdict=Verdict.APPROVED, result={"id": row["id"], "event": TEST_EVENT}, events=[event])


def _replay(request: Request, reads: DeliveryReads, now: int) -> Outcome:
    asked = request.payload
    if ("delivery" in asked) == ("endpoint" in asked):
        raise InvalidInput("name one delivery, or one endpoint and a range")
    chosen: tuple[str, ...]
    more = False
    if "delivery" in asked:
        subject: str = asked["delivery"]
        endpoint = reads.endpoint_of(request.organization, subject)
        if endpoint is None:
            raise NotFound(f"delivery {subject} does not exist, or its endpoint was deleted")
        chosen = (subject,)
    else:
        subject = endpoint = asked["endpoint"]
        chosen, more = _range(request.organization, endpoint, asked, reads, now)
    _refuse_disabled(endpoint, reads.endpoint_row(request.organization, endpoint))
    details = {"deliveries": len(chosen)}
    return Outcome(
        verdict=Verdict.APPROVED,
        result={"replayed": len(chosen), "more": more},
        writes=[ReplayDeliveries(request.organization, chosen, now)] if chosen else [],
        audit=[AuditNote(tag=Tag.DELIVERY_REPLAYED, subject=subject, outcome="approved", details=details)],
        rings=_SENDERS,
    )


def _range(
    organization: str, endpoint: str, asked: Mapping[str, Any], reads: DeliveryReads, now: int
) -> tuple[tuple[str, ...], bool]:
    states = asked.get("states", ["dead"])
    if not states or not set(states) <= set(STATES):
        raise InvalidInput(f"states: one or more of {', '.join(STATES)}")
    since, until = asked.get("since", 0), asked.get("until", now + 1)
    found = reads.replayable(endpoint, organization, states, since=since, until=until, limit=REPLAY_BATCH + 1)
    return tuple(found[:REPLAY_BATCH]), len(found) > REPLAY_BATCH
