"""What SecureGateway says of a request for what it is, whatever is in it: stops, denials, approvals, remarks. Pure.

It holds for every kind of request. Those with a payload that is judged (``DECISIONS``) are asked for approvals there,
and their warnings stand in their decision.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.messages import Outcome, Request
from metaqore.security import stops
from metaqore.security.approved import approved_by, questions
from metaqore.security.facts import Asked, early_facts
from metaqore.security.judged import denied
from metaqore.security.layers import Stack
from metaqore.security.policy import asked_early, needs
from metaqore.security.ports import GateReads, Stop
from metaqore.security.records import DECISIONS
from metaqore.security.request_kinds import APPROVALS

#: In the details of an audit entry: the digest of the policies that let a request through; the rules that only watch,
#: or warn, and would have held it up.
GATE, SHADOW, WARNINGS = "gate", "shadow", "warnings"


def held_up(
    request: Request, asked: Asked, stopped: Sequence[Stop], layers: Stack, reads: GateReads, policy: str, now: int
) -> Outcome | None:
    """Return the veto of a request that is stopped, denied, or needs an approval that it does not have; else None.

    Args:
        policy: the name of the routing policy, for the record.
    """
    objections = stops.against(request, stopped)
    if objections:
        return denied(request, objections, "stop", "", now)
    if not layers.has_early:
        return None
    found = asked_early(layers, early_facts(asked))
    if found.against:
        return denied(request, found.against, policy, layers.digest, now)
    if not found.approvals or request.kind in DECISIONS | APPROVALS:
        return None
    if request.queue == "control":
        # Its payload holds what the door makes anew each time, e.g. an id: nobody could approve exactly this one.
        reasons = [(rule, f"{message} ({request.kind} cannot wait for an approval)")
                   for rule, _, message in found.approvals]  # fmt: skip
        return denied(request, reasons, policy, layers.digest, now)
    scopes = list(dict.fromkeys(scope for _, scope, _ in found.approvals))
    approved = approved_by(request, scopes, reads, now)
    reasons = [needs(item) for item in found.approvals if item[1] not in approved]
    if not reasons:
        return None
    missing = [scope for scope in scopes if scope not in approved]
    asks = questions(request, missing, [reason for _, reason in reasons])
    return denied(request, reasons, policy, layers.digest, now, approvals=missing, follow_ups=asks)


def remark(outcome: Outcome, asked: Asked, layers: Stack) -> None:
    """Add to what is audited and answered what the rules say that only watch, or only warn."""
    found = asked_early(layers, early_facts(asked))
    details = {**outcome.audit[0].details}
    if found.shadow:
        details[SHADOW] = " ".join(found.shadow)
    if found.warnings:
        details[WARNINGS] = " ".join(text.partition(":")[0] for text in found.warnings)
        outcome.result = {**outcome.result, "policy_warnings": found.warnings}
    outcome.audit[0] = msgspec.structs.replace(outcome.audit[0], details=details)
