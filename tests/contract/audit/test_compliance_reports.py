"""Reports on controls over both databases: decided on the security queue, cited with proofs, recorded as artifacts."""

from __future__ import annotations

import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Signer
from metaqore.audit.compliance_check import CheckedReport, run_check_report
from metaqore.audit.compliance_plan import Plan, last_period
from metaqore.audit.compliance_reporting import project_of
from metaqore.audit.database import open_database
from metaqore.audit.sealer import Sealer
from metaqore.audit.standalone import generate
from metaqore.cli.main import main
from metaqore.clock import from_rfc3339, now_ms, to_rfc3339
from metaqore.requests.planned import PlannedReports
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore
from metaqore.store.views.compliance_reports import ReportViews
from tests.contract.pipeline import ORGANIZATION
from tests.contract.test_security_policy import Governed

KEY = Signer.from_seed("log.example", b"\x07" * 32)
TRUST = Trust((KEY.vkey,))
on_one_database = pytest.mark.parametrize("dsn", ["sqlite"], indirect=True)


@pytest.fixture
def governed(database: Database) -> Iterator[Governed]:
    made = Governed(database)
    yield made
    made.engine.database.close()


def seal(governed: Governed) -> None:
    """Seal the log, as the system worker does."""
    Sealer(SqlStore(governed.database), lambda: [KEY], None, owner="test", clock=now_ms).run()


def reported(governed: Governed, framework: str = "soc2", **payload: Any) -> tuple[dict[str, Any], str]:
    """Seal, report; return the request's result and the document as it is stored."""
    seal(governed)
    row = governed.do("compliance.report", framework=framework, **payload)
    assert (row["state"], row["verdict"]) == ("succeeded", "approved"), row
    document = ReportViews(governed.database).document(ORGANIZATION, row["result"]["report"])
    assert document is not None
    return row["result"], document


def worked(governed: Governed) -> None:
    """Do what leaves evidence: a decision, a model call, an admitted artifact."""
    governed.do("payload.assess", content="Paris.")
    governed.do("llm.generate", prompt="Say hello.", provider="mock", agent_name="coder", task_type="code")
    governed.do("artifact.declare", project=governed.project, type="doc", name="a", content="a text of some length")


def controls(document: str) -> dict[str, str]:
    return {control["id"]: control["state"] for control in json.loads(document)["controls"]}


@on_one_database
def test_a_report_cites_entries_that_the_stand_alone_file_proves_with_the_trusted_key_alone(
    governed: Governed, tmp_path: Path
) -> None:
    worked(governed)
    result, text = reported(governed)
    document = json.loads(text)

    assert document["summary"] == result["summary"]
    assert result["summary"]["met"] >= 5
    assert document["citations"]
    states = controls(text)
    assert states["CC6.1"] == "not_assessed", "no API key was ever made"
    assert states["CC1.1"] == "not_assessed"
    assert states["PI1.2"] == states["CC5.1"] == "met"

    folder = tmp_path / "auditor"
    folder.mkdir()
    (folder / "verifier.py").write_text(generate())
    (folder / "report.json").write_text(text)
    (folder / "trust").write_text(f"{KEY.vkey}\n")

    def verify(*arguments: str) -> subprocess.CompletedProcess[str]:
        # Isolated: nothing of MetaQore can be imported.
        command = [sys.executable, "-I", "verifier.py", *arguments]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)

    alone = verify("check-report", "report.json", "--trust", "trust")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    assert f"{len(document['citations'])} cited entries are in the log log.example/{ORGANIZATION}" in alone.stdout
    for cited in document["citations"][:1]:
        receipt = {"format": "metaqore-audit-receipt/1", "seq": cited["seq"], "leaf_hash": cited["leaf_hash"],
                   "proof": cited["proof"], "checkpoint": document["log"]["checkpoint"]}  # fmt: skip
        (folder / "receipt.json").write_text(json.dumps(receipt))
        (folder / "entry").write_text(cited["entry"])
        one = verify("check-receipt", "receipt.json", "--entry", "entry", "--trust", "trust")
        assert one.returncode == 0, one.stdout + one.stderr


