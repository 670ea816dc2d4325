"""Where a verification reads from: the shape that a database and an export file have in common."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

#: Rows that are read at once: few enough that what is read is hashed before it leaves the processor's cache.
CHUNK_ROWS = 256


class Chunk(NamedTuple):
    """Consecutive entries, nothing of them believed, as columns.

    Attributes:
        seqs: sequence numbers.
        stated: the leaf hashes stored for them.
        bodies: their bytes.
        tails: what the row's other columns say, as the bytes with which the body must end (empty where there are no
            columns).
    """

    seqs: Sequence[int]
    stated: Sequence[bytes]
    bodies: Sequence[bytes]
    tails: Sequence[bytes]


class Row(NamedTuple):
    """One stored entry as it stands, nothing of it believed; ``tag`` to ``ts_ms`` are None in an export."""

    seq: Any
    tag: Any
    actor: Any
    project: Any
    request: Any
    ts_ms: Any
    body: Any
    leaf_hash: Any


class StoredCheckpoint(NamedTuple):
    """A signed note under the size it is filed by."""

    size: int
    note: str


class Source(Protocol):
    """A log that can be read. Whatever it yields is evidence to be checked."""

    #: Whether rows carry columns beside the body.
    has_columns: bool
    #: What to say where the log is.
    name: str

    def organizations(self) -> list[str]:
        """Return whose logs are here."""
        ...

    def last_seq(self, organization: str) -> int:
        """Return the highest sequence number (in an export: the number of entries), 0 for an empty log."""
        ...

    def strays(self, organization: str) -> int:
        """Return how many rows have a sequence number that is none: below 1, or not an integer."""
        ...

    def chunks(self, organization: str, first: int, count: int, *, exact: bool = False) -> Iterator[Chunk]:
        """Yield up to ``count`` entries from sequence number ``first`` on, in order.

        Args:
            exact: without it the tails may be made faster and differ from the bodies where text needs escaping; they
                never agree where the columns do not.
        """
        ...

    def rows(self, organization: str, first: int) -> Iterator[Row]:
        """Yield the entries from sequence number (in an export: line) ``first`` on, strays last."""
        ...

    def row(self, organization: str, seq: int) -> Row | None:
        """Return the entry filed under ``seq``."""
        ...

    def checkpoints(self, organization: str) -> Iterator[StoredCheckpoint]:
        """Yield the stored checkpoints, the smallest first."""
        ...

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return a stored tile, empty where there is none."""
        ...

    def is_complete(self) -> bool:
        """Tell whether the log was read whole: a file that was cut off is not."""
        ...

    def reopen(self) -> Source:
        """Return a second reader for another process."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...


class CannotRead(Exception):
    """The log cannot be read; the message says which and what to do."""


def fields_of(body: Any) -> dict[str, Any] | None:
    """Return the fields of an entry's bytes, None where they are no audit entry."""
    if type(body) is not bytes:
        return None
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if type(value) is not dict or type(value.get("seq")) is not int or type(value.get("ts")) is not int:
        return None
    return value
