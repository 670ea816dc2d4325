"""Frameworks: controls, the evidence each of them asks for, and what follows from what was found. Pure.

No evidence is never "met": a control needs something that was found, and nothing that speaks against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metaqore.audit.compliance_evidence import AGAINST, FOUND, NEVER, NONE, EvidenceFinding, EvidenceQuery

MET, NOT_MET, NOT_ASSESSED, NOT_APPLICABLE = "met", "not_met", "not_assessed", "not_applicable"
STATES = (MET, NOT_MET, NOT_ASSESSED, NOT_APPLICABLE)


@dataclass(frozen=True)
class Control:
    """One control. Exactly one of ``needs``, ``outside`` and ``not_applicable`` says how it is assessed."""

    id: str
    group: str
    title: str
    #: Ids of evidence: all of it must be found or clear, and some of it found.
    needs: tuple[str, ...] = ()
    #: Ids of evidence: where none of it was found in the period, the control is about nothing that happened here.
    applies_when: tuple[str, ...] = ()
    #: Why a log cannot tell, and who to ask.
    outside: str = ""
    #: Why the organization leaves it out.
    not_applicable: str = ""

    def shown(self) -> dict[str, Any]:
        """Return it as JSON, without what is empty; ``control_of`` reads that."""
        found: dict[str, Any] = {"id": self.id, "group": self.group, "title": self.title}
        if self.needs:
            found["needs"] = list(self.needs)
        if self.applies_when:
            found["applies_when"] = list(self.applies_when)
        texts = {"outside": self.outside, "not_applicable": self.not_applicable}
        return found | {name: text for name, text in texts.items() if text}


@dataclass(frozen=True)
class Framework:
    """A set of controls that is reported on together, with the evidence that they name."""

    id: str
    title: str
    edition: str
    source: str
    version: int
    #: Of both files it was read from, so that a report says by which text it was made.
    digest: str
    controls: tuple[Control, ...]
    evidence: Mapping[str, EvidenceQuery]


def control_of(shown: Mapping[str, Any]) -> Control:
    """Return the control that ``Control.shown`` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is none.
    """
    return Control(
        id=str(shown["id"]), group=str(shown["group"]), title=str(shown["title"]),
        needs=tuple(map(str, shown.get("needs", ()))), applies_when=tuple(map(str, shown.get("applies_when", ()))),
        outside=str(shown.get("outside", "")), not_applicable=str(shown.get("not_applicable", "")),
    )  # fmt: skip


def state_of(
    control: Control, evidence: Mapping[str, EvidenceQuery], findings: Mapping[str, EvidenceFinding]
) -> tuple[str, str]:
    """Return the state of a control and why it is that."""
    if control.not_applicable:
        return NOT_APPLICABLE, control.not_applicable
    if control.outside:
        return NOT_ASSESSED, f"The log cannot tell. {control.outside}"
    if control.applies_when and not any(findings[name].count for name in control.applies_when):
        about = "; ".join(evidence[name].says for name in control.applies_when)
        return NOT_APPLICABLE, f"Nothing of this was recorded in the period: {about}"
    against = [name for name in control.needs if findings[name].state == AGAINST]
    if against:
        return NOT_MET, "Entries speak against it: " + "; ".join(_told(evidence, findings, against))
    missing = [name for name in control.needs if findings[name].state == NONE]
    if missing:
        return NOT_ASSESSED, "No evidence of this: " + "; ".join(_told(evidence, findings, missing))
    found = [name for name in control.needs if findings[name].state == FOUND]
    if not found:
        return NOT_ASSESSED, "Nothing speaks against it, but nothing was found for it either"
    return MET, "The log supports evidence for it: " + "; ".join(
        f"{evidence[name].says} ({_number(findings[name].count)})" for name in found
    )


def _told(
    evidence: Mapping[str, EvidenceQuery], findings: Mapping[str, EvidenceFinding], names: list[str]
) -> list[str]:
    told = []
    for name in names:
        finding = findings[name]
        count = f"{_number(finding.count)} of what must never be" if evidence[name].kind == NEVER else finding.note
        told.append(f"{evidence[name].says}{f' ({count})' if count else ''}")
    return told


def _number(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"
