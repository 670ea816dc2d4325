"""Secrets that are told by name: assigned, told in a sentence, given as an option, beside the name of what they open.

The names are those that people and programs use for passwords and keys, in the languages of Europe. Whether the value
is one is decided by its shape (:mod:`detect_values`).
"""

from __future__ import annotations

import re

from metaqore.security.detect_patterns import Match
from metaqore.security.detect_rule import Hit, Rule, Words, around
from metaqore.security.detect_values import (
    character_classes,
    critical,
    entropy,
    is_placeholder,
    letters_and_digits,
    looks_secret,
)
from metaqore.security.model import Label

_LOCKED = Words(
    r"""
    card|cards|bank|account|atm|sim|phone|door|safe|alarm|tresor|konto|karte|cvv2?|cvc2?|security code|my|his|her|your|
    their|otp|one-time
    """
)
#: What a password is called; folded. The last one is Russian and Ukrainian as ``normalise.fold`` leaves it.
PASSWORDS = (
    r"password|passwd|passphrase|passcode|passwort|passord|pwd|kennwort|haslo|contrasena|contrasinal|senha|wachtwoord|"
    r"losenord|salasana|adgangskode|parola|heslo|sifre|jelszo|mot[_ ]?de[_ ]?passe|\x1aapo\x1ab"
)
#: Names that are short, or words of another meaning too: the value has to look like a password by itself.
BRIEF = r"pass|pw|psw|psswd|passw|pword|mdp|clave|zugangscode|lozinka|geslo|parole|codigo de acceso|code d'acces"
#: What a key or token is called.
KEYS = (
    r"api[_-]?key|apikey|secret|token|credentials?|client-key-data|"
    r"(?:access|auth|account|private|signing|encryption|master|app|subscription|shared|storage|consumer|session|cookie|"
    r"hmac|aes|jwt|cipher|deploy|server|service|admin|webhook|bot|registration|integration|licen[cs]e)[_-]?key"
)
NAMES = rf"{PASSWORDS}|{KEYS}"
_IS_PASSWORD = re.compile(rf"(?i){PASSWORDS}|pass|mot")
#: Names of what is about a secret and is none.
_ABOUT = re.compile(
    r"public|_id$|hash|_url$|_uri$|file|path|(?:in|out)put|next(?!_?auth)|page|continu|cursor|tokens$|count|limit|"
    r"pattern|regex|"
    r"placeholder|hint|prompt|label|reset|policy|length|strength|changed|expir|created|updated|ref$|_at$|_date$|type$"
)


#: The beginning of a name, which the pattern leaves to the judge: counted repetitions make an automaton large.
_BEFORE = re.compile(r"[A-Za-z0-9_.-]*\Z")


def _assigned(text: str, match: Match) -> Hit | None:
    key = _BEFORE.search(text, max(0, match.start - 40), match.start)[0] + match.groups["key"]  # type: ignore[index]
    key, value = key.lower(), match.groups["value"].rstrip(".,;:)")
    if (match.end < len(text) and text[match.end] in "([") or _ABOUT.search(key):
        return None
    password = bool(_IS_PASSWORD.search(key))
    if "://" in value or value.startswith(("arn:", "urn:")) or not looks_secret(value, password=password):
        return None
    return critical("password" if password else "api_key", match, 0.9, "value")


#: The member, attribute or argument that holds what the one before it names: ``name: DB_PASSWORD`` / ``value: …``.
_VALUE_NEXT = re.compile(
    r"""['"]?[,;]?(?: \{)?\s{1,40}(?:[^\n]{0,80}\n\s{0,20}){0,2}?(?:[A-Za-z0-9_-]{1,40}\.)?['"]?"""
    r"""(?:value|default|val|wert|valor)['"]?\s{0,3}[:=]\s{0,3}['"]?(?P<value>[^\s'"<>]{6,200})"""
)


