"""Provenance over both databases: from a version back to everything it came from, and never beyond its organization."""

from __future__ import annotations

import json
from typing import Any

from metaqore.audit.provenance import Graph, named, to_prov_json
from metaqore.llm.effects import NewCall, SettleCall
from metaqore.store.views.provenance import ProvenanceViews
from tests.contract.pipeline import ORGANIZATION, Pipeline
from tests.unit.audit.test_provenance import check_prov_json


def declared(pipeline: Pipeline, project: str, name: str, **payload: Any) -> str:
    """Have an artifact admitted; return its id."""
    pipeline.clock.advance(1)
    request = pipeline.declare(project, name, f"the content of {name} {payload.get('base_version')}", **payload)
    pipeline.settle_all()
    assert pipeline.row(request)["verdict"] == "approved", pipeline.row(request)
    return str(pipeline.sql("SELECT id FROM artifacts WHERE project = ? AND name = ?", project, name)[0][0])


def provenance(pipeline: Pipeline, artifact: str, version: int, depth: int = 6, limit: int = 200, **more: Any) -> Graph:
    views = ProvenanceViews(pipeline.database)
    return views.of(more.pop("organization", ORGANIZATION), artifact, version, depth=depth, limit=limit, **more)


def related(graph: Graph, relation: str) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in graph.edges if edge.relation == relation}


def test_a_version_leads_back_to_inputs_requests_people_and_policy(pipeline: Pipeline) -> None:
    project = pipeline.project("adaptive")
    spec = declared(pipeline, project, "spec", principal="ann")
    code = declared(pipeline, project, "code", principal="bob", depends_on=[{"artifact": spec}])
    declared(pipeline, project, "spec", principal="ann", base_version=1)
    read = [{"type": "doc", "name": "spec", "version": 2}]
    declared(pipeline, project, "code", principal="bob", base_version=1, depends_on=[{"artifact": spec}], read_set=read)

    graph = provenance(pipeline, code, 2)

    new, old = named("artifact", code, 2), named("artifact", code, 1)
    requests = {row[1]: named("request", row[0]) for row in pipeline.sql(
        "SELECT request_id, version FROM artifact_versions WHERE artifact = ?", code)}  # fmt: skip
    assert (new, old) in related(graph, "wasDerivedFrom")
    assert (new, requests[2]) in related(graph, "wasGeneratedBy")
    assert (new, named("principal", "bob")) in related(graph, "wasAttributedTo")
    uses = {(edge.target, dict(edge.attributes)["prov:role"]) for edge in graph.edges
            if edge.relation == "used" and edge.source == requests[2]}  # fmt: skip
    assert uses == {(old, "base"), (named("artifact", spec, 2), "dependency"), (named("artifact", spec, 2), "read")}
    first = {edge.target for edge in graph.edges if edge.relation == "used" and edge.source == requests[1]}
    assert first == {named("artifact", spec, 1)}, "the dependency as it stood then"
    plans = {dict(edge.attributes).get("prov:plan") for edge in graph.edges if edge.relation == "wasAssociatedWith"}
    assert sum(plan is not None and plan.startswith("id:policy/sha256%3A") for plan in plans) == 1
    assert len(graph.nodes[requests[2]].attributes["mq:auditEntries"]) >= 2
    assert not graph.truncated
    check_prov_json(json.loads(json.dumps(to_prov_json(graph, ORGANIZATION, {"artifact": code, "version": 2}))))


