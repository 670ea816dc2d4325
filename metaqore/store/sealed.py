"""Request payloads as they are stored: sealed under the key of their data subject, where the database has a vault.

The keys are looked up in the transaction that uses them, so that nothing is ever sealed with a key that an erasure has
just destroyed; what is remembered between transactions is only how to use a key that is still there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from metaqore.audit.vault import Unreadable, is_sealed, marked_by
from metaqore.clock import now_ms
from metaqore.ids import new_id
from metaqore.store.connection import Connection
from metaqore.store.engine import Database

_decode = msgspec.json.Decoder(dict[str, Any]).decode

#: (organization, data subject)
Owner = tuple[str, str]


def seal_early(db: Database, owner: Owner, salt: bytes, payload: str) -> str | None:
    """Return a payload sealed with the key that its owner had last; None where this process knows of none."""
    key = db.vault.known.get(owner) if db.vault is not None else None
    return None if db.vault is None or key is None else db.vault.seal(*key, salt, payload.encode())


def seal_payloads(
    db: Database,
    connection: Connection,
    owners: Sequence[Owner],
    payloads: Sequence[tuple[bytes, str, str | None]],
) -> list[str]:
    """Return each payload sealed for its owner; as it is where the database has no vault.

    Args:
        payloads: (salt, payload, the payload sealed early); sealed again where that was with another key.
    """
    vault = db.vault
    if vault is None or not payloads:
        return [payload for _, payload, _ in payloads]
    keys = _keys(db, connection, sorted(set(owners)))
    vault.remember(keys)
    return [
        early
        if early is not None and early.startswith(marked_by(keys[owner][0]))
        else vault.seal(*keys[owner], salt, payload.encode())
        for owner, (salt, payload, early) in zip(owners, payloads, strict=True)
    ]


def open_payload(db: Database, connection: Connection, text: str) -> dict[str, Any]:
    """Return a stored payload; empty where it was erased."""
    if not is_sealed(text):
        return _decode(text)
    try:
        return _decode(open_whole(db, connection, text)[1])
    except Unreadable:
        return {}


def open_whole(db: Database, connection: Connection, text: str) -> tuple[bytes, bytes]:
    """Return (salt, payload) of a sealed payload.

    Raises:
        Unreadable: it was erased, or this process has no vault.
    """
    if db.vault is None:
        raise Unreadable

    def find(key_id: str) -> bytes | None:
        sql = db.sql("SELECT wrapped FROM subject_keys WHERE id = ?")
        row = connection.exec_driver_sql(sql, (key_id,)).one_or_none()
        return None if row is None else bytes(row[0])

    return db.vault.open(text, find)


def open_payloads(db: Database, connection: Connection, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return many stored payloads, with one look-up for all their keys."""
    sealed = {text.split("~", 2)[1] for text in texts if is_sealed(text)}
    if not sealed or db.vault is None:
        return [open_payload(db, connection, text) for text in texts]
    ids = sorted(sealed)
    sql = db.sql(f"SELECT id, wrapped FROM subject_keys WHERE id IN ({', '.join('?' * len(ids))})")
    keys = {row[0]: bytes(row[1]) for row in connection.exec_driver_sql(sql, tuple(ids)).fetchall()}
    opened: list[dict[str, Any]] = []
    for text in texts:
        try:
            opened.append(_decode(db.vault.open(text, keys.get)[1]) if is_sealed(text) else _decode(text))
        except Unreadable:
            opened.append({})
    return opened


def _keys(db: Database, connection: Connection, owners: Sequence[Owner]) -> dict[Owner, tuple[str, bytes]]:
    """Return owner → (key id, wrapped key); keys that are missing are made. Held against erasure until the commit."""
    found = _stored(db, connection, owners)
    missing = [owner for owner in owners if owner not in found]
    if missing and db.vault is not None:
        sql = db.sql(
            "INSERT INTO subject_keys (id, organization, subject, wrapped, created_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (organization, subject) DO NOTHING"
        )
        for organization, subject in missing:
            key_id = new_id("sub")
            wrapped = db.vault.new_key(key_id)
            connection.exec_driver_sql(sql, (key_id, organization, subject, wrapped, now_ms()))
        # Another transaction may have been first: its key is the one.
        found.update(_stored(db, connection, missing))
    return found


def _stored(db: Database, connection: Connection, owners: Sequence[Owner]) -> dict[Owner, tuple[str, bytes]]:
    lock = "" if db.is_sqlite else " FOR SHARE"
    sql = db.sql(
        "SELECT organization, subject, id, wrapped FROM subject_keys WHERE (organization, subject) IN "
        f"(VALUES {', '.join(['(?, ?)'] * len(owners))}){lock}"
    )
    values = tuple(part for owner in owners for part in owner)
    return {(row[0], row[1]): (row[2], bytes(row[3])) for row in connection.exec_driver_sql(sql, values).fetchall()}
