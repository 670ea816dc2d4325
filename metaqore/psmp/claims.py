"""Claims of heads and open intents, found by what they overlap with. Pure but for the look-ups it is given.

Cost: a claim is looked up by its literal prefix, so that it meets only what may overlap with it, whatever else the
project holds. A pattern that begins with a wildcard has the whole project below it; where the patterns of one
declaration have more than ``MAX_NEAR`` claims near them, they are refused as too broad instead of compared with all.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Sequence

from metaqore.clock import to_rfc3339
from metaqore.messages import Request
from metaqore.psmp import globs
from metaqore.psmp.holdings import Claim, HoldingReads
from metaqore.psmp.model import Claims, Declaration
from metaqore.psmp.workspace import Workspace

#: Claims that the patterns of one declaration are compared with at most.
MAX_NEAR = 4096
#: How far the clocks of two machines may be apart before an intent that is about to expire is overlooked.
MAX_SKEW_MS = 300_000


def keys_of(claims: Claims) -> list[tuple[str, str]]:
    """Return (kind, spelling) of each claim: paths in their one spelling, then resources."""
    return [("path", globs.normalise(path)) for path in claims.paths] + [
        ("resource", name) for name in claims.resources
    ]


def row(project: str, kind: str, pattern: str, *, holder: str, principal: str, title: str, seq: int,
        expires_at: int | None = None) -> Claim:  # fmt: skip
    """Return a claim as it is kept."""
    prefix = globs.literal_prefix(pattern) if kind == "path" else pattern
    return Claim(project, kind, prefix, pattern, holder, principal, title, seq, expires_at)


class Wanted:
    """What is to be looked up, gathered for one statement."""

    def __init__(self) -> None:
        self.keys: set[tuple[str, str, str]] = set()
        self.between: set[tuple[str, str, str]] = set()

    def add(self, project: str, kind: str, pattern: str) -> None:
        """Ask for whatever overlaps with ``pattern``."""
        if kind != "path":
            self.keys.add((project, kind, pattern))
            return
        prefixes, below = globs.neighbours(pattern)
        self.keys.update((project, kind, prefix) for prefix in prefixes)
        if below is not None:
            self.between.add((project, *below))


class ClaimIndex:
    """What was looked up, with what the run itself changes laid over it."""

    def __init__(self, wanted: Wanted, reads: HoldingReads) -> None:
        self._rows: defaultdict[tuple[str, str, str], dict[tuple[str, str], Claim]] = defaultdict(dict)
        self._held: defaultdict[str, list[Claim]] = defaultdict(list)
        #: Project → the literal prefixes of its paths, in order.
        self._prefixes: defaultdict[str, list[str]] = defaultdict(list)
        for claim in reads.claims(wanted.keys, wanted.between, MAX_NEAR + 1):
            self._add(claim)

    def _add(self, claim: Claim) -> None:
        place = (claim.project, claim.kind, claim.prefix)
        if claim.kind == "path" and place not in self._rows:
            insort(self._prefixes[claim.project], claim.prefix)
        self._rows[place][claim.pattern, claim.holder] = claim
        self._held[claim.holder].append(claim)

    def put(self, holder: str, claims: Iterable[Claim]) -> None:
        """Lay over what is known that ``holder`` has these claims, and no others."""
        for old in self._held.pop(holder, ()):
            self._rows[old.project, old.kind, old.prefix].pop((old.pattern, holder), None)
        for claim in claims:
            self._add(claim)

    def near(self, project: str, kind: str, pattern: str) -> list[Claim]:
        """Return the claims that may overlap with one: those that do are ``overlapping`` with it."""
        if kind != "path":
            return list(self._rows.get((project, kind, pattern), {}).values())
        prefixes, below = globs.neighbours(pattern)
        if below is not None:
            known = self._prefixes.get(project, [])
            prefixes += known[bisect_right(known, below[0]) : bisect_left(known, below[1])]
        near: list[Claim] = []
        for prefix in prefixes:
            near += self._rows.get((project, kind, prefix), {}).values()
            if len(near) > MAX_NEAR:
                break
        return near


def overlapping(near: Iterable[Claim], pattern: str) -> list[Claim]:
    """Return the claims that overlap with a pattern, in the order in which they were made."""
    return sorted((claim for claim in near if _meets(claim, pattern)), key=_age)


def _meets(claim: Claim, pattern: str) -> bool:
    return globs.overlap(claim.pattern, pattern) if claim.kind == "path" else claim.pattern == pattern


def _age(claim: Claim) -> tuple[int, str, str]:
    return claim.seq, claim.holder, claim.pattern


def rivals(found: Sequence[Claim], principal: str, holder: str, now: int) -> list[Claim]:
    """Return those of overlapping claims that stand against a declaration.

    These are claims of other artifacts, and of other principals' intents that were announced before any intent of
    its author's own for the same: who announces first goes first.

    Args:
        holder: the artifact that is declared.
    """
    own = min((c.seq for c in found if c.expires_at is not None and c.principal == principal), default=None)
    return [
        claim
        for claim in found
        if (claim.expires_at is None and claim.holder != holder)
        or (
            claim.expires_at is not None
            and claim.expires_at > now
            and claim.principal != principal
            and (own is None or claim.seq < own)
        )
    ]


def shown(claim: Claim) -> dict[str, object]:
    """Return a claim as reports show it."""
    kind = "artifact" if claim.expires_at is None else "intent"
    seen: dict[str, object] = {
        "holder": claim.holder, "kind": kind, "title": claim.title, "principal": claim.principal,
        "claim": claim.pattern,
    }  # fmt: skip
    if claim.expires_at is not None:
        seen["expires_at"] = to_rfc3339(claim.expires_at)
    return seen


def prefetch(batch: Sequence[Request], workspace: Workspace) -> None:
    """Look up at once what overlaps with the claims of a run, and who has announced what the run declares."""
    wanted = Wanted()
    for request in batch:
        declaration: Declaration = request.studied.declaration
        project = workspace.projects.get(request.project or "")
        if project is None:
            continue
        if declaration.claims:
            for kind, pattern in keys_of(declaration.claimed):
                wanted.add(project.id, kind, pattern)
        # Expiry is decided by the clock of whoever decides, which may be behind the one that accepted.
        if project.intents_until > request.created_at - MAX_SKEW_MS:
            wanted.add(project.id, "write", f"{declaration.type}/{declaration.name}")
            wanted.add(project.id, "content", request.studied.content_hash)
    if wanted.keys or wanted.between:
        workspace.remember(ClaimIndex(wanted, workspace.reads))
