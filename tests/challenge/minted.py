"""Secrets of many issuers, minted: they have the form that the issuer documents, and open nothing."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable

_ALNUM = string.ascii_letters + string.digits
_UPPER = string.ascii_uppercase + string.digits
_HEX = "0123456789abcdef"
_URLSAFE = _ALNUM + "-_"
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def draw(random: random.Random, letters: str, count: int) -> str:
    """Return that many letters drawn, at least one of them a digit."""
    text = [random.choice(letters) for _ in range(count)]
    text[random.randrange(1, count)] = random.choice("23456789")
    return "".join(text)


def _b64(random: random.Random, octets: int) -> str:
    return base64.b64encode(random.randbytes(octets)).decode()


def _jwt(random: random.Random) -> str:
    def part(value: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    claims = {"sub": f"user-{random.randint(1, 9999)}", "iat": 1767000000 + random.randint(0, 10**6)}
    head = {"alg": random.choice(("HS256", "RS256", "ES256")), "typ": "JWT"}
    return f"{part(head)}.{part(claims)}.{draw(random, _URLSAFE, 43)}"


def _pem(random: random.Random, kind: str, octets: int = 600) -> str:
    packed = _b64(random, octets)
    lines = "\n".join(packed[start : start + 64] for start in range(0, len(packed), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----"


def _pgp(random: random.Random) -> str:
    return _pem(random, "PGP PRIVATE KEY BLOCK").replace("-----\n", "-----\nVersion: GnuPG v2\n\n", 1)


def _putty(random: random.Random) -> str:
    lines = "\n".join(draw(random, _ALNUM + "+/", 64) for _ in range(4))
    return (
        f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: imported\nPublic-Lines: 2\n"
        f"AAAA{draw(random, _ALNUM, 60)}\nPrivate-Lines: 4\n{lines}\nPrivate-MAC: {draw(random, _HEX, 64)}"
    )


def _service_account(random: random.Random) -> str:
    return json.dumps(
        {
            "type": "service_account", "project_id": f"shop-{random.randint(100, 999)}",
            "private_key_id": draw(random, _HEX, 40), "private_key": _pem(random, "PRIVATE KEY", 800) + "\n",
            "client_email": f"runner@shop-{random.randint(100, 999)}.iam.gserviceaccount.com",
        }
    )  # fmt: skip


def password(random: random.Random) -> str:
    """Return a password as people or password managers choose one."""
    kind = random.randrange(3)
    if kind == 0:
        return draw(random, _ALNUM + "!#%&*+?", random.randint(10, 20))
    if kind == 1:
        word = random.choice(("Winter", "Dragon", "Sunshine", "Tiger", "Hamster", "Bicycle", "Falcon", "Orchid"))
        return f"{word}{random.randint(10, 2029)}{random.choice('!?#*')}"
    return draw(random, _ALNUM, random.randint(16, 28))


def _url(scheme: str, host: str, path: str = "") -> Callable[[random.Random], str]:
    def make(random: random.Random) -> str:
        user = random.choice(("app", "svc_orders", "reporting", "root", "etl", "webapp"))
        secret = draw(random, _ALNUM, random.randint(12, 24))
        return f"{scheme}://{user}:{secret}@{host.format(random.randint(1, 40))}{path}"

    return make


#: Issuer → a secret that is recognised by its own form, wherever it stands.
ISSUED: dict[str, Callable[[random.Random], str]] = {
    "aws access key": lambda r: "AKIA" + draw(r, _UPPER, 16),
    "aws temporary key": lambda r: "ASIA" + draw(r, _UPPER, 16),
    "gcp service account": _service_account,
    "google api key": lambda r: "AIza" + draw(r, _URLSAFE, 35),
    "google oauth": lambda r: "GOCSPX-" + draw(r, _URLSAFE, 28),
    "azure storage": lambda r: "DefaultEndpointsProtocol=https;AccountName=shop"
    f"{r.randint(1, 99)};AccountKey={_b64(r, 64)};EndpointSuffix=core.windows.net",
    "azure service bus": lambda r: f"Endpoint=sb://shop{r.randint(1, 99)}.servicebus.windows.net/;"
    f"SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={_b64(r, 32)}",
    "azure sas": lambda r: f"https://shop.blob.core.windows.net/x?sv=2024-11-04&se=2027-01-01&sp=rw&sig="
    f"{_b64(r, 32).replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}",
    "sql server": lambda r: f"Server=tcp:db{r.randint(1, 9)}.database.windows.net,1433;Database=shop;User ID=app;"
    f"Password={draw(r, _ALNUM, 14)};Encrypt=true",
    "github": lambda r: r.choice(("ghp_", "gho_", "ghs_", "ghu_")) + draw(r, _ALNUM, 36),
    "github fine-grained": lambda r: f"github_pat_{draw(r, _ALNUM, 22)}_{draw(r, _ALNUM, 59)}",
    "gitlab": lambda r: "glpat-" + draw(r, _URLSAFE, 20),
    "slack bot": lambda r: f"xoxb-{r.randint(10**11, 10**12)}-{r.randint(10**11, 10**12)}-{draw(r, _ALNUM, 24)}",
    "slack webhook": lambda r: f"https://hooks.slack.com/services/T{draw(r, _UPPER, 8)}/B{draw(r, _UPPER, 10)}/"
    f"{draw(r, _ALNUM, 24)}",
    "stripe": lambda r: "sk_live_" + draw(r, _ALNUM, 24),
    "stripe restricted": lambda r: "rk_live_" + draw(r, _ALNUM, 40),
    "twilio": lambda r: "SK" + draw(r, _HEX, 32),
    "sendgrid": lambda r: f"SG.{draw(r, _URLSAFE, 22)}.{draw(r, _URLSAFE, 43)}",
    "mailchimp": lambda r: f"{draw(r, _HEX, 32)}-us{r.randint(1, 21)}",
    "npm": lambda r: "npm_" + draw(r, _ALNUM, 36),
    "pypi": lambda r: "pypi-AgEIcHlwaS5vcmc" + draw(r, _URLSAFE, 120),
    "hugging face": lambda r: "hf_" + draw(r, _ALNUM, 34),
    "openai": lambda r: "sk-" + draw(r, _ALNUM, 20) + "T3BlbkFJ" + draw(r, _ALNUM, 20),
    "openai project": lambda r: "sk-proj-" + draw(r, _URLSAFE, 120),
    "anthropic": lambda r: "sk-ant-api03-" + draw(r, _URLSAFE, 93) + "AA",
    "groq": lambda r: "gsk_" + draw(r, _ALNUM, 52),
    "digitalocean": lambda r: "dop_v1_" + draw(r, _HEX, 64),
    "databricks": lambda r: "dapi" + draw(r, _HEX, 32),
    "shopify": lambda r: "shpat_" + draw(r, _HEX, 32),
    "vault": lambda r: "hvs." + draw(r, _URLSAFE, 90),
    "terraform cloud": lambda r: f"{draw(r, _ALNUM, 14)}.atlasv1.{draw(r, _URLSAFE, 64)}",
    "doppler": lambda r: "dp.st.prd." + draw(r, _ALNUM, 42),
    "linear": lambda r: "lin_api_" + draw(r, _ALNUM, 40),
    "notion": lambda r: "ntn_" + draw(r, _ALNUM, 46),
    "new relic": lambda r: "NRAK-" + draw(r, _UPPER, 27),
    "grafana": lambda r: f"glsa_{draw(r, _ALNUM, 32)}_{draw(r, _HEX, 8)}",
    "sentry": lambda r: "sntrys_" + draw(r, _ALNUM, 80),
    "planetscale": lambda r: "pscale_tkn_" + draw(r, _URLSAFE, 43),
    "postman": lambda r: f"PMAK-{draw(r, _HEX, 24)}-{draw(r, _HEX, 34)}",
    "square": lambda r: "sq0csp-" + draw(r, _URLSAFE, 43),
    "telegram": lambda r: f"{r.randint(10**8, 10**9)}:AA{draw(r, _URLSAFE, 33)}",
    "discord webhook": lambda r: (
        f"https://discord.com/api/webhooks/{r.randint(10**17, 10**18)}/{draw(r, _URLSAFE, 68)}"
    ),
    "age": lambda r: "AGE-SECRET-KEY-1" + draw(r, "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
    "jwt": _jwt,
    "rsa key": lambda r: _pem(r, "RSA PRIVATE KEY"),
    "pkcs8 key": lambda r: _pem(r, "PRIVATE KEY"),
    "encrypted key": lambda r: _pem(r, "ENCRYPTED PRIVATE KEY"),
    "ec key": lambda r: _pem(r, "EC PRIVATE KEY", 120),
    "openssh key": lambda r: _pem(r, "OPENSSH PRIVATE KEY", 300),
    "pgp key": _pgp,
    "putty key": _putty,
    "postgres url": _url("postgresql", "db-{}.prod.internal:5432", "/shop?sslmode=require"),
    "mongodb url": _url("mongodb+srv", "cluster{}.ab12c.mongodb.net", "/?retryWrites=true"),
    "redis url": _url("redis", "cache-{}.prod.internal:6379", "/0"),
    "amqp url": _url("amqps", "mq-{}.prod.internal:5671", "/orders"),
    "snowflake url": _url("snowflake", "ab{}345.eu-central-1", "/SHOP/PUBLIC"),
    "https url": _url("https", "git.shop.dev", "/team/app.git"),
    "jdbc": lambda r: f"jdbc:postgresql://db-{r.randint(1, 9)}:5432/shop?user=app&password={draw(r, _ALNUM, 16)}",
    "jdbc oracle": lambda r: f"jdbc:oracle:thin:app/{draw(r, _ALNUM, 14)}@//ora{r.randint(1, 9)}:1521/SHOP",
    "odbc": lambda r: f"Driver={{ODBC Driver 18}};Server=db{r.randint(1, 9)};UID=app;PWD={draw(r, _ALNUM, 14)};",
    "netrc": lambda r: f"machine git.shop.dev\n  login deploy\n  password {draw(r, _ALNUM, 20)}",
    "npmrc": lambda r: f"//registry.shop.dev/:_authToken={draw(r, _ALNUM, 36)}",
    "htpasswd": lambda r: f"deploy:$apr1${draw(r, _ALNUM, 8)}${draw(r, _ALNUM + './', 22)}",
    "shadow": lambda r: f"root:$6${draw(r, _ALNUM, 16)}${draw(r, _ALNUM + './', 86)}:19700:0:99999:7:::",
    "bcrypt": lambda r: f"password_hash = $2b$12${draw(r, _ALNUM + './', 53)}",
    "basic header": lambda r: "Authorization: Basic "
    + base64.b64encode(f"deploy:{draw(r, _ALNUM, 14)}".encode()).decode(),
    "bearer header": lambda r: "Authorization: Bearer " + draw(r, _URLSAFE, r.randint(32, 60)),
    "cookie": lambda r: f"Cookie: theme=dark; sessionid={draw(r, _ALNUM, 32)}",
    "set-cookie": lambda r: f"Set-Cookie: auth_token={draw(r, _URLSAFE, 40)}; HttpOnly; Secure",
    "kubeconfig": lambda r: f"users:\n- name: admin\n  user:\n    client-key-data: {_b64(r, 400)}",
    "kubernetes secret": lambda r: "apiVersion: v1\nkind: Secret\nmetadata:\n  name: db\ndata:\n  password: "
    + base64.b64encode(draw(r, _ALNUM, 16).encode()).decode(),
    "docker auth": lambda r: '{"auths": {"registry.shop.dev": {"auth": "'
    + base64.b64encode(f"deploy:{draw(r, _ALNUM, 18)}".encode()).decode() + '"}}}',
    "wifi": lambda r: f"WIFI:T:WPA;S:Office;P:{draw(r, _ALNUM, 14)};;",
    "otpauth": lambda r: f"otpauth://totp/Shop:app?secret={draw(r, _BASE32, 32)}&issuer=Shop",
    "mnemonic": lambda r: "seed phrase: " + " ".join(
        r.sample("abandon ability about absorb acid across orbit pencil piano rabbit ribbon salmon satoshi tiger "
                 "umbrella velvet walnut wagon zebra zone ocean napkin lemon garlic engine dolphin".split(), 12)),
}  # fmt: skip
