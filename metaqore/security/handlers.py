"""Decides ``payload.assess``: what is this, and where may it go?"""

from __future__ import annotations

from collections.abc import Sequence

from metaqore.errors import InvalidInput
from metaqore.messages import Outcome, Request, Verdict
from metaqore.security.gate import SecureGate
from metaqore.security.model import Assessment
from metaqore.security.ports import GateReads

_FIELDS = frozenset(
    "content task_type agent_name has_private_data has_sensitive_data is_security_task label position provider".split()
)


class Handlers:
    """The handlers of SecureGateway over one gate."""

    def __init__(self, gate: SecureGate) -> None:
        self._gate = gate

    def study(self, request: Request) -> Assessment:
        """Classify the payload before the transaction begins.

        Raises:
            InvalidInput: no content, an unknown field, or an unknown label or position.
        """
        payload = request.payload
        unknown = sorted(payload.keys() - _FIELDS)
        if unknown or "content" not in payload:
            raise InvalidInput(
                f"payload.assess: {'unknown field ' + unknown[0] if unknown else 'content is missing'}. "
                f"Known: {', '.join(sorted(_FIELDS))}"
            )
        try:
            return self._gate.assess(payload["content"], payload)
        except ValueError as error:
            raise InvalidInput(f"payload.assess: {error}") from error

    def assess(self, batch: Sequence[Request], reads: GateReads, now: int) -> list[Outcome]:
        """Decide each payload and record the decision."""
        return [self._assess(request, reads, now) for request in batch]

    def _assess(self, request: Request, reads: GateReads, now: int) -> Outcome:
        judged = self._gate.judge(request, request.studied, request.payload.get("provider"), now, reads)
        return Outcome(
            verdict=Verdict.APPROVED if judged.approved else Verdict.VETOED,
            result={"decision": judged.shown},
            writes=[judged.write],
            audit=[judged.audit],
            events=judged.events,
            follow_ups=judged.follow_ups,
        )
