"""The document of a report: what was asked of the log, what was found, and the cited entries with their proofs.

One pass over the log in constant memory. Every entry is hashed on the way: a report is only made of a log whose entries
lead to the root that was signed, so its numbers are of the very entries that its proofs speak of.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import msgspec

from metaqore import ongoing
from metaqore.audit.checkpoint import Checkpoint, parse_checkpoint
from metaqore.audit.compliance_evidence import AGAINST, FOUND, Evaluation, EvidenceFinding
from metaqore.audit.compliance_frameworks import STATES, Framework, state_of
from metaqore.audit.merkle import CompactRange, inclusion_proof, leaf_hashes
from metaqore.audit.receipt import Receipt, check_receipt
from metaqore.clock import to_rfc3339
from metaqore.errors import InvalidInput, MetaQoreError, Unavailable

REPORT_FORMAT = "metaqore-compliance-report/1"
STATEMENT = (
    "This report says what the audit log of MetaQore holds that supports evidence for the controls of the framework. "
    "It is no audit opinion and no certificate: whether a control is fulfilled is for a person to judge, and what "
    "happens outside of MetaQore is not in its log. Where nothing was found, nothing is claimed."
)
SHORT_STATEMENT = "What the log supports evidence for. No audit opinion, no certificate."
_DAY_MS = 86_400_000
_ERASED_TAG = "privacy:subject:erased"

_decode = msgspec.json.Decoder().decode


class DamagedLog(MetaQoreError):
    """The entries of the log do not lead to the root that was signed: run `metaqore audit verify`."""

    code = "audit_log_damaged"


class ReportLog(Protocol):
    """One organization's log, as a report reads it."""

    def newest(self, organization: str) -> str | None:
        """Return the newest signed checkpoint, None where nothing is sealed."""

    def bodies(self, organization: str, last: int) -> Iterator[list[bytes]]:
        """Yield the bytes of the entries 1 to ``last`` in their order, many at a time."""

    def cited(self, organization: str, numbers: Sequence[int]) -> Mapping[int, bytes]:
        """Return the bytes of entries by their numbers."""

    def tile(self, organization: str, level: int, index: int) -> bytes:
        """Return a stored tile of the tree."""

    def erased(self, organization: str, requests: Sequence[str]) -> set[str]:
        """Return those requests whose payload was erased."""


@dataclass(frozen=True)
class Order:
    """What is to be reported on; ``start_ms`` is in the period, ``end_ms`` no more."""

    report: str
    organization: str
    framework: Framework
    start_ms: int
    end_ms: int
    by: str
    request: str
    at: int


@dataclass
class _Walk:
    """What one pass over the log brings."""

    evaluation: Evaluation
    tree: CompactRange = field(default_factory=CompactRange)
    days: Counter[int] = field(default_factory=Counter)
    tags: Counter[str] = field(default_factory=Counter)
    first_ms: int | None = None
    last_ms: int | None = None


def make_document(log: ReportLog, order: Order) -> dict[str, Any]:
    """Return a report as JSON values.

    Raises:
        Unavailable: nothing is sealed yet.
        DamagedLog: the log is not what was signed.
    """
    note = log.newest(order.organization)
    if note is None:
        raise Unavailable(f"the log of {order.organization} is not sealed yet: try again in a second")
    checkpoint = parse_checkpoint(note)
    framework = order.framework
    walk = _walk(log, order, checkpoint)
    findings = walk.evaluation.results()
    controls = [_control(control, framework, findings) for control in framework.controls]
    states = Counter(control["state"] for control in controls)
    cited = sorted({seq for finding in findings.values() for seq in finding.cites})
    citations = list(_citations(log, order.organization, cited, checkpoint, note))
    return {
        "format": REPORT_FORMAT,
        "report": order.report,
        "organization": order.organization,
        "statement": STATEMENT,
        "framework": {
            "id": framework.id, "title": framework.title, "edition": framework.edition, "source": framework.source,
            "version": framework.version, "digest": framework.digest,
        },
        "period": {
            "from": to_rfc3339(order.start_ms), "to": to_rfc3339(order.end_ms), "from_ms": order.start_ms,
            "to_ms": order.end_ms,
        },
        "made": {"at": to_rfc3339(order.at), "by": order.by, "request": order.request},
        "log": _log(walk, checkpoint, note, citations),
        "summary": {state: states[state] for state in STATES},
        "activity": {
            "by_day": [{"day": to_rfc3339(day * _DAY_MS)[:10], "entries": n} for day, n in sorted(walk.days.items())],
            "by_tag": dict(sorted(walk.tags.items(), key=lambda item: (-item[1], item[0]))),
        },
        "controls": controls,
        "evidence": {
            name: {**one.shown(), "finding": findings[name].shown()} for name, one in framework.evidence.items()
        },
        "citations": citations,
    }  # fmt: skip