def test_a_model_call_that_the_author_names_is_shown_with_its_model_and_what_it_was_prompted_with(
    pipeline: Pipeline,
) -> None:
    project = pipeline.project("adaptive")
    spec = declared(pipeline, project, "spec")
    pipeline.clock.advance(1)
    request = pipeline.submit("test.free", project)
    pipeline.settle_all()
    call, decision, now = "call_" + "0" * 32, "dec_" + "0" * 32, pipeline.clock()
    columns = (
        "id, organization, project, request_id, principal, verdict, label, policy, policy_digest, body, created_at"
    )
    values = (decision, ORGANIZATION, project, request, "agent", "approved", "INTERNAL", "p", "sha256:77", "{}", now)
    pipeline.change(f"INSERT INTO decisions ({columns}) VALUES ({', '.join('?' * 11)})", *values)
    with pipeline.store.write() as tx:
        tx.apply([NewCall(call, ORGANIZATION, project, "agent", request, decision, "local", "small-1", "INTERNAL", "",
                          json.dumps({"prompt": f"write code for {spec}"}), None, True, now)])  # fmt: skip
        tx.apply([SettleCall(call, "settled", "bat_1", '{"text":"x"}', None, 7, 3, 0, now)])
    code = declared(pipeline, project, "code", provenance={"made": [{"with": call}, {"with": "call_" + "9" * 32}]})

    graph = provenance(pipeline, code, 1)
    # The decision was put there by hand: there is no entry for it, and the pipeline's own check must not see it.
    with pipeline.store.write() as tx:
        for table in ("llm_calls", "decisions"):
            tx.connection.exec_driver_sql(f"DELETE FROM {table}")

    assert graph.nodes[named("call", call)].attributes["mq:model"] == "small-1"
    assert graph.nodes[named("call", call)].attributes["mq:promptTokens"] == 7
    assert (named("artifact", code, 1), named("completion", call)) in related(graph, "wasDerivedFrom")
    assert (named("call", call), named("model", "local", "small-1")) in related(graph, "wasAssociatedWith")
    assert (named("call", call), named("artifact", spec, 1)) in related(graph, "used")
    assert (named("request", request), named("decision", decision)) in related(graph, "wasInformedBy")
    assert named("policy", "sha256:77") in graph.nodes
    assert not any("9" * 32 in node for node in graph.nodes), "what does not exist is not shown"


def test_depth_and_size_are_bounded_and_what_is_cut_is_marked(pipeline: Pipeline) -> None:
    project = pipeline.project("adaptive")
    last: list[dict[str, str]] = []
    for number in range(6):
        last = [{"artifact": declared(pipeline, project, f"link-{number}", depends_on=last)}]
    artifact = last[0]["artifact"]

    shallow = provenance(pipeline, artifact, 1, depth=2)
    small = provenance(pipeline, artifact, 1, limit=9)

    assert sum(node.startswith("id:artifact/") for node in shallow.nodes) == 3
    assert shallow.truncated
    marked = [node.label for node in shallow.nodes.values() if node.attributes.get("mq:truncated")]
    assert marked == ["link-3\ndoc, version 1"]
    assert len(small.nodes) == 9 and small.truncated
    assert not provenance(pipeline, artifact, 1).truncated


def test_nothing_of_another_organization_and_no_details_of_another_project_are_shown(pipeline: Pipeline) -> None:
    project = pipeline.project("adaptive")
    artifact = declared(pipeline, project, "secret-name")

    assert provenance(pipeline, artifact, 1, organization="elsewhere").nodes == {}
    bound = provenance(pipeline, artifact, 1, project="prj_other")
    [node] = bound.nodes.values()
    assert "secret-name" not in str(node) and node.attributes["mq:withheld"] is True


def test_a_delegate_acts_on_behalf_of_its_delegator(pipeline: Pipeline) -> None:
    project = pipeline.project("adaptive")
    pipeline.change(
        "INSERT INTO delegated_tokens (id, organization, principal, delegator, project, scopes, created_at, expires_at)"
        " VALUES ('tok_1', ?, 'ann/coder', 'ann', ?, '[]', 0, 1)", ORGANIZATION, project,
    )  # fmt: skip
    artifact = declared(pipeline, project, "code", principal="ann/coder")

    graph = provenance(pipeline, artifact, 1)

    assert related(graph, "actedOnBehalfOf") == {(named("principal", "ann/coder"), named("principal", "ann"))}


def test_an_erased_version_keeps_its_place_and_says_that_it_is_erased(pipeline: Pipeline) -> None:
    project = pipeline.project("adaptive")
    artifact = declared(pipeline, project, "code")
    pipeline.change("UPDATE artifact_versions SET content = 'null', content_hash = 'erased', body = '{}'")

    graph = provenance(pipeline, artifact, 1)

    said = graph.nodes[named("artifact", artifact, 1)].attributes
    assert said["mq:erased"] is True and "mq:contentHash" not in said
