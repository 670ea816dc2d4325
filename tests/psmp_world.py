"""The engine on a database in memory: the real kinds, look-ups and writers, one decision after the other, and back.

What is asked comes as operations of ``psmp_spec``; what is told and what is stored can be compared with it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from metaqore import kinds
from metaqore.errors import MetaQoreError
from metaqore.messages import Outcome, Request
from metaqore.requests.catalogue import Catalogue
from metaqore.settings import load
from metaqore.store.scratch import Scratch
from tests.psmp_spec import (
    Alias,
    Declare,
    Delete,
    Move,
    Op,
    Resolve,
    Restore,
    SetMode,
    Spec,
    Told,
    Withdraw,
    allowed,
)

#: SQL and values → rows.
Rows = Callable[..., Sequence[Any]]
ORGANIZATION = "acme"
KIND = {
    Declare: "artifact.declare", Move: "artifact.transition", Delete: "artifact.delete", Alias: "artifact.alias",
    Resolve: "conflict.resolve", Withdraw: "proposal.withdraw", Restore: "project.restore", SetMode: "project.save",
}  # fmt: skip
AUTHORITY = ["conflicts:override", "labels:declassify"]


class Broken(AssertionError):
    """The engine does not do what was promised."""


@cache
def catalogue(narrows: bool = False) -> Catalogue:
    """Return the kinds under the policy that MetaQore comes with; or by one under which adaptive narrows, too."""
    settings = load({"storage_dsn": "sqlite://", "redis_url": "redis://127.0.0.1:1/0"}, environ={})
    if not narrows:
        return kinds.history_kinds(settings, kinds.psmp_policy(settings))
    text = (settings.config_path / "policies" / "psmp.yaml").read_text("utf-8")
    rule = "constraint_conflict: {severity: high, strategy: retry, adaptive: "
    changed = text.replace(f"{rule}block", f"{rule}resolve")
    assert changed != text
    return kinds.history_kinds(settings, kinds.candidate_policy(settings, changed))


def payload_of(op: Op, ids: Mapping[str, str], proposals: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return what is sent.

    Args:
        ids: name → id of the artifact.
        proposals: (id, id of one of its conflicts), in the order in which they were blocked.
    """
    match op:
        case Declare():
            payload = {
                "type": "doc", "name": op.name, "content": op.content, "base_version": op.base or None,
                "depends_on": [{"type": "doc", "name": name, "version": version} for name, version in op.deps],
                "read_set": [{"type": "doc", "name": name, "version": version} for name, version in op.reads],
                "claims": list(op.claims), "label": op.label,
                "requires": [{"name": "package", "specifier": op.needs}] if op.needs else [],
            }  # fmt: skip
            return {name: value for name, value in payload.items() if value not in (None, [])}
        case Move():
            return {"artifact": ids.get(op.name, "art_none"), "to": op.to, "authority": AUTHORITY}
        case Delete():
            how = {op.how: True} if op.how is not None else {}
            return {"artifact": ids.get(op.name, "art_none"), "authority": AUTHORITY, **how}
        case Alias():
            return {"artifact": ids.get(op.name, "art_none"), "alias": op.alias, "version": op.version}
        case Resolve():
            return {"conflict": proposals[op.proposal][1], "strategy": op.strategy, "reason": "it is known",
                    "authority": AUTHORITY}  # fmt: skip
        case Withdraw():
            return {"proposal": proposals[op.proposal][0]}
        case Restore():
            return {"to": str(op.to), "labels": "keep"}
        case SetMode():
            return {"mode": op.mode}


def told_of(outcome: Outcome) -> Told:
    """Return an answer as the specification gives it."""
    if outcome.error is not None:
        return Told("failed", error=str(outcome.error["code"]))
    result = outcome.result.get("blocking_report", outcome.result)
    shown = result.get("conflicts", ())
    return Told(str(outcome.verdict), tuple(sorted(conflict["class"] for conflict in shown)))


