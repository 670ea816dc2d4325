"""A project that names no mode gets the installation's."""

from __future__ import annotations

import pytest

from metaqore import bootstrap
from metaqore.messages import Submission
from metaqore.settings import load
from metaqore.store.engine import Database
from tests.contract.pipeline import Bell


@pytest.mark.parametrize("mode", ["strict", "adaptive", "playground"])
def test_a_new_project_has_the_governance_mode_of_the_settings(database: Database, mode: str) -> None:
    settings = load(
        {"storage_dsn": database.dsn, "redis_url": "redis://127.0.0.1:1/0", "governance_mode": mode}, environ={}
    )
    engine = bootstrap.build(settings, lambda _settings: Bell())
    asked = Submission(organization="o", project=None, principal="p", kind="project.save", payload={"name": "x"})

    assert engine.executor.run_now(asked).result["mode"] == mode
    engine.database.close()
