"""A cheap look at what is declared: most contents hold nothing, and only the others are read closely.

The look is one automaton over the bytes, with a pattern for the beginnings of everything that the content rules
(``detect``) can find; it may be wrong in one direction only. What it suspects is read by the rules themselves, before
any transaction begins. Contents that are not short are read at once: a hostile mix of beginnings would make the
automaton build a state for nearly every byte.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import msgspec
import re2

from metaqore.audit.tags import Tag
from metaqore.ids import new_id
from metaqore.messages import AuditNote, Request, Write
from metaqore.security import detect, detect_internal, threats
from metaqore.security.assess_payload import read
from metaqore.security.assessment import engine
from metaqore.security.detect_records import IN_JSON, IN_TABLE
from metaqore.security.detect_secrets import VENDORS
from metaqore.security.detect_told import BRIEF, KEYS, PASSWORDS
from metaqore.security.effects import NewDecision
from metaqore.security.model import Finding, Label, Verdict
from metaqore.security.normalise import fold
from metaqore.security.normalise_views import is_hidden_in_base64, views
from metaqore.security.repeated import squeezed, value_of

#: Characters of a content that is looked at before it is read.
SHORT = 8192
#: The rule by which a content raises a label.
RULE = "label.content"
_POLICY = "classification"
_MAX_AUTOMATON_BYTES = 64 << 20

_RULES = {rule.id: rule.pattern for rule in detect.RULES}
_NAMES = rf"passw|{PASSWORDS}|{KEYS}"
_ISSUED = (
    r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{8}|gh[pousr]_[A-Za-z0-9]{8}|github_pat_|xox[abeoprs]-|xapp-|hooks\.slack\.com|"
    r"gl(?:pat|dt|rt|cbt|ptt|soat|ffct|imt|agent)-[A-Za-z0-9_-]{8}|[sr]k_(?:live|test)_|AIza[A-Za-z0-9_-]{8}|ya29\.|"
    r"GOCSPX-|sk-[A-Za-z0-9_-]{8}|npm_[A-Za-z0-9]{8}|pypi-[A-Za-z0-9_-]{8}|SG\.[A-Za-z0-9_-]{8}|(?:SK|AC)[0-9a-f]{8}|"
    r"hf_[A-Za-z0-9]{8}|do[opr]_v1_|shp(?:at|ca|pa|ss)_|:AA[A-Za-z0-9_-]{8}|dapi[a-f0-9]{8}|hv[sbr]\.|(?i:AccountKey=)|"
    r"AGE-SECRET|key-[0-9a-f]{8}|mq_[a-z]{2,8}_|whsec_|eyJ[A-Za-z0-9_-]{8}|-----BEGIN|"
    r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.|\.atlasv1\.|[0-9a-f]{8}-us\d|/api/webhooks/|IncomingWebhook|"
    r"[?&]sig=|\$(?:2[abxy]|1|5|6|7|y|apr1|argon2id?|scrypt|pbkdf2-sha\d{1,3})\$|Private-Lines|WIFI:|jdbc:oracle|"
    r"otpauth:|(?i:cookie2?['\"]?[:=])|(?i:(?:seed|recovery|mnemonic|wallet|backup) (?:phrase|words|seed|mnemonic))|"
    r"oy2[a-z0-9]{8}|\dQ~[A-Za-z0-9]|\bfw_[A-Za-z0-9]{8}|\bc[ks]_[0-9a-f]{8}|LTAI|" + VENDORS
)
_ADDRESS = (
    r"[A-Z]{2},? \d{5}\b|\b[A-Z]{1,2}[0-9][A-Z0-9]? ?[0-9][A-Z]{2}\b|"
    r"\b(?:\d{5}|\d{2}-\d{3}|\d{4} ?[A-Z]{2}),?[ \n][A-Z]|\d[A-Za-z0-9 .,\n-]*\b\d{5}\b|"
    r"\d[A-Za-z]?,? ?\n?\b\d{4},?[ \n][A-Z]|"
    r"[A-Z]{2},? [A-Z]\d[A-Z] ?\d[A-Z]\d\b|[A-Z]{2,3},? \d{4}\b|\b\d{3} ?\d{2} [A-Z]|\b\d{4}-\d{3} [A-Z]|\d{5}-\d{3}\b"
)
#: How everything that a rule can find begins, or a sign without which it finds nothing.
_SIGNS = {
    "digits": r"\d(?:[ ./()+-]{0,3}\d){6}|\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]",
    "email": r"[A-Za-z0-9._%+'-]@[A-Za-z0-9-]",
    "issued": _ISSUED,
    "connection": r"://[^\s:@/'\"<>]*:[^\s@/'\"<>]+@",
    "authorization": r"(?i)\b(?:bearer|basic|token|bot)[ =:]+['\"]?[A-Za-z0-9._~+/=-]{12}",
    "assigned": rf"(?i)(?:{_NAMES})[A-Za-z0-9_.-]*['\"\]]*(?:\s?\s?\s?(?::=|=|[=:>])|[ ,(]*['\"])|"
    rf"\b(?:[a-z0-9_.-]+[_.-])?(?:{BRIEF})['\"\]]*\s?\s?[=:]|"
    r"\b(?:log ?in|credentials?|creds|user(?:name)?|account|zugangsdaten|acceso|identifiants?)['\"]?[:= ]+"
    r"[a-z0-9_.@-]+ ?/|\b(?:admin|administrator|root) / ",
    "told": rf"(?i)\b(?:{BRIEF}|login)\b[a-z ]*\b(?:is|was|ist|to|es|est|e|jest|ar|on|er|it's|as|lautet|war)\b|passw|"
    rf"{PASSWORDS}|\b(?:{BRIEF})[ ,]",
    "apart": r"(?i)(?:name|key|variable|property|setting|parameter|option|field|id)['\"]?[ :=]+['\"]?[a-z0-9_.-]*"
    rf"(?:{_NAMES}|pass)",
    "option": r"(?i)--?(?:pass|pw|secret|token)[ =]|sshpass|curl [^\n]*-u |mysql[^\n]*-p| login [^\n]*-p|"
    r"redis-cli [^\n]*-a|\bldap[^\n]* -w |sqlcmd [^\n]*-p|-pass(?:in|out) pass:|identified [^\n]*by |access_key |PDO\(|"
    r"change_password |htpasswd -|\bnet user | -U [^\s%]*%|mysqli|getConnection\(|auth ?= ?\(|basic_?auth\(|"
    r"NetworkCredential|UsernamePassword|ConvertTo-Secure",
    "table": IN_TABLE,
    "named": IN_JSON,
    "pin": r"(?i)\b(?:pin|cvv2?|cvc2?|code|otp|number|password)(?: (?:for|of|to) [a-z ]+)?(?: is|:|=)+ ?\d{3}",
    "opaque": r"[A-Za-z0-9+/_-]{24}",
    "talk": r"(?i)secret|token|api[ _-]?key|access[ _-]?key|key is|credential|passw|passphrase|bearer|auth|signing key",
    "iban": r"(?i)\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]){11}",
    "lettered": r"\b(?:[A-Z]{6}[0-9LMNPQRSTUV]{2}[A-EHLMPRST][0-9LMNPQRSTUV]{2}[A-Z]|"
    r"[A-Z]{2} ?\d{2} ?\d{2} ?\d{2} ?[A-D]|[XYZ]-?\d{7})",
    "document": r"(?i)(?:passport|licen[cs]e|identity card|id card|ausweis|reisepass|fuhrerschein|passeport|paszport|"
    r"carte d'identite|permis de conduire|pasaporte|passaporto|carta d'identita|dowod osobisty|paspoort)"
    r"[a-z. -]*[ :#=]{1,3}[A-Z0-9]{6}",
    "address": _ADDRESS,
    "salary": _RULES["contact.salary"].partition(r"[^\n")[0],
    "street": _RULES["contact.street"],
    "born": r"(?i)\b(?:born|birth|birth ?date|d\.?o\.?b\.?|geboren am|geb\.|nee? le|urodzon[ya])(?: on)?[ :]+"
    r"(?:\d|[a-z]+ \d)",
    **{name: pattern for name, pattern in _RULES.items() if name.startswith("health.")},
    # What may be a disguise.
    "url": r"%[0-9A-Fa-f]{2}\S*%[0-9A-Fa-f]{2}\S*%[0-9A-Fa-f]{2}",
    "html": r"&#?[A-Za-z0-9]{2,8};[^\n]*&#?[A-Za-z0-9]{2,8};[^\n]*&#?[A-Za-z0-9]{2,8};",
    "escapes": r"\\(?:u00|x)[0-9A-Fa-f]{2}",
    "base64": r"[A-Za-z0-9+/]{32}",
}
_NAME_OF = tuple(_SIGNS)
#: A long opaque string is a secret only where something speaks of one; neither says anything alone.
_OPAQUE, _TALK = _NAME_OF.index("opaque"), _NAME_OF.index("talk")
_BASE64, _DIGITS = _NAME_OF.index("base64"), _NAME_OF.index("digits")
_NUMBER = re.compile(_SIGNS["digits"])
#: RFC 3339, with no further digit near: then no rule takes it for a part of a number.
_DATE = re.compile(
    r"(?<!\d)(?<!\d[ ./()+-])(?<!\d[ ./()+-]{2})(?<!\d[ ./()+-]{3})(?:19|20)\d\d-[01]\d-[0-3]\d"
    r"(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:[.,]\d{1,9})?)?(?: ?Z|[+-][0-2]\d:?[0-5]\d)?)?(?![ ./()+-]{0,3}\d)"
)
_ESCAPED = re.compile(r"\\+u([0-9A-Fa-f]{4})")
_RUNS = re.compile(r"[A-Za-z0-9+/]{32,}")


#: Signs that go on for as long as a line does. In one automaton with the others each would double its states, and it
#: would meet a new one in every text: two passes take a third less time than one.
_LONG = frozenset({"connection", "told", "option", "address", "url", "html", "table", "apart"})


@cache
def _automata() -> tuple[tuple[Any, tuple[int, ...]], ...]:
    """Return of each automaton what it is asked with, and which sign each of its patterns is."""
    options = re2.Options()
    options.max_mem = _MAX_AUTOMATON_BYTES
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    made = []
    for is_long in (True, False):
        chosen = tuple(n for n, name in enumerate(_NAME_OF) if (name in _LONG) is is_long)
        patterns = re2.Set.SearchSet(options)
        for number in chosen:
            patterns.Add(_SIGNS[_NAME_OF[number]].encode("ascii"))
        patterns.Compile()
        made.append((patterns.Match, chosen))
    return tuple(made)


class Looked(msgspec.Struct, frozen=True):
    """What a content holds that raises its label."""

    label: str
    findings: tuple[Finding, ...]
    #: What was found, squeezed, for each finding; in memory only.
    values: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Looked({self.label}: {', '.join(self.types)})"

    def beyond(self, before: Any) -> Looked | None:
        """Return what is found here and does not stand in the content ``before``; None for nothing."""
        known = squeezed(before if isinstance(before, str) else msgspec.json.encode(before).decode())
        added = [(finding, value) for finding, value in zip(self.findings, self.values, strict=True)
                 if not value or value not in known]  # fmt: skip
        if not added:
            return None
        findings, values = zip(*added, strict=True)
        return Looked(Label.join(*(finding.label for finding in findings)).name, findings, values)

    @property
    def types(self) -> list[str]:
        """What was found, each once; never the values."""
        return sorted({finding.type for finding in self.findings if finding.label.name == self.label})

    def recorded(self, request: Request, artifact: str, label: str, now: int) -> tuple[Write, AuditNote]:
        """Return the decision by which an artifact got ``label``, and its audit entry."""
        decision, digest = new_id("dec"), engine()
        body = {
            "verdict": Verdict.APPROVED.value, "policy": _POLICY, "policy_digest": digest, "rules": [RULE],
            "reasons": [f"{label}: the content holds {', '.join(self.types).replace('_', ' ')}."], "label": label,
            "artifact": artifact, "findings": [finding.to_dict() for finding in self.findings], "engine": digest,
            "providers_allowed": [], "provider_recommended": None, "obligations": [],
        }  # fmt: skip
        write = NewDecision(
            decision, request.organization, request.project, request.id, request.principal, Verdict.APPROVED.value,
            label, _POLICY, digest, None, msgspec.json.encode(body).decode(), now,
        )  # fmt: skip
        note = AuditNote(
            tag=Tag.DECISION_APPROVED, subject=decision, outcome=Verdict.APPROVED.value, policy_digest=digest,
            details={"label": label, "policy": _POLICY, "rules": RULE, "artifact": artifact},
        )  # fmt: skip
        return write, note


def look(content: Any, text: str, declared: str | None) -> Looked | None:
    """Return what a content holds that raises its label above INTERNAL, or above PUBLIC where that is declared.

    Args:
        content: a text or a JSON value.
        text: its JSON, as it is stored.
        declared: the label that it was declared with.
    """
    public = declared == Label.PUBLIC.name
    if not public and len(text) <= SHORT and not suspects(content if isinstance(content, str) else text):
        return None
    document = read(content)
    seen = views(document.original, document.text)
    found = tuple(detect.find(document, seen))
    label = Label.join(*(finding.label for finding in found))
    if label >= Label.SENSITIVE:
        return Looked(label.name, found, _values(content, found))
    if public and not found:
        internal = detect_internal.internal(document, threats.chunks_of_document(document))
        if internal is not None and internal[1].type != "unjudged":
            return Looked(Label.INTERNAL.name, (detect.finding(document, *internal),), ("",))
    return None


def _values(content: Any, found: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return what was found, squeezed, for each finding. Read once: many may stand in one long text."""
    # Pointers into a text are pointers into the JSON value that it is.
    value = json.loads(content) if isinstance(content, str) and any(f.pointer is not None for f in found) else content
    read_before: dict[tuple[str | None, int, int], str] = {}
    for finding in found:
        place = finding.pointer, finding.start, finding.end
        if place not in read_before:
            read_before[place] = value_of(content if finding.pointer is None else value, finding)
    return tuple(read_before[finding.pointer, finding.start, finding.end] for finding in found)


def suspects(text: str) -> bool:
    """Return whether a text, or a JSON value as text, may hold something; sure where it says no."""
    if "\\" in text:
        text = text.replace("\\n", "\n").replace('\\"', '"')
        if "\\u" in text:
            text = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), text)
    if not text.isascii():
        text = fold(text).text
    encoded = text.encode()
    said = {signs[n] for match, signs in _automata() for n in match(encoded) or ()}
    if not said:
        return False
    if _OPAQUE in said and _TALK in said:
        return True
    said -= {_OPAQUE, _TALK}
    if _DIGITS in said and said <= {_DIGITS, _BASE64} and not _NUMBER.search(_DATE.sub("#", text)):
        # Dates are the numbers that everyday texts hold.
        said.discard(_DIGITS)
    if said != {_BASE64}:
        return bool(said)
    # Every hash, long name and filler looks like base64; hardly any of them says something.
    return any(run != run[0] * len(run) for run in _RUNS.findall(text)) and is_hidden_in_base64(text)
