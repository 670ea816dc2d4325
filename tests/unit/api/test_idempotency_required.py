"""Whose POST needs an ``Idempotency-Key``: what the settings say."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from flask import Flask

from api.door import CALLER, EXTENSION
from api.idempotency import IdempotencyKeyRequired, idempotency
from metaqore.security.keys import Principal, PrincipalKind
from metaqore.settings import load


def accepted(of_whom: str, kind: PrincipalKind, method: str = "POST", key: str | None = None) -> bool:
    """Return whether a call of a principal of this kind gets past the header."""
    app = Flask(__name__)
    app.extensions[EXTENSION] = SimpleNamespace(settings=load({"idempotency_required": of_whom}, environ={}))
    who = Principal(organization="o", name="n", key_id="k", scopes=frozenset(), kind=kind)
    headers = {"Idempotency-Key": key} if key else {}
    with app.test_request_context("/x", method=method, headers=headers, environ_overrides={CALLER: who}):
        try:
            found = idempotency({})
        except IdempotencyKeyRequired:
            return False
        assert (found is not None) == (key is not None)
        return True


@pytest.mark.parametrize("kind", PrincipalKind)
@pytest.mark.parametrize(
    ("of_whom", "refused"),
    [("nobody", set()), ("agents", {PrincipalKind.AGENT}), ("everybody", set(PrincipalKind))],
)
def test_a_post_without_a_key_is_refused_to_those_whom_the_settings_name(
    of_whom: str, refused: set[PrincipalKind], kind: PrincipalKind
) -> None:
    assert accepted(of_whom, kind) == (kind not in refused)
    assert accepted(of_whom, kind, key="k1")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_what_may_be_repeated_by_its_nature_needs_no_key(method: str) -> None:
    assert accepted("everybody", PrincipalKind.AGENT, method)