@on_one_database
def test_each_citation_is_proven_and_a_count_is_checked_against_the_log(governed: Governed) -> None:
    worked(governed)
    _, text = reported(governed)
    source = open_database(governed.database.dsn)
    try:
        report = CheckedReport(text)
        checkpoint = report.check(TRUST)
        assert report.recount(source, checkpoint) == []
        lied = json.loads(text)
        lied["evidence"]["requests_recorded"]["finding"]["count"] += 1
        [wrong] = CheckedReport(json.dumps(lied)).recount(source, checkpoint)
        assert "requests_recorded" in wrong
    finally:
        source.close()


@on_one_database
def test_a_report_whose_queries_were_softened_is_found_by_the_entry_that_was_made_of_it(governed: Governed) -> None:
    worked(governed)
    _, text = reported(governed)
    said: list[str] = []

    def checked(report: str) -> int:
        source = open_database(governed.database.dsn)
        try:
            return run_check_report(report, TRUST, source, said.append)
        finally:
            source.close()

    assert checked(text + "\n") == 0
    assert "no signed entry says that this report was made" in said[-1], "that entry is not sealed yet"
    seal(governed)
    assert checked(text + "\n") == 0
    assert "this very report was made" in said[-1]

    softened = json.loads(text)
    softened["framework"]["title"] = "Everything"
    assert checked(json.dumps(softened)) == 1
    assert "says that this report was made, but with sha256:" in said[-1]


def test_a_report_is_an_artifact_and_an_audit_entry_with_the_digest_of_its_document(governed: Governed) -> None:
    worked(governed)
    result, text = reported(governed)

    assert result["digest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    [(body,)] = governed.sql("SELECT body FROM audit_entries WHERE tag = 'audit:report:made'")
    about = json.loads(bytes(body))["about"]
    assert about["subject"] == result["report"]
    assert (about["details"]["digest"], about["details"]["met"]) == (result["digest"], result["summary"]["met"])
    [(project, content)] = governed.sql(
        "SELECT a.project, v.content FROM artifacts a JOIN artifact_versions v ON v.artifact = a.id "
        "WHERE a.type = 'compliance_report'"
    )
    assert project == project_of(ORGANIZATION)
    assert json.loads(content)["digest"] == result["digest"]
    again, _ = reported(governed)
    assert again["report"] != result["report"]
    [(count,)] = governed.sql("SELECT count(*) FROM artifacts WHERE type = 'compliance_report'")
    [(projects,)] = governed.sql("SELECT count(*) FROM projects WHERE id = ?", project)
    assert (count, projects) == (2, 1)


@on_one_database
def test_nobody_else_declares_a_report(governed: Governed) -> None:
    row = governed.do("artifact.declare", project=governed.project, type="compliance_report", name="x", content={})
    assert row["state"] == "failed"
    row = governed.do("artifact.register", project=governed.project, type="doc", name="x", content={})
    assert row["state"] == "failed"


def test_an_organization_sees_its_own_entries_only(governed: Governed) -> None:
    worked(governed)
    for number in range(3):
        submission = governed.submission("payload.assess", "mallory", None, {"content": f"planted {number}"})
        other = type(submission)(**{**{f: getattr(submission, f) for f in submission.__struct_fields__},
                                    "organization": "other"})  # fmt: skip
        governed.intake.submit([other])
    governed.executor.drain("security")
    _, text = reported(governed)
    assert "mallory" not in text
    assert all(json.loads(c["entry"])["organization"] == ORGANIZATION for c in json.loads(text)["citations"])
    assert ReportViews(governed.database).reports("other", framework=None, after=None, limit=9).items == []
    assert ReportViews(governed.database).document("other", json.loads(text)["report"]) is None


def test_what_was_erased_says_so_and_is_proven_all_the_same(governed: Governed) -> None:
    worked(governed)
    governed.do("payload.assess", "zoe", content="Zoe lives in Paris.")
    with governed.engine.store.read() as tx:
        key = tx.reads("privacy").key_of(ORGANIZATION, "ann")
    governed.run("subject.erase", key=key, basis="art17")
    _, text = reported(governed, "gdpr")
    document = json.loads(text)
    payloads = {cited["payload"] for cited in document["citations"]}
    assert "erased" in payloads
    assert document["log"]["erasures_in_period"] == 1
    assert document["log"]["cited_erased"] == sum(c["payload"] == "erased" for c in document["citations"])
    assert controls(text)["Art. 17"] == "met"
    CheckedReport(text).check(TRUST)


@on_one_database
def test_no_report_is_made_of_a_log_that_was_changed(governed: Governed) -> None:
    worked(governed)
    seal(governed)
    with governed.database.write() as connection:
        sql = "UPDATE audit_entries SET leaf_hash = leaf_hash, body = ? WHERE organization = ? AND seq = 1"
        [(body,)] = governed.sql("SELECT body FROM audit_entries WHERE organization = ? AND seq = 1", ORGANIZATION)
        changed = bytes(body).replace(b"accepted", b"accepteD")
        connection.exec_driver_sql(governed.database.sql(sql), (changed, ORGANIZATION))
    row = governed.do("compliance.report", framework="soc2")
    assert row["state"] == "failed"
    assert json.loads(row["error"])["code"] == "audit_log_damaged"
    assert governed.sql("SELECT 1 FROM compliance_reports") == []


@on_one_database
def test_a_log_that_is_not_sealed_yet_is_tried_again(governed: Governed) -> None:
    row = governed.do("compliance.report", framework="soc2")
    assert row["state"] == "accepted", "it goes again"


@on_one_database
@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"framework": "soc3"}, "one of eu_ai_act, gdpr"),
        ({"framework": "soc2", "from": "yesterday"}, "no RFC 3339 time"),
        ({"framework": "soc2", "from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "the later time last"),
        ({"framework": "soc2", "since": "2026-02-01T00:00:00Z"}, "unknown here"),
    ],
)
def test_what_cannot_be_reported_on_is_refused(governed: Governed, payload: dict[str, Any], said: str) -> None:
    row = governed.do("compliance.report", **payload)
    assert row["state"] == "failed"
    assert said in json.loads(row["error"])["message"]


