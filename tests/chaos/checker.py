"""The verdict: the clients' history against the database. Lost, unexpected, doubled, out of order."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from tests.chaos.clients import Agent


@dataclass
class Findings:
    """How many of each; all but the last three must be zero."""

    lost: int
    unexpected: int
    duplicated_effects: int
    duplicated_ids: int
    order_violations: int
    version_gaps: int
    audit_gaps: int
    missing_records: int
    refused: int
    acknowledged: int
    requests: int
    deliveries_per_request: float

    @property
    def is_clean(self) -> bool:
        """True where nothing was lost, doubled, reordered or left unrecorded."""
        numbers = asdict(self)
        return not any(numbers[name] for name in list(numbers)[:9])


def check(database: str, agents: Sequence[Agent], taken: Sequence[str]) -> Findings:
    """Compare what was promised with what is there."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    rows = connection.execute(
        "SELECT id, state, verdict FROM requests WHERE kind = 'artifact.declare' ORDER BY seq"
    ).fetchall()
    state = {row[0]: row[1] for row in rows}
    verdict = {row[0]: row[2] for row in rows}
    operations = [operation for agent in agents for operation in agent.history]
    promised = [operation for operation in operations if operation.outcome == "ok"]
    keys = {operation.key for operation in operations}
    stored = connection.execute("SELECT key, requests FROM idempotency").fetchall()
    by_request = Counter(row[0] for row in connection.execute("SELECT request_id FROM artifact_versions"))
    decided = Counter(
        row[0]
        for row in connection.execute(
            "SELECT request_id FROM audit_entries WHERE tag IN ('psmp:artifact:admitted', 'psmp:artifact:blocked', "
            "'psmp:artifact:merged') AND request_id IS NOT NULL"
        )
    )
    announced = Counter(
        row[0] for row in connection.execute("SELECT request_id FROM events WHERE type LIKE 'artifact.%'")
    )
    versions = connection.execute(
        "SELECT artifact, count(*), max(version), min(version) FROM artifact_versions GROUP BY 1"
    )
    audit = connection.execute("SELECT count(*), max(seq), min(seq) FROM audit_entries GROUP BY organization")
    terminal = [request for request in state if state[request] not in ("accepted", "running")]
    succeeded = [request for request in terminal if state[request] == "succeeded"]
    found = Findings(
        lost=sum(state.get(o.request or "") not in ("succeeded", "failed", "dead") for o in promised),
        unexpected=sum(key not in keys for key, _ in stored) + len(rows) - len(stored),
        duplicated_effects=sum(n > 1 for n in (*by_request.values(), *decided.values(), *announced.values())),
        duplicated_ids=sum(len(ids) > 1 for agent in agents for ids in agent.ids_seen.values()),
        # Each agent sends version after version of its own artifact: only another order could block one of them.
        order_violations=sum(verdict.get(o.request or "") == "blocked" for o in promised),
        version_gaps=sum(not (count == top and low == 1) for _, count, top, low in versions),
        audit_gaps=sum(not (count == top and low == 1) for count, top, low in audit),
        missing_records=sum(decided[r] != 1 or announced[r] != 1 for r in succeeded),
        refused=sum(o.outcome.startswith("fail") for o in operations),
        acknowledged=len(promised),
        requests=len(rows),
        deliveries_per_request=len(taken) / max(1, len(set(taken))),
    )
    connection.close()
    return found
