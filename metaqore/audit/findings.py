"""What a verification can say: which attack, where, and whether it could tell at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

#: Exit codes of every offline command.
INTACT, TAMPERED, CANNOT_TELL = 0, 1, 2


class Attack(StrEnum):
    """The kinds of tampering that are told apart."""

    EDITED = "edited"
    COLUMN_EDITED = "column_edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    DUPLICATED = "duplicated"
    SWAPPED = "swapped"
    TRUNCATED = "truncated"
    REWRITTEN_WITHOUT_KEY = "rewritten_without_key"
    REWRITTEN_WITH_KEY = "rewritten_with_key"
    FORKED = "forked"
    ROLLED_BACK = "rolled_back"
    REPLAYED = "replayed"
    BACKDATED = "backdated"
    CHECKPOINT_EDITED = "checkpoint_edited"
    #: Done, and not recorded.
    OMITTED = "omitted"
    #: Recorded, and not done, or recorded twice.
    UNFOUNDED = "unfounded"


@dataclass(frozen=True)
class Finding:
    """One sign of tampering: the first bad sequence number, the last one it may reach to, and why."""

    attack: Attack
    seq: int
    through: int
    why: str

    def __str__(self) -> str:
        place = f"entry {self.seq}" if self.through <= self.seq else f"entries {self.seq} to {self.through}"
        return f"{place}: {self.attack.value}: {self.why}"


@dataclass
class Verdict:
    """The outcome for one organization's log.

    ``sealed`` entries are vouched for by a trusted signature that fits them; ``doubts`` are reasons why an intact
    answer cannot be given, ``notes`` change nothing.
    """

    organization: str
    entries: int = 0
    sealed: int = 0
    findings: list[Finding] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 intact, 1 tampered, 2 cannot tell."""
        if self.findings:
            return TAMPERED
        return CANNOT_TELL if self.doubts else INTACT
