"""The sequencer: covers what was appended with tiles and a signed checkpoint, a moment after it was committed.

Entries are numbered, hashed and stored in the transaction of what they record, so nothing can be lost here; sealing
only adds the signature. Whoever seals holds a lease and raises its fence in the very transaction that stores tiles
and checkpoint: of two that seal at once one finds another fence and stores nothing, so there is one chain. One that
was killed is followed by another as soon as its lease ends.

The checkpoint is committed first and remembered outside second. A crash in between leaves the witness behind, never
ahead of the log; whoever seals next tells it first what it has missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from metaqore import failpoints
from metaqore.audit.checkpoint import BadNote, Signer, origin_of, parse_checkpoint
from metaqore.audit.key_file import KeyFile
from metaqore.audit.merkle import HASH_BYTES
from metaqore.audit.ports import Memory, SealerRows, Sealing, Store, Unsealed
from metaqore.audit.seal import Frontier, Tile, grow, seal
from metaqore.audit.witness import WitnessFile
from metaqore.clock import now_ms
from metaqore.errors import InvalidInput, MetaQoreError
from metaqore.settings import Settings

log = structlog.get_logger(__name__)

LEASE = "audit-sealer"
#: How long nobody else seals after the last sealing, in milliseconds: together with the time between two looks less
#: than the second by which a checkpoint may be late. Correctness does not hang on it but on the fence.
LEASE_MS = 600
#: Logs and entries that are sealed in one transaction.
_LOGS, _ENTRIES = 64, 16_384


class Damaged(MetaQoreError):
    """The log does not continue what was signed: it was changed. Run `metaqore audit verify`."""

    code = "audit_log_damaged"


class _Grown(NamedTuple):
    sealings: list[Sealing]
    tiles: list[Tile]
    entries: int


class Sealer:
    """One per process; ``run`` may be called as often as somebody looks.

    Args:
        signers: says which keys sign now; during a rotation the old one and the new one.
        memory: where checkpoints are remembered outside of the database; None where nowhere.
    """

    def __init__(
        self,
        store: Store,
        signers: Callable[[], Sequence[Signer]],
        memory: Memory | None,
        *,
        owner: str,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._signers = signers
        self._memory = memory
        self._owner = owner
        self._clock = clock
        self._waiting: list[Sealing] = []
        self._caught_up = False
        #: Logs that cannot be sealed, with the reason last told.
        self.damaged: dict[str, str] = {}

    def run(self) -> int:
        """Seal all that is not sealed; return how many entries were, 0 where another is at it.

        Raises:
            Unavailable: the database cannot be reached.
        """
        total = 0
        while True:
            sealed = self._step()
            self._tell()
            if not sealed:
                return total
            total += sealed

    def _step(self) -> int:
        failpoints.hit("audit.before_seal")
        signers = self._signers()
        with self._store.read() as tx:
            rows: SealerRows = tx.reads("audit")
            due = [one for one in rows.unsealed(_LOGS + len(self.damaged)) if one.organization not in self.damaged]
            if not due and self._caught_up:
                return 0
            lease = rows.lease(LEASE)
            if lease.owner != self._owner and lease.until > self._clock():
                self._caught_up = False
                return 0
            if not self._caught_up:
                self._waiting = rows.last_sealings()
            grown = {one.organization: made for one in due if (made := self._try(rows, one, signers)) is not None}
        self._caught_up = True
        return self._commit(lease.fence, grown, signers) if grown else 0

    def _try(self, rows: SealerRows, log_of: Unsealed, signers: Sequence[Signer]) -> _Grown | None:
        try:
            return self._grow(rows, log_of, signers)
        except (InvalidInput, Damaged) as error:
            self.damaged[log_of.organization] = error.message
            log.error("audit_log_damaged", organization=log_of.organization, reason=error.message)
            return None

    def _grow(self, rows: SealerRows, of: Unsealed, signers: Sequence[Signer]) -> _Grown:
        """Return what covers the entries of one log that are new."""
        organization, origin = of.organization, origin_of(signers[0].vkey.name, of.organization)
        sealings: list[Sealing] = []
        tiles: list[Tile] = []
        frontier = Frontier()
        now = self._clock()
        if of.sealed is None:
            # The log begins before its first entry: nothing in it can be dated before this.
            empty = seal(frontier, [], origin=origin, signers=signers)
            sealings.append(Sealing(organization, 0, empty.note, now))
        else:
            frontier, tiles = self._frontier(rows, organization, of.sealed)
        leaves = rows.leaves(organization, frontier.size, _ENTRIES)
        first = frontier.size + 1
        if [seq for seq, _ in leaves] != list(range(first, first + len(leaves))) or not leaves:
            raise Damaged(f"{organization}: entry {first} or one soon after it is missing: run `metaqore audit verify`")
        if any(len(leaf) != HASH_BYTES for _, leaf in leaves):
            raise Damaged(
                f"{organization}: a leaf hash after entry {frontier.size} is none: run `metaqore audit verify`"
            )
        failpoints.hit("audit.before_sign")
        made = seal(frontier, [leaf for _, leaf in leaves], origin=origin, signers=signers)
        sealings.append(Sealing(organization, made.checkpoint.size, made.note, now))
        return _Grown(sealings, tiles + made.tiles, len(leaves))

    def _frontier(self, rows: SealerRows, organization: str, size: int) -> tuple[Frontier, list[Tile]]:
        """Return the tree that was signed last, and tiles to store where those there are do not lead to it.

        Raises:
            Damaged: neither tiles nor entries have the root that was signed.
        """
        try:
            signed = parse_checkpoint(rows.checkpoint(organization, size)).root
        except BadNote as error:
            raise Damaged(f"{organization}: the checkpoint of {size} entries: {error.message}") from error
        try:
            frontier = Frontier.load(size, partial(rows.tile, organization))
            if frontier.root() == signed:
                return frontier, []
        except InvalidInput:
            log.warning("audit_tiles_rebuilt", organization=organization, size=size)
        frontier, tiles = _rebuilt(rows, organization, size)
        if frontier.root() != signed:
            raise Damaged(f"{organization}: the first {size} entries are not those that were signed")
        return frontier, tiles

    def _commit(self, fence: int, grown: dict[str, _Grown], signers: Sequence[Signer]) -> int:
        failpoints.hit("audit.after_sign")
        with self._store.write() as tx:
            rows: SealerRows = tx.reads("audit")
            if not rows.claim(LEASE, self._owner, fence, self._clock() + LEASE_MS):
                return 0
            rows.save_keys([str(signer.vkey) for signer in signers], self._clock())
            failpoints.hit("audit.in_seal_tx")
            for organization, made in grown.items():
                rows.save_tiles(organization, made.tiles)
                rows.save_checkpoints(made.sealings)
            failpoints.hit("audit.before_seal_commit")
        failpoints.hit("audit.after_seal_commit")
        self._waiting += [sealing for made in grown.values() for sealing in made.sealings]
        return sum(made.entries for made in grown.values())

    def _tell(self) -> None:
        """Remember outside what is stored; what cannot be remembered now is kept and tried again."""
        if self._memory is None or not self._waiting:
            self._waiting = []
            return
        try:
            self._memory.remember(self._waiting)
        except OSError as error:
            log.error("audit_witness_unwritable", reason=str(error), waiting=len(self._waiting))
            # The newest of each log says all that the older ones say.
            self._waiting = list({sealing.organization: sealing for sealing in self._waiting}.values())
            return
        failpoints.hit("audit.after_witness")
        self._waiting = []


def _rebuilt(rows: SealerRows, organization: str, size: int) -> tuple[Frontier, list[Tile]]:
    frontier, tiles = Frontier(), {}
    while frontier.size < size:
        leaves = rows.leaves(organization, frontier.size, min(_ENTRIES, size - frontier.size))
        if not leaves:
            raise Damaged(f"{organization}: entry {frontier.size + 1} of {size} that were signed is missing")
        frontier, made = grow(frontier, [leaf for _, leaf in leaves])
        tiles.update({(tile.level, tile.index): tile for tile in made})
    return frontier, list(tiles.values())


def build(settings: Settings, store: Store, owner: str) -> Sealer:
    """Return the sequencer that the settings describe. Nothing is made or opened before its first use."""
    keys = KeyFile(settings.audit_key_path, settings.audit_log_name)
    return Sealer(store, keys.signers, WitnessFile(settings.audit_witness_path), owner=owner)
