"""The known report command, run as it is run by those who have it in their scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from metaqore.audit.compliance_lines import MAX_LINE_BYTES, file_name
from metaqore.audit.compliance_report import report_on, text_of
from metaqore.errors import InvalidInput

ROUTING = {
    "timestamp": "2026-01-02T03:04:05.678900+00:00",
    "event_type": "routing_decision",
    "organization": "acme",
    "payload": {"agent_name": "auto", "task_type": "code", "sensitivity": "public", "provider": "ollama",
                "policy": "default_local_first", "reason": "auto_recommendation"},
}  # fmt: skip
VETO = {
    "timestamp": "2026-01-02T03:04:06.000001+00:00",
    "event_type": "veto",
    "organization": "acme",
    "payload": {"veto": {"reason": "not local", "policy_violated": "default_local_first", "severity": "critical",
                         "details": {"policy": "default_local_first"}},
                "agent_name": "coder", "task_type": "security", "sensitivity": "sensitive", "provider": "openrouter"},
}  # fmt: skip
TEXT = """\
Compliance Report :: acme
=========================
Total Events: 2

Events by Type
  - routing_decision: 1
  - veto: 1

Events by Provider
  - ollama: 1
  - openrouter: 1

Policy Violations
  - default_local_first: 1
"""
OBJECT = {
    "organization": "acme",
    "total_events": 2,
    "by_event": {"routing_decision": 1, "veto": 1},
    "by_provider": {"ollama": 1, "openrouter": 1},
    "policy_violations": {"default_local_first": 1},
}


def written(directory: Path, *lines: object) -> Path:
    """Write a file; what is no bytes is an event."""
    path = directory / "compliance_audit_acme.jsonl"
    path.write_bytes(b"".join(x if isinstance(x, bytes) else json.dumps(x).encode() + b"\n" for x in lines))
    return path


def ran(directory: Path, *options: str, organization: str = "acme") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "metaqore.scripts.compliance_report", "--organization", organization]
    return subprocess.run(
        [*command, "--log-dir", str(directory), *options], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )  # fmt: skip


def test_the_known_command_prints_the_known_text_and_the_known_object(tmp_path: Path) -> None:
    written(tmp_path, ROUTING, b"\n", b"  \n", VETO)

    text, as_json = ran(tmp_path), ran(tmp_path, "--json")

    assert (text.returncode, text.stdout, text.stderr) == (0, TEXT, "")
    assert (as_json.returncode, json.loads(as_json.stdout)) == (0, OBJECT)


def test_corrupt_lines_are_counted_and_named_and_fail_the_command(tmp_path: Path) -> None:
    written(tmp_path, ROUTING, b'{"event_type": "veto", "organ\n', VETO, b"\xff\n", b"[]\n",
            {**VETO, "payload": {"provider": 7}})  # fmt: skip

    text, as_json = ran(tmp_path), ran(tmp_path, "--json")

    assert text.returncode == 1
    assert text.stdout == TEXT + (
        "\nCorrupt Lines (not counted): 4\n  - line 2: not JSON\n  - line 4: not UTF-8\n  - line 5: not an object\n"
        "  - line 6: payload.provider is no text\n"
    )
    assert "4 corrupt lines were not counted" in text.stderr
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["corrupt_lines"]["count"] == 4
    assert json.loads(as_json.stdout)["corrupt_lines"]["lines"][0] == {"line": 2, "fault": "not JSON"}


EMPTY = """\
Compliance Report :: acme
=========================
Total Events: 0

Events by Type
  (none)

Events by Provider
  (none)

Policy Violations
  (none)
"""


def test_a_directory_without_the_file_reports_nothing_in_the_known_layout_and_still_exits_2(tmp_path: Path) -> None:
    text, as_json = ran(tmp_path), ran(tmp_path, "--json")

    assert (text.returncode, text.stdout) == (2, EMPTY)
    assert "compliance_audit_acme.jsonl does not exist: check --log-dir" in text.stderr
    assert as_json.returncode == 2
    assert json.loads(as_json.stdout) == {
        "organization": "acme", "total_events": 0, "by_event": {}, "by_provider": {}, "policy_violations": {}
    }  # fmt: skip


def test_a_missing_directory_and_a_name_that_leads_elsewhere_exit_2(tmp_path: Path) -> None:
    missing, elsewhere = ran(tmp_path / "nowhere"), ran(tmp_path, organization="../acme")

    assert (missing.returncode, missing.stdout) == (2, "")
    assert "compliance_audit_acme.jsonl does not exist: check --log-dir" in missing.stderr
    assert (elsewhere.returncode, elsewhere.stdout) == (2, "")
    assert "without slashes" in elsewhere.stderr


def test_the_command_imports_nothing_of_the_server() -> None:
    code = (
        "import sys, metaqore.scripts.compliance_report; "
        "print([m for m in ('sqlalchemy', 'flask', 'celery', 'redis', 'metaqore.bootstrap') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert answer.stdout == "[]\n"


def test_events_of_another_organization_are_left_out_and_change_nothing_of_the_known_layout(tmp_path: Path) -> None:
    written(tmp_path, ROUTING, VETO, {**VETO, "organization": "other"})

    text, as_json = ran(tmp_path), ran(tmp_path, "--json")

    assert (text.returncode, text.stdout) == (0, TEXT)
    assert "1 events of other organizations were not counted" in text.stderr
    assert (as_json.returncode, json.loads(as_json.stdout)) == (0, OBJECT)


def test_an_empty_report_says_none_and_unknown() -> None:
    assert text_of({}) == (
        "Compliance Report :: unknown\n============================\nTotal Events: 0\n\nEvents by Type\n  (none)\n\n"
        "Events by Provider\n  (none)\n\nPolicy Violations\n  (none)"
    )


def test_counts_are_ordered_by_size_and_then_by_name() -> None:
    text = text_of({**OBJECT, "by_provider": {"b": 1, "c": 9, "a": 1}, "policy_violations": {"default_local_first": 2}})

    assert "Events by Provider\n  - c: 9\n  - a: 1\n  - b: 1\n" in text
    assert text.endswith("- default_local_first: 2")


def test_a_name_cannot_write_lines_of_the_report(tmp_path: Path) -> None:
    forged = {**ROUTING, "payload": {"provider": "x\n\nPolicy Violations\n  (none)\x1b[2J"}}

    text = text_of(report_on(written(tmp_path, forged), "acme"))

    assert text.count("\nPolicy Violations\n") == 1
    assert "  - x\\n\\nPolicy Violations\\n  (none)\\x1b[2J: 1" in text


@pytest.mark.parametrize("name", ["", "a/b", "..\\a", "a\0", "a\n"])
def test_an_organization_that_is_no_part_of_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="slashes"):
        file_name(name)


def test_a_large_file_and_a_line_without_end_take_constant_memory(tmp_path: Path) -> None:
    event = json.dumps(ROUTING).encode() + b"\n"
    path = written(tmp_path, event * 4_000, b"x" * (24 * MAX_LINE_BYTES) + b"\n", b"bad\n" * 1000, event)

    tracemalloc.start()
    try:
        report = report_on(path, "acme")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert report["total_events"] == 4_001
    assert report["corrupt_lines"]["count"] == 1001
    assert report["corrupt_lines"]["lines"][0] == {"line": 4_001, "fault": f"longer than {MAX_LINE_BYTES} bytes"}
    assert len(report["corrupt_lines"]["lines"]) == 100
    assert text_of(report).endswith("  - and 901 more")
    assert peak < path.stat().st_size / 3
