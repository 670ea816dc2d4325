"""Take out of a payload what may not leave, and put it back on the way in.

:func:`redact` replaces each finding by a mark that says only its kind. :func:`pseudonymise` gives each value a name
(``[EMAIL_1]``) and keeps, on our side, what it stands for; :meth:`Pseudonyms.restore` puts the values back into an
answer. The same value has the same name everywhere in one payload, so that a model can still tell people apart.

Pure. The mapping holds the values themselves: it is as sensitive as the payload and never leaves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from metaqore.errors import InvalidInput
from metaqore.security.detect import MAX_FINDINGS
from metaqore.security.model import Finding, Label

#: Kinds of findings that are about the whole text, not about a piece that could be taken out.
WHOLE = frozenset({"internal_material", "unjudged"})
_NAME = re.compile(r"\[[A-Z0-9_]+_\d+\]")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Names and the values that they stand for."""

    values: Mapping[str, str] = field(default_factory=dict)

    def restore(self, payload: Any) -> Any:
        """Return a text or JSON value with every known name replaced by its value; unknown names stay."""
        if isinstance(payload, str):
            return _NAME.sub(lambda match: self.values.get(match[0], match[0]), payload)
        if isinstance(payload, Mapping):
            return {self.restore(key): self.restore(value) for key, value in payload.items()}
        if isinstance(payload, list | tuple):
            return [self.restore(item) for item in payload]
        return payload


def redact(payload: Any, findings: Iterable[Finding], *, at_least: Label = Label.SENSITIVE) -> Any:
    """Return the payload with every finding of a label replaced by a mark such as ``[REDACTED EMAIL]``.

    Args:
        payload: What was assessed: a text or a JSON value. It is not changed.
        findings: Of the assessment of exactly this payload.
        at_least: Findings of a lower label stay.

    Raises:
        InvalidInput: there are more findings than an assessment keeps.
    """
    return _replace(payload, findings, at_least, lambda kind, _value: f"[REDACTED {kind.upper().replace('_', ' ')}]")


def pseudonymise(
    payload: Any, findings: Iterable[Finding], *, at_least: Label = Label.SENSITIVE
) -> tuple[Any, Pseudonyms]:
    """Return the payload with a name in place of every finding, and what the names stand for.

    Args: see :func:`redact`. A name that the payload already has is not given again.
    """
    taken = set(_NAME.findall(payload if isinstance(payload, str) else json.dumps(payload, default=str)))
    values: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    counts: dict[str, int] = {}

    def name_of(kind: str, value: str) -> str:
        if (kind, value) not in names:
            counts[kind] = counts.get(kind, 0) + 1
            while (name := f"[{kind.upper()}_{counts[kind]}]") in taken:
                counts[kind] += 1
            names[kind, value] = name
            values[name] = value
        return names[kind, value]

    return _replace(payload, findings, at_least, name_of), Pseudonyms(values)


def _replace(payload: Any, findings: Iterable[Finding], at_least: Label, mark: Callable[[str, str], str]) -> Any:
    found = list(findings)
    if len(found) >= MAX_FINDINGS:
        raise InvalidInput(
            f"the payload has {MAX_FINDINGS} findings or more: too many to be sure that all are taken out"
        )
    chosen = [f for f in found if f.label >= at_least and f.type not in WHOLE]
    if isinstance(payload, str):
        if all(finding.pointer is None for finding in chosen):
            return _cut(payload, chosen, mark)
        # It was read as JSON: pointers are into what it says, not into how it is written.
        return json.dumps(_replace(json.loads(payload), chosen, at_least, mark), ensure_ascii=False)
    by_pointer: dict[str, list[Finding]] = {}
    for finding in chosen:
        by_pointer.setdefault(finding.pointer or "", []).append(finding)
    return _walk(payload, "", by_pointer, mark)


def _walk(value: Any, pointer: str, found: Mapping[str, list[Finding]], mark: Callable[[str, str], str]) -> Any:
    if isinstance(value, Mapping):
        walked = {}
        for key, item in value.items():
            inner = f"{pointer}/{_escape(key)}"
            # A finding without characters is in the name of the member.
            named = next((f for f in found.get(inner, ()) if f.start == f.end), None)
            walked[mark(named.type, str(key)) if named else key] = _walk(item, inner, found, mark)
        return walked
    if isinstance(value, list | tuple):
        return [_walk(item, f"{pointer}/{index}", found, mark) for index, item in enumerate(value)]
    if pointer not in found:
        return value
    return _cut(value if isinstance(value, str) else str(value), found[pointer], mark)


def _cut(text: str, findings: Iterable[Finding], mark: Callable[[str, str], str]) -> str:
    """Replace the spans, first to last; of overlapping ones, what the earlier does not cover is cut with it."""
    parts: list[str] = []
    read_to = 0
    for finding in sorted(findings, key=lambda f: (f.start, -f.end)):
        if finding.end <= max(read_to, finding.start):
            continue
        start = max(finding.start, read_to)
        parts += [text[read_to:start], mark(finding.type, text[start : finding.end])]
        read_to = finding.end
    return "".join([*parts, text[read_to:]])


def _escape(name: object) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
