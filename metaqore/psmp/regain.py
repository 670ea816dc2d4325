"""What an artifact holds again when its lifecycle goes back: from deprecated or deleted to a state that counts. Pure.

Its requirements and claims are those of the version that counts; who managed its fields is not known any more. That
they may collide with what others hold by now is found with the next declaration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from metaqore.messages import Request, Write
from metaqore.psmp import claims, manifest
from metaqore.psmp.holdings import Holds, SetClaims, SetHolds, SetRequirements, holds_in
from metaqore.psmp.model import Claims, Head, Requirement
from metaqore.psmp.policy import Policy


def regained(
    policy: Policy, head: Head, to: str, body: Callable[[], Mapping[str, Any]], request: Request
) -> list[Write]:
    """Return the effects of a move to ``to`` on what an artifact holds.

    Args:
        body: what the version that counts keeps beside its content; asked only where it matters.
    """
    if holds_in(policy, head.state) or not holds_in(policy, to):
        return []
    kept = body()
    requires = msgspec.convert(kept.get("requires", ()), tuple[Requirement, ...])
    claimed = msgspec.convert(kept.get("claims", ()), tuple[str, ...] | Claims)
    claimed = claimed if isinstance(claimed, Claims) else Claims(paths=claimed)
    rows = tuple(
        (slot, requirement.specifier, requirement.scope)
        for slot, requirement in zip(manifest.slots(head.project, requires), requires, strict=True)
    )
    held = tuple(
        claims.row(
            head.project, kind, pattern, holder=head.id, principal=head.updated_by, title=f"{head.type}/{head.name}",
            seq=request.seq,
        )
        for kind, pattern in dict.fromkeys(claims.keys_of(claimed))
    )  # fmt: skip
    if not rows and not held:
        return []
    holds = (Holds.REQUIREMENTS if rows else Holds(0)) | (Holds.CLAIMS if held else Holds(0))
    return [
        SetRequirements(head.id, head.updated_by, rows, fresh=False),
        SetClaims(head.id, held, fresh=False),
        SetHolds(head.id, int(holds)),
    ]
