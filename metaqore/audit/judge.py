"""From what a verification saw to what it says: evidence is collected entry by entry, judged at the end."""

from __future__ import annotations

from dataclasses import dataclass, field

from metaqore.audit.anchors import Anchor, Origin, Standing, Trust
from metaqore.audit.diagnose import Diagnosis
from metaqore.audit.findings import Attack, Finding, Verdict
from metaqore.audit.merkle import HASH_BYTES, TILE_WIDTH, inclusion_proof, verify_inclusion
from metaqore.audit.source import Source
from metaqore.errors import InvalidInput


@dataclass(frozen=True)
class Mismatch:
    """An anchor that did not fit, and the size up to which the log is known to fit its kind of anchor."""

    anchor: Anchor
    good: int


@dataclass
class Evidence:
    """What was seen in one organization's log; of each kind only the first is kept, so memory stays constant."""

    entries: int = 0
    #: Whether all entries were read in order, to the end.
    complete: bool = True
    diagnosis: Diagnosis | None = None
    backdated: Finding | None = None
    #: Largest size at which an anchor of that origin was believed and fitted.
    good: dict[Origin, int] = field(default_factory=dict)
    #: Largest size at which a trusted signature fitted.
    signed: int = 0
    mismatches: dict[Origin, Mismatch] = field(default_factory=dict)
    #: The first and the last stored checkpoint of each standing that is not believed.
    unsound: dict[Standing, tuple[Mismatch, Mismatch]] = field(default_factory=dict)
    #: Largest believed size beyond the last entry.
    beyond: dict[Origin, int] = field(default_factory=dict)
    stored: int = 0

    def weigh(self, anchor: Anchor, root: bytes) -> None:
        """Hold an anchor against the root that the entries have at its size."""
        fits = root == anchor.root
        if anchor.origin is Origin.STORED:
            self.stored += 1
        if not anchor.believed:
            if anchor.origin is Origin.STORED:
                last = Mismatch(anchor, self._good_for(anchor.origin))
                self.unsound[anchor.standing] = (self.unsound.get(anchor.standing, (last,))[0], last)
            return
        if not fits:
            self.mismatches.setdefault(anchor.origin, Mismatch(anchor, self._good_for(anchor.origin)))
            return
        self.good[anchor.origin] = anchor.size
        if anchor.standing is Standing.SIGNED:
            self.signed = anchor.size

    def weigh_beyond(self, anchor: Anchor) -> None:
        """Take note of an anchor that covers more entries than there are."""
        if anchor.believed:
            self.beyond[anchor.origin] = max(anchor.size, self.beyond.get(anchor.origin, 0))
        else:
            self.weigh(anchor, b"")

    def _good_for(self, origin: Origin) -> int:
        # The log's own checkpoints fit whatever the holder of the key made of it: they say nothing about how far the
        # log agrees with what others remember. Nor does a witness about what the auditor was once shown.
        kinds = {
            Origin.STORED: (Origin.STORED, Origin.WITNESS, Origin.SINCE),
            Origin.WITNESS: (Origin.WITNESS, Origin.SINCE),
            Origin.SINCE: (Origin.SINCE,),
        }
        return max(self.good.get(kind, 0) for kind in kinds[origin])


def judge(source: Source, evidence: Evidence, trust: Trust, verdict: Verdict) -> None:
    """Write findings into ``verdict``, ordered by sequence number."""
    findings = verdict.findings
    if evidence.diagnosis is not None:
        findings.append(_entry_finding(evidence, evidence.diagnosis))
    if evidence.backdated is not None:
        findings.append(evidence.backdated)
    stored = evidence.mismatches.get(Origin.STORED)
    if stored is not None and not _explained(findings, stored):
        findings.append(_rewritten(source, verdict.organization, stored))
    _judge_unsound(evidence, trust, verdict)
    for origin, attack, whose in (
        (Origin.WITNESS, Attack.REWRITTEN_WITH_KEY, "the witness file"),
        (Origin.SINCE, Attack.FORKED, "the checkpoint given with --since"),
    ):
        mismatch = evidence.mismatches.get(origin)
        if mismatch is not None:
            _judge_memory(evidence, mismatch, attack, whose, findings)
    if evidence.complete:
        _judge_end(evidence, findings)
    findings.sort(key=lambda finding: finding.seq)


def _entry_finding(evidence: Evidence, diagnosis: Diagnosis) -> Finding:
    finding = diagnosis.finding
    if diagnosis.leaf_differs and max(evidence.good.values(), default=0) >= finding.seq:
        why = "its bytes are the signed ones, the column leaf_hash is not their hash"
        return Finding(Attack.COLUMN_EDITED, finding.seq, finding.through, why)
    return finding


