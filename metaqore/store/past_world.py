"""A project as it was at a position, in a scratch database: where a replay begins without going back to the beginning.

What a project was made of is read from its history (``PastViews``); what heads held is worked out from their versions,
as it was when they were admitted. Two things are not as they were, and make no difference to a verdict: the numbers of
the topological order (any order that fits the edges finds the same cycles), and depths, which are exact here and upper
bounds there (where a bound matters, it is compared with what the edges say).

Everything is read and written a chunk at a time. In memory are only the edges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Sequence
from graphlib import TopologicalSorter
from typing import Any

import msgspec

from metaqore.psmp import claims, manifest, ownership
from metaqore.psmp.check_bounds import conversation_of
from metaqore.psmp.holdings import Claim, Holds
from metaqore.psmp.model import Claims, Requirement
from metaqore.store.bulk import chunks, placeholders
from metaqore.store.engine import Database
from metaqore.store.repositories import psmp_past as past
from metaqore.store.scratch import Scratch
from metaqore.store.sealed import open_payloads
from metaqore.store.tables import metadata
from metaqore.store.views.lookup import Lookup, Page, Row
from metaqore.store.views.psmp_approvals import ApprovalViews
from metaqore.store.views.psmp_holdings import HoldingViews
from metaqore.store.views.psmp_time import PastViews, TimeViews

_CHUNK = 200
_decode = msgspec.json.decode
_HEADS = (
    "SELECT a.*, v.version AS version, v.content_hash AS hash, v.label AS labelled, v.body, v.edges, v.request_id, "
    f"v.created_by AS author, v.created_at AS moved_at, v.position AS since, {past.state_at('a')} AS was, "
    "(SELECT max(h.position) FROM record_history h WHERE h.subject = a.id AND h.position <= ? "
    "AND h.state NOT IN ({released})) AS released "
    "FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id AND v.version = (SELECT w.version FROM "
    "artifact_versions w WHERE w.artifact = a.id AND w.position <= ? ORDER BY w.version DESC LIMIT 1) "
    "WHERE a.project = ? AND a.id > ? ORDER BY a.id LIMIT ?"
)
#: Requests that count as a turn of the conversation that their version names.
_TURNS = ("artifact.declare", "conflict.resolve", "approval.answer", "project.restore")


class PastWorld(Lookup):
    """Copies one project.

    Args:
        states: those in which an artifact's head holds what it requires and claims.
    """

    def __init__(
        self, database: Database, states: Collection[str], organization: str, project: str, position: int
    ) -> None:
        super().__init__(database)
        self._organization, self._project, self._at = organization, project, position
        self._states = sorted(states)
        self._then = PastViews(database, position)
        self._turns: Counter[tuple[str, str]] = Counter()
        self._to = Scratch()

    def build(self) -> Iterator[int]:
        """Copy; yield how many rows there are so far, and at the end leave them in ``world``."""
        copied = 0
        for part in (self._one_project, self._history, self._artifacts, self._tasks, self._conflicts, self._questions,
                     self._intents):  # fmt: skip
            for rows in part():
                copied += rows
                yield copied
        self._order()
        turns = [(self._project, name, by, count) for (name, by), count in self._turns.items()]
        self._many("conversations", ("project", "conversation", "principal", "turns"), turns)

    @property
    def world(self) -> Scratch:
        """The copy."""
        return self._to

    def _put(self, table: str, rows: Sequence[dict[str, Any]]) -> int:
        if rows:
            known = metadata.tables[table].columns
            columns = [column for column in rows[0] if column in known]
            self._many(table, columns, [tuple(row[column] for column in columns) for row in rows])
        return len(rows)

    def _many(self, table: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        self._to.insert(table, columns, rows)

    def _pages(self, sql: str, values: Sequence[Any], key: str) -> Iterator[list[Row]]:
        """Yield the rows of a statement that ends with ``key > ? ORDER BY key LIMIT ?``, a chunk at a time."""
        last: Any = "" if key != "last" else 0
        while rows := self.rows(sql, [*values, last, _CHUNK]):
            yield rows
            last = rows[-1][key]

    def _one_project(self) -> Iterator[int]:
        row = self._then.project(self._organization, self._project)
        if row is None:
            return
        at = self.rows(
            "SELECT at FROM project_history WHERE project = ? AND last >= ? ORDER BY last LIMIT 1",
            (self._project, self._at),
        )
        kept = {**row, "organization": self._organization, "metadata": _text(row["metadata"]),
                "position_at": at[0]["at"] if at else row["updated_at"]}  # fmt: skip
        yield self._put("projects", [kept])

    def _history(self) -> Iterator[int]:
        sql = "SELECT * FROM project_history WHERE project = ? AND first <= ? AND last > ? ORDER BY last LIMIT ?"
        for rows in self._pages(sql, (self._project, self._at), "last"):
            yield self._put("project_history", [self._cut(row) for row in rows])
        # Of the records, those until then: what came later is not known yet.
        place: tuple[int, str] = (0, "")
        while rows := self.rows(
            "SELECT * FROM record_history WHERE project = ? AND position <= ? AND (position, subject) > (?, ?) "
            "ORDER BY position, subject LIMIT ?", (self._project, self._at, *place, _CHUNK),
        ):  # fmt: skip
            yield self._put("record_history", [dict(row) for row in rows])
            place = (rows[-1]["position"], rows[-1]["subject"])

    def _cut(self, row: Row) -> dict[str, Any]:
        if row["last"] <= self._at:
            return dict(row)
        steps = _decode(row["steps"])[: self._at - row["first"] + 1]
        return {**row, "last": self._at, "steps": _text(steps)}

    def _artifacts(self) -> Iterator[int]:
        sql = _HEADS.replace("{released}", placeholders(len(self._states)) or "NULL")
        values = (self._at, self._at, self._at, *self._states, self._at, self._project)
        place = 0
        for rows in self._pages(sql, values, "id"):
            ids = [row["id"] for row in rows]
            seqs = self._seqs([row["request_id"] for row in rows])
            fields = yield from self._versions({row["id"]: row["released"] or 0 for row in rows})
            heads = []
            for row in rows:
                place += 1
                holds = self._holds(row, seqs.get(row["request_id"], 0), fields.get(row["id"], []))
                heads.append(_head(row, place, holds))
                self._many("artifact_edges", ("artifact", "depends_on"), [(row["id"], e) for e in self._edges(row)])
            yield self._put("artifacts", heads)
            aliases = self.rows(
                f"SELECT * FROM artifact_aliases WHERE artifact IN ({placeholders(len(ids))}) AND position <= ?",
                [*ids, self._at],
            )
            yield self._put("artifact_aliases", [dict(row) for row in aliases])

    def _versions(self, released: dict[str, int]) -> Generator[int, None, dict[str, list[ownership.Field]]]:
        """Copy the versions of some artifacts; return who managed what of each."""
        ids, last = sorted(released), ("", 0)
        managed: dict[str, list[ownership.Field]] = {}
        while rows := self.rows(
            f"SELECT * FROM artifact_versions WHERE artifact IN ({placeholders(len(ids))}) AND position <= ? "
            "AND (artifact, version) > (?, ?) ORDER BY artifact, version LIMIT ?",
            [*ids, self._at, *last, _CHUNK],
        ):
            kinds = self._kinds([row["request_id"] for row in rows])
            for row in rows:
                body = _decode(row["body"])
                self._note(row, body, kinds.get(row["request_id"], ""))
                # What went through a state that holds nothing has lost its managers.
                holding = row["position"] > released[row["artifact"]]
                managed[row["artifact"]] = _managed(row, body, managed.get(row["artifact"], [])) if holding else []
            yield self._put("artifact_versions", [dict(row) for row in rows])
            last = (rows[-1]["artifact"], rows[-1]["version"])
        return managed

    def _note(self, row: Row, body: dict[str, Any], kind: str) -> None:
        name = conversation_of(body.get("metadata") or {})
        if name is not None and kind in _TURNS:
            self._turns[name, row["created_by"]] += 1

    def _seqs(self, requests: Sequence[str]) -> dict[str, int]:
        return {row["id"]: row["seq"] for row in self._requests("id, seq", requests)}

    def _kinds(self, requests: Sequence[str]) -> dict[str, str]:
        return {row["id"]: row["kind"] for row in self._requests("id, kind", requests)}

    def _requests(self, columns: str, ids: Sequence[str]) -> list[Row]:
        some = sorted(set(ids))
        return [
            row for part in chunks(some, _CHUNK)
            for row in self.rows(f"SELECT {columns} FROM requests WHERE id IN ({placeholders(len(part))})", part)
        ]  # fmt: skip

    def _edges(self, row: Row) -> list[str]:
        if row["edges"] or row["version"] != row["head"]:
            return list(_decode(row["edges"] or "[]"))
        # Versions from before edges were kept have those of today, if they are still the head.
        return [e["depends_on"] for e in self.rows("SELECT depends_on FROM artifact_edges WHERE artifact = ?",
                                                   (row["id"],))]  # fmt: skip

    def _holds(self, row: Row, seq: int, fields: Sequence[ownership.Field]) -> int:
        """Let a head hold what its version says; return which side tables have rows of it."""
        if row["was"] not in self._states:
            return 0
        body, artifact, author = _decode(row["body"]), row["id"], row["author"]
        requires = msgspec.convert(body.get("requires", ()), tuple[Requirement, ...])
        required = {
            (*msgspec.structs.astuple(slot), each.specifier, artifact): (each.scope, author)
            for slot, each in zip(manifest.slots(self._project, requires), requires, strict=True)
        }
        columns = ("project", "ecosystem", "package", "environment", "specifier", "artifact", "scope", "declared_by")
        self._many("artifact_requirements", columns, [(*key, *rest) for key, rest in required.items()])
        claimed = msgspec.convert(body.get("claims", ()), tuple[str, ...] | Claims)
        claimed = claimed if isinstance(claimed, Claims) else Claims(paths=claimed)
        title = f"{row['type']}/{row['name']}"
        held = [claims.row(self._project, kind, pattern, holder=artifact, principal=author, title=title, seq=seq)
                for kind, pattern in dict.fromkeys(claims.keys_of(claimed))]  # fmt: skip
        self._claims(held)
        fields = fields if row["since"] > (row["released"] or 0) else []
        self._many("field_managers", ("artifact", "pointer", "manager", "value_hash", "since"),
                   [(artifact, *msgspec.structs.astuple(field)) for field in fields])  # fmt: skip
        return (Holds.REQUIREMENTS if required else 0) | (Holds.CLAIMS if held else 0) | (Holds.FIELDS if fields else 0)

    def _claims(self, held: Sequence[Claim]) -> None:
        self._many("claims", Claim.__struct_fields__, [msgspec.structs.astuple(claim) for claim in held])

    def _tasks(self) -> Iterator[int]:
        after = None
        while True:
            page = self._then.tasks(self._organization, self._project, state=None, assigned_to=None, after=after,
                                    limit=_CHUNK)  # fmt: skip
            for row in page.items:
                first = self.rows(
                    "SELECT document FROM record_history WHERE subject = ? ORDER BY position LIMIT 1", (row["id"],)
                )
                name = conversation_of(_decode(past.document(first[0]["document"])["metadata"])) if first else None
                if name is not None:
                    self._turns[name, row["created_by"]] += 1
            yield self._put(
                "tasks",
                [{**row, "organization": self._organization, "metadata": _text(row["metadata"]),
                  "depends_on": _text(row["depends_on"])} for row in page.items],
            )  # fmt: skip
            if (after := page.last) is None:
                return

    def _conflicts(self) -> Iterator[int]:
        after = None
        while True:
            page: Page = self._then.conflicts(
                self._organization, project=self._project, state=None, severity=None, conflict_class=None,
                after=after, limit=_CHUNK,
            )  # fmt: skip
            extra = {"organization": self._organization, "position": self._at}
            yield self._put("conflicts", [{**row, "evidence": _text(row["evidence"]), **extra} for row in page.items])
            if (after := page.last) is None:
                break
        sql = (
            f"SELECT p.*, {past.state_at('p')} AS was FROM proposals p WHERE p.project = ? AND p.position <= ? "
            "AND p.id > ? ORDER BY p.id LIMIT ?"
        )
        for rows in self._pages(sql, (self._at, self._at, self._project, self._at), "id"):
            kept = [{name: value for name, value in {**row, "state": row["was"]}.items() if name != "was"}
                    for row in rows]  # fmt: skip
            yield self._put("proposals", kept)
            yield self._asked([row["request_id"] for row in rows if row["was"] == "blocked"])

    def _asked(self, ids: Sequence[str]) -> int:
        """Copy the requests of blocked proposals, with what they asked for."""
        rows = self._requests("*", ids)
        with self._db.read() as connection:
            payloads = open_payloads(self._db, connection, [row["payload"] for row in rows])
        return self._put("requests", [{**row, "payload": _text(p)} for row, p in zip(rows, payloads, strict=True)])

    def _questions(self) -> Iterator[int]:
        after, views = None, ApprovalViews(self._db)
        while True:
            page = views.approvals(self._organization, project=self._project, state=None, after=after, limit=_CHUNK,
                                   at=self._at)  # fmt: skip
            extra = {"organization": self._organization, "position": self._at}
            yield self._put("approvals", [{**row, "base": _text(row["base"]), **extra} for row in page.items])
            if (after := page.last) is None:
                break
        after, times = None, TimeViews(self._db)
        while True:
            page = times.checkpoints(self._organization, self._project, after=after, limit=_CHUNK, at=self._at)
            yield self._put("checkpoints", [{**row, "organization": self._organization} for row in page.items])
            if (after := page.last) is None:
                return

    def _intents(self) -> Iterator[int]:
        after, views = None, HoldingViews(self._db)
        while True:
            # Expiry is looked at when it matters: each decision has its own time.
            page = views.intents(self._organization, self._project, state=None, now=0, after=after, limit=_CHUNK,
                                 at=self._at)  # fmt: skip
            seqs = self._seqs([row["request_id"] for row in page.items])
            kept = []
            for row in page.items:
                seq = seqs.get(row["request_id"], 0)
                body = {name: row[name] for name in ("writes", "reads", "claims")}
                rest = {name: value for name, value in row.items() if name not in body}
                kept.append({**rest, "organization": self._organization, "remaining": _text(row["remaining"]),
                             "body": _text(body), "seq": seq, "position": self._at})  # fmt: skip
                if row["state"] == "open":
                    self._claims(self._announced(row, seq))
            yield self._put("intents", kept)
            if (after := page.last) is None:
                return

    def _announced(self, row: Row, seq: int) -> list[Claim]:
        marks = claims.keys_of(msgspec.convert(row["claims"], Claims))
        for field, kind in (("writes", "write"), ("reads", "read")):
            marks += [(kind, self._name(touch)) for touch in row[field]]
        marks += [("content", touch["content_hash"]) for touch in row["writes"] if touch.get("content_hash")]
        return [
            claims.row(self._project, kind, pattern, holder=row["id"], principal=row["principal"],
                       title=row["purpose"], seq=seq, expires_at=row["expires_at"])
            for kind, pattern in dict.fromkeys(marks)
        ]  # fmt: skip

    def _name(self, touch: dict[str, Any]) -> str:
        if touch.get("artifact") is None:
            return f"{touch['type']}/{touch['name']}"
        found = self.rows("SELECT type, name FROM artifacts WHERE id = ?", (touch["artifact"],))
        return f"{found[0]['type']}/{found[0]['name']}" if found else str(touch["artifact"])

    def _order(self) -> None:
        """Give artifacts with edges ranks that fit them, and their depths."""
        below: dict[str, list[str]] = {}
        for artifact, dependency in self._to.rows("SELECT artifact, depends_on FROM artifact_edges"):
            below.setdefault(artifact, []).append(dependency)
        depths: dict[str, int] = {}
        for artifact in TopologicalSorter(below).static_order():
            depths[artifact] = max((depths[each] + 1 for each in below.get(artifact, ())), default=0)
        ranks = sorted(
            row[0] for artifact in depths for row in self._to.rows("SELECT rank FROM artifacts WHERE id = ?", artifact)
        )
        for (artifact, depth), rank in zip(depths.items(), ranks, strict=True):
            self._to.rows("UPDATE artifacts SET rank = ?, depth = ? WHERE id = ?", rank, depth, artifact)


def _head(row: Row, rank: int, holds: int) -> dict[str, Any]:
    kept = {name: row[name] for name in ("id", "organization", "project", "type", "name", "created_by", "created_at")}
    return {
        **kept, "state": row["was"], "head": row["version"], "content_hash": row["hash"], "label": row["labelled"],
        "rank": rank, "holds": int(holds), "depth": 0, "updated_by": row["author"], "updated_at": row["moved_at"],
    }  # fmt: skip


def _managed(row: Row, body: dict[str, Any], old: list[ownership.Field]) -> list[ownership.Field]:
    owns, taken = body.get("owns"), body.get("force", ())
    if not (old or owns or taken):
        return old
    content = _decode(row["content"])

    def canonical(pointers: Sequence[str]) -> tuple[str, ...]:
        return tuple(ownership.canonical_pointer(content, pointer) for pointer in pointers)

    named = None if owns is None else canonical(owns)
    return ownership.managed(content, old, row["created_by"], named, canonical(taken), row["version"])


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
