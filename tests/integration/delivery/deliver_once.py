"""Delivers what is due in the database given as argument, in a process that a failpoint may kill."""

from __future__ import annotations

import sys

from metaqore.adapters.egress_http import SocketNetwork
from metaqore.delivery.egress import EgressPolicy
from metaqore.store.engine import Database
from tests.webhooks import Outbox

if __name__ == "__main__":
    outbox = Outbox(Database(sys.argv[1]), SocketNetwork(), policy=EgressPolicy(allow_private=True), timeout_s=5.0)
    print(outbox.dispatcher.run())
