"""Claims on paths and resources: does another artifact, or somebody else's open intent, hold the same? Pure."""

from __future__ import annotations

from collections.abc import Iterable

from metaqore.messages import Write
from metaqore.psmp import claims
from metaqore.psmp.catalogue import CLAIM_COLLISION
from metaqore.psmp.claims import ClaimIndex
from metaqore.psmp.family import Family
from metaqore.psmp.holdings import Claim, Holds, SetClaims, holds_in
from metaqore.psmp.model import Case, Conflict, Head
from metaqore.psmp.traits import ANNOUNCED, CLAIMS, HEAD
from metaqore.psmp.workspace import Workspace

#: Holders that a conflict names; how many there are is told beside them.
MAX_HOLDERS = 20


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Compare each claim with those that others hold."""
    index = workspace.memory(ClaimIndex)
    if not case.declaration.claims or index is None:
        return ()
    found, compared = [], 0
    for pointer, kind, pattern in _claimed(case):
        near = index.near(case.project.id, kind, pattern)
        compared += len(near)
        if compared > claims.MAX_NEAR:
            found.append(_too_broad(case, pointer, pattern))
            break
        rivals = claims.rivals(claims.overlapping(near, pattern), case.request.principal, case.artifact, case.now)
        if rivals:
            found.append(_collision(case, pointer, kind, pattern, rivals))
    return found


def _claimed(case: Case) -> Iterable[tuple[str, str, str]]:
    """Yield (pointer, kind, spelling) of each claim."""
    declaration = case.declaration
    paths = "/claims" if isinstance(declaration.claims, tuple) else "/claims/paths"
    count = len(declaration.claimed.paths)
    for at, (kind, pattern) in enumerate(claims.keys_of(declaration.claimed)):
        yield f"{paths}/{at}" if kind == "path" else f"/claims/resources/{at - count}", kind, pattern


def _collision(case: Case, pointer: str, kind: str, pattern: str, rivals: list[Claim]) -> Conflict:
    first = rivals[0]
    whose = "the artifact" if first.expires_at is None else "the announced intent"
    more = f" and {len(rivals) - 1} more" if len(rivals) > 1 else ""
    message = f"{case.where} claims the {kind} {pattern}, which {whose} {first.title} holds as {first.pattern}{more}"
    return case.found(
        CLAIM_COLLISION, message, pointer, kind=kind, claim=pattern,
        holder_count=len(rivals), holders=[claims.shown(claim) for claim in rivals[:MAX_HOLDERS]],
    )  # fmt: skip


def _too_broad(case: Case, pointer: str, pattern: str) -> Conflict:
    message = f"{case.where} claims {pattern}, with more than {claims.MAX_NEAR} claims near what it claims: narrow it"
    return case.found(CLAIM_COLLISION, message, pointer, kind="path", claim=pattern, too_broad=True)


def admitted(case: Case, fresh: Head, workspace: Workspace) -> Iterable[Write]:
    """Keep the claims of the version in place of those of the one before it."""
    held = case.head is not None and bool(case.head.holds & Holds.CLAIMS)
    rows = []
    if case.declaration.claims and holds_in(case.policy, fresh.state):
        rows = [
            claims.row(
                case.project.id, kind, pattern, holder=fresh.id, principal=case.request.principal, title=case.where,
                seq=case.request.seq,
            )
            for kind, pattern in dict.fromkeys(claims.keys_of(case.declaration.claimed))
        ]  # fmt: skip
    if not rows and not held:
        return ()
    fresh.holds = fresh.holds | Holds.CLAIMS if rows else fresh.holds
    index = workspace.memory(ClaimIndex)
    if index is not None:
        index.put(fresh.id, rows)
    return (SetClaims(fresh.id, tuple(rows), fresh=not held),)


FAMILY = Family(
    rules=(CLAIM_COLLISION,), when=HEAD | CLAIMS | ANNOUNCED, find=find, prefetch=claims.prefetch, admitted=admitted
)  # fmt: skip
