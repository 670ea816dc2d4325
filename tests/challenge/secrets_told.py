"""Secrets in all the places where people and programs leave them, and what stands in such places without being one."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator

from tests.challenge import hosts
from tests.challenge.case import Case
from tests.challenge.minted import ISSUED, draw, password

#: How a secret that has a form of its own is told, by set.
_CARRIERS = {
    "a": (
        "{}", "Found this in the build log: {}", "# TODO remove before merge\n{}\n", "my notes:\n\n{}\n\nthat is all",
        "echo '{}' >> ~/.config/app", "The old value was {} and still works.", "> {}\n\nCan somebody rotate it?",
    ),
    "b": (
        "{}\n", "Agent scratchpad: {} (do not lose)", "ERROR upstream said 401, sent {}", "ticket 4411, comment 3: {}",
        "x = '''{}'''", "diff --git a/conf b/conf\n-old\n+{}", "For the demo use {} until Friday.",
    ),
    "c": (
        "{}", "hey, the thing you asked for: {}", "stdout: {}", "| value | {} |", "- {}\n- (rotate next week)",
        "// {}", "Copied from the vault:\n{}\n",
    ),
}  # fmt: skip
#: How a password or key without a form of its own is named, by set.
_NAMED = {
    "a": (
        "password: {}", "DB_PASSWORD={}", 'password = "{}"', "<password>{}</password>", "--password={}",
        "mysql -u app -p{} shop", "the password for the printer is {}", "smtp_pass: '{}'", '"db_password": "{}"',
        "set-value auth.rootPassword={}", "Passwort: {}", "mot de passe : {}", "contraseña: {}", "login app / {}",
        "export PGPASSWORD={}", "spring.datasource.password={}", "pw: {}", "sshpass -p {} ssh deploy@host",
        "user=app passwd={}", "The wifi password is {}", "REDIS_PASS={}", "root_password => '{}'",
    ),
    "b": (
        "passwd: {}", "ADMIN_PASSWORD={}", "password='{}'", "<Password>{}</Password>", "--pass {}",
        "PGPASSWORD={} psql -h db", "Log in with user admin and password {}", "smtp.password = {}", '"pwd": "{}"',
        "ansible_become_pass: {}", "Kennwort lautet {}", "hasło: {}", "la contraseña es {}", "credentials: admin/{}",
        "$env:DB_PASSWORD = '{}'", "rabbitmq_default_pass={}", "PW={}", "curl -u deploy:{} https://x.dev",
        "uid=app;pwd={};", "your temporary password is: {}", "MYSQL_ROOT_PASSWORD: {}", "keystore.password={}",
    ),
    "c": (
        "Password = {}", "APP_PASS: {}", "pwd => '{}'", "<pwd>{}</pwd>", "--password '{}'",
        "net use x: /user:app password={}",
        "my password is {} in case you need it", "database.password={}", '"passwd": "{}"', "vault_pass: {}",
        "Das Passwort lautet {}", "MOT_DE_PASSE={}", "clave: {}", "login: admin / {}", "SMTP_PASSWORD='{}'",
        "unlock passphrase: {}", "LDAP_BIND_PW={}", "new user kim, initial password {}", "grafana admin password: {}",
    ),
}  # fmt: skip
_KEYS = {
    "a": ("api_key: {}", "X-Api-Key: {}", "SECRET_KEY = '{}'", "client_secret={}", '"accessToken": "{}"',
          "aws_secret_access_key = {}", "signing_secret: {}", "token={}", "encryption_key: {}", "webhook secret is {}"),
    "b": ("apikey={}", "x-auth-token: {}", "JWT_SECRET={}", '"clientSecret": "{}"', "refresh_token: {}",
          "AWS_SECRET_ACCESS_KEY={}", "app_secret => {}", "?access_token={}", "master_key: {}", "the api key is {}"),
    "c": ("API-KEY: {}", "authorization: token {}", "SESSION_SECRET={}", '"secretKey": "{}"', "deploy_token: {}",
          "AWS_SECRET_ACCESS_KEY: {}", "hmac_secret = {}", "?api_key={}", "auth_token='{}'", "the token is {}"),
}  # fmt: skip
#: What stands where a secret would, by set.
_NO_SECRET = {
    "a": (
        "password: changeme", "API_KEY=<your-token>", "DB_PASSWORD=${DB_PASSWORD}", 'token = "xxxxxxxxxxxxxxxxxxxx"',
        "password=os.environ['DB_PASSWORD']", "client_secret: {{ vault.client_secret }}", "secret: ****************",
        "postgresql://user:password@localhost:5432/db", "curl -H 'Authorization: Bearer $TOKEN' https://api.dev",
        "def test_login(): login('alice', 'secret')", "password: str | None = None", "token: str = Field(min_length=8)",
        "export AWS_SECRET_ACCESS_KEY=YOUR_SECRET_KEY", "sk_test_xxxxxxxxxxxxxxxxxxxxxxxx", "AKIAIOSFODNN7EXAMPLE",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "password_hash = hash(password)", "the token expires in 3600s",
        "Tokens: 12345678 in, 2048 out", "secret = get_secret('db/password')", "max_tokens: 4096",
        "The password must have at least 12 characters, one digit and one letter.", "password = input('Password: ')",
        "integrity sha512-{b64}", "commit {sha1}", "id: {uuid}", "etag: \"{md5}\"", "sha256:{sha256}",
        "private_key = Ed25519PrivateKey.generate()", "token = secrets.token_urlsafe(32)",
        "passwordField.setText(value)",
        "-----BEGIN CERTIFICATE-----\n{b64}\n-----END CERTIFICATE-----",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{b64} me@laptop",
        "csrf_token: {{{{ csrf_token() }}}}", "next_page_token: {alnum}", "public_key: {b64}", "cache key is {sha1}",
    ),
    "b": (
        "passwd: <redacted>", "SECRET=REPLACE_ME", "password: !vault |", 'api_key = "your-api-key-here"',
        "token = settings.API_TOKEN", "clientSecret: $(CLIENT_SECRET)", "password: ••••••••••",
        "mongodb://username:password@example.com/test", "Authorization: Bearer <access_token>",
        "assert check('admin', 'admin') is False", "api_key: Optional[str]",
        "password: { type: string, minLength: 12 }",
        "STRIPE_KEY=sk_test_...", "pypi-XXXXXXXXXXXXXXXX", "glpat-xxxxxxxxxxxxxxxxxxxx", "hf_your_token_here",
        "if password == confirm_password:", "tokens: 198231 (cached 180000)",
        "secretKeyRef: {{ name: db, key: password }}",
        "keyring get shop db", "Please never share your password with anybody.", "pass  # nothing to do",
        "resolved https://registry.npmjs.org/x/-/x-1.0.0.tgz#{sha1}", "\"integrity\": \"sha384-{b64}\"",
        "trace_id={hex32}", "build {uuid} passed", "Docker-Content-Digest: sha256:{sha256}", "checksum = \"{sha256}\"",
        "const token = await getToken();", "self.password = password", "password_reset_token_generator = Generator()",
        "-----BEGIN PUBLIC KEY-----\n{b64}\n-----END PUBLIC KEY-----", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB{b64} ci@build",
        "page_token={alnum}", "data:image/png;base64,iVBORw0KGgo{b64}", "nonce: {alnum}", "idempotency-key: {uuid}",
    ),
    "c": (
        "password=secret", "API_TOKEN=...", "DB_PASS=%DB_PASS%", "token: <paste your token>",
        "secret: ${{ secrets.CI }}",
        "password = getpass.getpass()", "client = Client(api_key=os.getenv('KEY'))", "redis://localhost:6379/0",
        "The API key is shown once; copy it to a safe place.", "tokens_per_second: 1450.25", "password_min_length = 12",
        "git checkout {sha1}", "sha1: {sha1}", "ETag: W/{md5}", "request {uuid} took 20 ms",
        "const KEY = Symbol('key');",
        "assertEqual(token.type, 'NAME')", "key = (user.id, page)", "<input type=password name=pw>",
        "pass: 12, fail: 3",
        "basic auth is not supported", "bearer of good news", "ssh-rsa AAAAB3NzaC1yc2E{b64}", "cookie: theme=dark",
        "lockfile checksum {sha256}", "user/repo is archived", "account/settings/profile", "login/logout events",
    ),
}  # fmt: skip


def secrets(chosen: str, seed: int, each: int = 2) -> Iterator[Case]:
    """Yield secrets of every issuer, and passwords and keys under many names."""
    chance = random.Random(seed)
    for issuer, mint in ISSUED.items():
        for carrier in chance.sample(_CARRIERS[chosen], each):
            yield Case(_somewhere(carrier.replace("{}", mint(chance)), chance), f"secret: {issuer}", "CRITICAL")
    for named in _NAMED[chosen]:
        for _ in range(each):
            yield Case(_somewhere(named.replace("{}", password(chance)), chance), f"named: {named[:24]}", "CRITICAL")
    for named in _KEYS[chosen]:
        for _ in range(each):
            letters = chance.choice(
                ("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "0123456789abcdef")
            )
            value = draw(chance, letters, chance.choice((32, 40, 48)))
            yield Case(_somewhere(named.replace("{}", value), chance), f"named: {named[:24]}", "CRITICAL")


def no_secrets(chosen: str, seed: int, each: int = 2) -> Iterator[Case]:
    """Yield placeholders, identifiers, hashes and code about secrets. They may be internal, never more."""
    chance = random.Random(seed)
    for template in _NO_SECRET[chosen]:
        for _ in range(each):
            yield Case(_somewhere(_filled(template, chance), chance), "no secret", "PUBLIC or INTERNAL")


def _filled(template: str, chance: random.Random) -> str:
    values = {
        "sha1": 40, "sha256": 64, "md5": 32, "hex32": 32,
    }  # fmt: skip
    for name, size in values.items():
        template = template.replace(f"{{{name}}}", draw(chance, "0123456789abcdef", size))
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    template = template.replace("{b64}", draw(chance, letters + "+/", 86) + "==")
    template = template.replace("{alnum}", draw(chance, letters, 32))
    return template.replace("{uuid}", str(uuid.UUID(int=chance.getrandbits(128), version=4)))


def _somewhere(text: str, chance: random.Random) -> str:
    """Return a text alone, in other text, or as a member of a JSON value."""
    kind = chance.randrange(5)
    if kind == 0:
        return f"{hosts.prose(chance, 3)}\n\n{text}\n\n{hosts.prose(chance, 2)}"
    if kind == 1:
        return f"{hosts.log(chance, 3)}\n{text}\n{hosts.log(chance, 2)}"
    if kind == 2:
        return json.dumps({"kind": "note", "content": text, "version": chance.randint(1, 9)})
    return text
