"""Is a value a secret, by its shape alone?

Placeholders, variables, identifiers and words that documentation writes in place of a secret are none.
"""

from __future__ import annotations

import math
import re
from collections import Counter

from metaqore.security.detect_patterns import Match
from metaqore.security.detect_rule import Hit
from metaqore.security.model import Label

_PLACEHOLDER = re.compile(
    r"^\$[A-Za-z_]{2,}$|\$[({]|^%[A-Z_]+%$|%\(\w+\)|#\{|\{\{|^\{[A-Za-z_][^}]*\}|^<|>$|^\[|\.\.\.|\*{3}|x{4}|your[-_a-z]|"
    r"example|"
    r"change.?me|placeholder|dummy|redacted|sample|secret_?here|my[-_]?(?:secret|pass|token|key|api)|environ|"
    r"getenv|^env[.\[]|"
    r"vault:|settings\.|config[.\[]|secrets?[.\[/]|self\.|^(?:none|null|true|false|n/a|the|an|is|was|in|and|or|to|"
    r"foo|bar)$|"
    r"(?:^|[-_.])(?:foo|bar|baz|todo|insert|replace|test|fake)(?:$|[-_.\d])",
    re.IGNORECASE,
)
#: Words that stand where a password would; with or without some digits after them.
_EVERYDAY = re.compile(
    r"(?:password|passwd|passwort|kennwort|haslo|contrasena|senha|clave|wachtwoord|geheim|"
    r"pass|pwd|secret|token|key|api|apikey|access|user(?:name)?|login|admin|root|guest|"
    r"test(?:ing)?|demo|"
    r"default|value|string|str|bytes|int|hidden|masked|private|public|credentials?|hunter|qwerty|letmein|postgres|"
    r"mysql|redis|rabbit(?:mq)?|mongo(?:db)?|localhost|app|db|bearer|basic|required|optional|auth|"
    r"[a-z]{0,3})[_-]?\d{0,4}",
    re.IGNORECASE,
)
#: ``subprocess.Popen``, ``Ed25519PrivateKey``, ``self.tokens[0]``: names in source code, not values.
_NAME_IN_CODE = re.compile(
    r"[A-Za-z_]+(?:\.[A-Za-z_]+)+|(?:[A-Z][a-z]+\d{0,5}){2,}|[a-z_]+(?:\.[a-z_]+)*\[[\w'\"-]{1,24}\]|"
    r"[A-Z]{2,}(?:_[A-Z0-9]+)+|[a-z]+(?:_[a-z]+)+(?:=\w{0,6})?|(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*\(\)"
)


def entropy(text: str) -> float:
    """Return Shannon's entropy in bits per character."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values())


def character_classes(text: str) -> int:
    """Return how many of lower, upper, digit, other occur."""
    tests = (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    return sum(any(map(test, text)) for test in tests)


def is_placeholder(value: str) -> bool:
    """True for what stands in place of a secret: ``${VAR}``, ``<key>``, ``changeme``, ``xxxx`` …"""
    return bool(_PLACEHOLDER.search(value) or _EVERYDAY.fullmatch(value)) or len(set(value)) < 4


def looks_secret(value: str, *, password: bool) -> bool:
    """Return whether a value given to a secret's name is a real one.

    Args:
        value: Without quotes.
        password: A person may have chosen it: short ones count, where they mix kinds of characters.
    """
    value = value.strip("`*")
    if is_placeholder(value) or re.match(r"[A-Za-z_.]{3,}\(|[A-Za-z_][\w.]{2,}\((?:\)|[a-z_]+(?:[(.,=)]|$)|$)", value):
        return False
    if _NAME_IN_CODE.fullmatch(value):
        return False
    if password:
        return (len(value) >= 6 and character_classes(value) >= 3) or (len(value) >= 8 and letters_and_digits(value))
    if re.fullmatch(r"[A-Za-z]+(?:[._/-][A-Za-z]+)*\d?", value):
        return False
    return len(value) >= 16 and entropy(value) >= 2.9 and letters_and_digits(value)


def letters_and_digits(value: str) -> bool:
    """True where both occur."""
    return bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value))


def critical(kind: str, match: Match, confidence: float, group: str | None = None) -> Hit:
    """Return the hit of a match, or of one of its named groups."""
    if group and (value := match.groups.get(group)):
        start = match.end - len(match.text) + match.text.rindex(value)
        # What ends a sentence or a list is no part of it.
        return Hit(kind, Label.CRITICAL, confidence, start, start + len(value.rstrip(".,;")))
    return Hit(kind, Label.CRITICAL, confidence, match.start, match.end)
