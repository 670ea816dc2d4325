"""Work that is done already, or that somebody else has announced to do. Pure but for the look-ups.

Two artifacts with one content are one work under two names, unless the content says too little to tell: fewer than
``declaration.FEWEST_CHARACTERS`` different characters at the beginning of its canonical JSON, as in ``{}``,
``{"files":{}}`` or ``"todo"``. An artifact that keeps its content is not held up for it again. Adaptive links the two
instead of blocking: the version names what it is a copy of.

Whoever wrote the other one, too, knows of it: a template, a fixture, a file under its second name. That is no work done
twice, so it is no conflict in any mode; the answer warns of it (``warnings``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from metaqore.messages import Request, Write
from metaqore.psmp import claims
from metaqore.psmp.catalogue import DUPLICATE_WORK
from metaqore.psmp.claims import ClaimIndex
from metaqore.psmp.family import Family, Resolved
from metaqore.psmp.holdings import holds_in
from metaqore.psmp.model import Case, Conflict, Head, Studied
from metaqore.psmp.traits import ANNOUNCED, CONTENT, HEAD
from metaqore.psmp.workspace import Workspace

Content = tuple[str, str]
#: Copies of its own that are passed over to find somebody else's.
MAX_OWN = 8


class Contents:
    """Which heads have the contents that a run declares, with the run's own laid over them."""

    def __init__(self, wanted: set[Content], workspace: Workspace) -> None:
        self._stored = workspace.reads.same_content(wanted)
        ends = {artifact for found in self._stored.values() for artifact in found}
        self._heads = {head.id: head for head in workspace.heads_by_id(sorted(ends))} if ends else {}
        self._admitted: defaultdict[Content, dict[str, None]] = defaultdict(dict)
        self._moved: dict[str, Head] = {}

    def put(self, head: Head) -> None:
        """Lay a new or moved head over what was looked up."""
        self._moved[head.id] = head
        self._admitted[head.project, head.content_hash][head.id] = None

    def another(self, content: Content, but: Collection[str], workspace: Workspace) -> Head | None:
        """Return the first artifact, by id, that is none of ``but`` and whose head has this content."""
        policy, stored = workspace.policy, self._stored.get(content, ())
        near = [self._moved.get(a) or self._heads.get(a) for a in (*stored, *self._admitted.get(content, ()))]
        same = [h for h in near if h is not None and h.id not in but and h.content_hash == content[1]]
        sound = [head for head in same if holds_in(policy, head.state)]
        if len(set(stored)) == 2 and not any(head.id in stored for head in sound):
            # The first two are out of the question; there may be more behind them.
            states = [state for state in policy.artifact.states if holds_in(policy, state)]
            found = workspace.reads.another_with(*content, {*but, *stored, *self._moved}, states)
            sound += workspace.heads_by_id([found]) if found is not None else []
        return min(sound, key=lambda head: head.id, default=None)


def _content(request: Request, studied: Studied) -> Content:
    return request.project or "", studied.content_hash


def prefetch(batch: Sequence[Request], workspace: Workspace) -> None:
    """Look up at once which heads have the contents that a run declares, also what is unchanged before the run."""
    wanted = {_content(r, r.studied) for r in batch if not r.studied.trivial}
    if wanted:
        workspace.remember(Contents(wanted, workspace))


def find(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    """Look for the same content under another name, and for an intent of somebody else."""
    found = []
    known = workspace.memory(Contents)
    unchanged = case.head is not None and case.head.content_hash == case.studied.content_hash
    if known is not None and not unchanged and not case.studied.trivial:
        twin, own = _twins(case, known, workspace)
        if twin is not None:
            found.append(_same_content(case, twin))
        elif own is not None:
            case.result["warnings"] = [{"class": DUPLICATE_WORK.conflict_class, "message": _same(case, own),
                                        "duplicate_of": _named(own)}]  # fmt: skip
    if case.project.intents_until > case.now:
        found += _announced(case, workspace)
    return found


def _twins(case: Case, known: Contents, workspace: Workspace) -> tuple[Head | None, Head | None]:
    """Return the first artifact with this content that somebody else wrote, and the first of the author's own."""
    content, own, but = _content(case.request, case.studied), None, {case.artifact}
    while (twin := known.another(content, but, workspace)) is not None:
        if workspace.movers(twin.id, twin.head - 1) != [case.request.principal]:
            return twin, own
        own = own or twin
        if len(but) > MAX_OWN:
            break
        but.add(twin.id)
    return None, own


def _same(case: Case, twin: Head) -> str:
    name = f"{twin.type}/{twin.name}"
    return f"{case.where} has the same content as {name} (version {twin.head}, by {twin.updated_by})"


def _named(twin: Head) -> dict[str, Any]:
    return {"artifact": twin.id, "type": twin.type, "name": twin.name, "version": twin.head, "by": twin.updated_by}


def _same_content(case: Case, twin: Head) -> Conflict:
    return case.found(
        DUPLICATE_WORK, _same(case, twin), "/content", duplicate_of=_named(twin), content_hash=twin.content_hash
    )


def _announced(case: Case, workspace: Workspace) -> Iterable[Conflict]:
    index = workspace.memory(ClaimIndex)
    if index is None:
        return
    for kind, pattern, pointer in (("write", case.where, "/name"), ("content", case.studied.content_hash, "/content")):
        near = index.near(case.project.id, kind, pattern)
        rivals = claims.rivals(claims.overlapping(near, pattern), case.request.principal, case.artifact, case.now)
        if rivals:
            first = rivals[0]
            yield case.found(
                DUPLICATE_WORK, f"{first.principal} has announced to make {case.where}: {first.title}", pointer,
                intents=[claims.shown(claim) for claim in rivals],
            )  # fmt: skip


def link(case: Case, conflicts: Sequence[Conflict], workspace: Workspace) -> Resolved:
    """Admit it as it is, and let its provenance say what it is a copy of or whose announced work it does."""
    links: dict[str, Any] = {}
    for conflict in conflicts:
        if "duplicate_of" in conflict.evidence:
            links["duplicate_of"] = conflict.evidence["duplicate_of"]
        for intent in conflict.evidence.get("intents", ()):
            links.setdefault("announced_by", {})[intent["holder"]] = intent["principal"]
    return Resolved(how="linked", provenance=links)


def admitted(case: Case, fresh: Head, workspace: Workspace) -> Iterable[Write]:
    """Remember the content for the rest of the run."""
    known = workspace.memory(Contents)
    if known is not None:
        known.put(fresh)
    return ()


FAMILY = Family(
    rules=(DUPLICATE_WORK,),
    when=CONTENT | HEAD | ANNOUNCED,
    find=find,
    prefetch=prefetch,
    resolve=link,
    admitted=admitted,
)
