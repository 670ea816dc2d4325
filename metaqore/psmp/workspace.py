"""What a run of declarations knows: the heads it looked up at once, and what the run itself has changed since."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from metaqore.messages import Request
from metaqore.psmp.model import Declaration, Dependency, Head, Read, Studied
from metaqore.psmp.policy import Policy
from metaqore.psmp.ports import Identity, PsmpReads

Memory = TypeVar("Memory")


class Workspace:
    """Look-ups for one run, loaded in bulk, with the run's own effects laid over them."""

    def __init__(self, batch: Sequence[Request], reads: PsmpReads, policy: Policy) -> None:
        self.reads = reads
        self.policy = policy
        self.projects = reads.projects({request.project for request in batch if request.project is not None})
        identities: set[Identity] = set()
        ids: set[str] = set()
        for request in batch:
            studied: Studied = request.studied
            project = request.project or ""
            identities.add((project, studied.declaration.type, studied.declaration.name))
            named: tuple[Dependency | Read, ...] = (*studied.declaration.depends_on, *studied.declaration.read_set)
            for dependency in named:
                if dependency.artifact is not None:
                    ids.add(dependency.artifact)
                else:
                    identities.add((project, dependency.type or "", dependency.name or ""))
        self._by_identity: dict[Identity, Head] = {}
        self._by_id: dict[str, Head] = {}
        self._edges: dict[str, tuple[str, ...]] = {}
        #: artifact → (version, who made it, content and body as JSON) of the versions this run has added, in order.
        self._versions: dict[str, list[tuple[int, str, str, str]]] = {}
        self._ranks: dict[str, int] = {}
        self._depths: dict[str, int] = {}
        self._branches: dict[str, int] = {}
        self._memories: dict[type, Any] = {}
        self._proposals: dict[Identity, str | None] = {}
        for head in reads.heads(identities, ids):
            self.put(head)

    @property
    def is_known(self) -> bool:
        """True where anything that the run names is there already."""
        return bool(self._by_id)

    def put(self, head: Head) -> None:
        """Lay a new or moved head over what was looked up."""
        self._by_identity[(head.project, head.type, head.name)] = head
        self._by_id[head.id] = head

    def remember(self, memory: Any) -> None:
        """Keep what a family of checks knows of this run; there is one memory of a class."""
        self._memories[type(memory)] = memory

    def memory(self, kind: type[Memory]) -> Memory | None:
        """Return the memory of a class; None where its family had nothing to look up."""
        return self._memories.get(kind)

    def head(self, identity: Identity) -> Head | None:
        """Return the present head under an identity."""
        return self._by_identity.get(identity)

    def version_of(self, project: str, declaration: Declaration) -> int:
        """Return the version of the head that a declaration is about; 0 where there is none."""
        head = self.head((project, declaration.type, declaration.name))
        return head.head if head is not None else 0

    def dependency(self, project: str, dependency: Dependency | Read) -> Head | None:
        """Return what a dependency points at; another project's artifact is as good as missing."""
        if dependency.artifact is None:
            return self._by_identity.get((project, dependency.type or "", dependency.name or ""))
        found = self._by_id.get(dependency.artifact)
        return found if found is not None and found.project == project else None

    def heads_by_id(self, ids: Sequence[str]) -> list[Head]:
        """Return the artifacts that exist, as this run has left them; those it has not met yet are looked up."""
        unknown = [artifact for artifact in ids if artifact not in self._by_id]
        looked_up = {head.id: self._as_left(head) for head in self.reads.heads((), unknown)} if unknown else {}
        found = (self._by_id.get(artifact) or looked_up.get(artifact) for artifact in ids)
        return [head for head in found if head is not None]

    def blocked_proposal(self, identity: Identity) -> str | None:
        """Return the blocked proposal under an identity; None where there is none."""
        if identity not in self._proposals:
            rows = self.reads.blocked_proposals([identity])
            self._proposals[identity] = rows[-1]["id"] if rows else None
        return self._proposals[identity]

    def add_proposal(self, identity: Identity, proposal: str) -> None:
        """Lay a proposal that this run has blocked over what was looked up."""
        self._proposals[identity] = proposal
        if identity[0] in self._branches:
            self._branches[identity[0]] += 1

    def close_proposal(self, identity: Identity, proposal: str, done: Collection[str]) -> None:
        """Lay over what was looked up that a proposal is blocked no more, nor are those of ``done``."""
        if self.blocked_proposal(identity) == proposal:
            rows = self.reads.blocked_proposals([identity])
            left = [row["id"] for row in rows if row["id"] != proposal and row["id"] not in done]
            self._proposals[identity] = left[-1] if left else None
        if identity[0] in self._branches:
            self._branches[identity[0]] -= 1

    def look_up(self, project: str, dependencies: Sequence[Dependency]) -> list[Head]:
        """Return what dependencies point at, also where the run has not met them; what is not there is left out."""
        unknown = [d for d in dependencies if self.dependency(project, d) is None]
        if unknown:
            identities = {(project, d.type or "", d.name or "") for d in unknown if d.artifact is None}
            for head in self.reads.heads(identities, {d.artifact for d in unknown if d.artifact is not None}):
                if head.id not in self._by_id:
                    self.put(self._as_left(head))
        found = (self.dependency(project, dependency) for dependency in dependencies)
        return [head for head in found if head is not None]

    def _as_left(self, head: Head) -> Head:
        """Return a head that was looked up late, with what this run has changed of it."""
        head.depth = self._depths.get(head.id, head.depth)
        head.rank = self._ranks.get(head.id, head.rank)
        return head

    def add_version(self, head: Head, content: str, body: str) -> None:
        """Lay a version, and the head that it moves, over what was looked up."""
        self.put(head)
        self._versions.setdefault(head.id, []).append((head.head, head.updated_by, content, body))

    def movers(self, artifact: str, after: int) -> list[str]:
        """Return who made the versions after ``after``, one for each version."""
        own = self._versions.get(artifact, [])
        stored = [] if own and own[0][0] <= after + 1 else self.reads.movers(artifact, after)
        return [*stored, *(by for version, by, _, _ in own if version > after)]

    def content(self, artifact: str, version: int) -> Any:
        """Return the content of a version, decoded."""
        for number, _, content, _ in self._versions.get(artifact, ()):
            if number == version:
                return msgspec.json.decode(content)
        return self.reads.content(artifact, version)

    def body(self, artifact: str, version: int) -> dict[str, Any]:
        """Return what a version keeps beside its content."""
        for number, _, _, body in self._versions.get(artifact, ()):
            if number == version:
                return msgspec.json.decode(body, type=dict[str, Any])
        return self.reads.body(artifact, version)

    def set_edges(self, artifact: str, depends_on: tuple[str, ...]) -> None:
        """Remember the edges this run gives an artifact."""
        self._edges[artifact] = depends_on

    def set_rank(self, artifact: str, rank: int) -> None:
        """Remember a rank that this run has changed."""
        head = self._by_id.get(artifact)
        if head is not None:
            head.rank = rank
        self._ranks[artifact] = rank

    def set_depth(self, artifact: str, depth: int) -> None:
        """Remember a depth that this run has changed."""
        head = self._by_id.get(artifact)
        if head is not None:
            head.depth = depth
        self._depths[artifact] = depth

    def branches(self, project: str, at_most: int) -> int:
        """Return how many blocked proposals a project keeps, counted up to ``at_most``."""
        if project not in self._branches:
            self._branches[project] = self.reads.count_blocked(project, at_most)
        return self._branches[project]

    def _rank(self, artifact: str, stored: int) -> int:
        head = self._by_id.get(artifact)
        return head.rank if head is not None else self._ranks.get(artifact, stored)

    def down(self, artifacts: Collection[str]) -> Iterator[tuple[str, str, int]]:
        """Yield (artifact, dependency, rank of the dependency)."""
        for artifact in artifacts:
            for dependency in self._edges.get(artifact, ()):
                yield artifact, dependency, self._rank(dependency, 0)
        yield from self._stored(self.reads.down([a for a in artifacts if a not in self._edges]))

    def up(self, artifacts: Collection[str]) -> Iterator[tuple[str, str, int]]:
        """Yield (artifact, dependant, rank of the dependant)."""
        wanted = set(artifacts)
        for dependant, dependencies in self._edges.items():
            for artifact in wanted.intersection(dependencies):
                yield artifact, dependant, self._rank(dependant, 0)
        stored = self.reads.up(artifacts)
        yield from self._stored((a, d, rank) for a, d, rank in stored if d not in self._edges)

    def _stored(self, rows: Iterable[tuple[str, str, int]]) -> Iterator[tuple[str, str, int]]:
        for artifact, other, rank in rows:
            yield artifact, other, self._rank(other, rank)
