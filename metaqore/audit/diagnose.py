"""The slow path of a verification: which entry is the first bad one, and what was done to it.

``examine`` is called where the fast path found a run of entries that is not as it should be. It walks them one by one
until it can name something. What concerns one row alone (its bytes, its columns) leaves the order intact, and the
Merkle tree can be built on; anything else ends the verification of that log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metaqore.audit.findings import Attack, Finding
from metaqore.audit.merkle import leaf_hashes
from metaqore.audit.source import Row, Source, fields_of

#: Column → field of the bytes that it repeats.
_REPEATED = {"tag": "tag", "actor": "actor", "project": "project", "request": "request", "ts_ms": "ts"}


@dataclass(frozen=True)
class Diagnosis:
    """A finding; ``ends_order`` where the entries after it cannot be counted on to stand in their places.

    ``leaf_differs`` marks bytes that do not fit their stored leaf hash: whether bytes or hash were changed is decided
    by the next signed root.
    """

    finding: Finding
    ends_order: bool = False
    leaf_differs: bool = False


def examine(source: Source, organization: str, first: int, last: int | None) -> Diagnosis | None:
    """Return what is wrong with the first bad entry among ``first`` to ``last`` (None: the end), None if nothing is."""
    previous = source.row(organization, first - 1) if first > 1 else None
    expected = first
    for row in source.rows(organization, first):
        diagnosis = _judge(source, organization, row, expected, previous)
        if diagnosis is not None:
            return diagnosis
        if expected == last:
            return None
        previous = row
        expected += 1
    return None


def _judge(source: Source, organization: str, row: Row, expected: int, previous: Row | None) -> Diagnosis | None:
    whole = _leaf_fits(row)
    fields = fields_of(row.body)
    if not source.has_columns and not whole:
        return _leaf_differs(source, organization, row, fields, expected)
    if type(row.seq) is not int or row.seq < 1:
        return _column(_claimed(row) or expected, "seq", row.seq, ends_order=True)
    if whole and fields is not None and fields.get("organization") != organization:
        return _column(fields["seq"], "organization", organization, ends_order=row.seq != expected)
    if row.seq < expected:
        return _repeated(source, organization, row, previous)
    if row.seq > expected:
        return _gap(source, organization, row, expected)
    if not whole:
        return _leaf_differs(source, organization, row, fields, expected)
    if fields is None:
        return Diagnosis(_finding(Attack.EDITED, expected, "its bytes are no audit entry"))
    if fields["seq"] != expected:
        return _misplaced(source, organization, row, fields["seq"], expected, previous)
    if source.has_columns:
        for column, field in _REPEATED.items():
            if getattr(row, column) != fields.get(field):
                return _column(expected, column, getattr(row, column))
    return None


def _leaf_differs(
    source: Source, organization: str, row: Row, fields: dict[str, Any] | None, expected: int
) -> Diagnosis:
    claimed = fields["seq"] if fields else expected
    if claimed != expected and source.has_columns:
        other = source.row(organization, claimed)
        if other is not None and other.leaf_hash == _leaf_of(row.body):
            first, second = sorted((expected, claimed))
            return Diagnosis(
                _finding(Attack.SWAPPED, first, f"its bytes and those of entry {second} are exchanged"), True
            )
    # Bytes that are not bytes cannot be hashed on, nor can a line that is no entry.
    ends = type(row.body) is not bytes
    why = "its bytes do not have the hash that was stored for them"
    return Diagnosis(_finding(Attack.EDITED, expected, why), ends_order=ends, leaf_differs=True)


def _column(seq: int, column: str, value: Any, *, ends_order: bool = False) -> Diagnosis:
    why = f"the column {column} says {str(value)[:60]!r}, the signed bytes say otherwise"
    return Diagnosis(_finding(Attack.COLUMN_EDITED, seq, why), ends_order)


def _repeated(source: Source, organization: str, row: Row, previous: Row | None) -> Diagnosis:
    """A number that was there before, which only a table without its primary key or an export can show."""
    earlier = previous if previous is not None and previous.seq == row.seq else source.row(organization, row.seq)
    if earlier is not None and earlier.leaf_hash == row.leaf_hash:
        return Diagnosis(_finding(Attack.DUPLICATED, row.seq, "the entry is there twice"), True)
    return Diagnosis(_finding(Attack.INSERTED, row.seq, "two different entries have this number"), True)


def _gap(source: Source, organization: str, row: Row, expected: int) -> Diagnosis:
    """The number ``expected`` is not where it belongs: gone, filed under another number, or later in the file."""
    for other in source.rows(organization, expected):
        claimed = _claimed(other)
        if other.seq == expected:
            return Diagnosis(
                _finding(Attack.SWAPPED, expected, "the entry stands later in the file than its number"), True
            )
        if claimed == expected:
            return _column(expected, "seq", other.seq, ends_order=True)
    through = row.seq - 1
    why = "the entry is missing" if through == expected else "the entries are missing"
    return Diagnosis(Finding(Attack.DELETED, expected, through, f"{why}; the next one there is {row.seq}"), True)


def _misplaced(
    source: Source, organization: str, row: Row, claimed: int, expected: int, previous: Row | None
) -> Diagnosis:
    """The bytes are whole but speak of another number than the one they are filed under."""
    following = _after(source, organization, expected)
    if claimed == expected - 1 and previous is not None and _claimed(previous) == claimed:
        if previous.leaf_hash == row.leaf_hash:
            return Diagnosis(
                _finding(Attack.DUPLICATED, claimed, "the entry is there twice, later ones are renumbered"), True
            )
        return Diagnosis(
            _finding(Attack.INSERTED, claimed, "two entries call themselves by this number, later ones are renumbered"),
            True,
        )
    if claimed < expected:
        why = f"a copy of entry {claimed} stands here"
        if following is not None and _claimed(following) == expected:
            why += ", later ones are renumbered"
        return Diagnosis(_finding(Attack.DUPLICATED, expected, why), True)
    for other in source.rows(organization, expected + 1):
        if _claimed(other) == expected:
            return Diagnosis(_finding(Attack.SWAPPED, expected, f"entry {claimed} stands in its place"), True)
    why = f"missing; entry {claimed} and later ones are renumbered to close the gap"
    return Diagnosis(Finding(Attack.DELETED, expected, claimed - 1, why), True)


def _after(source: Source, organization: str, seq: int) -> Row | None:
    return next((row for row in source.rows(organization, seq + 1)), None)


def _claimed(row: Row) -> int | None:
    fields = fields_of(row.body) if _leaf_fits(row) else None
    return fields["seq"] if fields else None


def _leaf_fits(row: Row) -> bool:
    return type(row.body) is bytes and _leaf_of(row.body) == row.leaf_hash


def _leaf_of(body: bytes) -> bytes:
    return leaf_hashes([body])[0] if type(body) is bytes else b""


def _finding(attack: Attack, seq: int, why: str) -> Finding:
    return Finding(attack, seq, seq, why)
