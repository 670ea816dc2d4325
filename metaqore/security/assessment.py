"""Assess a payload: its sensitivity label, what was found in it, and whether it attacks its reader.

The label is the join of three: what the caller declares, what the payload was made from, and what is in it. Each can
only raise it. Pure: no clock, no network; the packaged weights are read once.
"""

from __future__ import annotations

import re
from functools import cache, partial
from hashlib import sha256
from typing import Any

from metaqore.security import detect, detect_internal, threats
from metaqore.security.assess_linear import load
from metaqore.security.assess_payload import Document, read
from metaqore.security.model import Assessment, Context, Finding, Label, Threat
from metaqore.security.normalise_views import views

#: Words of a task type that raise the label. Words, not substrings: an explanation is no plan.
_TASK_WORDS: dict[str, Label] = {
    **dict.fromkeys("plan plans state states governance".split(), Label.INTERNAL),
    **dict.fromkeys("pii gdpr personal medical patient patients health payroll".split(), Label.SENSITIVE),
    **dict.fromkeys("password passwords credential credentials secret secrets".split(), Label.SENSITIVE),
}
_AGENT_WORDS = frozenset({"validator", "validators"})
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def assess(payload: Any, context: Context | None = None) -> Assessment:
    """Return the assessment of a payload.

    Args:
        payload: A text or any JSON value. A text that is a JSON object or array is read as one. Anything else is
            read as text and is at least INTERNAL.
        context: What the caller declares; nothing when left out.
    """
    context = context or Context()
    document = read(payload)
    seen = views(document.original, document.text)
    findings = detect.find(document, seen)
    chunks = cache(partial(threats.chunks_of_document, document))
    if not findings and (internal := detect_internal.internal(document, chunks())):
        findings = [detect.finding(document, *internal)]
    found = threats.scan(document, seen, chunks, context.position)
    declared, why = declared_label(context)
    inherited = Label.join(*context.inherited)
    content = Label.join(*(finding.label for finding in findings))
    return Assessment(
        label=Label.join(declared, content, inherited),
        declared=declared,
        content=content,
        inherited=inherited,
        findings=tuple(findings),
        threats=tuple(found),
        reasons=tuple(_reasons(document, findings, found, why, inherited)),
        size=len(document.original),
        engine=engine(),
    )


def declared_label(context: Context) -> tuple[Label, list[str]]:
    """Return the label of what a caller declares, and the sentences that say why."""
    raised: list[tuple[Label, str]] = []
    if context.is_security_task:
        label = Label.CRITICAL if context.has_sensitive_data else Label.SENSITIVE
        raised.append(
            (label, "declared as a security task" + (" on sensitive data" if label is Label.CRITICAL else ""))
        )
    if context.has_sensitive_data or context.has_private_data:
        kind = "sensitive" if context.has_sensitive_data else "private"
        raised.append((Label.SENSITIVE, f"declared to hold {kind} data"))
    task = [word for word in words_of(context.task_type) if word in _TASK_WORDS]
    raised += [(_TASK_WORDS[word], f'the task type has the word "{word}"') for word in task]
    if _AGENT_WORDS & set(words_of(context.agent_name)):
        raised.append((Label.INTERNAL, "the agent is a validator"))
    if context.declared_label is not None:
        raised.append((context.declared_label, "declared by the caller"))
    label = Label.join(*(label for label, _ in raised))
    return label, [f"{label.name}: {reason}." for label, reason in sorted(raised, key=lambda r: -r[0])]


def words_of(name: str) -> list[str]:
    """Return the words of a name in lower case: ``code_plan``, ``CodeValidator``, ``release-plan 2``."""
    return [word.lower() for word in _WORD.findall(name)]


def _reasons(
    document: Document, findings: list[Finding], found: list[Threat], declared: list[str], inherited: Label
) -> list[str]:
    reasons = []
    for label in sorted({finding.label for finding in findings}, reverse=True):
        kinds = sorted({finding.type.replace("_", " ") for finding in findings if finding.label is label})
        if kinds == ["unjudged"]:
            reasons.append(f"{label.name}: the payload cannot be judged ({_UNJUDGED[findings[0].rule]}).")
        else:
            reasons.append(f"{label.name}: the payload holds {', '.join(kinds)}.")
    reasons += declared
    if inherited is not Label.PUBLIC:
        reasons.append(f"{inherited.name}: inherited from what it was made from.")
    if found:
        families = sorted({threat.family.replace("_", " ") for threat in found})
        reasons.append(f"The payload reads like an attack on its reader: {', '.join(families)}.")
    return reasons or ["PUBLIC: nothing internal, personal or secret was found."]


_UNJUDGED = {
    "unjudged.empty": "there is nothing in it",
    "unjudged.binary": "it is no text",
    "unjudged.no_text": "there is too little text in it",
    "unjudged.script": "its script is not known",
    "unjudged.opaque": "it is mostly an opaque string",
}


@cache
def engine() -> str:
    """Return the digest of rules and weights, ``sha256:…``: equal for assessments made by the same engine."""
    digest = sha256()
    for name, pattern in [(r.id, r.pattern) for r in detect.RULES] + [(r.id, r.pattern) for r in threats.RULES]:
        digest.update(f"{name}\0{pattern}\0".encode())
    for name in ("threats", "internal"):
        digest.update(load(name).digest.encode())
    return "sha256:" + digest.hexdigest()
