"""A running system worker streams the log to a sink, and the metrics say how far it is."""

from __future__ import annotations

import json
from pathlib import Path

from metaqore import bootstrap
from tests.running import Running, wait_until


def test_the_system_worker_streams_the_log_and_metrics_tell_the_lag(mq: Running, project: str, tmp_path: Path) -> None:
    path = tmp_path / "siem.jsonl"
    sink = {"name": "siem", "kind": "file", "target": str(path)}
    bootstrap.run_control(mq.settings, "sink.add", sink)
    request = mq.post("/tasks", {"project": project, "title": "the last one"})
    assert request.status == 201

    def streamed() -> list[dict[str, object]]:
        lines = path.read_text().splitlines() if path.exists() else []
        events = [json.loads(line) for line in lines if line.endswith("}")]
        done = any(event["type"] == "metaqore.audit.psmp.task.created" and event["data"]["project"] == project
                   for event in events)  # fmt: skip
        return events if done else []

    events = wait_until(streamed, "the entry of the task is in the file")
    assert [int(str(event["id"])) for event in events] == list(range(1, len(events) + 1))
    text = mq.get("//metrics").body.decode()
    lag = next(line for line in text.splitlines() if line.startswith("metaqore_audit_sink_lag_entries{"))
    assert 'sink="siem"' in lag and f'organization="{mq.settings.organization}"' in lag
    bootstrap.run_control(mq.settings, "sink.remove", {"name": "siem"})
