"""The answer of a model, judged before anybody gets it: classified, decided by the policies that let its call leave.

An answer is a payload like any other, in position ``answer``: every rule about payloads is asked again, rules about
providers are not, since it goes to none. What it repeats of its own prompt is nothing new: the caller sent it. What it
says beyond that raises the label of the result, and may be taken out or stop the answer. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from metaqore.errors import InvalidInput
from metaqore.messages import Request, Submission
from metaqore.security.answer_signs import signs
from metaqore.security.assessment import assess
from metaqore.security.facts import Asked
from metaqore.security.judged import Judged, judged
from metaqore.security.layers import Policy, Stack
from metaqore.security.model import Assessment, Context, Decision, Finding, Label, Position, Verdict
from metaqore.security.normalise import fold
from metaqore.security.normalise_views import views
from metaqore.security.policy import decide_answer
from metaqore.security.redact import WHOLE, redact
from metaqore.security.repeated import squeezed, value_of

#: A short answer is no unreadable one: "no" says what it says.
_SHORT = frozenset({"unjudged.empty", "unjudged.no_text"})


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an answer."""

    approved: bool
    #: As it may be delivered and kept; "" where it may not.
    text: str
    #: The join of the call's label and the answer's own.
    label: str
    no_cache: bool
    trainable: bool
    #: The decision with its record; None where there was nothing to decide.
    judged: Judged | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """Judges the answer to one call that was approved."""

    request: Request
    asked: Asked
    policy: Policy
    layers: Stack
    #: The label of the call.
    label: Label
    provider: str
    #: Scopes of which somebody has approved exactly this call.
    approved: Sequence[str]
    #: Scopes, reasons → questions to people.
    questions: Callable[[Sequence[str], Sequence[str]], list[Submission]]

    def judge(self, text: str, instructions: Sequence[str], said: Sequence[str], now: int) -> Answered:
        """Judge an answer.

        Args:
            text: as the provider gave it, with names where values were taken out of the prompt.
            instructions: system and developer messages of the call, as the caller sent them.
            said: all its other messages.
        """
        found = examine(text, instructions, said)
        assessment = replace(found, inherited=self.label, label=Label.join(found.label, self.label))
        decision = decide_answer(
            assessment, policy=self.policy, provider=self.provider, asked=self.asked, layers=self.layers,
            approved=self.approved,
        )  # fmt: skip
        duties = decision.duties.get(self.provider)
        if decision.verdict is Verdict.APPROVED and duties is not None and duties.redact is not None:
            try:
                text = _without(text, found.findings, duties.redact)
            except InvalidInput as error:
                decision = msgspec.structs.replace(
                    decision, verdict=Verdict.VETOED, reasons=(error.message,), rules=("redact.impossible",),
                    obligations=(), duties={},
                )  # fmt: skip
        return self._answered(text, assessment, decision, now)

    def _answered(self, text: str, assessment: Assessment, decision: Decision, now: int) -> Answered:
        label = decision.label if decision.label is not None else assessment.label
        approved = decision.verdict is Verdict.APPROVED
        told = assessment.findings or assessment.threats or decision.warnings or decision.shadow
        recorded = None
        if told or not approved or label > self.label:
            asked = self.questions(decision.approvals, decision.reasons)
            recorded = judged(self.request, assessment, decision, self.asked, now, asked)
        owed = decision.obligations
        return Answered(
            approved=approved, text=text if approved else "", label=label.name, judged=recorded,
            no_cache="no_cache" in owed, trainable=approved and "no_training" not in owed,
        )  # fmt: skip


def examine(
    answer: str, instructions: Sequence[str] = (), said: Sequence[str] = (), context: Context | None = None
) -> Assessment:
    """Return the assessment of an answer: findings that its prompt does not have, and signs that only answers have."""
    found = assess(answer, context or Context(position=Position.ANSWER))
    findings = [finding for finding in found.findings if finding.rule not in _SHORT]
    content = Label.join(*(finding.label for finding in findings))
    if findings and (instructions or said):
        known = squeezed("\n".join([*instructions, *said]))
        findings = [
            finding for finding in findings if finding.type in WHOLE or (value_of(answer, finding) or "?") not in known
        ]
    return replace(
        found, findings=tuple(findings), content=content, label=Label.join(found.declared, content, found.inherited),
        threats=(*found.threats, *signs(answer, instructions, said, _undisguised(answer) if instructions else ())),
    )  # fmt: skip


def _undisguised(answer: str) -> list[str]:
    """Return what an answer says without look-alikes and invisible characters, and what its encoded pieces say."""
    folded = fold(answer).text
    return [folded, *(view.text for view in views(answer, folded))]


def _without(text: str, findings: Sequence[Finding], at_least: Label) -> str:
    """Return the text with a mark in place of each finding.

    Raises:
        InvalidInput: not everything could be taken out.
    """
    if not any(finding.label >= at_least and finding.type not in WHOLE for finding in findings):
        return text
    cut: str = redact(text, findings, at_least=at_least)
    wanted = {finding.type for finding in findings if finding.label >= at_least}
    known = squeezed(text)
    for finding in assess(cut).findings:
        if finding.type in wanted - WHOLE and (value_of(cut, finding) or "?") in known:
            raise InvalidInput(f"a {finding.type.replace('_', ' ')} could not be taken out of the answer")
    return cut
