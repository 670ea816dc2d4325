"""A witness of its own: it asks for proof that each new checkpoint continues the last, and refuses what does not.

It keeps a witness file (``metaqore.audit.witness``) under another user, on another machine. What it refuses it writes
beside that file: two checkpoints signed by one log of which neither continues the other are evidence in themselves.

Source: https://c2sp.org/tlog-witness (``add-checkpoint``): compare with the remembered size, check the proof, persist,
only then answer.
"""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from metaqore.audit.anchors import Standing, Trust
from metaqore.audit.checkpoint import Checkpoint, parse_checkpoint
from metaqore.audit.database import open_database
from metaqore.audit.findings import Attack
from metaqore.audit.merkle import consistency_proof, verify_consistency
from metaqore.audit.source import CannotRead
from metaqore.audit.witness import append_witness, read_witness
from metaqore.errors import InvalidInput, MetaQoreError

_TIMEOUT_S = 10


class Refused(MetaQoreError):
    """The checkpoint does not continue what was seen before."""

    code = "checkpoint_refused"

    def __init__(self, attack: Attack, message: str) -> None:
        super().__init__(message)
        self.attack = attack


class Observed(Protocol):
    """A log as a witness sees it."""

    def newest(self) -> Sequence[tuple[str, str]]:
        """Return (organization, newest signed note) of each log."""
        ...

    def prove(self, organization: str, old: int, new: int) -> Sequence[bytes]:
        """Return the proof that the log of ``new`` entries begins with that of ``old``."""
        ...


class Witness:
    """Remembers in ``path`` what it has seen and believed.

    Args:
        trust: the log's verifier keys; without any nothing is believed.
    """

    def __init__(self, path: Path, trust: Trust) -> None:
        self._path = path
        self._trust = trust
        self._known: dict[str, tuple[Checkpoint, str]] = {}
        if path.exists():
            for line in read_witness(path, lambda _: None):
                self._recall(line.note)

    def observe(self, organization: str, note: str, prove: Callable[[int, int], Sequence[bytes]], now: int) -> bool:
        """Remember a checkpoint if it is new; it is on the disk when this returns True.

        Raises:
            Refused: it is no checkpoint of a trusted key, or does not continue what was remembered.
        """
        checkpoint, standing, why = self._trust.weigh(note, organization)
        if checkpoint is None or standing is not Standing.SIGNED:
            raise Refused(Attack.REWRITTEN_WITHOUT_KEY, f"{organization}: {why or 'no trusted key signed it'}")
        last, last_note = self._known.get(checkpoint.origin, (None, ""))
        if last is not None:
            if checkpoint.size == last.size and checkpoint.root == last.root:
                return False
            if checkpoint.size < last.size:
                why = f"{organization}: {checkpoint.size} entries are signed, {last.size} were"
                self._refuse(Attack.ROLLED_BACK, why, last_note, note)
            proof = prove(last.size, checkpoint.size) if checkpoint.size > last.size else ()
            if not verify_consistency(last.size, checkpoint.size, proof, last.root, checkpoint.root):
                why = f"{organization}: {checkpoint.size} entries do not begin with the {last.size} that were signed"
                self._refuse(Attack.FORKED, why, last_note, note)
        append_witness(self._path, note, now)
        self._known[checkpoint.origin] = (checkpoint, note)
        return True

    def missing(self, organizations: Sequence[str]) -> list[str]:
        """Return the origins that were seen before and are not among the logs that there are."""
        there = {origin for name in organizations for origin in self._trust.origins(name)}
        return sorted(set(self._known) - there)

    def _recall(self, note: str) -> None:
        try:
            checkpoint = parse_checkpoint(note)
        except InvalidInput:
            return
        last = self._known.get(checkpoint.origin)
        if last is None or checkpoint.size >= last[0].size:
            self._known[checkpoint.origin] = (checkpoint, note)

    def _refuse(self, attack: Attack, why: str, old: str, new: str) -> None:
        with self._path.with_name(self._path.name + ".refused").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"attack": attack.value, "why": why, "old": old, "new": new}) + "\n")
        raise Refused(attack, why)


class DatabaseLogs:
    """All logs of a database, seen in one snapshot. Close it after one look."""

    def __init__(self, dsn: str) -> None:
        self._source = open_database(dsn)

    def newest(self) -> list[tuple[str, str]]:
        """See ``Observed``."""
        found = []
        for name in self._source.organizations():
            sql = "SELECT note FROM audit_checkpoints WHERE organization = ? ORDER BY size DESC LIMIT 1"
            for (note,) in self._source.ask(sql, name):
                found.append((name, note.decode() if isinstance(note, bytes) else note))
        return found

    def prove(self, organization: str, old: int, new: int) -> list[bytes]:
        """See ``Observed``; where the tiles do not reach there is no proof."""
        try:
            return consistency_proof(old, new, lambda level, at: self._source.tile(organization, level, at))
        except InvalidInput:
            return []

    def close(self) -> None:
        """Close the database."""
        self._source.close()


class ServedLog:
    """The log of the organization that an API key belongs to.

    Args:
        url: of the API, e.g. ``https://metaqore.example``.
        key: an API key with the scope ``audit:read``.
    """

    def __init__(self, url: str, key: str, organization: str) -> None:
        self._base = url.rstrip("/") + "/api/v1/audit"
        self._key = key
        self._organization = organization

    def newest(self) -> list[tuple[str, str]]:
        """See ``Observed``."""
        items = self._get("/checkpoints?page_size=1")["items"]
        return [(self._organization, item["note"]) for item in items]

    def prove(self, organization: str, old: int, new: int) -> list[bytes]:
        """See ``Observed``; where the log has grown meanwhile the proof is of another size, and the next look tells."""
        found = self._get(f"/consistency?old={old}")
        if parse_checkpoint(str(found["checkpoint"])).size != new:
            raise CannotRead("the log grew between two questions: asked again at the next look")
        return [base64.b64decode(node) for node in found["proof"]]

    def close(self) -> None:
        """Hold nothing open."""

    def _get(self, path: str) -> dict[str, Any]:
        asked = urllib.request.Request(self._base + path, headers={"Authorization": f"Bearer {self._key}"})
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S) as answer:
                value = json.load(answer)
        except (urllib.error.URLError, ValueError, OSError) as error:
            raise CannotRead(f"{self._base}{path}: {error}") from error
        if not isinstance(value, dict):
            raise CannotRead(f"{self._base}{path}: no JSON object")
        return value


def look(logs: Observed, witness: Witness, now: int) -> list[str]:
    """Show the witness every log once; return what it remembered, as text.

    Raises:
        Refused: a log was rolled back, forked, or is gone.
        CannotRead: a log cannot be asked now.
    """
    told = []
    newest = logs.newest()
    for organization, note in newest:
        if witness.observe(organization, note, lambda old, new, name=organization: logs.prove(name, old, new), now):  # type: ignore[misc]
            told.append(f"{organization}: {parse_checkpoint(note).size} entries")
    return told
