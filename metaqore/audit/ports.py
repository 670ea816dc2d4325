"""What sealing needs from the outside: a store whose ``audit`` look-ups also write, and a place outside of it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from metaqore.audit.seal import Tile


class Unsealed(NamedTuple):
    """A log that has grown since it was sealed: how many entries it has, and how many are sealed (None: never)."""

    organization: str
    entries: int
    sealed: int | None


class Sealing(NamedTuple):
    """A checkpoint as it is stored: signed at ``sealed_at``, milliseconds since the epoch."""

    organization: str
    size: int
    note: str
    sealed_at: int


class Lease(NamedTuple):
    """Who seals: nobody else does before ``until`` (ms); ``fence`` is 0 where nobody ever did."""

    owner: str
    fence: int
    until: int


class SealerRows(Protocol):
    """The audit tables inside a transaction."""

    def lease(self, name: str) -> Lease:
        """Return a lease as it stands."""

    def claim(self, name: str, owner: str, fence: int, until: int) -> bool:
        """Take the lease and raise its fence, where that still is ``fence``; held against all others until the
        commit."""

    def unsealed(self, limit: int) -> list[Unsealed]:
        """Return the logs that have entries which no checkpoint covers."""

    def last_sealings(self) -> list[Sealing]:
        """Return the newest checkpoint of every log."""

    def checkpoint(self, organization: str, size: int) -> str:
        """Return the signed note of that size."""

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return a stored tile, empty where there is none."""

    def leaves(self, organization: str, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Return (sequence number, leaf hash) of the entries after ``after``, in order."""

    def save_tiles(self, organization: str, tiles: Sequence[Tile]) -> None:
        """Store tiles, in place of those there are."""

    def save_checkpoints(self, sealings: Sequence[Sealing]) -> None:
        """Store checkpoints. Raises Contention where one of that size is there."""

    def save_keys(self, vkeys: Sequence[str], at: int) -> None:
        """Store the verifier keys that are new."""


class Transaction(Protocol):
    """One transaction of the store."""

    def reads(self, feature: str) -> Any:
        """Return the look-ups of a feature; ``audit`` gives ``SealerRows``."""


class Store(Protocol):
    """The database."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Look-ups only."""

    def write(self) -> AbstractContextManager[Transaction]:
        """One write transaction."""


class Memory(Protocol):
    """Where checkpoints are remembered outside of the database."""

    def remember(self, sealings: Sequence[Sealing]) -> None:
        """Write checkpoints down for good. Raises OSError."""
