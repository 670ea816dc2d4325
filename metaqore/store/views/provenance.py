"""Collects where a version comes from, level by level: versions, requests, decisions, model calls, principals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from metaqore.audit.provenance import Graph, kind_of, moment, named
from metaqore.store.bulk import chunks, placeholders
from metaqore.store.views import provenance_claims as claims
from metaqore.store.views.lookup import Lookup, Row

#: (artifact, version), and the node that stands for it.
Version = tuple[str, int]
_CHUNK = 200
_VERSION = (
    "SELECT v.artifact, v.version, v.content_hash, v.label, v.base_version, v.body, v.edges, v.request_id, "
    "v.created_by, v.created_at, v.position, a.project, a.type, a.name FROM artifact_versions v "
    "JOIN artifacts a ON a.id = v.artifact WHERE v.organization = ? AND (v.artifact, v.version) IN (VALUES {keys})"
)
_REQUEST = (
    "SELECT id, project, principal, kind, state, verdict, attempt, created_at, finished_at, subject FROM requests "
    "WHERE organization = ? AND id IN ({keys})"
)
_DECISION = (
    "SELECT id, request_id, verdict, label, policy, policy_digest, provider, created_at FROM decisions "
    "WHERE organization = ? AND request_id IN ({keys}) ORDER BY id"
)
_CALL = (
    "SELECT id, request_id, project, provider, model, label, state, command, prompt_tokens, completion_tokens, "
    "cached_tokens, prepared_at, settled_at FROM llm_calls WHERE organization = ? AND {column} IN ({keys}) ORDER BY id"
)
#: A specialist's answer, in the same columns.
_ANSWER = (
    "SELECT c.id, c.request_id, c.project, 'specialist' AS provider, c.specialist AS model, d.label, "
    "'settled' AS state, '{}' AS command, 0 AS prompt_tokens, 0 AS completion_tokens, 0 AS cached_tokens, "
    "c.at AS prepared_at, c.at AS settled_at FROM specialist_calls c JOIN decisions d ON d.id = c.decision_id "
    "WHERE c.organization = ? AND c.kind = 'served' AND c.{column} IN ({keys}) ORDER BY c.id"
)
_ENTRY = (
    "SELECT seq, tag, request_id, body FROM audit_entries WHERE organization = ? AND request_id IN ({keys}) "
    "AND tag NOT LIKE 'delivery:%' ORDER BY seq"
)
_DELEGATOR = (
    "SELECT DISTINCT principal, delegator FROM delegated_tokens WHERE organization = ? AND principal IN ({keys})"
)
_KIND = "SELECT name, kind FROM principals WHERE organization = ? AND name IN ({keys})"
#: The version of an artifact that stood at a place: by position within one project, by time across two.
_THEN = (
    "SELECT max(v.version) AS version FROM artifact_versions v JOIN artifacts a ON a.id = v.artifact "
    "WHERE v.organization = ? AND v.artifact = ? AND ((a.project = ? AND v.position <= ?) "
    "OR (a.project <> ? AND v.created_at <= ?))"
)
_ENGINE, _GATEWAY = named("engine"), named("gateway")
_PERSONS = {"person": "prov:Person", "agent": "prov:SoftwareAgent", "service": "prov:SoftwareAgent"}


class ProvenanceViews(Lookup):
    """Look-ups of one organization's past; where ``project`` is given, of that project alone."""

    def of(
        self, organization: str, artifact: str, version: int, *, depth: int, limit: int, project: str | None = None
    ) -> Graph:
        """Return where a version comes from, up to ``depth`` generations back and ``limit`` nodes.

        Args:
            project: what is of another project is named, and nothing more is said of it.
        """
        return _Walk(self, organization, project, Graph(limit)).run((artifact, version), depth)


