"""The verdict: the clients' history against the database. Lost, unexpected, doubled, out of order, changed.

Jepsen's total-queue and set checkers for this one case: what is promised must come to an end once, and nothing may be
there that nobody asked for.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from metaqore.store.engine import Database
from tests.chaos.clients import TERMINAL, Agent, Operation

_KINDS = "('artifact.declare', 'llm.generate')"
_DECIDED = "('psmp:artifact:admitted', 'psmp:artifact:blocked', 'psmp:artifact:merged', 'llm:call:settled')"


@dataclass
class Findings:
    """How many of each. All down to ``refused`` must be zero."""

    lost: int
    unexpected: int
    duplicated_effects: int
    duplicated_ids: int
    order_violations: int
    version_gaps: int
    audit_gaps: int
    event_gaps: int
    missing_records: int
    changed_ends: int
    broken_cancels: int
    dead: int
    refused: int
    # What the run was like.
    acknowledged: int
    unsure: int
    cancelled: int
    requests: int
    deliveries_per_request: float
    #: What was promised and is not at its end, or not there, said in words.
    open_requests: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """True where nothing was lost, doubled, reordered, changed or left unrecorded."""
        numbers = asdict(self)
        return not any(numbers[name] for name in list(numbers)[: list(numbers).index("refused") + 1])


class Stored:
    """What the database holds at the end."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.state: dict[str, str] = {}
        self.verdict: dict[str, str | None] = {}
        for request, state, verdict in self.rows(f"SELECT id, state, verdict FROM requests WHERE kind IN {_KINDS}"):
            self.state[request], self.verdict[request] = state, verdict
        keys = self.rows("SELECT key, requests FROM idempotency WHERE route LIKE '%artifacts%' OR route LIKE '%llm%'")
        self.keys = {key: json.loads(ids) for key, ids in keys}
        #: request → when it was decided, as a number of the audit log.
        self.decided: defaultdict[str, list[int]] = defaultdict(list)
        for request, seq in self.rows(
            f"SELECT request_id, seq FROM audit_entries WHERE request_id IS NOT NULL AND tag IN {_DECIDED} ORDER BY seq"
        ):
            self.decided[request].append(seq)
        self.announced = self._counted("events WHERE type LIKE 'artifact.%' OR type = 'llm.completed'")
        self.effects = self._counted("artifact_versions") + self._counted("llm_calls WHERE state = 'settled'")
        self.accepted = self._counted("audit_entries WHERE tag = 'requests:request:accepted'")

    def rows(self, sql: str) -> list[Any]:
        """Return the rows of a query."""
        with self._database.read() as connection:
            return list(connection.exec_driver_sql(sql).fetchall())

    def described(self, requests: Sequence[str]) -> tuple[str, ...]:
        """Say of each request where it stands."""
        columns = "id, kind, state, attempt, fence, available_at, lease_until, created_at"
        found = {row[0]: row for row in self.rows(f"SELECT {columns} FROM requests WHERE state NOT IN {TERMINAL}")}
        return tuple(str(found.get(request, f"{request} is not in the database")) for request in requests[:20])

    def _counted(self, source: str) -> Counter[str]:
        return Counter({row[0]: row[1] for row in self.rows(f"SELECT request_id, count(*) FROM {source} GROUP BY 1")})

    def gaps(self, table: str, key: str, number: str) -> int:
        """Return how many series of ``table`` are not 1, 2, 3 …"""
        rows = self.rows(f"SELECT count(*), max({number}), min({number}) FROM {table} GROUP BY {key}")
        return sum(not (count == top and low == 1) for count, top, low in rows)


def check(database: Database, agents: Sequence[Agent], taken: Sequence[str]) -> Findings:
    """Compare what was promised with what is there."""
    stored = Stored(database)
    operations = [operation for agent in agents for operation in agent.history]
    promised = [request for o in operations if o.outcome == "ok" for request in o.requests]
    asked = {request for ids in stored.keys.values() for request in ids}
    succeeded = [request for request, state in stored.state.items() if state == "succeeded"]
    cancelled = {request for request, state in stored.state.items() if state == "cancelled"}
    counted = (*stored.effects.values(), *map(len, stored.decided.values()), *stored.announced.values())
    return Findings(
        lost=sum(stored.state.get(request) not in TERMINAL for request in promised),
        unexpected=len(stored.keys.keys() - {o.key for o in operations}) + len(stored.state.keys() - asked),
        duplicated_effects=sum(n > 1 for n in counted),
        duplicated_ids=sum(len(ids) > 1 for agent in agents for ids in agent.ids_seen.values()),
        order_violations=_blocked(operations, stored) + _overtaken(operations, stored, agents),
        version_gaps=stored.gaps("artifact_versions", "artifact", "version"),
        audit_gaps=stored.gaps("audit_entries", "organization", "seq"),
        event_gaps=stored.gaps("events", "organization", "seq"),
        missing_records=sum(len(stored.decided[r]) != 1 or stored.announced[r] != 1 for r in succeeded)
        + sum(stored.effects[r] != 1 for r in succeeded if stored.verdict[r] == "approved")
        + sum(stored.accepted[r] != 1 for r in stored.state),
        changed_ends=sum(
            states != {stored.state.get(request)} for agent in agents for request, states in agent.ends_seen.items()
        ),
        broken_cancels=sum(r not in cancelled for agent in agents for r in agent.cancelled)
        + sum(stored.effects[r] + stored.announced[r] > 0 for r in cancelled),
        dead=sum(state in ("dead", "failed") for state in stored.state.values()),
        refused=sum(o.outcome.startswith("fail") for o in operations),
        acknowledged=len(promised),
        unsure=sum(o.outcome == "info" for o in operations),
        cancelled=len(cancelled),
        requests=len(stored.state),
        deliveries_per_request=len(taken) / max(1, len(set(taken))),
        open_requests=stored.described([r for r in promised if stored.state.get(r) not in TERMINAL]),
    )


def _blocked(operations: Sequence[Operation], stored: Stored) -> int:
    """Each such artifact has one author, who sends version after version: only another order could block one."""
    chained = [request for o in operations if o.in_order and o.outcome == "ok" for request in o.requests]
    return sum(stored.verdict.get(request) == "blocked" for request in chained)


def _overtaken(operations: Sequence[Operation], stored: Stored, agents: Sequence[Agent]) -> int:
    """Count decisions that came before that of a request which was promised before this one was even asked for."""
    violations = 0
    for project in {agent.project for agent in agents}:
        mine = [o for agent in agents if agent.project == project and agent.role != "generate" for o in agent.history]
        done = [o for o in mine if o.outcome == "ok" and any(stored.decided[r] for r in o.requests)]
        moments = [(o.ended_at, 1, o) for o in done] + [(o.invoked_at, 0, o) for o in done]
        latest: dict[str, int] = {}
        highest = 0
        for _, is_end, operation in sorted(moments, key=lambda moment: moment[:2]):
            numbers = [n for request in operation.requests for n in stored.decided[request]]
            if not is_end:
                latest[operation.key] = highest
            else:
                violations += min(numbers) < latest[operation.key]
                highest = max(highest, *numbers)
    return violations
