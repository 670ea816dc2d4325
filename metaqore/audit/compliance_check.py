"""Checks a report alone: each cited entry is in the signed log and is what was asked for, each state follows.

What a proof of inclusion cannot show is that nothing was left out: how many entries there are, and that none speaks
against a control. Whoever also has the log, or its export, counts again (``recount``). Neither can it show that the
controls ask for what the framework's file asks for: the log's entry about the report has the digest of the very report
(``recorded``). A part of the stand-alone verifier: no dependencies.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from metaqore.audit.anchors import Trust
from metaqore.audit.checkpoint import Checkpoint, VerifierKey, open_checkpoint, parse_checkpoint
from metaqore.audit.compliance_evidence import (
    AGAINST,
    EACH,
    FOUND,
    SPAN,
    Evaluation,
    EvidenceFinding,
    EvidenceQuery,
    evidence_of,
)
from metaqore.audit.compliance_frameworks import STATES, control_of, state_of
from metaqore.audit.findings import CANNOT_TELL, INTACT, TAMPERED
from metaqore.audit.merkle import CompactRange, leaf_hashes
from metaqore.audit.receipt import BadReceipt, Receipt, check_receipt
from metaqore.audit.source import CannotRead, Source, fields_of
from metaqore.errors import InvalidInput

CHECKED_FORMAT = "metaqore-compliance-report/1"
#: The tag of the entry that is made of a report.
MADE = "audit:report:made"


class BadReport(InvalidInput):
    """The report says what its own citations do not show."""


class CheckedReport:
    """A report that was read; ``check`` raises where it is not to be believed.

    Raises:
        BadReport: it is no report.
    """

    def __init__(self, text: str) -> None:
        try:
            self.document = json.loads(text)
            if self.document["format"] != CHECKED_FORMAT:
                raise ValueError(f"format {self.document['format']!r}")
            period = self.document["period"]
            self.period: tuple[int, int] = (int(period["from_ms"]), int(period["to_ms"]))
            self.organization = str(self.document["organization"])
            self.note = str(self.document["log"]["checkpoint"])
            self.evidence = {name: evidence_of(name, shown) for name, shown in self.document["evidence"].items()}
            self.findings = {name: _found_in(shown["finding"]) for name, shown in self.document["evidence"].items()}
            self.controls = [(control_of(shown), shown) for shown in self.document["controls"]]
            self.framework = str(self.document["framework"]["digest"])
            self.citations = {int(cited["seq"]): cited for cited in self.document["citations"]}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise BadReport(f"not a report on controls: {error!r}. Expected is its JSON form") from error

    def check(self, trust: Trust) -> Checkpoint:
        """Check every citation, finding and state; return the checkpoint that all hang on.

        Args:
            trust: the trusted keys; without any the arithmetic alone is checked.

        Raises:
            InvalidInput: something does not hold; says which entry or control.
        """
        checkpoint = open_checkpoint(self.note, trust.keys) if trust.keys else parse_checkpoint(self.note)
        for seq in self.citations:
            self._check_citation(seq, trust.keys or None)
        if not trust.is_of(checkpoint.origin, self.organization):
            raise BadReport(f"the report is of {self.organization}, its checkpoint of {checkpoint.origin}")
        for name, finding in self.findings.items():
            self._check_finding(self.evidence[name], finding)
        self._check_states()
        return checkpoint

    def _check_citation(self, seq: int, keys: tuple[VerifierKey, ...] | None) -> None:
        try:
            cited = self.citations[seq]
            proof = tuple(base64.b64decode(node, validate=True) for node in cited["proof"])
            receipt = Receipt(seq, bytes.fromhex(cited["leaf_hash"]), proof, self.note)
            body = cited["entry"].encode()
            entry = json.loads(body)
            if (entry["seq"], entry["organization"]) != (seq, self.organization):
                raise BadReport(f"citation {seq}: the entry is {entry['seq']} of {entry['organization']}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadReport(f"citation {seq} cannot be read: {error!r}") from error
        try:
            check_receipt(receipt, keys, body=body)
        except BadReceipt as error:
            raise BadReport(f"citation {seq}: {error.message}") from error

    def _check_finding(self, one: EvidenceQuery, finding: EvidenceFinding) -> None:
        if finding.state in (FOUND, AGAINST) and not finding.cites:
            raise BadReport(f"evidence {one.id!r} is said to be {finding.state}, but cites nothing")
        for seq in finding.cites:
            if seq not in self.citations:
                raise BadReport(f"evidence {one.id!r} cites entry {seq}, which the report does not show")
            if one.kind == SPAN:
                continue
            entry = json.loads(self.citations[seq]["entry"])
            inside = self.period[0] <= entry["ts"] < self.period[1]
            asked = inside and one.query.matches(entry)
            answer = one.kind == EACH and finding.state == FOUND and one.then is not None and one.then.matches(entry)
            if not asked and not answer:
                raise BadReport(f"evidence {one.id!r} cites entry {seq}, which is not what it asks for")

    def _check_states(self) -> None:
        states: Counter[str] = Counter()
        for control, shown in self.controls:
            state, why = state_of(control, self.evidence, self.findings)
            if state == shown["state"] and why != shown["why"]:
                raise BadReport(f"control {control.id} says {shown['why']!r}; what was found makes it {why!r}")
            if state != shown["state"]:
                raise BadReport(f"control {control.id} is said to be {shown['state']}; what was found makes it {state}")
            states[state] += 1
        if self.document["summary"] != {state: states[state] for state in STATES}:
            raise BadReport("the summary does not count the controls as they are")

    def recount(self, source: Source, checkpoint: Checkpoint) -> list[str]:
        """Look at every entry again; return what the report says otherwise.

        Raises:
            CannotRead: the log cannot be read, or is not the one that was signed.
        """
        evaluation = Evaluation(self.evidence.values(), *self.period)
        tree = CompactRange()
        for bodies in _bodies(source, self.organization, checkpoint.size):
            tree.extend(leaf_hashes(bodies))
            for body in bodies:
                evaluation.add(json.loads(body))
        if tree.size != checkpoint.size or tree.root() != checkpoint.root:
            raise CannotRead(
                f"{source.name}: its first {checkpoint.size} entries are not those that the report's checkpoint was "
                "signed for: run 'verify' for what was done"
            )
        self._tree = tree
        wrong = []
        for name, counted in evaluation.results().items():
            if counted.shown() != self.findings[name].shown():
                said, found = self.findings[name], counted
                wrong.append(
                    f"evidence {name!r}: the report says {said.state}, {said.count} entries; "
                    f"the log says {found.state}, {found.count}"
                )
        return wrong

    def recorded(self, source: Source, trust: Trust) -> tuple[int, str] | None:
        """Look, after ``recount``, for the entry that says that this report was made, in what was signed since.

        Returns:
            Its number and the digest of the report that it speaks of, None where no signed part of the log has it.

        Raises:
            InvalidInput: a signature or checkpoint is not what it should be.
            CannotRead: the entries do not lead to the root that was signed.
        """
        found: tuple[int, str] | None = None
        first = self._tree.size + 1
        sealed = [row for row in source.checkpoints(self.organization) if row.size >= first]
        for bodies in _bodies(source, self.organization, source.last_seq(self.organization), first):
            for body in bodies:
                self._tree.extend(leaf_hashes([body]))
                entry = fields_of(body) or {}
                about = entry.get("about") or {}
                if entry.get("tag") == MADE and about.get("subject") == self.document["report"]:
                    found = (entry["seq"], str((about.get("details") or {}).get("digest")))
                if found is not None and sealed and sealed[0].size == self._tree.size:
                    note = (
                        open_checkpoint(sealed[0].note, trust.keys) if trust.keys else parse_checkpoint(sealed[0].note)
                    )
                    if (note.size, note.root) != (self._tree.size, self._tree.root()):
                        raise CannotRead(f"{source.name}: what was signed since is not what stands there: run 'verify'")
                    return found
                while sealed and sealed[0].size <= self._tree.size:
                    sealed.pop(0)
        return None


def run_check_report(text: str, trust: Trust, source: Source | None, say: Callable[[str], None]) -> int:
    """Check a report in its JSON form; count again where the log is there too."""
    try:
        report = CheckedReport(text)
        checkpoint = report.check(trust)
    except InvalidInput as error:
        say(f"NOT PROVEN: {error.message}")
        return TAMPERED
    cited, erased = len(report.citations), sum(c.get("payload") == "erased" for c in report.citations.values())
    say(f"{cited} cited entries are in the log {checkpoint.origin} of {checkpoint.size} entries as asked for")
    if erased:
        say(f"  note: the payload of {erased} of them is erased; the entries are whole")
    say("  " + ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in report.document["summary"].items()))
    if source is None:
        say("  note: that nothing was left out is shown by counting again, that the controls ask for what the")
        say(f"  framework's files ask for ({report.framework}) by the log's entry: give the log with --db or --export")
    else:
        wrong = report.recount(source, checkpoint)
        for line in wrong:
            say(f"NOT PROVEN: {line}")
        if wrong:
            return TAMPERED
        say(f"counted again: all {checkpoint.size} entries say the same")
        made = report.recorded(source, trust)
        digest = f"sha256:{hashlib.sha256(text.strip().encode()).hexdigest()}"
        if made is None:
            say("  note: no signed entry says that this report was made: what its controls ask for is its own word")
        elif made[1] != digest:
            say(f"NOT PROVEN: entry {made[0]} says that this report was made, but with {made[1]}; it is {digest}")
            return TAMPERED
        else:
            say(f"entry {made[0]} says that this very report was made: its controls and queries were not changed since")
    if not trust.keys:
        say("CANNOT TELL: no signature was checked: give the log's verifier key with --trust")
        return CANNOT_TELL
    return INTACT


def _bodies(source: Source, organization: str, last: int, first: int = 1) -> Iterator[list[bytes]]:
    for chunk in source.chunks(organization, first, max(0, last - first + 1)):
        yield [body if type(body) is bytes else b"" for body in chunk[2]]


def _found_in(shown: Mapping[str, Any]) -> EvidenceFinding:
    return EvidenceFinding(
        state=str(shown["state"]), count=int(shown["count"]), against=int(shown["against"]),
        waiting=int(shown["waiting"]), first_ms=shown["first"], last_ms=shown["last"],
        cites=[int(seq) for seq in shown["cites"]], note=str(shown["note"]),
    )  # fmt: skip