class World:
    """One project."""

    def __init__(self, mode: str, kinds: Catalogue | None = None) -> None:
        self.kinds = kinds or catalogue()
        self.scratch = Scratch()
        self.run = self.scratch._driver.execute
        # Here, unlike in a replay, decisions are taken back.
        for statement in ("COMMIT", "PRAGMA journal_mode = MEMORY", "BEGIN"):
            self.run(statement)
        self.seq = 0
        self.ids: dict[str, str] = {}
        self.proposals: list[tuple[str, str]] = []
        self.project: str | None = None
        made = self.decide([("ann", "project.save", {"name": "p", "mode": mode})])[0]
        self.project = str(made.result["id"])

    def close(self) -> None:
        self.scratch.close()

    def decide(self, asked: Sequence[tuple[str, str, dict[str, Any]]]) -> list[Outcome]:
        """Decide requests of one kind, given as (principal, kind, payload), in one run; carry out what they do."""
        kind = self.kinds[asked[0][1]]
        batch = []
        for by, name, payload in asked:
            self.seq += 1
            request = Request(
                seq=self.seq, id=f"req_{self.seq}", organization=ORGANIZATION, project=self.project, principal=by,
                kind=name, queue="psmp", ordering_key=self.project, payload=payload, attempt=0, fence=0,
                created_at=1_000_000,
            )  # fmt: skip
            request.studied = kind.study(request) if kind.study is not None else None
            self.scratch.accept(request)
            batch.append(request)
        assert kind.decide is not None
        try:
            outcomes = kind.decide(batch, self.scratch.reads(), 1_000_000 + self.seq)
        except MetaQoreError as error:
            return [Outcome(error={"code": error.code, "message": error.message}) for _ in batch]
        self.scratch.apply([write for outcome in outcomes for write in outcome.writes])
        for outcome in outcomes:
            self._note(outcome)
        return outcomes

    def _note(self, outcome: Outcome) -> None:
        """Remember the ids of what was made."""
        artifact = outcome.result.get("artifact")
        if isinstance(artifact, Mapping) and "name" in artifact:
            self.ids[str(artifact["name"])] = str(artifact["id"])
        report = outcome.result.get("blocking_report", {})
        if report.get("proposal") and all(known != report["proposal"] for known, _ in self.proposals):
            self.proposals.append((report["proposal"], report["conflicts"][0]["id"]))

    def ask(self, op: Op) -> Outcome:
        """Do an operation."""
        payload = payload_of(op, self.ids, self.proposals)
        if isinstance(op, SetMode):
            payload["id"] = self.project
        return self.decide([(op.by, KIND[type(op)], payload)])[0]

    def ask_together(self, ops: Sequence[Declare]) -> list[Outcome]:
        """Decide declarations in one run, as a worker does that finds them waiting."""
        return self.decide([(op.by, KIND[Declare], payload_of(op, self.ids, self.proposals)) for op in ops])

    @contextlib.contextmanager
    def tried(self) -> Iterator[None]:
        """Go back, afterwards, to how it was before."""
        kept = self.seq, dict(self.ids), list(self.proposals)
        self.run("SAVEPOINT tried")
        try:
            yield
        finally:
            self.run("ROLLBACK TO tried")
            self.run("RELEASE tried")
            self.seq, self.ids, self.proposals = kept

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Return the rows of a query."""
        found: list[Any] = self.run(sql, values).fetchall()
        return found

    def check(self, spec: Spec) -> None:
        """Fail unless what is stored is what the specification says."""
        check_stored(self.rows, str(self.project), spec)

    def provenance(self, name: str) -> dict[str, Any]:
        """Return the provenance of an artifact's head."""
        row = self.run(
            "SELECT v.body FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id AND v.version = a.head "
            "WHERE a.name = ?", (name,),
        ).fetchone()  # fmt: skip
        found: dict[str, Any] = json.loads(row[0]).get("provenance", {})
        return found