def _apart(text: str, match: Match) -> Hit | None:
    """A name and, in the next member or attribute, its value."""
    key = match.groups["key"].lower()
    found = _VALUE_NEXT.match(text, match.end, match.end + 400)
    if found is None or _ABOUT.search(key):
        return None
    value = found["value"].rstrip(".,;:)")
    password = bool(_IS_PASSWORD.search(key))
    if "://" in value or not looks_secret(value, password=password):
        return None
    start = found.start("value")
    return Hit("password" if password else "api_key", Label.CRITICAL, 0.85, start, start + len(value))


#: ``pass it to the parser``: a verb.
_HANDED = re.compile(r"(?i)pass [a-z ]*\b(?:to|as|on|e|es|er|ar) ")


def _told(text: str, match: Match) -> Hit | None:
    value = match.groups["value"].rstrip(".,;:!?)")
    if _HANDED.match(match.text):
        return None
    if looks_secret(value, password=True):
        return critical("password", match, 0.85, "value")
    return _said_later(text, match)


#: ``password was changed to …``, ``Passwort für den Router: …``
_SAID_LATER = re.compile(r"(?:(?<=:)|\b(?:to|is|ist|est|es|c'est|e|je|to)) ['\"]?(?P<value>[^\s'\"]{6,80})")


def _is_no_word(value: str) -> bool:
    """True for what no person writes as a word."""
    return character_classes(value) >= 3 and letters_and_digits(value) and entropy(value) > 2.8


def _said_later(text: str, match: Match) -> Hit | None:
    """What stands after one of the next words, where no person writes it as a word."""
    for found in _SAID_LATER.finditer(text[match.start : match.start + 120].partition("\n")[0]):
        value = found["value"].rstrip(".,;:!?)")
        if _is_no_word(value) and "/" not in value and looks_secret(value, password=True):
            start = match.start + found.start("value")
            return Hit("password", Label.CRITICAL, 0.8, start, start + len(value))
    return None


def _beside(text: str, match: Match) -> Hit | None:
    """A value right after the word, with nothing between: only what no person writes as a word."""
    value = match.groups["value"].rstrip(".,;:!?)")
    return _told(text, match) if _is_no_word(value) else None


def _pair(_text: str, match: Match) -> Hit | None:
    """``login app / Xk3…``: what stands after the slash is a password only where no path or version looks like it."""
    name = "value" if "value" in match.groups else "other"
    value = match.groups[name].rstrip(".,;:!?)")
    strong = character_classes(value) >= 3 or (len(value) >= 12 and entropy(value) > 3.2)
    if not strong or not letters_and_digits(value) or re.search(r"[/.:]|^v\d", value) or is_placeholder(value):
        return None
    return critical("password", match, 0.8, name)


def _short_name(text: str, match: Match) -> Hit | None:
    """``PW=``, ``smtp_pass:``: names so short that the value has to look like a password by itself."""
    value = match.groups["value"].rstrip(".,;:)")
    if match.end < len(text) and text[match.end] in "([":
        return None
    chosen = character_classes(value) >= 3 or (len(value) >= 10 and letters_and_digits(value))
    if not chosen or "://" in value or re.search(r"[()\[\]{}]|^\d+(?:\.\d+)*[a-z%]{0,3}$", value):
        return None
    return critical("password", match, 0.8, "value") if looks_secret(value, password=True) else None


def _option(_text: str, match: Match) -> Hit | None:
    value = match.groups["value"].rstrip(".,;")
    return critical("password", match, 0.85, "value") if looks_secret(value, password=True) else None


def _pin(text: str, match: Match) -> Hit | None:
    """Three to eight digits are a PIN only where something is that it opens."""
    if len(set(match.groups["value"])) < 2 or not _LOCKED.occur(around(text, match.start, match.end, 60)):
        return None
    return critical("pin", match, 0.8, "value")


