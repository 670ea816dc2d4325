"""From a pattern and its recorded calls to a specialist with its gate report, in one call."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from metaqore.hmcp.artefact import Artefact, load
from metaqore.hmcp.gate import Surroundings, run_gate
from metaqore.hmcp.model import GateReport, Pattern, Specialist, TaskEvent
from metaqore.hmcp.policy import Policy
from metaqore.hmcp.ports import Adversary
from metaqore.hmcp.train import train


class Built(msgspec.Struct, frozen=True):
    """A specialist as it is to be stored, and whether it may be active."""

    artefact: Artefact
    specialist: Specialist
    report: GateReport


def build(
    pattern: Pattern,
    events: Sequence[TaskEvent],
    policy: Policy,
    adversary: Adversary,
    *,
    open_conflicts: int = 0,
    signature_taken_by: str | None = None,
    sensitivity_ceiling: str | None = None,
    champion: Artefact | None = None,
) -> Built:
    """Return the specialist for the pattern: trained twice (the bytes must agree), loaded from its bytes and gated.

    Takes seconds; no transaction should be open meanwhile.

    Args:
        sensitivity_ceiling: the organization's; the policy's ``sensitivity_max`` where None.
        champion: the specialist that answers for the pattern now.

    Raises:
        NotTrainable: there is too little to learn from.
        SettingsError: the extra ``ml`` is not installed.
        InvalidInput: ``champion`` cannot be loaded.
    """
    trained = train(pattern, events, policy)
    again = train(pattern, events, policy)
    surroundings = Surroundings(
        open_conflicts=open_conflicts,
        signature_taken_by=signature_taken_by,
        sensitivity_ceiling=sensitivity_ceiling or policy.scope.sensitivity_max,
        rebuilt_digest=again.artefact.digest,
    )
    report = run_gate(
        load(trained.artefact),
        trained.artefact,
        trained.gate,
        policy,
        surroundings,
        adversary,
        champion=load(champion) if champion else None,
        recorded=trained.recorded,
    )
    return Built(trained.artefact, trained.specialist, report)
