"""An export over HTTP: whoever goes away in the middle is recorded as having got what he got."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.compliance import Lines
from metaqore.audit.compliance_extract import extract, extract_name
from metaqore.audit.compliance_lines import Decided, event_of, line_of
from metaqore.audit.compliance_report import report_of, report_on
from metaqore.errors import InvalidInput
from metaqore.messages import Submission
from metaqore.security.keys import Principal


def decided(number: int) -> Decided:
    return Decided(
        organization="acme", seq=number, leaf_hash="00", ts_ms=0, decision=f"dec_{number}", request=None, approved=True,
        label="PUBLIC", policy="p", policy_digest=None, reasons=(), rules=(), agent="a", task_type="", requested="",
        provider=None,
    )  # fmt: skip


ANN = Principal(organization="acme", name="ann", key_id="k", scopes=frozenset())


class Desk:
    """What stands behind the door: three decisions, one place, and a record."""

    def __init__(self) -> None:
        self.recorded: list[Submission] = []
        self.free = 0
        self.view = SimpleNamespace(decided=self.decided)

    def decided(self, organization: str, through: int) -> Iterator[Decided]:
        assert (organization, through) == ("acme", 7)
        yield from map(decided, (1, 2, 3))

    def give_back(self, who: Principal) -> None:
        assert who is ANN
        self.free += 1

    def lines(self, form: str = "jsonl") -> Lines:
        here: Any = SimpleNamespace(
            views=SimpleNamespace(compliance=self.view), streams=self,
            engine=SimpleNamespace(executor=SimpleNamespace(run_now=self.recorded.append)),
        )  # fmt: skip
        return Lines(here, ANN, "Bearer mq_x", 7, form)


def test_what_was_read_whole_is_recorded_with_its_digest_once() -> None:
    desk = Desk()
    lines = desk.lines()
    body = b"".join(lines)
    lines.close()
    lines.close()
    assert body == b"".join(line_of(decided(n)) for n in (1, 2, 3))
    [asked] = desk.recorded
    assert asked.payload == {
        "events": 3, "digest": f"sha256:{hashlib.sha256(body).hexdigest()}", "complete": True, "format": "jsonl"
    }  # fmt: skip
    assert (asked.kind, asked.principal, desk.free) == ("compliance.export", "ann", 1)


def test_whoever_goes_away_is_recorded_with_what_he_got() -> None:
    desk = Desk()
    lines = desk.lines()
    first = next(lines)
    lines.close()
    [asked] = desk.recorded
    assert asked.payload == {
        "events": 1, "digest": f"sha256:{hashlib.sha256(first).hexdigest()}", "complete": False, "format": "jsonl"
    }  # fmt: skip
    assert desk.free == 1


def test_as_csv_each_event_is_a_row_whose_payload_is_json() -> None:
    desk = Desk()
    lines = desk.lines("csv")
    body = b"".join(lines)
    lines.close()
    assert body.count(b"\r\n") == 4
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True))
    assert list(rows[0]) == ["timestamp", "event_type", "organization", "payload"]
    assert [json.loads(row["payload"]) for row in rows] == [event_of(decided(n))["payload"] for n in (1, 2, 3)]
    assert desk.recorded[0].payload["events"] == 3
    assert desk.recorded[0].payload["format"] == "csv"


def test_as_json_it_is_one_object_with_its_events_and_the_known_report(tmp_path: Path) -> None:
    desk = Desk()
    body = b"".join(desk.lines("json"))
    found = json.loads(body)
    assert (found["organization"], found["format"]) == ("acme", "json")
    assert found["events"] == [event_of(decided(n)) for n in (1, 2, 3)]
    path = tmp_path / "lines.jsonl"
    path.write_bytes(b"".join(desk.lines()))
    assert found["report"] == report_on(path, "acme"), "as the known command counts the known file"
    assert json.loads(b"".join(piece for _, piece in extract("json", "acme", iter(())))) == {
        "organization": "acme", "format": "json", "events": [], "report": report_of("acme")
    }  # fmt: skip


def test_an_extract_is_named_after_its_organization_and_time_but_for_the_known_file() -> None:
    assert extract_name("jsonl", "acme", 0) == "compliance_audit_acme.jsonl"
    assert extract_name("csv", "acme", 0) == "compliance_acme_19700101T000000Z.csv"
    with pytest.raises(InvalidInput, match="slashes"):
        extract_name("csv", "../acme", 0)
