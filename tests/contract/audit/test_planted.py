"""Erasure, held against every table: a text planted wherever a request may bring text in is nowhere afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from metaqore.audit.vault import Vault
from metaqore.security.keys import SCOPES
from metaqore.store.views.privacy import PrivacyViews
from metaqore.store.views.subject_access import HOLDINGS
from tests.contract.audit.test_one_entry import Story, story
from tests.contract.pipeline import ORGANIZATION

__all__ = ["story"]

PLANTED = "planted-4711-canary"


def test_erasure_leaves_nothing_of_what_a_subject_wrote_anywhere(story: Story) -> None:
    _write_everywhere(story)
    [(key,)] = story.sql("SELECT id FROM subject_keys WHERE subject = 'ann'")
    held = story.now("hold.place", {"key": key, "reason": PLANTED})["id"]
    story.now("hold.release", {"hold": held})
    assert len(places_of_planted(story)) > 10, "it was everywhere"

    story.now("subject.erase", {"key": key, "basis": "art17"})

    assert places_of_planted(story) == []


def _write_everywhere(story: Story) -> None:
    """Have a text planted in every place for text that requests have."""
    described = {"name": "p", "mode": "strict", "description": PLANTED, "metadata": {"a": PLANTED}}
    project = story.now("project.save", described)["id"]
    story.now("task.save", {"title": PLANTED, "metadata": {"x": PLANTED}}, project=project)
    story.now("checkpoint.create", {"name": "c", "note": PLANTED}, project=project)
    more = {"metadata": {"n": PLANTED}, "provenance": {"s": PLANTED}, "claims": {"paths": [PLANTED]}}

    def declare(text: str) -> Any:
        payload = {"type": "doc", "name": "a", "content": f"{PLANTED} {text}", **more}
        return story.queued("artifact.declare", payload, project=project)

    artifact = declare("one")["artifact"]["id"]
    for strategy in ("override", "escalate"):
        conflict = declare(strategy)["blocking_report"]["conflicts"][0]["id"]
        asked = {"conflict": conflict, "strategy": strategy, "reason": PLANTED, "authority": list(SCOPES)}
        story.queued("conflict.resolve", asked, project=project)
    intent = {"purpose": PLANTED, "expires_in_s": 60, "claims": {"resources": [PLANTED]}}
    story.queued("intent.announce", intent, project=project)
    lowered = {"artifact": artifact, "label": "PUBLIC", "reason": PLANTED, "authority": list(SCOPES)}
    story.queued("artifact.declassify", lowered, project=project)
    named = {"agent_name": PLANTED, "task_type": PLANTED}
    story.queued("payload.assess", {"content": {PLANTED: "4111 1111 1111 1111"}, **named}, project=project)
    story.queued("llm.generate", {"prompt": PLANTED, "max_tokens": 20, **named}, project=project)
    story.now("policy.save", {"project": None, "document": {}, "reason": PLANTED, "version": None})
    story.now("stop.set", {"kind": "principal", "subject": "m", "reason": PLANTED, "quarantine_since": None})


def places_of_planted(story: Story) -> list[tuple[str, str]]:
    """Return table and column of every value that holds the planted text."""
    if story.database.is_sqlite:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
    else:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    found = set()
    for (table,) in story.sql(tables):
        with story.database.read() as connection:
            for row in connection.exec_driver_sql(f"SELECT * FROM {table}").mappings():
                found |= {(table, column) for column, value in row.items() if PLANTED in str(value)}
    return sorted(found)


def test_a_subject_that_asks_gets_each_place_where_something_of_it_is(story: Story, tmp_path: Path) -> None:
    _write_everywhere(story)
    views = PrivacyViews(story.database)
    story.database.vault = Vault(next(tmp_path.rglob("privacy.key")))
    found = views.everything(ORGANIZATION, "ann")
    tables = {one.table: name for name, one in HOLDINGS.items()}
    for table, column in places_of_planted(story):
        given = [row[column] for row in found[tables[table]]]
        assert any(PLANTED in str(value) for value in given), (table, column)
    assert any(PLANTED in str(row["payload"]) for row in found["requests"]), "sealed where it is kept, readable here"
    for row in found["entries"]:
        assert row["ts_ms"].endswith("Z"), "a date that a person reads"
    nothing = PrivacyViews(story.database).everything("another", "ann")
    assert {name for name, rows in nothing.items() if isinstance(rows, list) and rows} == set()
