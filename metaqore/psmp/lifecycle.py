"""Decides ``artifact.transition``: moves along the lifecycle. Returns outcomes; writes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.audit.tags import Tag
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Verdict, failed
from metaqore.psmp.effects import SetArtifactState
from metaqore.psmp.ports import PsmpReads
from metaqore.psmp.rules import legal_moves


def transition(batch: Sequence[Request], reads: PsmpReads, now: int) -> list[Outcome]:
    """Move artifacts along their lifecycle; payload ``{"artifact", "to"}``."""
    heads = {head.id: head for head in reads.heads((), {str(r.payload.get("artifact")) for r in batch})}
    outcomes = []
    for request in batch:
        head = heads.get(str(request.payload.get("artifact")))
        to = str(request.payload.get("to"))
        if head is None or head.project != request.project:
            outcomes.append(failed("not_found", f"artifact {request.payload.get('artifact')} does not exist"))
            continue
        legal = legal_moves("artifact", head.state)
        if to not in legal:
            report = {"project": head.project, "conflicts": [], "illegal_transition": {
                "artifact": head.id, "from": head.state, "to": to, "legal": list(legal)}}  # fmt: skip
            outcomes.append(
                Outcome(verdict=Verdict.BLOCKED, result={"blocking_report": report}, audit=[
                    AuditNote(tag=Tag.ARTIFACT_BLOCKED, subject=head.id, outcome="illegal_transition")])
            )  # fmt: skip
            continue
        head.state = to
        outcomes.append(
            Outcome(
                verdict=Verdict.APPROVED,
                result={"artifact": {"id": head.id, "version": head.head, "state": to}},
                writes=[SetArtifactState(head.id, to, request.principal, now)],
                audit=[AuditNote(tag=Tag.ARTIFACT_CHANGED, subject=head.id, outcome="approved", details={"state": to})],
                events=[EventNote("artifact.updated", head.id, {"state": to})],
            )
        )
    return outcomes
