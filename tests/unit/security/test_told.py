"""Secrets that are told by name, and what is told in the same words without being one."""

from __future__ import annotations

import pytest

from metaqore.security import assess
from metaqore.security.look import suspects
from metaqore.security.model import Label

VALUE = "Zx81!kettle"
KEY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"
TOLD = (
    f"usuario admin, clave: {VALUE}", f"login admin, mdp: {VALUE}", f"login biuro, hasło to {VALUE}", f"PW ist {VALUE}",
    f"sure, pw is {VALUE}", f"a senha é {VALUE}", f"gebruiker beheer, wachtwoord: {VALUE}", f"lösenord {VALUE}",
    f"şifre: {VALUE}", f"heslo je {VALUE}", f"пароль: {VALUE}", f"temp pwd {VALUE} given by phone",
    f"- name: DB_PASSWORD\n  value: \"{VALUE}\"", f"define('DB_PASSWORD', '{VALUE}');", f'keyPassword "{VALUE}"',
    f'variable "db_pass" {{\n  type    = string\n  default = "{VALUE}"\n}}', f"CREATE USER a IDENTIFIED BY '{VALUE}';",
    f"docker login -u app -p {VALUE} registry.acme.io", f"new PDO('mysql:host=db', 'shop', '{VALUE}')",
    f"aws configure set aws_secret_access_key {KEY}", f'api.WithToken("{KEY}")', f"APP_KEY=base64:{KEY}=",
    f'Headers.Add("Ocp-Apim-Subscription-Key", "{KEY}")', f'<add key="x" value="re_AbC12345_{KEY[:24]}" />',
    f"a8Q8Q~{KEY}xY", f"cs_{'0a1b2c3d4e' * 4}", "the pin for my card is 4711",
    f"Passwort für den Router: {VALUE}", f"hasło do wifi: {VALUE}", f"the admin password was changed to {VALUE} today",
    f"le mot de passe du wifi c'est {VALUE}", f"passwd kim -> {VALUE}",
    f'<password encrypted="false">{VALUE}</password>',
    f"htpasswd -b .htpasswd kim {VALUE}", f"net user kim {VALUE} /add", f"datadog: api_key {'0a1b2c3d' * 4}",
    f"NEXTAUTH_SECRET={KEY}", f"authorization: bot {KEY}", f'requests.get(url, auth=("kim", "{VALUE}"))',
)  # fmt: skip


@pytest.mark.parametrize("text", TOLD, ids=range(len(TOLD)))
def test_a_secret_is_found_by_what_it_is_called(text: str) -> None:
    assert assess(text).content is Label.CRITICAL
    assert suspects(text)
    assert suspects('{"a":"' + text.replace('"', '\\"').replace("\n", "\\n") + '"}')


@pytest.mark.parametrize(
    "text",
    [
        "If you have a traceback object, pass it directly to `Source.executing()`.",
        "Pass the formatter to `Options` in the argument `pygments_formatter`.",
        "treats them as double-width, pass ``ambiguous_width=2``:",
        'PASSWORD_PATTERN = "^(?=.*[0-9])(?=.*[a-z])(?=.*[A-Z]).{8,}$"',
        'level=warn msg="token expired" kid=b4b6eceb2773729b23b7993536e462d2c4798fc3',
        "KeyError: 'password'\n  File \"/usr/lib/python3.11/site-packages/django/contrib/auth/forms.py\", line 149",
        'parser.add_argument("--password", help="password of the account")',
        '"password": "Mot de passe", "passwordConfirm": "Confirmez le mot de passe"',
        "if looks_secret(value, password=True):\n    return",
        "secret: arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
        '{"password_changed_at": "2026-01-01T10:00:00Z", "secretRef": "db-credentials-2026"}',
        "Hasło musi mieć co najmniej 12 znaków.",
        "re_compiled_patterns_for_module_2 is a module",
        '{"items": [], "nextPageToken": "Y_ZVgh02u7Qys-0OaUVUkXqesgNHQfkqrEOAu4z0"}',
        "- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db-credentials-2",
    ],
)
def test_the_same_words_without_a_secret_are_none(text: str) -> None:
    assert assess(text).content < Label.SENSITIVE


def test_what_is_found_is_the_value_and_not_what_surrounds_it() -> None:
    for text in (f"sure, pw is {VALUE}, thanks", f"- name: DB_PASSWORD\n  value: '{VALUE}'\n", f"mdp: {VALUE}; fin"):
        found = assess(text).findings[0]
        assert text[found.start : found.end] == VALUE
