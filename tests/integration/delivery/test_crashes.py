"""A sender that is killed with -9 at each of its failpoints: nothing is lost, and a repeat has the same id."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from metaqore.adapters.egress_http import SocketNetwork
from metaqore.delivery.egress import EgressPolicy
from metaqore.store.engine import Database
from tests.integration.delivery.conftest import Start
from tests.integration.delivery.receivers import answers
from tests.webhooks import Clock, Outbox

ROOT = Path(__file__).resolve().parents[3]


def deliver_in_a_child(database: Database, failpoint: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.integration.delivery.deliver_once", database.dsn],
        cwd=ROOT, env={**os.environ, "METAQORE_FAILPOINT": failpoint}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("failpoint", "arrivals_before"),
    [("webhook.before_send", 0), ("webhook.after_send", 1), ("webhook.before_mark", 1)],
)
def test_a_killed_sender_loses_nothing(sqlite: Database, receiver: Start, failpoint: str, arrivals_before: int) -> None:
    there = receiver(answers(200))
    outbox = Outbox(sqlite, SocketNetwork(), policy=EgressPolicy(allow_private=True), timeout_s=5.0)
    outbox.endpoint(there.url)
    outbox.events()

    child = deliver_in_a_child(sqlite, f"{failpoint}:kill")

    assert child.returncode == -signal.SIGKILL, child.stderr
    assert len(there.ids) == arrivals_before
    assert outbox.dispatcher.run() == 0, "its lease still holds"
    (row,) = outbox.deliveries("pending")
    assert isinstance(outbox.clock, Clock)
    outbox.clock.now = row["lease_until"]
    assert outbox.dispatcher.run() == 1

    assert len(there.ids) == arrivals_before + 1 and len(set(there.ids)) == 1
    assert [(row["state"], row["attempt"]) for row in outbox.deliveries()] == [("delivered", 2)]
    assert len(outbox.audited("delivery:delivery:delivered")) == 1