def _walk(log: ReportLog, order: Order, checkpoint: Checkpoint) -> _Walk:
    walk = _Walk(Evaluation(order.framework.evidence.values(), order.start_ms, order.end_ms))
    add, days, tags = walk.evaluation.add, walk.days, walk.tags
    for bodies in log.bodies(order.organization, checkpoint.size):
        ongoing.report(order.request, done=walk.tree.size, total=checkpoint.size, of="entries")
        walk.tree.extend(leaf_hashes(bodies))
        for body in bodies:
            try:
                entry = _decode(body)
                add(entry)
                ts = entry["ts"]
            except (msgspec.DecodeError, KeyError, TypeError) as error:
                raise DamagedLog(
                    f"an entry of {order.organization} cannot be read: run `metaqore audit verify`"
                ) from error
            if walk.first_ms is None:
                walk.first_ms = ts
            walk.last_ms = ts
            if order.start_ms <= ts < order.end_ms:
                days[ts // _DAY_MS] += 1
                tags[entry["tag"]] += 1
    if walk.tree.size != checkpoint.size or walk.tree.root() != checkpoint.root:
        raise DamagedLog(
            f"{walk.tree.size} entries of {order.organization} do not lead to the root that was signed for "
            f"{checkpoint.size}: run `metaqore audit verify`, no report can be made of this log"
        )
    return walk


def _log(walk: _Walk, checkpoint: Checkpoint, note: str, citations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "origin": checkpoint.origin, "entries": checkpoint.size, "in_period": walk.days.total(),
        "first": None if walk.first_ms is None else to_rfc3339(walk.first_ms),
        "last": None if walk.last_ms is None else to_rfc3339(walk.last_ms),
        "erasures_in_period": walk.tags[_ERASED_TAG],
        "cited": len(citations), "cited_erased": sum(cited["payload"] == "erased" for cited in citations),
        "checkpoint": note,
    }  # fmt: skip


def _control(control: Any, framework: Framework, findings: Mapping[str, EvidenceFinding]) -> dict[str, Any]:
    state, why = state_of(control, framework.evidence, findings)
    # What speaks against a control is what its line cites, where something does.
    for wanted in (AGAINST, FOUND):
        deciding = [findings[name] for name in control.needs if findings[name].state == wanted]
        if deciding:
            break
    cites = sorted({seq for finding in deciding for seq in finding.cites})
    return {**control.shown(), "state": state, "why": why, "cites": cites}


def _citations(
    log: ReportLog, organization: str, numbers: Sequence[int], checkpoint: Checkpoint, note: str
) -> Iterator[dict[str, Any]]:
    bodies = log.cited(organization, numbers)
    requests = {seq: _decode(body).get("request") for seq, body in bodies.items()}
    erased = log.erased(organization, sorted({request for request in requests.values() if request}))

    @lru_cache(maxsize=512)
    def tile(level: int, index: int) -> bytes:
        return log.tile(organization, level, index)

    for seq in numbers:
        proof = inclusion_proof(seq - 1, checkpoint.size, tile)
        [leaf] = leaf_hashes([bodies[seq]])
        try:
            check_receipt(Receipt(seq, leaf, tuple(proof), note), None, body=bodies[seq])
        except InvalidInput as error:
            raise DamagedLog(f"entry {seq} of {organization}: {error.message}: run `metaqore audit verify`") from error
        shown = msgspec.json.decode(Receipt(seq, leaf, tuple(proof), note).to_json())
        request = requests[seq]
        yield {
            "seq": seq, "leaf_hash": shown["leaf_hash"], "proof": shown["proof"], "entry": bodies[seq].decode(),
            "payload": None if request is None else "erased" if request in erased else "kept",
        }  # fmt: skip