def stored(rows: Rows, project: str) -> dict[str, Any]:
    """Return name → (state, versions as (content, label, by, deps), edges, aliases, claims held, versions accepted)."""
    heads = rows("SELECT id, name, state, head, rank FROM artifacts WHERE project = ?", project)
    names = {row[0]: row[1] for row in heads}
    ranks = {row[0]: row[4] for row in heads}
    if len(set(ranks.values())) != len(ranks):
        raise Broken(f"two artifacts have one rank: {sorted(ranks.values())}")
    versions: dict[str, list[Any]] = {artifact: [] for artifact in names}
    for artifact, number, content, label, by, body in rows(
        "SELECT v.artifact, v.version, v.content, v.label, v.created_by, v.body FROM artifacts a "
        "JOIN artifact_versions v ON v.artifact = a.id WHERE a.project = ? ORDER BY v.artifact, v.version",
        project,
    ):
        versions[artifact].append((number, json.loads(content), label, by, json.loads(body)))
    edges: dict[str, set[str]] = {artifact: set() for artifact in names}
    for artifact, below in rows(
        "SELECT e.artifact, e.depends_on FROM artifacts a JOIN artifact_edges e ON e.artifact = a.id "
        "WHERE a.project = ?",
        project,
    ):
        if ranks[below] >= ranks[artifact]:
            raise Broken(f"{names[artifact]} does not come after {names[below]}, on which it depends")
        edges[artifact].add(names[below])
    aliases: dict[str, dict[str, int | None]] = {artifact: {} for artifact in names}
    for artifact, alias, version in rows(
        "SELECT l.artifact, l.alias, l.version FROM artifacts a JOIN artifact_aliases l ON l.artifact = a.id "
        "WHERE a.project = ? ORDER BY l.position",
        project,
    ):
        aliases[artifact][alias] = version
    claims: dict[str, set[str]] = {artifact: set() for artifact in names}
    for holder, pattern in rows("SELECT holder, pattern FROM claims WHERE project = ?", project):
        claims[holder].add(pattern)
    needs = dict(rows("SELECT artifact, specifier FROM artifact_requirements WHERE project = ?", project))
    seen = {}
    for artifact, name, state, head, _ in heads:
        if [each[0] for each in versions[artifact]] != list(range(1, head + 1)):
            raise Broken(f"{name} is at {head} with versions {[each[0] for each in versions[artifact]]}")
        seen[name] = (
            state,
            tuple(
                (content, label, by, tuple((d["name"], d["version"]) for d in body["depends_on"]))
                for _, content, label, by, body in versions[artifact]
            ),
            frozenset(edges[artifact]),
            {alias: version for alias, version in aliases[artifact].items() if version is not None},
            frozenset(claims[artifact]),
            frozenset(allowed(needs[artifact])) if artifact in needs else None,
        )
    return seen


def check_stored(rows: Rows, project: str, spec: Spec) -> None:
    """Fail unless what is stored is what the specification says.

    Raises:
        Broken: says what differs.
    """
    seen, wanted = stored(rows, project), wanted_of(spec)
    if seen != wanted:
        names = [name for name in {*seen, *wanted} if seen.get(name) != wanted.get(name)]
        raise Broken("; ".join(f"{n}: stored {seen.get(n)}, promised {wanted.get(n)}" for n in sorted(names)))
    position = rows("SELECT position FROM projects WHERE id = ?", project)[0][0]
    steps = rows("SELECT first, last FROM project_history WHERE project = ? ORDER BY last", project)
    ends = [0, *(last for _, last in steps)]
    if position != spec.position or [first - 1 for first, _ in steps] != ends[:-1] or ends[-1] != position:
        raise Broken(f"position {position} with {steps}, promised {spec.position}")
    states = tuple(row[0] for row in rows("SELECT state FROM proposals WHERE project = ? ORDER BY id", project))
    if sorted(states) != sorted(p.state for p in spec.proposals):
        raise Broken(f"proposals are {states}, promised {[p.state for p in spec.proposals]}")
    bare = rows(
        "SELECT id FROM proposals p WHERE project = ? AND state = 'blocked' AND NOT EXISTS "
        "(SELECT 1 FROM conflicts c WHERE c.proposal = p.id AND c.state IN ('open', 'escalated'))",
        project,
    )
    if bare:
        raise Broken(f"a blocked proposal has no open conflicts: {bare}")
    left = rows(
        "SELECT c.id FROM conflicts c JOIN proposals p ON p.id = c.proposal "
        "WHERE p.project = ? AND p.state <> 'blocked' AND c.state IN ('open', 'escalated')",
        project,
    )
    if left:
        raise Broken(f"a closed proposal has open conflicts: {left}")


def wanted_of(spec: Spec) -> dict[str, Any]:
    """Return what ``stored`` should be."""
    return {
        name: (
            art.state,
            tuple((v.content, v.label, v.by, v.deps) for v in art.versions),
            art.head.edges,
            dict(art.aliases),
            frozenset(art.head.claims) if art.state in ("proposed", "active", "quarantined") else frozenset(),
            frozenset(allowed(art.head.needs))
            if art.head.needs is not None and art.state in ("proposed", "active", "quarantined")
            else None,
        )
        for name, art in spec.arts.items()
    }
