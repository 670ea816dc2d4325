"""Where an artifact comes from, as a graph of W3C PROV: entities, activities and agents, and what relates them.

The graph is written down as PROV-JSON (W3C Member Submission, https://www.w3.org/submissions/prov-json/) over PROV-DM
(W3C Recommendation 2013-04-30). Ids are qualified names: ``id:artifact/art_…/2`` under this organization's namespace.
Who collects it is ``metaqore.store.views.provenance``; here nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

import msgspec

from metaqore.clock import to_rfc3339

Element: TypeAlias = Literal["entity", "activity", "agent"]
Relation: TypeAlias = Literal[
    "used", "wasGeneratedBy", "wasDerivedFrom", "wasAttributedTo", "wasAssociatedWith", "actedOnBehalfOf",
    "wasInformedBy",
]  # fmt: skip

#: Terms of our own; names of PROV itself begin with ``prov:`` and need no namespace.
NAMESPACE = "urn:metaqore:ns#"
#: Relation → the names of its two ends in PROV-JSON, the later thing first: arrows lead back in time.
ENDS: Mapping[str, tuple[str, str]] = {
    "used": ("prov:activity", "prov:entity"),
    "wasGeneratedBy": ("prov:entity", "prov:activity"),
    "wasDerivedFrom": ("prov:generatedEntity", "prov:usedEntity"),
    "wasAttributedTo": ("prov:entity", "prov:agent"),
    "wasAssociatedWith": ("prov:activity", "prov:agent"),
    "actedOnBehalfOf": ("prov:delegate", "prov:responsible"),
    "wasInformedBy": ("prov:informed", "prov:informant"),
}


class Node(msgspec.Struct, kw_only=True):
    """An entity, activity or agent. ``attributes`` holds PROV-JSON values."""

    id: str
    element: Element
    label: str
    attributes: dict[str, Any] = {}


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """A relation of two nodes, the later one first. ``attributes`` are pairs of name and PROV-JSON value."""

    relation: Relation
    source: str
    target: str
    attributes: tuple[tuple[str, Any], ...] = ()


class Graph:
    """Nodes by their id, and relations, each once. Takes up to ``limit`` nodes; more are refused, and said to be."""

    def __init__(self, limit: int) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        #: Something was left out: too deep, or too many.
        self.truncated = False
        self._limit = limit
        self._seen: set[tuple[str, str, str, str]] = set()

    @property
    def full(self) -> bool:
        """Whether no other node has room."""
        return len(self.nodes) >= self._limit

    def add(self, id: str, element: Element, label: str, **attributes: Any) -> bool:  # noqa: A002
        """Add a node, if it is not there; return whether it is there now.

        Args:
            attributes: name in our namespace, or ``prov_type`` and so on for one of PROV's → value; None leaves it out.
        """
        if id not in self.nodes:
            if self.full:
                self.truncated = True
                return False
            named = {_term(name): value for name, value in attributes.items() if value is not None}
            self.nodes[id] = Node(id=id, element=element, label=label, attributes={"prov:label": label, **named})
        return True

    def relate(self, relation: Relation, source: str, target: str, **attributes: Any) -> None:
        """Add a relation where both of its ends are there; the same one with the same role only once."""
        key = (relation, source, target, str(attributes.get("prov_role", "")))
        if source in self.nodes and target in self.nodes and source != target and key not in self._seen:
            self._seen.add(key)
            given = tuple((_term(name), value) for name, value in attributes.items() if value is not None)
            self.edges.append(Edge(relation=relation, source=source, target=target, attributes=given))

    def cut(self, id: str) -> None:  # noqa: A002
        """Mark a node: there is more behind it than the graph holds."""
        self.truncated = True
        if id in self.nodes:
            self.nodes[id].attributes["mq:truncated"] = True


def named(*parts: object) -> str:
    """Return a qualified name of our own: ``named("artifact", "art_1", 2)`` is ``id:artifact/art_1/2``.

    What may not stand in a local name (PROV-N §3.7.1) is percent-encoded: names of principals are anything.
    """
    return "id:" + "/".join(quote(str(part), safe="~") for part in parts)


def kind_of(*names: str) -> Any:
    """Return the value of ``prov:type`` for one or several qualified names."""
    values = [{"$": name, "type": "xsd:QName"} for name in names]
    return values[0] if len(values) == 1 else values


def moment(at: int | None) -> str | None:
    """Return milliseconds since the epoch as xsd:dateTime."""
    return None if at is None else to_rfc3339(at)


def to_prov_json(graph: Graph, organization: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the graph as a PROV-JSON document.

    It holds an entity of itself (``prov:Bundle``) that says what it is about and whether it was ``mq:truncated``.

    Args:
        about: name in our namespace → value, of that entity.
    """
    document: dict[str, Any] = {
        "prefix": {"mq": NAMESPACE, "id": f"urn:metaqore:{quote(organization, safe='')}:"},
        "entity": {}, "activity": {}, "agent": {},
    }  # fmt: skip
    said = {f"mq:{name}": value for name, value in about.items() if value is not None}
    document["entity"][named("provenance", str(about.get("artifact")), about.get("version", ""))] = {
        "prov:type": kind_of("prov:Bundle"), **said, "mq:nodes": len(graph.nodes), "mq:truncated": graph.truncated
    }  # fmt: skip
    for node in graph.nodes.values():
        document[node.element][node.id] = node.attributes
    for number, edge in enumerate(graph.edges, start=1):
        later, earlier = ENDS[edge.relation]
        # Blank node ids: relations have no name of their own.
        document.setdefault(edge.relation, {})[f"_:r{number}"] = {
            later: edge.source, earlier: edge.target, **dict(edge.attributes)
        }  # fmt: skip
    return {name: members for name, members in document.items() if members}


def _term(name: str) -> str:
    return "prov:" + name.removeprefix("prov_") if name.startswith("prov_") else "mq:" + name
