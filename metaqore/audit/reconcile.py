"""Reconciliation: what was done against what was recorded. It finds what no hash can: an act that was never logged.

Each accepted request, each decision of SecureGateway, each answer of a specialist, each version of an artifact, each
event and each delivery that ended has exactly one entry, and each such entry has its row. Both directions are read
once, in order and in constant memory, from one snapshot. Only a database can be reconciled: an export holds the log
alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from metaqore.audit.findings import Attack, Finding, Verdict

#: What an entry, or a row, is about: a request's id, (artifact, version), an event's number …
Key: TypeAlias = Any
_CHUNK = 256
#: A verdict names this many; more of a kind say nothing new.
MOST_NAMED = 20

#: What stands in the place of a payload that was erased.
ERASED = "~erased~"
_ACCEPTED = "requests:request:accepted"
_ENDED = frozenset({"delivered", "dead"})


class Tables(Protocol):
    """A database as reconciliation reads it."""

    def has_table(self, name: str) -> bool:
        """Tell whether there is such a table."""
        ...

    def ask(self, sql: str, *values: Any) -> list[Any]:
        """Return all rows; text may come as bytes."""
        ...


class Claim(NamedTuple):
    """One entry that speaks of a row: which entry, of which request, by what key, and its outcome."""

    seq: int
    request: str | None
    key: Key
    outcome: str | None


@dataclass(frozen=True)
class Ledger:
    """One kind of thing that is recorded, as rows and as entries.

    ``rows`` selects (page key, key …, request id, time) above a page key; ``by_key`` the same for given keys.
    """

    name: str
    table: str
    tags: frozenset[str]
    rows: str
    by_key: str
    key_of: Callable[[dict[str, Any]], list[Key]]
    #: Columns that make the key.
    width: int = 1
    #: Whether an entry for each attempt is right, the last of which says how it ended.
    attempts: bool = False


def _subject(entry: dict[str, Any]) -> list[Key]:
    return [entry["about"].get("subject")]


def _version(entry: dict[str, Any]) -> list[Key]:
    about = entry["about"]
    return [(about.get("subject"), about.get("details", {}).get("version"))]


def _events(entry: dict[str, Any]) -> list[Key]:
    found: list[Key] = []
    for part in str(entry["about"].get("events", "")).split():
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit() and int(last or first) - int(first) < 100_000:
            found += range(int(first), int(last or first) + 1)
    return found


LEDGERS = (
    Ledger(
        "request", "requests", frozenset({_ACCEPTED}),
        "SELECT seq, id, id, created_at FROM requests WHERE organization = ? AND seq > ? ORDER BY seq LIMIT ?",
        "SELECT 0, id, id, created_at FROM requests WHERE organization = ? AND id IN ({keys})",
        _subject,
    ),
    Ledger(
        "decision", "decisions", frozenset({"security:decision:approved", "security:decision:vetoed"}),
        "SELECT id, id, request_id, created_at FROM decisions WHERE organization = ? AND id > ? ORDER BY id LIMIT ?",
        "SELECT 0, id, request_id, created_at FROM decisions WHERE organization = ? AND id IN ({keys})",
        _subject,
    ),
    Ledger(
        "specialist answer", "specialist_calls", frozenset({"hmcp:specialist:routed"}),
        "SELECT id, id, request_id, at FROM specialist_calls WHERE organization = ? AND kind = 'served' AND id > ? "
        "ORDER BY id LIMIT ?",
        "SELECT 0, id, request_id, at FROM specialist_calls WHERE organization = ? AND kind = 'served' "
        "AND id IN ({keys})",
        _subject,
    ),
    Ledger(
        "version", "artifact_versions", frozenset({"psmp:artifact:admitted", "psmp:artifact:merged"}),
        "SELECT artifact, artifact, version, request_id, created_at FROM artifact_versions "
        "WHERE organization = ? AND artifact > ? ORDER BY artifact, version LIMIT ?",
        "SELECT 0, artifact, version, request_id, created_at FROM artifact_versions "
        "WHERE organization = ? AND (artifact, version) IN (VALUES {keys})",
        _version, width=2,
    ),
    Ledger(
        "event", "events", frozenset(),
        "SELECT seq, seq, request_id, created_at FROM events WHERE organization = ? AND seq > ? ORDER BY seq LIMIT ?",
        "SELECT 0, seq, request_id, created_at FROM events WHERE organization = ? AND seq IN ({keys})",
        _events,
    ),
    Ledger(
        "delivery", "webhook_deliveries", frozenset({"delivery:delivery:delivered", "delivery:delivery:failed"}),
        "SELECT d.id, d.id, e.request_id, d.created_at FROM webhook_deliveries d JOIN events e "
        "ON e.organization = d.organization AND e.seq = d.event_seq WHERE d.organization = ? AND d.id > ? "
        "AND d.state IN ('delivered', 'dead') AND (d.last_error IS NULL OR d.last_error NOT LIKE 'deleted:%') "
        "ORDER BY d.id LIMIT ?",
        "SELECT 0, d.id, e.request_id, d.created_at FROM webhook_deliveries d JOIN events e "
        "ON e.organization = d.organization AND e.seq = d.event_seq WHERE d.organization = ? AND d.id IN ({keys})",
        _subject, attempts=True,
    ),
)  # fmt: skip


@dataclass
class _Page:
    """Rows of one ledger: key → (request id, time)."""

    rows: dict[Key, tuple[str | None, int]] = field(default_factory=dict)
    last: Any = None
    full: bool = False


def reconcile(tables: Tables, verdict: Verdict, progress: Callable[[int], None] = lambda _: None) -> None:
    """Write into the verdict of one organization what was done and not recorded, or recorded and not done."""
    known = [ledger for ledger in LEDGERS if tables.has_table(ledger.table)]
    if not known:
        return
    if any(ledger.table == "requests" for ledger in known):
        sql = f"SELECT count(*) FROM requests WHERE organization = ? AND payload = '{ERASED}'"
        erased = tables.ask(sql, verdict.organization)[0][0]
        if erased:
            verdict.notes.append(f"{erased} requests: entry intact, payload erased")
    findings: list[Finding] = []
    for ledger in known:
        _rows_against_entries(tables, verdict.organization, ledger, findings)
    _entries_against_rows(tables, verdict.organization, known, findings, progress)
    if len(findings) > MOST_NAMED:
        verdict.notes.append(f"{len(findings) - MOST_NAMED} more of what is recorded and what is there do not agree")
    verdict.findings += findings[:MOST_NAMED]
    verdict.findings.sort(key=lambda finding: finding.seq)


def _rows_against_entries(tables: Tables, organization: str, ledger: Ledger, findings: list[Finding]) -> None:
    for page in _pages(tables, organization, ledger):
        claims = _claims_of(tables, organization, ledger, [request for request, _ in page.rows.values()])
        for key, (request, at) in page.rows.items():
            found = [claim for claim in claims.get(key, ()) if claim.request == request]
            if not found:
                seq = _place(tables, organization, request, at)
                why = f"{ledger.name} {_shown(key)} is there and no entry says so"
                findings.append(Finding(Attack.OMITTED, seq, seq, why))
            elif len(found) > 1 and not ledger.attempts:
                why = f"{ledger.name} {_shown(key)} is recorded {len(found)} times"
                findings.append(Finding(Attack.UNFOUNDED, found[1].seq, found[-1].seq, why))
            elif ledger.attempts and not any(claim.outcome in _ENDED for claim in found):
                why = f"{ledger.name} {_shown(key)} has ended and no entry says how"
                findings.append(Finding(Attack.OMITTED, found[-1].seq, found[-1].seq, why))
        if len(findings) > 10 * MOST_NAMED:
            return


def _entries_against_rows(
    tables: Tables,
    organization: str,
    ledgers: Sequence[Ledger],
    findings: list[Finding],
    progress: Callable[[int], None],
) -> None:
    after = 0
    while True:
        rows = tables.ask(
            "SELECT seq, tag, request_id, body FROM audit_entries WHERE organization = ? AND seq > ? "
            "ORDER BY seq LIMIT ?",
            organization, after, _CHUNK,
        )  # fmt: skip
        if not rows:
            return
        after = rows[-1][0]
        parsed = [(ledger, claim) for row in rows for ledger, claim in _parse(row, ledgers)]
        for ledger in ledgers:
            claims = [claim for which, claim in parsed if which is ledger]
            there = _by_key(tables, organization, ledger, sorted({claim.key for claim in claims}, key=str))
            for claim in claims:
                row = there.get(claim.key)
                if row is None or row[0] != claim.request:
                    why = f"{ledger.name} {_shown(claim.key)} is recorded and is not there"
                    findings.append(Finding(Attack.UNFOUNDED, claim.seq, claim.seq, why))
        progress(len(rows))


def _pages(tables: Tables, organization: str, ledger: Ledger) -> Iterator[_Page]:
    last: Any = "" if ledger.name in ("decision", "specialist answer", "version", "delivery") else 0
    limit = _CHUNK
    while True:
        rows = tables.ask(ledger.rows, organization, last, limit)
        whole = len(rows) < limit
        if ledger.width == 2 and not whole:
            # A page ends where its last artifact begins: the versions of one are never torn apart.
            kept = [row for row in rows if row[0] != rows[-1][0]]
            if not kept:
                limit *= 2
                continue
            rows = kept
        if rows:
            yield _Page({_key(row, ledger): (_s(row[-2]), row[-1]) for row in rows})
        if whole:
            return
        last, limit = _s(rows[-1][0]), _CHUNK


def _claims_of(
    tables: Tables, organization: str, ledger: Ledger, requests: Sequence[str | None]
) -> dict[Key, list[Claim]]:
    """Return key → the entries about it, of those that belong to the requests."""
    wanted = sorted({request for request in requests if request is not None})
    found: dict[Key, list[Claim]] = {}
    for at in range(0, len(wanted), _CHUNK):
        some = wanted[at : at + _CHUNK]
        sql = (
            "SELECT seq, tag, request_id, body FROM audit_entries WHERE organization = ? "
            f"AND request_id IN ({', '.join('?' * len(some))}) ORDER BY seq"
        )
        for row in tables.ask(sql, organization, *some):
            for _, claim in _parse(row, [ledger]):
                found.setdefault(claim.key, []).append(claim)
    return found


def _by_key(
    tables: Tables, organization: str, ledger: Ledger, keys: Sequence[Key]
) -> dict[Key, tuple[str | None, int]]:
    found: dict[Key, tuple[str | None, int]] = {}
    usable = [key for key in keys if _is_key(key, ledger)]
    for at in range(0, len(usable), _CHUNK):
        some = usable[at : at + _CHUNK]
        mark = f"({', '.join('?' * ledger.width)})" if ledger.width > 1 else "?"
        sql = ledger.by_key.format(keys=", ".join([mark] * len(some)))
        values = [part for key in some for part in key] if ledger.width > 1 else some
        for row in tables.ask(sql, organization, *values):
            found[_key(row, ledger)] = (_s(row[-2]), row[-1])
    return found


def _parse(row: Any, ledgers: Sequence[Ledger]) -> Iterator[tuple[Ledger, Claim]]:
    seq, tag, request, body = row
    name = _s(tag)
    wanted = [ledger for ledger in ledgers if name in ledger.tags or (not ledger.tags and b'"events":"' in bytes(body))]
    if not wanted:
        return
    try:
        entry = json.loads(bytes(body))
        for ledger in wanted:
            outcome = entry["about"].get("outcome")
            for key in ledger.key_of(entry):
                yield ledger, Claim(seq, _s(request), key, outcome)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # Bytes that are no entry: the verification of the log itself has named it.
        return


def _is_key(key: Key, ledger: Ledger) -> bool:
    if ledger.width == 2:
        return type(key[0]) is str and type(key[1]) is int
    return type(key) is (int if ledger.name == "event" else str)


def _key(row: Any, ledger: Ledger) -> Key:
    return (_s(row[1]), row[2]) if ledger.width == 2 else _s(row[1])


def _place(tables: Tables, organization: str, request: str | None, at: int) -> int:
    """Return the entry after which the missing one would stand: the last of its request, else the last before it."""
    for where, value in (("request_id = ?", request), ("ts_ms <= ?", at)):
        rows = tables.ask(f"SELECT max(seq) FROM audit_entries WHERE organization = ? AND {where}", organization, value)
        if rows[0][0] is not None:
            return int(rows[0][0])
    return 0


def _shown(key: Key) -> str:
    return f"{key[0]} version {key[1]}" if type(key) is tuple else str(key)


def _s(value: Any) -> Any:
    return value.decode(errors="replace") if type(value) is bytes else value
