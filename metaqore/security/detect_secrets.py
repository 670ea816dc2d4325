"""Credentials: issuer formats, private keys, connection strings, header and key-value secrets.

Whether a value is one is decided by its shape (:func:`looks_secret`): placeholders, variables, identifiers and words
that documentation writes in place of a secret are none. Formats: the issuers' public documentation of their token
prefixes; RFC 7519 (JWT), RFC 7468 (PEM), RFC 6750 (bearer), RFC 7617 (basic), RFC 3986 §3.2.1 (userinfo).
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections import Counter
from collections.abc import Callable

from metaqore.security.detect_patterns import Match
from metaqore.security.detect_rule import OPAQUE, Hit, Rule, Words, around, before
from metaqore.security.model import Label

#: How tokens of further issuers begin.
VENDORS = (
    r"gsk_|lin_(?:api|oauth)_|ntn_|dp\.(?:pt|st|ct|sa|scim|audit)\.|gl(?:sa|c)_|sntry[su]_|pscale_(?:tkn|oauth|pw)_|"
    r"PMAK-|sq0(?:csp|atp|idp)-|NRAK-|NRJS-|NRII-|xai-|pplx-|r8_|fo1_|sbp_|figd_|ATATT3|ATBB|ATCTT3|HRKU-|AKCp|"
    r"rubygems_|CLOJARS_|dckr_(?:pat|oat)_|pul-|xkeysib-|xsmtpsib-|CFPAT-|tfp_|nfp_|rnd_|lsv2_(?:pt|sk)_|"
    r"tskey-(?:auth|api|client)-|ops_eyJ|rzp_live_|ABSK|nvapi-|sgp_|phx_|EAACEdEose0cBA|pat-(?:na|eu)\d-|bkua_|"
    r"dt0c01\."
)
#: Tokens that say by their prefix whose they are.
_ISSUED = {
    "aws_access_key": r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b",
    "github_token": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})\b",
    "gitlab_token": r"\bgl(?:pat|dt|rt|cbt|ptt|soat|ffct|imt|agent)-[A-Za-z0-9_-]{20,64}",
    "slack_token": r"\b(?:xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,})",
    "slack_webhook": r"\bhooks\.slack\.com/(?:services|workflows)/T[A-Za-z0-9_/]{20,}",
    "stripe_key": r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}\b",
    "google_api_key": r"\bAIza[A-Za-z0-9_-]{35}",
    "google_oauth": r"\b(?:ya29\.[A-Za-z0-9_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,40})",
    "openai_key": r"\bsk-(?:proj-|svcacct-|ant-|or-)?[A-Za-z0-9_-]{20,}",
    "npm_token": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi_token": r"\bpypi-[A-Za-z0-9_-]{50,}",
    "sendgrid_key": r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}",
    "twilio_key": r"\b(?:SK|AC)[0-9a-f]{32}\b",
    "huggingface_token": r"\bhf_[A-Za-z0-9]{30,64}\b",
    "digitalocean_token": r"\bdo[opr]_v1_[a-f0-9]{64}\b",
    "shopify_token": r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b",
    "telegram_token": r"\b\d{8,10}:AA[A-Za-z0-9_-]{32,34}\b",
    "databricks_token": r"\bdapi[a-f0-9]{32}\b",
    "vault_token": r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}",
    "azure_storage_key": r"(?i)\bAccountKey=[A-Za-z0-9+/]{40,}={0,2}",
    "age_key": r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,64}",
    "discord_token": r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}\b",
    "mailgun_key": r"\bkey-[0-9a-f]{32}\b",
    # One automaton for many: the beginnings are their issuers' own.
    "vendor_token": rf"\b(?:{VENDORS})[A-Za-z0-9_=.-]{{24,}}",
    "terraform_token": r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,70}",
    "mailchimp_key": r"\b[0-9a-f]{32}-us\d{1,2}\b",
    "channel_webhook": r"\b(?:discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_-]{60,80}|"
    r"webhook\.office\.com/webhookb2/[A-Za-z0-9@-]{36,80}/IncomingWebhook/[a-z0-9]{32})",
    "shared_access_signature": r"[?&]sig=[A-Za-z0-9%+/_-]{40,}={0,2}",
    "password_hash": r"(?:\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|\$(?:1|5|6|7|y|apr1|argon2id?|scrypt|pbkdf2-sha\d{1,3})\$"
    r"[A-Za-z0-9./=,$+-]{24,200})",
    "metaqore_key": r"\bmq_[a-z]{2,8}_[A-Za-z0-9]{8,32}_[A-Za-z0-9]{24,}\b",
    "webhook_secret": r"\bwhsec_[A-Za-z0-9+/]{24,}={0,2}",
}

_PLACEHOLDER = re.compile(
    r"^\$[A-Za-z_]{2,}$|\$[({]|^%[A-Z_]+%$|%\(\w+\)|#\{|\{\{|^\{[^}]*\}$|^<|>$|^\[|\.\.\.|\*{3}|x{4}|your[-_a-z]|"
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
    r"(?:password|passwd|pass|pwd|secret|token|key|api|apikey|access|user(?:name)?|login|admin|root|guest|"
    r"test(?:ing)?|demo|"
    r"default|value|string|str|bytes|int|hidden|masked|private|public|credentials?|hunter|qwerty|letmein|postgres|"
    r"mysql|redis|rabbit(?:mq)?|mongo(?:db)?|localhost|app|db|bearer|basic|required|optional|auth|"
    r"[a-z]{0,3})[_-]?\d{0,4}",
    re.IGNORECASE,
)
_HASH_TALK = Words(
    r"""
    commit|sha-?1|sha-?256|sha-?512|md5|checksum|digest|etag|uuid|revision|hash|blob|tree|fingerprint|integrity|
    public[ -]key|ssh-(?:rsa|ed25519)|(?:cache|primary|sort|foreign|partition|idempotency|row|object|s3) key
    """
)
_SECRET_TALK = Words(
    r"""
    secret|secrets|token|tokens|api ?key|access ?key|apikey|key is|credentials?|password|passwd|passphrase|bearer|
    auth|x-api-key|signing key|client ?secret
    """
)

_LOCKED = Words(
    r"""
    card|cards|bank|account|atm|sim|phone|door|safe|alarm|tresor|konto|karte|cvv2?|cvc2?|security code|my|his|her|your|
    their|otp|one-time
    """
)


#: ``subprocess.Popen``, ``Ed25519PrivateKey``, ``self.tokens[0]``: names in source code, not values.
_NAME_IN_CODE = re.compile(
    r"[A-Za-z_]+(?:\.[A-Za-z_]+)+|(?:[A-Z][a-z]+\d{0,5}){2,}|[a-z_]+(?:\.[a-z_]+)*\[[\w'\"-]{1,24}\]|"
    r"[A-Z]{2,}(?:_[A-Z0-9]+)+"
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
    if is_placeholder(value) or re.match(r"[A-Za-z_.]{3,}\(|[A-Za-z_][\w.]{2,}\((?:\)|[a-z_]+(?:[(.,=)]|$)|$)", value):
        return False
    if _NAME_IN_CODE.fullmatch(value):
        return False
    if password:
        return (len(value) >= 6 and character_classes(value) >= 3) or (len(value) >= 8 and _letters_and_digits(value))
    if re.fullmatch(r"[A-Za-z]+(?:[._/-][A-Za-z]+)*\d?", value):
        return False
    return len(value) >= 16 and entropy(value) >= 2.9 and _letters_and_digits(value)


def _letters_and_digits(value: str) -> bool:
    return bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value))


def _hit(kind: str, match: Match, confidence: float, group: str | None = None) -> Hit:
    if group and (value := match.groups.get(group)):
        start = match.end - len(match.text) + match.text.rindex(value)
        return Hit(kind, Label.CRITICAL, confidence, start, start + len(value))
    return Hit(kind, Label.CRITICAL, confidence, match.start, match.end)


def _issued(kind: str) -> Rule:
    def judge(text: str, match: Match) -> Hit | None:
        body = max(re.split(r"[_-]|\.(?=.)|=", match.text, maxsplit=1), key=len)
        fake = re.search(r"(?i)example|xxxx|0{8}|1234567890|abcdefgh|placeholder|your|redacted", match.text)
        if fake or entropy(body) < 2.8 or not re.search(r"\d", match.text):
            return None
        return _hit(kind, match, 0.98)

    return Rule(f"secret.{kind}", _ISSUED[kind], judge, OPAQUE if kind in ("twilio_key", "discord_token") else "")


def _jwt(_text: str, match: Match) -> Hit | None:
    header = match.text.partition(".")[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return None
    return _hit("jwt", match, 0.97) if isinstance(fields, dict) and ("alg" in fields or "enc" in fields) else None


def _private_key(_text: str, match: Match) -> Hit | None:
    body = re.sub(r"\s|\\n|\\r", "", match.groups.get("body", ""))
    return _hit("private_key", match, 0.99) if len(body) >= 24 and entropy(body) > 3.5 else None


def _connection(_text: str, match: Match) -> Hit | None:
    password = match.groups["password"]
    if is_placeholder(password) or password.lower() == match.groups.get("user", "").lower():
        return None
    strong = character_classes(password) >= 2 and len(password) >= 6
    if not strong and re.search(r"example|localhost|127\.0\.0\.1|@host\b|@server\b", match.text):
        return None
    if re.fullmatch(r"[a-z]{1,12}", password) or (password.isdigit() and len(password) < 6):
        return None
    return _hit("connection_string", match, 0.95)


def _authorization(text: str, match: Match) -> Hit | None:
    value = match.groups["value"].rstrip(".,;")
    if match.groups["scheme"].lower() == "basic":
        try:
            user, _, password = base64.b64decode(value + "=" * (-len(value) % 4)).decode("ascii").partition(":")
        except ValueError:
            return None
        return _hit("basic_auth", match, 0.9, "value") if password and not is_placeholder(password) and user else None
    if not looks_secret(value, password=False) or len(value) < 16:
        return None
    return _hit("bearer_token", match, 0.93, "value")


def _assigned(text: str, match: Match) -> Hit | None:
    key = match.groups["key"].lower()
    value = match.groups["value"].rstrip(".,;)")
    if (match.end < len(text) and text[match.end] in "([") or re.search(
        r"public|_id$|hash|_url$|_uri$|file|path|(?:in|out)put|next|page|continu|cursor|tokens$|count|limit", key
    ):
        return None
    password = bool(re.search(r"pass|pwd|kennwort|haslo|contrasena|passphrase|mot", key))
    if "://" in value or not looks_secret(value, password=password):
        return None
    return _hit("password" if password else "api_key", match, 0.9, "value")


def _told(_text: str, match: Match) -> Hit | None:
    value = match.groups["value"].rstrip(".,;:!?)")
    return _hit("password", match, 0.85, "value") if looks_secret(value, password=True) else None


def _beside(text: str, match: Match) -> Hit | None:
    """A value right after the word, with nothing between: only what no person writes as a word."""
    value = match.groups["value"].rstrip(".,;:!?)")
    mixed = character_classes(value) >= 3 and _letters_and_digits(value) and entropy(value) > 2.8
    return _told(text, match) if mixed else None


def _pair(_text: str, match: Match) -> Hit | None:
    """``login app / Xk3…``: what stands after the slash is a password only where no path or version looks like it."""
    value = match.groups["value"].rstrip(".,;:!?)")
    strong = character_classes(value) >= 3 or (len(value) >= 12 and entropy(value) > 3.2)
    if not strong or not _letters_and_digits(value) or re.search(r"[/.:]|^v\d", value) or is_placeholder(value):
        return None
    return _hit("password", match, 0.8, "value")


def _short_name(text: str, match: Match) -> Hit | None:
    """``PW=``, ``smtp_pass:``: names so short that the value has to look like a password by itself."""
    value = match.groups["value"].rstrip(".,;)")
    if match.end < len(text) and text[match.end] in "([":
        return None
    chosen = character_classes(value) >= 3 or (len(value) >= 10 and _letters_and_digits(value))
    if not chosen or "://" in value or re.search(r"[()\[\]{}]|^\d+(?:\.\d+)*[a-z%]{0,3}$", value):
        return None
    return _hit("password", match, 0.8, "value") if looks_secret(value, password=True) else None


def _always(kind: str) -> Callable[[str, Match], Hit | None]:
    """Return the judge of what is a secret by its form alone, where its value is no placeholder."""

    def judge(_text: str, match: Match) -> Hit | None:
        value = match.groups.get("value", match.text)
        if is_placeholder(value) or entropy(value) < 2.5:
            return None
        return _hit(kind, match, 0.92, "value" if "value" in match.groups else None)

    return judge


def _option(_text: str, match: Match) -> Hit | None:
    value = match.groups["value"]
    return _hit("password", match, 0.85, "value") if looks_secret(value, password=True) else None


def _pin(text: str, match: Match) -> Hit | None:
    """Three to eight digits are a PIN only where something is that it opens."""
    if len(set(match.groups["value"])) < 2 or not _LOCKED.occur(around(text, match.start, match.end, 60)):
        return None
    return _hit("pin", match, 0.8, "value")


def _opaque(text: str, match: Match) -> Hit | None:
    """A long random string is a secret only where the words before it call it one."""
    near = before(text, match.start, 48)
    if not _SECRET_TALK.occur(near) or _HASH_TALK.occur(around(text, match.start, match.start, 60)):
        return None
    value = match.text
    hexadecimal = bool(re.fullmatch(r"[0-9a-fA-F]+", value))
    if is_placeholder(value) or entropy(value) < (3.0 if hexadecimal else 3.8) or not _letters_and_digits(value):
        return None
    return _hit("opaque_secret", match, 0.75)


_SECRET_NAME = (
    r"password|passwd|passphrase|passwort|kennwort|haslo|contrasena|mot[_ ]de[_ ]passe|pwd|api[_-]?key|apikey|"
    r"secret|token|"
    r"access[_-]?key|auth[_-]?key|account[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|"
    r"client[_-]?secret|client-key-data|credentials?"
)
RULES: tuple[Rule, ...] = (
    *(_issued(kind) for kind in _ISSUED),
    Rule(
        "secret.cookie",
        r"(?i)\b(?:set-)?cookie2?['\"]?[:=][^\n]*?(?:sess|auth|token|remember|sid)[a-z0-9_.-]*=(?P<value>"
        r"[A-Za-z0-9%_.+/-]{16,})",
        _always("session_cookie"),
    ),
    Rule(
        "secret.form",
        r"Private-Lines: \d{1,3}\n(?P<value>[A-Za-z0-9+/=\n]{24,800})|"
        r"WIFI:[^\n]{0,80}?\bP:(?P<wifi>[^;\n]{6,64});|jdbc:oracle:\w{2,6}:[^/\s:@]{1,40}/(?P<oracle>[^@\s/]{6,64})@|"
        r"otpauth://[a-z]{4}/\S{0,120}?secret=(?P<otp>[A-Z2-7]{16,64})",
        _always("credential"),
    ),
    Rule(
        "secret.words",
        r"(?i)\b(?:seed|recovery|mnemonic|wallet|backup)(?: (?:phrase|words|seed|mnemonic)){1,2}"
        r"(?: is| are)?[ :=-]{1,3}['\"]?(?P<value>(?:[a-z]{3,8}[ ,]{1,2}){11,23}[a-z]{3,8})\b",
        _always("seed_phrase"),
    ),
    Rule("secret.jwt", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,}", _jwt),
    Rule(
        "secret.private_key",
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----(?P<body>(?:[\sA-Za-z0-9+/=:,]|\\n|\\r)*)"
        r"(?:-----END [A-Z0-9 ]{1,40}-----)?",
        _private_key,
    ),
    Rule(
        "secret.connection",
        r"\b[A-Za-z][A-Za-z0-9+.-]{1,20}://(?P<user>[^\s:@/'\"<>]{0,64}):(?P<password>[^\s@/'\"<>]{1,})@[^\s'\"<>]{1,}",
        _connection,
    ),
    Rule(
        "secret.authorization",
        r"(?i)\b(?P<scheme>bearer|basic|token)[ =:]+['\"]?(?P<value>[A-Za-z0-9._~+/=-]{12,})",
        _authorization,
    ),
    Rule(
        "secret.assigned",
        rf"(?i)(?P<key>[A-Za-z0-9_.-]{{0,40}}(?:{_SECRET_NAME})[A-Za-z0-9_.-]{{0,20}})['\"\]]{{0,2}}"
        r"(?:\s{0,3}(?::=|=>|==?|:)\s{0,3}|>)['\"]?(?P<value>[^\s'\"<]{4,})",
        _assigned,
        rf"(?i)(?:{_SECRET_NAME})",
    ),
    Rule(
        "secret.short_name",
        r"(?i)\b(?P<key>(?:[a-z0-9_.-]{1,40}[_.-])?(?:pass|pw|psw|psswd))['\"\]]{0,2}\s{0,2}(?::=|=>|=|:)\s{0,2}['\"]?"
        r"(?P<value>[^\s'\"<]{6,80})",
        _short_name,
    ),
    Rule(
        "secret.pair",
        r"(?i)\b(?:log ?in|credentials?|creds|user(?:name)?|account|zugangsdaten|acceso|identifiants?)['\"]?[:= ]{1,3}"
        r"[a-z0-9_.@-]{2,40} ?/ ?(?P<value>[^\s'\"]{8,64})",
        _pair,
    ),
    Rule(
        "secret.told",
        r"(?i)\b(?:password|passwort|passcode|passphrase|pass|kennwort|haslo|contrasena|mot de passe|parola|senha|"
        r"wachtwoord|losenord|login)(?: [a-z]+){0,4}? (?:is|was|ist|lautet|war|"
        r"to|est|es|e|jest|it's|as)"
        r":? ['\"]?(?P<value>[^\s'\"]{6,80})",
        _told,
    ),
    Rule(
        "secret.beside",
        r"(?i)\b(?:password|passwd|passwort|passcode|pw|kennwort)[ ,]{1,2}['\"]?(?P<value>[^\s'\"]{8,80})",
        _beside,
    ),
    Rule(
        "secret.option",
        r"(?i)(?:--?(?:password|passwd|pass|pw|secret|token)[ =]|sshpass -p ?|\bmysql\w* (?:\S+ ){0,6}?-p|"
        r"\bcurl (?:\S+ ){0,8}?-u [^\s:]+:)['\"]?(?P<value>[^\s'\"]{6,})",
        _option,
    ),
    Rule(
        "secret.pin",
        r"(?i)\b(?:pin|cvv2?|cvc2?|security code|otp|one-time (?:code|password))(?: code| number)?"
        r"(?: is|:|=)+ ?(?P<value>\d{3,8})\b",
        _pin,
    ),
    Rule("secret.opaque", r"\b[A-Za-z0-9+/_-]{24,}={0,2}", _opaque, OPAQUE),
)
