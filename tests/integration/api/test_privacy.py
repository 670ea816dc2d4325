"""Data subjects over HTTP: what is kept of one, holds, erasure, retention; and where an artifact came from."""

from __future__ import annotations

import uuid

from tests.running import Running
from tests.unit.audit.test_provenance import check_prov_json


def declared(mq: Running, project: str, subject: str) -> str:
    body = {"project": project, "type": "doc", "name": "a", "content": f"text of {subject}"}
    answer = mq.post("/artifacts", body, prefer="wait=60", headers={"Data-Subject": subject})
    assert answer.status == 201, answer.body
    return str(answer.json["result"]["artifact"]["id"])


def test_a_subject_reads_what_is_kept_and_is_erased_but_not_while_a_hold_is_in_force(mq: Running, project: str) -> None:
    subject = f"customer-{uuid.uuid4().hex[:8]}"
    artifact = declared(mq, project, subject)
    for left in mq.get("/privacy/holds").json["items"]:
        mq.call("DELETE", f"/privacy/holds/{left['id']}")

    exported = mq.get(f"/privacy/export?subject={subject}").json
    assert exported["requests"][0]["payload"]["content"] == f"text of {subject}"
    assert exported["versions"][0]["content"] == f"text of {subject}"
    documented = mq.get("/openapi.json", key="").json["components"]["schemas"]["Export"]["properties"]
    assert set(exported) == set(documented)
    hold = mq.post("/privacy/holds", {"subject": subject, "reason": "case 12"})
    assert (hold.status, hold.json["subject"]) == (201, subject)
    refused = mq.post("/privacy/erasures", {"subject": subject})
    assert (refused.status, hold.json["id"] in refused.json["detail"]) == (409, True)
    assert hold.json["id"] in [row["id"] for row in mq.get("/privacy/holds").json["items"]]
    assert mq.call("DELETE", f"/privacy/holds/{hold.json['id']}").status == 204

    key = {"Idempotency-Key": uuid.uuid4().hex}
    erased = mq.post("/privacy/erasures", {"subject": subject}, headers=key)
    assert (erased.status, erased.json["erased"]["versions"]) == (201, 1)
    assert erased.json["state"] in ("cleaning", "complete")
    assert mq.post("/privacy/erasures", {"subject": subject}, headers=key).json["id"] == erased.json["id"]
    assert mq.get(f"/privacy/erasures/{erased.json['id']}").json["subject"] == subject
    assert erased.json["id"] in [row["id"] for row in mq.get("/privacy/erasures").json["items"]]
    assert mq.get(f"/artifacts/{artifact}").json["content"] is None
    assert mq.get(f"/privacy/export?subject={subject}").status == 404
    assert mq.post("/privacy/erasures", {"subject": subject}).status == 404
    provenance = mq.get(f"/artifacts/{artifact}/provenance").json
    assert provenance["entity"][f"id:artifact/{artifact}/1"]["mq:erased"] is True
    for tag in ("exported", "erased"):
        entries = mq.get(f"/audit/entries?tag=privacy:subject:{tag}&page_size=100").json["items"]
        assert sum(item["entry"]["about"]["subject"] == erased.json["subject_key"] for item in entries) == 1, tag


def test_retention_is_chosen_for_a_class_and_never_below_its_floor(mq: Running) -> None:
    assert mq.call("PUT", "/privacy/retention", {"class": "calls", "days": 182}).status == 422
    assert mq.call("PUT", "/privacy/retention", {"class": "calls", "days": 250}).json == {"class": "calls", "days": 250}
    assert {"class": "calls", "days": 250} in mq.get("/privacy/retention").json["items"]


def test_provenance_is_prov_json_or_a_picture_of_the_version_that_is_asked_for(mq: Running, project: str) -> None:
    artifact = declared(mq, project, "somebody")
    mq.post(
        "/artifacts", {"project": project, "type": "doc", "name": "a", "content": "second", "base_version": 1},
        prefer="wait=60",
    )  # fmt: skip

    new = mq.get(f"/artifacts/{artifact}/provenance").json
    old = mq.get(f"/artifacts/{artifact}/provenance?version=1").json
    picture = mq.get(f"/artifacts/{artifact}/provenance?format=svg&depth=0")

    check_prov_json(new)
    check_prov_json(old)
    assert [said["prov:type"]["$"] for said in new["wasDerivedFrom"].values()] == ["prov:Revision"]
    assert "wasDerivedFrom" not in old
    assert picture.headers["Content-Type"].startswith("image/svg+xml") and picture.body.startswith(b"<svg ")
    assert b"truncated" in picture.body
    assert mq.get(f"/artifacts/{artifact}/provenance?version=9").status == 404