RULES: tuple[Rule, ...] = (
    Rule(
        "secret.assigned",
        rf"(?i)(?P<key>(?:{NAMES})[A-Za-z0-9_.-]*)"
        r"(?:['\"\]]{0,2}(?:\s{0,3}(?::=|=>|==?|:|->)\s{0,3}|(?: [a-z]+=\"[^\"<>\n]*\")?>)['\"]?|['\"] ?, ?['\"]|"
        r" ['\"]|\( ?['\"])"
        r"(?P<value>[^\s'\"<]{4,})",
        _assigned,
    ),
    Rule(
        "secret.apart",
        rf"(?i)\b(?:name|key|variable|property|setting|parameter|option|field|id)['\"]?[ :=]{{1,4}}['\"]?"
        rf"(?P<key>[a-z0-9_.-]*(?:{NAMES}|pass)[a-z0-9_.-]*)\b",
        _apart,
    ),
    Rule(
        "secret.short_name",
        rf"(?i)(?:\b|_)(?:{BRIEF})['\"\]]{{0,2}}\s{{0,2}}(?::=|=>|=|:)\s{{0,2}}['\"]?(?P<value>[^\s'\"<]{{6,}})",
        _short_name,
    ),
    Rule(
        "secret.pair",
        r"(?i)\b(?:log ?in|credentials?|creds|user(?:name)?|account|zugangsdaten|acceso|identifiants?)['\"]?[:= ]{1,3}"
        r"[a-z0-9_.@-]{2,40} ?/ ?(?P<value>[^\s'\"]{8,64})|"
        r"\b(?:admin|administrator|root) / (?P<other>[^\s'\"]{8,64})",
        _pair,
    ),
    Rule(
        "secret.told",
        rf"(?i)(?:{PASSWORDS}|\b(?:{BRIEF}|login))(?: [a-z]+){{0,4}}? (?:is|was|ist|lautet|war|"
        r"to|est|es|e|je|jest|ar|on|er|it's|as|c'est|for|do|de|fur|pour|para|per|voor|pro|->)"
        r":? ['\"]?(?P<value>[^\s'\"]{2,80})",
        _told,
    ),
    Rule(
        "secret.beside",
        rf"(?i)(?:{PASSWORDS}|\b(?:pw|psw|mdp|clave))[ ,]{{1,2}}['\"]?(?P<value>[^\s'\"]{{8,80}})",
        _beside,
    ),
    Rule(
        "secret.option",
        r"(?i)(?:--?(?:password|passwd|pass|pw|secret|token)[ =]|sshpass -p ?|\bmysql\w* (?:\S+ ){0,6}?-p|"
        r"\bcurl (?:\S+ ){0,8}?-u [^\s:]+:|\b(?:docker|podman|helm registry|az acr|oc) login (?:\S+ ){0,6}?-p ?|"
        r"\baz login (?:\S+ ){0,6}?-p |change_password \S+ |"
        r"\bhtpasswd -\w+ \S+ \S+ |\bnet user \S+ | -U [^\s%]+%|\bredis-cli (?:\S+ ){0,6}?-a |"
        r"\bldap\w+ (?:\S+ ){0,8}?-w |\bsqlcmd (?:\S+ ){0,6}?-P ?|-pass(?:in|out) pass:|"
        r"\bidentified (?:with \w+ )?by (?:password )?|secret_access_key )['\"]?(?P<value>[^\s'\"]{6,})",
        _option,
    ),
    # An argument of what connects to a database, or logs in.
    Rule(
        "secret.argument",
        r"(?:(?:PDO|mysqli(?:_connect)?|getConnection)\( ?(?:['\"][^'\"\n]*['\"] ?, ?){2}|"
        r"(?:auth ?= ?|[Bb]asic_?[Aa]uth|NetworkCredential|UsernamePassword\w*)\( ?['\"][^'\"\n]*['\"] ?, ?|"
        r"ConvertTo-SecureString (?:-String )?)['\"](?P<value>[^'\"\n]{6,80})['\"]",
        _option,
    ),
    Rule(
        "secret.pin",
        r"(?i)\b(?:pin|cvv2?|cvc2?|security code|otp|one-time (?:code|password))(?: code| number)?"
        r"(?: (?:for|of|to)(?: [a-z]+){1,3}?)?(?: is|:|=)+ ?(?P<value>\d{3,8})\b",
        _pin,
    ),
)
