from __future__ import annotations

from typing import Any

import pytest

from metaqore.security.keys import Principal, StoredKey
from metaqore.security.tokens import StoredToken, sign, token_id

NOW = 1_000_000
WHO = Principal(organization="acme", name="bob/w", key_id="tok_1", scopes=frozenset(), delegator="bob", project="p")


def stored(*, task: str | None = None, **values: Any) -> StoredToken:
    who = Principal(organization="acme", name="bob/w", key_id="tok_1", scopes=frozenset(), project="p", task=task)
    key = StoredKey(principal=WHO, secret_hash="0" * 64)
    given: dict[str, Any] = {"expires_at": NOW + 1, "revoked_at": None, "key": key, "has_key": True, "task_state": None}
    return StoredToken(principal=who, **{**given, **values})


def test_a_token_holds_until_its_last_millisecond() -> None:
    assert stored().ended(NOW, ()) is None
    assert "expired" in str(stored().ended(NOW + 1, ()))


def test_a_token_ends_with_its_key_whatever_has_become_of_it() -> None:
    for key in ({"revoked_at": 1}, {"expires_at": NOW}):
        ended = stored(key=StoredKey(principal=WHO, secret_hash="0" * 64, **key)).ended(NOW, ())
        assert "the key that this token was made with" in str(ended)
    assert "does not exist" in str(stored(key=None).ended(NOW, ()))
    assert stored(key=None, has_key=False).ended(NOW, ()) is None
    alive = StoredKey(principal=WHO, secret_hash="0" * 64, expires_at=NOW + 1)
    assert stored(key=alive).ended(NOW, ()) is None


def test_a_token_ends_with_its_task_and_one_without_a_task_does_not() -> None:
    assert stored(task="tsk_1", task_state="in_progress").ended(NOW, {"done"}) is None
    for state in ("done", None):
        assert "task tsk_1 has ended" in str(stored(task="tsk_1", task_state=state).ended(NOW, {"done"}))
    assert stored(task_state="done").ended(NOW, {"done"}) is None


@pytest.mark.parametrize("secret", [b"1" * 32, b""])
def test_a_token_of_another_installation_names_nobody(secret: bytes) -> None:
    row = {
        "id": "tok_1", "organization": "acme", "principal": "bob/w", "delegator": "bob", "project": "p", "task": None,
        "scopes": ["projects:read"], "created_at": 0, "expires_at": NOW,
    }  # fmt: skip
    text = sign(row, b"0" * 32)

    assert token_id(text, b"0" * 32) == "tok_1"
    assert token_id(text, secret) is None