def forged(document: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> str:
    copy = json.loads(json.dumps(document))
    change(copy)
    return json.dumps(copy)


@on_one_database
def test_a_report_that_says_more_than_it_shows_is_not_believed(governed: Governed) -> None:
    worked(governed)
    document = json.loads(reported(governed)[1])

    def met(d: dict[str, Any]) -> None:
        control = next(c for c in d["controls"] if c["id"] == "CC6.1")
        control["state"] = "met"

    def found(d: dict[str, Any]) -> None:
        d["evidence"]["keys_managed"]["finding"] |= {"state": "found", "count": 1}

    def lent(d: dict[str, Any]) -> None:
        found(d)
        d["evidence"]["keys_managed"]["finding"]["cites"] = [d["citations"][0]["seq"]]

    def edited(d: dict[str, Any]) -> None:
        d["citations"][0]["entry"] = d["citations"][0]["entry"].replace("accepted", "accepteD")

    def moved(d: dict[str, Any]) -> None:
        d["citations"][0]["leaf_hash"] = d["citations"][1]["leaf_hash"]

    def fewer(d: dict[str, Any]) -> None:
        d["citations"].pop()

    def nothing(d: dict[str, Any]) -> None:
        d["citations"] = []

    def counted(d: dict[str, Any]) -> None:
        d["summary"]["met"] += 1

    def boasted(d: dict[str, Any]) -> None:
        control = next(c for c in d["controls"] if c["state"] == "met")
        control["why"] = control["why"].replace("entr", "0 entr")

    for change in (boasted, met, found, lent, edited, moved, fewer, nothing, counted):
        with pytest.raises(Exception, match=r"citation|evidence|control|summary") as raised:
            CheckedReport(forged(document, change)).check(TRUST)
        assert type(raised.value).__name__ == "BadReport", change.__name__
    CheckedReport(json.dumps(document)).check(TRUST)


@on_one_database
def test_the_schedule_reports_once_on_each_framework_and_period(governed: Governed) -> None:
    worked(governed)
    seal(governed)
    planned = PlannedReports(governed.engine.store, governed.intake, Plan("soc2,gdpr", "month"))
    now = now_ms()
    assert (planned(now), planned(now)) == (2, 2)
    start, end = last_period("month", now)
    governed.do("payload.assess", content="Rome.")
    kept = "SELECT framework, period_start, period_end, created_by FROM compliance_reports ORDER BY framework"
    rows = governed.sql(kept)
    assert rows == [("gdpr", start, end, "metaqore"), ("soc2", start, end, "metaqore")]
    assert planned(now) == 0
    assert PlannedReports(governed.engine.store, governed.intake, Plan("", "month"))(now) == 0


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        ("day", "2026-03-01T00:00:00Z", "2026-02-28", "2026-03-01"),
        ("week", "2026-11-22T23:59:59Z", "2026-11-09", "2026-11-16"),
        ("month", "2026-01-31T12:00:00Z", "2025-12-01", "2026-01-01"),
        ("quarter", "2026-05-05T00:00:00Z", "2026-01-01", "2026-04-01"),
        ("quarter", "2026-01-01T00:00:00Z", "2025-10-01", "2026-01-01"),
    ],
)
def test_a_period_is_the_last_whole_one_of_the_calendar(period: str, now: str, start: str, end: str) -> None:
    found = last_period(period, from_rfc3339(now))
    assert [to_rfc3339(ms) for ms in found] == [f"{start}T00:00:00.000Z", f"{end}T00:00:00.000Z"]