def _rewritten(source: Source, organization: str, mismatch: Mismatch) -> Finding:
    """Name the first entry that is not the signed one where the stored tiles still are, else the range."""
    first, size = mismatch.good + 1, mismatch.anchor.size
    seq = _first_unlike_tiles(source, organization, first, mismatch.anchor)
    if seq is not None:
        return Finding(
            Attack.EDITED, seq, seq, "bytes and stored hash were both changed; the signed tiles have another"
        )
    why = f"they do not give the root that was signed for {size} entries"
    return Finding(Attack.REWRITTEN_WITHOUT_KEY, first, size, why)


def _first_unlike_tiles(source: Source, organization: str, first: int, anchor: Anchor) -> int | None:
    """Return the first entry whose tile proves that another one was signed in its place."""

    def reader(level: int, index: int) -> bytes:
        return source.tile(organization, level, index)

    tile, tile_index = b"", -1
    for row in source.rows(organization, first):
        index, offset = divmod(row.seq - 1, TILE_WIDTH)
        if index != tile_index:
            tile, tile_index = reader(0, index), index
        signed = tile[offset * HASH_BYTES : (offset + 1) * HASH_BYTES]
        if row.leaf_hash != signed:
            try:
                proof = inclusion_proof(row.seq - 1, anchor.size, reader)
            except InvalidInput:
                return None
            return row.seq if verify_inclusion(signed, row.seq - 1, anchor.size, proof, anchor.root) else None
        if row.seq >= anchor.size:
            break
    return None


def _explained(findings: list[Finding], mismatch: Mismatch) -> bool:
    """Tell whether something already found lies among the entries that a root does not fit."""
    return any(
        mismatch.good < finding.seq <= mismatch.anchor.size and finding.attack in _CHANGES for finding in findings
    )


def _judge_unsound(evidence: Evidence, trust: Trust, verdict: Verdict) -> None:
    covered = max(evidence.good.values(), default=-1)
    for standing, (earliest, latest) in evidence.unsound.items():
        anchor = earliest.anchor
        seq = max(anchor.size, 0)
        if standing is Standing.FOREIGN:
            ours = any(anchor.log.startswith(name + "/") for name in trust.log_names)
            if ours or evidence.good or not trust.log_names:
                verdict.findings.append(Finding(Attack.REPLAYED, seq, seq, f"{anchor.why}, which is another log"))
            else:
                verdict.doubts.append(f"{anchor.why}; --trust is for {', '.join(sorted(trust.log_names))}")
            continue
        if standing is Standing.STALE:
            verdict.findings.append(Finding(Attack.ROLLED_BACK, seq, seq, anchor.why))
            continue
        if anchor.size <= covered or anchor.size > evidence.entries:
            # What it is about is signed elsewhere, or is not there at all: the checkpoint alone was changed.
            verdict.findings.append(Finding(Attack.CHECKPOINT_EDITED, seq, seq, anchor.why))
        if covered < latest.anchor.size <= evidence.entries and not _explained(verdict.findings, latest):
            why = latest.anchor.why
            if standing is Standing.UNTRUSTED:
                why += "; if the log's key was rotated, give the new one with --trust too"
            first = latest.good + 1
            verdict.findings.append(Finding(Attack.REWRITTEN_WITHOUT_KEY, first, latest.anchor.size, why))


def _judge_memory(evidence: Evidence, mismatch: Mismatch, attack: Attack, whose: str, findings: list[Finding]) -> None:
    first, size = mismatch.good + 1, mismatch.anchor.size
    if evidence.good.get(Origin.STORED, -1) >= size:
        why = f"the log as it is now was signed, and so was another one that {whose} holds"
        findings.append(Finding(attack, first, size, why))
    elif not _explained(findings, mismatch):
        why = f"they do not give the signed root for {size} entries that {whose} holds"
        findings.append(Finding(Attack.REWRITTEN_WITHOUT_KEY, first, size, why))


def _judge_end(evidence: Evidence, findings: list[Finding]) -> None:
    if not evidence.beyond:
        return
    first, size = evidence.entries + 1, max(evidence.beyond.values())
    if Origin.STORED in evidence.beyond:
        why = f"the log ends before the {size} entries that were signed"
        findings.append(Finding(Attack.TRUNCATED, first, size, why))
    else:
        why = f"the log and its checkpoints are older than a checkpoint of {size} entries kept outside"
        findings.append(Finding(Attack.ROLLED_BACK, first, size, why))


_CHANGES = frozenset(
    {
        Attack.EDITED,
        Attack.DELETED,
        Attack.INSERTED,
        Attack.DUPLICATED,
        Attack.SWAPPED,
        Attack.REWRITTEN_WITHOUT_KEY,
        Attack.REWRITTEN_WITH_KEY,
    }
)
