"""Find what makes a payload sensitive: run every content rule over a document and its views.

The rules are in ``detect_secrets``, ``detect_identity``, ``detect_contacts`` and ``detect_health``: each a pattern
(linear time) and a judge that says whether the match really is one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, partial
from itertools import islice

from metaqore.security import detect_contacts, detect_health, detect_identity, detect_records, detect_secrets
from metaqore.security.assess_payload import Document
from metaqore.security.detect_marks import unmarked
from metaqore.security.detect_patterns import Patterns
from metaqore.security.detect_rule import Hit, Judge
from metaqore.security.detect_values import is_placeholder
from metaqore.security.joined import Joined
from metaqore.security.model import Finding, Label
from metaqore.security.normalise_views import View

RULES = (*detect_secrets.RULES, *detect_identity.RULES, *detect_contacts.RULES, *detect_health.RULES)

_SECRET_FIELD = re.compile(
    r"(?:(?:db|user|admin|root|login|account|smtp|api|old|new|current)[_-]?)?"
    r"(?:password|passwd|pwd|passphrase|secret|client_secret|clientsecret|api[_-]?key|private[_-]?key|access[_-]?token)",
    re.IGNORECASE,
)
#: Findings kept of one payload; the label is that of all.
MAX_FINDINGS = 500


@cache
def _compiled() -> tuple[Patterns, dict[str, Judge]]:
    return Patterns({rule.id: rule.pattern for rule in RULES}), {rule.id: rule.judge for rule in RULES}


def find(document: Document, views: Sequence[View]) -> list[Finding]:
    """Return the findings of a document, most severe first, without one inside another."""
    joined = Joined((document.text, *(view.text for view in views)))
    found = [finding(document, rule, hit) for rule, hit in (*_fields(document), *detect_records.find(document))]
    for rule, hit in scan(unmarked(joined.text)):
        index, start = joined.origin(hit.start)
        moved = hit._replace(start=hit.start - start, end=hit.end - start)
        found.append(finding(document, rule, moved, views[index - 1] if index else None))
    found.sort(key=lambda f: (-f.label, -f.confidence))
    return found[:MAX_FINDINGS]


def scan(text: str) -> list[tuple[str, Hit]]:
    """Return (rule id, hit) in a folded text, most severe first; a hit inside a more severe one is dropped."""
    patterns, judges = _compiled()
    data = text.encode("ascii")
    hits: list[tuple[str, Hit]] = []
    for rule in patterns.suspected(data):
        judged = map(partial(judges[rule], text), patterns.find(rule, data))
        # A rule has one label: more of its hits than are kept would say nothing new.
        hits += [(rule, hit) for hit in islice(filter(None, judged), MAX_FINDINGS)]
    hits.sort(key=lambda found: (-found[1].label, -found[1].confidence, found[1].start, found[0]))
    kept: list[tuple[str, Hit]] = []
    taken: list[tuple[int, int]] = []
    for rule, hit in hits:
        # Only the findings that will be kept are compared, so that the work stays linear.
        if len(kept) < MAX_FINDINGS and not any(start <= hit.start and hit.end <= end for start, end in taken):
            taken.append((hit.start, hit.end))
            kept.append((rule, hit))
    return kept


def _fields(document: Document) -> list[tuple[str, Hit]]:
    """Return the values of members that are named for a secret: there a weak password is one too."""
    hits = []
    for start, end, pointer in document.values:
        if pointer and end - start > 3 and _SECRET_FIELD.fullmatch(pointer.rpartition("/")[2]):
            value = document.text[start:end]
            if " " not in value and not is_placeholder(value):
                hits.append(("secret.field", Hit("password", Label.CRITICAL, 0.8, start, end)))
    return hits


def finding(document: Document, rule: str, hit: Hit, view: View | None = None) -> Finding:
    """Return the finding of a hit: its place in the payload, not its value."""
    place = document.place(view.start, view.end) if view else document.place(hit.start, hit.end)
    name = view.name if view else "plain"
    return Finding(hit.type, rule, hit.label, hit.confidence, place.pointer, place.start, place.end, name)