@on_one_database
def test_the_command_makes_a_report_that_the_auditors_command_checks(
    governed: Governed, database: Database, tmp_path: Path
) -> None:
    worked(governed)
    environ = {"METAQORE_STORAGE_DSN": database.dsn, "METAQORE_ORGANIZATION": ORGANIZATION, "USER": "op",
               "METAQORE_PRIVACY_KEY_FILE": str(governed.engine.settings.privacy_key_path),
               "METAQORE_DATA_DIR": str(tmp_path / "data"), "METAQORE_LOG_FORMAT": "console"}  # fmt: skip

    def ran(*arguments: str, code: int = 0) -> str:
        result = CliRunner().invoke(main, arguments, env=environ)
        assert result.exit_code == code, (result.output, result.exception)
        return str(result.output)

    path, html = tmp_path / "report.json", tmp_path / "report.html"
    ran("compliance", "report", "--framework", "gdpr", "--from", "2020-01-01", "--out", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(path.read_text())
    assert (document["made"]["by"], document["period"]["from"]) == ("op", "2020-01-01T00:00:00.000Z")
    trust = str(tmp_path / "data" / "audit" / "signing.key.pub")
    checked = ran("audit", "check-report", str(path), "--trust", trust, "--db", database.dsn)
    assert "counted again" in checked
    assert f"{document['report']}  gdpr" in ran("compliance", "reports")
    assert ran("compliance", "show", document["report"]) == path.read_text() + "\n"
    ran("compliance", "show", document["report"], "--format", "html", "--out", str(html))
    assert html.read_text().startswith("<!doctype html>")
    printed = ran("compliance", "report", "--framework", "soc2", "--format", "csv")
    assert printed.startswith("report,organization,framework,from,to")
    assert "soc2  SOC 2" in ran("compliance", "frameworks")
    assert "no framework" in ran("compliance", "report", "--framework", "soc3", code=1)
    assert "--organization with --log-dir" in ran("compliance", "report", code=2)
    assert "does not exist" in ran("compliance", "show", "rpt_none", code=1)