class _Walk:
    """One collection."""

    def __init__(self, views: ProvenanceViews, organization: str, project: str | None, graph: Graph) -> None:
        self._views, self._organization, self._project, self.graph = views, organization, project, graph
        self._principals: dict[str, None] = {}
        self._known: set[Version] = set()

    def run(self, start: Version, depth: int) -> Graph:
        """Go back generation by generation."""
        level: list[Version] = [start]
        for generation in range(depth + 1):
            fresh = [one for one in dict.fromkeys(level) if one not in self._known]
            self._known.update(fresh)
            if not fresh:
                break
            level = self._generation(fresh, last=generation == depth)
        self._agents()
        return self.graph

    def rows(self, sql: str, keys: Iterable[Any], *, width: int = 1) -> list[Row]:
        """Return the rows of this organization for keys, in chunks."""
        found: list[Row] = []
        mark = f"({', '.join('?' * width)})"
        for some in chunks(list(keys), _CHUNK):
            marks = placeholders(len(some)) if width == 1 else ", ".join([mark] * len(some))
            values = some if width == 1 else [part for key in some for part in key]
            found += self._views.rows(sql.replace("{keys}", marks), [self._organization, *values])
        return found

    def _generation(self, keys: Sequence[Version], *, last: bool) -> list[Version]:
        """Add versions with what made them; return the versions they came from, none of them added yet."""
        rows = [row for row in self.rows(_VERSION, keys, width=2) if self._version(row)]
        requests = self._requests([row["request_id"] for row in rows], keys)
        before: list[Version] = []
        for row in rows:
            me, request = named("artifact", row["artifact"], row["version"]), named("request", row["request_id"])
            body = claims.decoded(row["body"])
            if requests.get(row["request_id"]) is not None:
                self.graph.relate("wasGeneratedBy", me, request, prov_time=moment(row["created_at"]))
            self._principals[row["created_by"]] = None
            self.graph.add(named("principal", row["created_by"]), "agent", row["created_by"])
            self.graph.relate("wasAttributedTo", me, named("principal", row["created_by"]))
            self._answerers(request, body)
            before += self._inputs(row, body, me, request, last=last)
            before += self._calls(body, me, request, last=last)
        return before

    def _version(self, row: Row) -> bool:
        erased = True if row["content_hash"] == "erased" else None
        if self._project is not None and row["project"] != self._project:
            withheld = kind_of("mq:ArtifactVersion")
            self.graph.add(named("artifact", row["artifact"], row["version"]), "entity",
                           f"{row['artifact']}\nin another project", prov_type=withheld, withheld=True)  # fmt: skip
            return False
        return self.graph.add(
            named("artifact", row["artifact"], row["version"]), "entity",
            f"{row['name']}\n{row['type']}, version {row['version']}", prov_type=kind_of("mq:ArtifactVersion"),
            artifact=row["artifact"], version=row["version"], project=row["project"], sensitivity=row["label"],
            contentHash=None if erased else row["content_hash"], erased=erased,
        )  # fmt: skip

    def _inputs(self, row: Row, body: Mapping[str, Any], me: str, request: str, *, last: bool) -> list[Version]:
        """Relate a version to those it was made from."""
        place = (row["project"], row["position"], row["created_at"])
        found: list[Version] = []
        for role, artifact, version in claims.inputs_of(row, body):
            if isinstance(artifact, tuple):
                artifact = self._named(row["project"], *artifact)
            number = self._then(artifact, *place) if version is None else version
            if not number or not self._reach((artifact, number), me, last=last):
                continue
            other = named("artifact", artifact, number)
            if role in claims.DERIVED:
                self.graph.relate("wasDerivedFrom", me, other, prov_type=kind_of(claims.DERIVED[role]),
                                  prov_activity=request if request in self.graph.nodes else None)  # fmt: skip
            self.graph.relate("used", request, other, prov_role=role)
            found.append((artifact, number))
        return found

    def _reach(self, key: Version, me: str, *, last: bool) -> bool:
        """Make room for a version that something came from; its row says more of it in the next generation."""
        node = named("artifact", *key)
        if node in self.graph.nodes:
            return True
        rows = [] if last else self.rows(_VERSION, [key], width=2)
        for row in rows:
            self._version(row)
        if node not in self.graph.nodes and (rows or last):
            self.graph.cut(me)
        return node in self.graph.nodes

    def _named(self, project: str, kind: str, name: str) -> str:
        sql = "SELECT id FROM artifacts WHERE organization = ? AND project = ? AND type = ? AND name = ?"
        row = self._views.row(sql, (self._organization, project, kind, name))
        return "" if row is None else str(row["id"])

    def _then(self, artifact: str, project: str, position: int, at: int) -> int | None:
        values = (self._organization, artifact, project, position, project, at)
        row = self._views.row(_THEN, values)
        return None if row is None or row["version"] is None else int(row["version"])

    def _requests(self, ids: Iterable[str], keys: Sequence[Version]) -> dict[str, Row]:
        """Add requests with their decisions and what the log has about them; return those there are."""
        wanted = list(dict.fromkeys(ids))
        found = {row["id"]: row for row in self.rows(_REQUEST, wanted)}
        entries: dict[str, list[Row]] = {}
        for entry in self.rows(_ENTRY, wanted):
            entries.setdefault(entry["request_id"], []).append(entry)
        for key, row in found.items():
            node = named("request", key)
            recorded = entries.get(key, [])
            self.graph.add(
                node, "activity", f"{row['kind']}\n{key}", prov_type=kind_of("mq:Request"), kind=row["kind"],
                prov_startTime=moment(row["created_at"]), prov_endTime=moment(row["finished_at"]), state=row["state"],
                verdict=row["verdict"], auditEntries=[entry["seq"] for entry in recorded] or None,
            )  # fmt: skip
            self._principals[row["principal"]] = None
            self.graph.add(named("principal", row["principal"]), "agent", row["principal"])
            self.graph.relate("wasAssociatedWith", node, named("principal", row["principal"]), prov_role="submitter")
            self._plan(node, claims.policy_of(recorded), _ENGINE, "MetaQore", "decider")
        self._decisions(found)
        return found

    def _decisions(self, requests: Iterable[str]) -> None:
        for row in self.rows(_DECISION, requests):
            node = named("decision", row["id"])
            if self.graph.add(
                node, "activity", f"{row['verdict']}\n{row['id']}", prov_type=kind_of("mq:Decision"),
                prov_startTime=moment(row["created_at"]), prov_endTime=moment(row["created_at"]),
                verdict=row["verdict"], sensitivity=row["label"], policy=row["policy"], provider=row["provider"],
            ):  # fmt: skip
                self.graph.relate("wasInformedBy", named("request", row["request_id"]), node)
                self._plan(node, row["policy_digest"], _GATEWAY, "SecureGateway", "decider")

    def _plan(self, activity: str, digest: str | None, agent: str, label: str, role: str) -> None:
        """Say who decided, and by which policy."""
        if digest is None:
            return
        plan = named("policy", digest)
        self.graph.add(agent, "agent", label, prov_type=kind_of("prov:SoftwareAgent"))
        there = self.graph.add(plan, "entity", f"policy\n{digest}", prov_type=kind_of("prov:Plan"), digest=digest)
        self.graph.relate("wasAssociatedWith", activity, agent, prov_role=role, prov_plan=plan if there else None)

    def _answerers(self, request: str, body: Mapping[str, Any]) -> None:
        """Say who resolved or approved, where the version is there because somebody did."""
        for role, name in claims.answerers(body):
            self._principals[name] = None
            self.graph.add(named("principal", name), "agent", name)
            self.graph.relate("wasAssociatedWith", request, named("principal", name), prov_role=role)

    def _calls(self, body: Mapping[str, Any], me: str, request: str, *, last: bool) -> list[Version]:
        """Add the model calls that the author says this came from, and what they were made from."""
        ids = claims.calls_named(body)
        rows = self.rows(_CALL.replace("{column}", "id"), [one for one in ids if one.startswith("call_")])
        asked = [one for one in ids if one.startswith("req_")]
        rows += self.rows(_CALL.replace("{column}", "request_id"), asked)
        rows += self.rows(_ANSWER.replace("{column}", "request_id"), asked)
        rows += self.rows(_ANSWER.replace("{column}", "id"), [one for one in ids if one.startswith("spc_")])
        rows = [row for row in rows if self._project in (None, row["project"])]
        self._requests([row["request_id"] for row in rows], [])
        found: list[Version] = []
        for row in rows:
            call, text = named("call", row["id"]), named("completion", row["id"])
            if not self._call(row, call, text):
                self.graph.cut(me)
                continue
            self.graph.relate("wasDerivedFrom", me, text, prov_type=kind_of("mq:Declared"))
            self.graph.relate("used", request, text, prov_role="completion")
            for artifact in claims.prompted_by(row["command"]):
                number = self._then(artifact, "", 0, row["prepared_at"])
                if number is not None and self._reach((artifact, number), call, last=last):
                    self.graph.relate("used", call, named("artifact", artifact, number), prov_role="prompt")
                    found.append((artifact, number))
        return found

    def _call(self, row: Row, call: str, text: str) -> bool:
        model = named("model", row["provider"], row["model"])
        self.graph.add(
            call, "activity", f"llm.generate\n{row['model']}", prov_type=kind_of("mq:ModelCall"), state=row["state"],
            prov_startTime=moment(row["prepared_at"]), prov_endTime=moment(row["settled_at"]), model=row["model"],
            provider=row["provider"], promptTokens=row["prompt_tokens"], completionTokens=row["completion_tokens"],
            cachedTokens=row["cached_tokens"], sensitivity=row["label"],
        )  # fmt: skip
        self.graph.add(model, "agent", f"{row['model']}\n{row['provider']}", prov_type=kind_of("prov:SoftwareAgent"))
        self.graph.relate("wasAssociatedWith", call, model, prov_role="model")
        self.graph.relate("wasInformedBy", call, named("request", row["request_id"]))
        if not self.graph.add(text, "entity", f"completion\n{row['id']}", prov_type=kind_of("mq:Completion")):
            return False
        self.graph.relate("wasGeneratedBy", text, call, prov_time=moment(row["settled_at"]))
        return call in self.graph.nodes

    def _agents(self) -> None:
        """Say of all principals what they are, and for whom they acted."""
        names = list(self._principals)
        for row in self.rows(_DELEGATOR, names):
            delegator = named("principal", row["delegator"])
            self.graph.add(delegator, "agent", row["delegator"])
            self.graph.relate("actedOnBehalfOf", named("principal", row["principal"]), delegator)
            names.append(row["delegator"])
        kinds = {row["name"]: row["kind"] for row in self.rows(_KIND, dict.fromkeys(names))}
        for name in names:
            node = self.graph.nodes.get(named("principal", name))
            if node is not None and kinds.get(name) in _PERSONS:
                node.attributes["prov:type"] = kind_of(_PERSONS[kinds[name]])
