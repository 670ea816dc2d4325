"""The intent that a declaration names is fulfilled by it, once all that it announced to write is there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote, EventNote, Request, Write
from metaqore.psmp.claims import ClaimIndex
from metaqore.psmp.family import Family
from metaqore.psmp.holdings import ChangeIntent, Intent
from metaqore.psmp.intents import closing
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.traits import INTENT
from metaqore.psmp.workspace import Workspace


class Named:
    """The intents that a run names, as it has left them."""

    def __init__(self, intents: Mapping[str, Intent]) -> None:
        self.intents = dict(intents)


def prefetch(batch: Sequence[Request], workspace: Workspace) -> None:
    """Look up at once the intents that a run names."""
    ids = {request.studied.declaration.intent for request in batch} - {None}
    if ids:
        workspace.remember(Named(workspace.reads.intents(ids)))


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """An intent is no reason for a conflict of its own: somebody else's, or an unknown one, just is not fulfilled."""
    return ()


def admitted(case: Case, fresh: Head, workspace: Workspace) -> Iterable[Write]:
    """Tick off what was announced; the answer says what became of the intent."""
    known, name = workspace.memory(Named), case.declaration.intent
    if known is None or name is None:
        return ()
    intent = known.intents.get(name)
    if intent is None or intent.project != case.project.id or intent.principal != case.request.principal:
        case.result["intent"] = {"id": name, "state": "unknown"}
        return ()
    if intent.state != "open" or intent.expires_at <= case.now:
        case.result["intent"] = {"id": name, "state": "expired" if intent.state == "open" else intent.state}
        return ()
    intent.remaining = [write for write in intent.remaining if write != case.where]
    if intent.remaining:
        case.result["intent"] = {"id": name, "state": "open", "remaining": intent.remaining}
        return (ChangeIntent(name, "open", msgspec.json.encode(intent.remaining).decode(), case.now),)
    intent.state = "fulfilled"
    case.audit.append(
        AuditNote(tag=Tag.INTENT_FULFILLED, subject=name, outcome="approved", policy_digest=case.policy.digest,
                  details={"artifact": fresh.id, "version": fresh.head})
    )  # fmt: skip
    case.events.append(EventNote("intent.fulfilled", name, {"by": case.request.principal, "artifact": fresh.id}))
    case.result["intent"] = {"id": name, "state": "fulfilled"}
    index = workspace.memory(ClaimIndex)
    if index is not None:
        index.put(name, ())
    return closing(name, "fulfilled", (), case.now)


FAMILY = Family(rules=(), when=INTENT, find=find, prefetch=prefetch, admitted=admitted)
