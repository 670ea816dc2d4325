"""The graph of where things come from: PROV-JSON as the submission has it, and a layout that a person can read."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations, pairwise
from typing import Any

import pytest

from metaqore.audit.layers import crossings, place
from metaqore.audit.picture import draw
from metaqore.audit.provenance import ENDS, Graph, kind_of, named, to_prov_json

#: A qualified name (PROV-N §3.7.1, without what we never write), a blank node in relations.
QNAME = re.compile(r"(?:mq|id|prov|xsd):(?:[A-Za-z0-9_~.-]|/|%[0-9A-F]{2})+\Z")


def check_prov_json(document: dict[str, Any]) -> None:
    """Fail unless it is PROV-JSON: known members, qualified names, relations whose ends are there and of their kind."""
    kinds = {"prov:entity": "entity", "prov:generatedEntity": "entity", "prov:usedEntity": "entity",
             "prov:activity": "activity", "prov:informed": "activity", "prov:informant": "activity",
             "prov:agent": "agent", "prov:delegate": "agent", "prov:responsible": "agent",
             "prov:plan": "entity"}  # fmt: skip
    assert set(document) <= {"prefix", "entity", "activity", "agent", *ENDS}
    for element in ("entity", "activity", "agent"):
        for name, said in document.get(element, {}).items():
            assert QNAME.match(name), name
            assert all(QNAME.match(term) for term in said), said
    for relation, ends in ENDS.items():
        for name, said in document.get(relation, {}).items():
            assert name.startswith("_:")
            assert set(ends) <= set(said)
            for term, value in said.items():
                if term in kinds:
                    assert value in document[kinds[term]], (relation, term, value)


def sample(limit: int = 100) -> Graph:
    graph = Graph(limit)
    graph.add("id:v/2", "entity", "v\n<two>", prov_type=kind_of("mq:ArtifactVersion"), erased=None)
    graph.add("id:v/1", "entity", "v\none")
    graph.add("id:r", "activity", "artifact.declare", auditEntries=[3, 4])
    graph.add(named("principal", "ann/coder é:"), "agent", "ann/coder é:")
    graph.relate("wasGeneratedBy", "id:v/2", "id:r")
    graph.relate("wasDerivedFrom", "id:v/2", "id:v/1", prov_type=kind_of("prov:Revision"))
    graph.relate("used", "id:r", "id:v/1", prov_role="base")
    graph.relate("wasAssociatedWith", "id:r", named("principal", "ann/coder é:"), prov_plan="id:v/1")
    return graph


def test_a_graph_is_written_as_prov_json() -> None:
    document = to_prov_json(sample(), "acme corp", {"artifact": "v", "version": 2})

    check_prov_json(document)
    assert document["prefix"]["id"] == "urn:metaqore:acme%20corp:"
    assert document["wasDerivedFrom"]["_:r2"] == {
        "prov:generatedEntity": "id:v/2", "prov:usedEntity": "id:v/1",
        "prov:type": {"$": "prov:Revision", "type": "xsd:QName"},
    }  # fmt: skip
    assert "id:principal/ann%2Fcoder%20%C3%A9%3A" in document["agent"]
    assert "mq:erased" not in document["entity"]["id:v/2"]
    assert document["entity"]["id:provenance/v/2"]["mq:truncated"] is False


def test_what_has_no_room_is_left_out_and_said_to_be() -> None:
    graph = sample(3)

    document = to_prov_json(graph, "acme", {"artifact": "v", "version": 2})

    check_prov_json(document)
    assert len(graph.nodes) == 3 and graph.truncated
    assert "wasAssociatedWith" not in document
    assert document["entity"]["id:provenance/v/2"]["mq:truncated"] is True


def test_a_relation_is_there_once_for_each_role() -> None:
    graph = sample()
    before = len(graph.edges)
    graph.relate("used", "id:r", "id:v/1", prov_role="base")
    graph.relate("used", "id:r", "id:v/1", prov_role="read")
    graph.relate("used", "id:r", "id:r")
    assert len(graph.edges) == before + 1


def tangle(seed: int, count: int = 50) -> tuple[list[str], list[tuple[str, str]]]:
    """Return nodes and edges as a history has them: things lead back to a few of those just before."""
    dice = random.Random(seed)
    nodes = [f"n{number}" for number in range(count)]
    edges = [
        (nodes[number], nodes[dice.randrange(max(0, number - 8), number)])
        for number in range(1, count)
        for _ in range(dice.choice((1, 1, 2, 3)))
    ]
    return nodes, edges


@pytest.mark.parametrize("seed", range(8))
def test_fifty_nodes_stand_apart_and_every_edge_leads_onward(seed: int) -> None:
    nodes, edges = tangle(seed)

    placed = place(nodes, edges)

    assert all(placed.layer[source] < placed.layer[target] for source, target in edges)
    for one, other in combinations(nodes, 2):
        if placed.layer[one] == placed.layer[other]:
            assert abs(placed.offset[one] - placed.offset[other]) >= 0.999, (one, other)
    for pair in edges:
        way = [placed.layer[pair[0]], *(at for at, _ in placed.bends[pair]), placed.layer[pair[1]]]
        assert way == list(range(way[0], way[-1] + 1)), "a long edge bends in every layer"


def test_the_order_of_layers_has_far_fewer_crossings_than_the_order_of_arrival() -> None:
    left, right = [f"a{n}" for n in range(12)], [f"b{n}" for n in range(12)]
    edges = [(a, right[-1 - n]) for n, a in enumerate(left)]
    assert crossings([left, right], edges) == 66

    placed = place([*left, *right], edges)

    layers = [sorted(side, key=lambda node: placed.offset[node]) for side in (left, right)]
    assert crossings(layers, edges) == 0
    assert all(abs(placed.offset[a] - placed.offset[b]) < 0.01 for a, b in edges), "and the edges are straight"


def test_a_cycle_is_drawn_all_the_same() -> None:
    placed = place(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a"), ("a", "a")])
    assert sorted(placed.layer.values()) == [0, 1, 2]
    assert len(placed.bends["c", "a"]) == 1


def test_a_picture_is_xml_without_scripts_or_references_and_holds_every_name() -> None:
    text = draw(sample(), "of <v> & \x01more")

    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    drawn = "".join(root.itertext())
    assert "<two>" in drawn and "ann/coder é:" in drawn and "of <v> & \ufffdmore" in drawn
    assert not re.search(r"<script|<style|href|url\(|on\w+=", text)


def test_shapes_of_a_picture_do_not_overlap() -> None:
    graph = Graph(100)
    nodes, edges = tangle(3)
    for number, node in enumerate(nodes):
        graph.add(f"id:{node}", ("entity", "activity", "agent")[number % 3], node)
    for source, target in edges:
        graph.relate("used", f"id:{source}", f"id:{target}")

    root = ElementTree.fromstring(draw(graph, "t"))

    texts = [element for element in root.iter("{http://www.w3.org/2000/svg}text") if element.get("text-anchor")]
    places = sorted((float(text.attrib["x"]), float(text.attrib["y"])) for text in texts)
    assert len(places) == 50
    assert all(b[0] != a[0] or b[1] - a[1] >= 46 for a, b in pairwise(places))
