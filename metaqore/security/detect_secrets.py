"""Credentials: issuer formats, private keys, connection strings, headers; those told by name are in ``detect_told``.

Formats: the issuers' public documentation of their token prefixes; RFC 7519 (JWT), RFC 7468 (PEM), RFC 6750 (bearer),
RFC 7617 (basic), RFC 3986 §3.2.1 (userinfo).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable

from metaqore.security import detect_told
from metaqore.security.detect_patterns import Match
from metaqore.security.detect_rule import Hit, Rule, Words, around, before
from metaqore.security.detect_values import (
    character_classes,
    critical,
    entropy,
    is_placeholder,
    letters_and_digits,
    looks_secret,
)

#: How tokens of further issuers begin.
VENDORS = (
    r"gsk_|lin_(?:api|oauth)_|ntn_|dp\.(?:pt|st|ct|sa|scim|audit)\.|gl(?:sa|c)_|sntry[su]_|pscale_(?:tkn|oauth|pw)_|"
    r"PMAK-|sq0(?:csp|atp|idp)-|NRAK-|NRJS-|NRII-|xai-|pplx-|r8_|fo1_|sbp_|figd_|ATATT3|ATBB|ATCTT3|HRKU-|AKCp|"
    r"rubygems_|CLOJARS_|dckr_(?:pat|oat)_|pul-|xkeysib-|xsmtpsib-|CFPAT-|tfp_|nfp_|rnd_|lsv2_(?:pt|sk)_|"
    r"tskey-(?:auth|api|client)-|ops_eyJ|rzp_live_|ABSK|nvapi-|sgp_|phx_|EAACEdEose0cBA|pat-(?:na|eu)\d-|bkua_|"
    r"dt0c01\.|sha256~|squ_|sq[ap]_|CCIPAT_|pcsk_|sb_secret_|re_[A-Za-z0-9]{8}_|sk\.eyJ|access_token\$production\$|"
    r"FLWSECK-|AKID|EZ[AT]K|pnu_|tvly-|napi_|FlyV1 fm\d_|ATTA|glrtr-|rdme_|EAA[A-Z]|sl\.u\.|"
    r"pat[A-Za-z0-9]{14}\.|A3-[A-Z0-9]{6}-|shippo_live_|hcaik_|fio-u-|ico-|dnkey-|CLOJARS_|tk-us-|p8e-|"
    r"access-(?:production|development|sandbox)-"
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
    # One automaton for many: the beginnings are their issuers' own. The last ones are NuGet's, Microsoft Entra's,
    # Fireworks', WooCommerce's and Alibaba's.
    "vendor_token": rf"\b(?:{VENDORS})[A-Za-z0-9_=.$+/-]{{22,}}|\boy2[a-z0-9]{{43}}\b|"
    r"\b[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{31,34}|\bfw_[A-Za-z0-9]{22}\b|\bc[ks]_[0-9a-f]{40}\b|\bLTAI[A-Za-z0-9]{16,20}\b",
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

_HASH_TALK = Words(
    r"""
    commit|sha-?1|sha-?256|sha-?512|md5|checksum|digest|etag|uuid|revision|hash|blob|tree|fingerprint|integrity|
    public[ -]key|ssh-(?:rsa|ed25519)|(?:cache|primary|sort|foreign|partition|idempotency|row|object|s3) key
    """
)
_SECRET_TALK = Words(
    r"""
    secret|secrets|token|tokens|api[ _-]?key|access[ _-]?key|key is|credentials?|password|passwd|passphrase|bearer|
    auth|x-api-key|signing key|client ?secret
    """
)


#: ``site-packages/django/contrib``, ``re_compiled_patterns_2``: words and numbers, not drawn at random.
_WORD = r"(?:[A-Z]?[a-z]{2,}\d{0,3}|[A-Z]{2,}\d{0,3}|[a-z]|\d{1,4})"
_OF_WORDS = re.compile(rf"{_WORD}(?:[/_.=-]+{_WORD})*/?")
#: Right before a value: the name of something else that looks random.
_NAMED_OTHERWISE = re.compile(
    r"(?:\b|_|-)(?:id|kid|uid|uuid|guid|sha\d*|digest|rev|ref|trace|span|request|jti|sub|iss|nonce|build|job|version|"
    r"thumbprint|x5t|salt|iv|at|in|file|path|line)['\"]?(?: ?[:=] ?| )['\"/]{0,2}$"
)


def _issued(kind: str) -> Rule:
    def judge(text: str, match: Match) -> Hit | None:
        body = max(re.split(r"[_-]|\.(?=.)|=", match.text, maxsplit=1), key=len)
        fake = re.search(r"(?i)example|xxxx|0{8}|1234567890|abcdefgh|placeholder|your|redacted", match.text)
        if fake or entropy(body) < 2.8 or not re.search(r"\d", match.text):
            return None
        if kind == "vendor_token" and _OF_WORDS.fullmatch(match.text):
            return None
        return critical(kind, match, 0.98)

    return Rule(f"secret.{kind}", _ISSUED[kind], judge)


def _jwt(_text: str, match: Match) -> Hit | None:
    header = match.text.partition(".")[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return None
    return critical("jwt", match, 0.97) if isinstance(fields, dict) and ("alg" in fields or "enc" in fields) else None


def _private_key(_text: str, match: Match) -> Hit | None:
    body = re.sub(r"\s|\\n|\\r", "", match.groups.get("body", ""))
    return critical("private_key", match, 0.99) if len(body) >= 24 and entropy(body) > 3.5 else None


def _connection(_text: str, match: Match) -> Hit | None:
    password = match.groups["password"]
    if is_placeholder(password) or password.lower() == match.groups.get("user", "").lower():
        return None
    strong = character_classes(password) >= 2 and len(password) >= 6
    if not strong and re.search(r"example|localhost|127\.0\.0\.1|@host\b|@server\b", match.text):
        return None
    if re.fullmatch(r"[a-z]{1,12}", password) or (password.isdigit() and len(password) < 6):
        return None
    return critical("connection_string", match, 0.95)


def _authorization(text: str, match: Match) -> Hit | None:
    value = match.groups["value"].rstrip(".,;")
    if match.groups["scheme"].lower() == "basic":
        try:
            user, _, password = base64.b64decode(value + "=" * (-len(value) % 4)).decode("ascii").partition(":")
        except ValueError:
            return None
        return (
            critical("basic_auth", match, 0.9, "value") if password and not is_placeholder(password) and user else None
        )
    if not looks_secret(value, password=False) or len(value) < 16:
        return None
    return critical("bearer_token", match, 0.93, "value")


def _always(kind: str) -> Callable[[str, Match], Hit | None]:
    """Return the judge of what is a secret by its form alone, where its value is no placeholder."""

    def judge(_text: str, match: Match) -> Hit | None:
        value = match.groups.get("value", match.text)
        if is_placeholder(value) or entropy(value) < 2.5:
            return None
        return critical(kind, match, 0.92, "value" if "value" in match.groups else None)

    return judge


def _opaque(text: str, match: Match) -> Hit | None:
    """A long random string is a secret only where the words before it call it one."""
    near = before(text, match.start, 48)
    if not _SECRET_TALK.occur(near) or _HASH_TALK.occur(around(text, match.start, match.start, 60)):
        return None
    if _NAMED_OTHERWISE.search(near) or _OF_WORDS.fullmatch(match.text):
        return None
    value = match.text
    hexadecimal = bool(re.fullmatch(r"[0-9a-fA-F]+", value))
    if is_placeholder(value) or entropy(value) < (3.0 if hexadecimal else 3.8) or not letters_and_digits(value):
        return None
    return critical("opaque_secret", match, 0.75)


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
        r"(?i)\b(?P<scheme>bearer|basic|token|bot)[ =:]+['\"]?(?P<value>[A-Za-z0-9._~+/=-]{12,})",
        _authorization,
    ),
    Rule("secret.opaque", r"\b[A-Za-z0-9+/_-]{24,}={0,2}", _opaque),
    *detect_told.RULES,
)
