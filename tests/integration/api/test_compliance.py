"""Reports on controls through the API, made by a real worker of a log that a real worker has sealed."""

from __future__ import annotations

import csv
import io
import json

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import VerifierKey
from metaqore.audit.compliance_check import CheckedReport
from metaqore.audit.compliance_reporting import project_of
from metaqore.audit.key_file import published
from tests.running import Running, wait_until


def test_a_report_is_asked_for_listed_and_read_in_every_form(mq: Running, project: str) -> None:
    mq.post("/security/assess", {"project": project, "content": "Paris."}, prefer="wait=60")
    promised = mq.post("/compliance/reports", {"framework": "soc2", "from": "2020-01-01T00:00:00+00:00"})
    assert promised.status == 202
    done = wait_until(
        lambda: (found := mq.get(f"/requests/{promised.json['id']}").json)["state"] == "succeeded" and found,
        "the report", 20,
    )  # fmt: skip
    report = done["result"]["report"]

    newest = mq.get("/compliance/reports?framework=soc2&page_size=1").json["items"][0]
    assert (newest["id"], newest["summary"]) == (report, done["result"]["summary"])
    assert newest["period_start"] == "2020-01-01T00:00:00.000Z"
    assert mq.get("/compliance/reports?framework=gdpr").json["items"] == []
    document = mq.get(f"/compliance/reports/{report}")
    keys = [VerifierKey.parse(line) for line in published(mq.settings.audit_key_path).read_text().splitlines()]
    CheckedReport(document.body.decode()).check(Trust(tuple(keys)))
    forms = {form: mq.get(f"/compliance/reports/{report}?format={form}") for form in ("csv", "markdown", "html")}
    rows = list(csv.DictReader(io.StringIO(forms["csv"].body.decode(), newline="")))
    assert {row["control"] for row in rows} == {control["id"] for control in document.json["controls"]}
    assert json.loads(rows[-1]["payload"])["evidence"]
    assert forms["html"].headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert forms["html"].headers["Content-Disposition"] == f'attachment; filename="{report}.html"'
    assert [forms[form].headers["Content-Type"].partition(";")[0] for form in forms] == [
        "text/csv", "text/markdown", "text/html"
    ]  # fmt: skip
    kept = f"/artifacts?project={project_of(mq.settings.organization)}&type=compliance_report"
    found = wait_until(lambda: mq.get(kept).json["items"], "its artifact", 10)
    assert any(report in item["name"] for item in found)
    assert mq.get("/compliance/reports/rpt_none").status == 404
    assert mq.get(f"/compliance/reports/{report}?format=pdf").status == 422
    assert mq.post("/compliance/reports", {"framework": "nothing"}).status == 422
    assert mq.post("/compliance/reports", {"framework": "soc2", "from": "yesterday"}).status == 422
    assert len(mq.get("/compliance/frameworks").json["items"]) == 6


def test_an_export_is_streamed_line_by_line_and_recorded_before_and_after(mq: Running, project: str) -> None:
    mq.post("/security/assess", {"project": project, "content": "Paris."}, prefer="wait=60")
    answer = mq.get("/compliance/export")
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert {line["event_type"] for line in lines} <= {"routing_decision", "veto"}
    assert lines
    assert list(lines[0]) == ["timestamp", "event_type", "organization", "payload"]

    def recorded() -> list[dict[str, object]]:
        items = mq.get("/audit/entries?tag=audit:export:made&page_size=200").json["items"]
        return [item["entry"]["about"] for item in items]

    begun, done = wait_until(lambda: (found := recorded()) and len(found) >= 2 and found[-2:], "both entries", 10)
    assert (begun["outcome"], done["outcome"]) == ("begun", "exported")
    assert done["details"]["events"] == len(lines)
    table = mq.get("/compliance/export?format=csv")
    assert table.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.body.decode(), newline=""), strict=True))
    assert [json.loads(row["payload"]) for row in rows][: len(lines)] == [line["payload"] for line in lines]
    assert mq.get("/compliance/export?format=json").json["report"]["total_events"] >= len(lines)
    assert mq.get("/compliance/export?format=xml").status == 422
