from __future__ import annotations

import inspect
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from api import errors, paging
from api.idempotency import idempotency
from api.keyring import KeyRing
from api.known_projects import KnownProjects
from api.merge_patch import merge_patch, merged
from api.preconditions import expected_version
from metaqore.errors import InvalidInput, Malformed, MetaQoreError, NotFound, PreconditionFailed
from metaqore.errors import Unauthenticated as Refused
from metaqore.security.keys import Principal, StoredKey, hash_secret, mint

app = Flask(__name__)


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


# --- keys


class Ring:
    """A key ring over one key that can be changed."""

    def __init__(self) -> None:
        self.text, self.key = mint()
        who = Principal(organization="o", name="n", key_id=self.key.id, scopes=frozenset())
        self.stored = {self.key.id: StoredKey(principal=who, secret_hash=hash_secret(self.key.secret))}
        self.asked: list[str] = []
        self.clock = Clock()
        self.ring = KeyRing(self._look_up, self.clock)

    def _look_up(self, key_id: str) -> StoredKey | None:
        self.asked.append(key_id)
        return self.stored.get(key_id)

    def change(self, **values: Any) -> None:
        self.stored[self.key.id] = msgspec.structs.replace(self.stored[self.key.id], **values)


def test_a_key_is_looked_up_once_and_believed_for_less_than_a_second() -> None:
    ring = Ring()
    for _ in range(3):
        assert ring.ring.authenticate(f"Bearer {ring.text}").name == "n"
    assert ring.asked == [ring.key.id]

    ring.change(revoked_at=1)
    ring.clock.now += 0.95

    with pytest.raises(Refused, match="revoked"):
        ring.ring.authenticate(f"bearer {ring.text}")


def test_a_door_without_delegated_tokens_takes_none_and_signs_none() -> None:
    ring = Ring().ring

    with pytest.raises(Refused):
        ring.authenticate("Bearer mqd_x")
    with pytest.raises(NotFound):
        ring.token_secret()


def test_unknown_wrong_and_missing_keys_are_told_the_same() -> None:
    ring = Ring()
    other, _ = mint()
    wrong = mint()[1]
    head = f"mq_live_{ring.key.id}_{wrong.secret}"
    forged = f"{head}{zlib.crc32(head.encode()):08x}"
    said = set()
    for header in (None, "", "Bearer", "Bearer x", f"Basic {ring.text}", f"Bearer {other}", f"Bearer {forged}"):
        with pytest.raises(Refused) as caught:
            ring.ring.authenticate(header)
        said.add(caught.value.message)
    assert len(said) == 1


def test_an_unknown_key_costs_one_look_up_like_a_known_one() -> None:
    ring = Ring()
    other, key = mint()
    for _ in range(3):
        with pytest.raises(Refused):
            ring.ring.authenticate(f"Bearer {other}")
    assert ring.asked == [key.id]


def test_an_expired_key_is_refused() -> None:
    ring = Ring()
    ring.change(expires_at=1)

    with pytest.raises(Refused, match="expired"):
        ring.ring.authenticate(f"Bearer {ring.text}")


def test_the_secret_before_a_rotation_works_until_its_time_has_come() -> None:
    ring = Ring()
    text, new = mint(key_id=ring.key.id)
    before = hash_secret(ring.key.secret)
    ring.change(secret_hash=hash_secret(new.secret), previous_hash=before, previous_until=2**50)
    for header in (f"Bearer {text}", f"Bearer {ring.text}"):
        assert ring.ring.authenticate(header).name == "n"

    ring.change(previous_until=1)
    ring.clock.now += 1

    assert ring.ring.authenticate(f"Bearer {text}").name == "n"
    with pytest.raises(Refused):
        ring.ring.authenticate(f"Bearer {ring.text}")


def test_a_key_counts_only_in_the_environment_that_it_was_made_for() -> None:
    """Its text is checked against itself only, so that anybody who has a secret could write another environment."""
    ring = Ring()
    ring.change(environment="test")

    with pytest.raises(Refused, match="mq_test_"):
        ring.ring.authenticate(f"Bearer {ring.text}")
    head = ring.text[:-8].replace("mq_live_", "mq_test_")
    assert ring.ring.authenticate(f"Bearer {head}{zlib.crc32(head.encode()):08x}").name == "n"


def test_a_key_from_before_environments_were_kept_counts_in_either() -> None:
    ring = Ring()
    ring.change(environment=None)
    assert ring.ring.authenticate(f"Bearer {ring.text}").name == "n"


# --- limits


def test_a_project_that_exists_is_asked_for_once() -> None:
    asked: list[list[str]] = []

    def existing(organization: str, ids: Any) -> set[str]:
        asked.append([*ids])
        return {"a"} & set(ids) if organization == "o" else set()

    known = KnownProjects(existing)
    known.check("o", "a")
    known.check("o", "a")
    assert known.missing("o", {"a", "b"}) == {"b"}
    assert asked == [["a"], ["b"]]
    with pytest.raises(NotFound):
        known.check("elsewhere", "a")


# --- headers


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("abc", "abc"), ('"abc"', "abc"), ('"a \\"b\\\\"', 'a "b\\'), ("x" * 255, "x" * 255),
        ("", None), ("x" * 256, None), ('"abc', None), ("a b", None), ("é", None), ('"é"', None), ("a\x7f", None),
    ],
)  # fmt: skip
def test_an_idempotency_key_is_visible_ascii_bare_or_quoted(text: str, key: str | None) -> None:
    with app.test_request_context("/x", headers={"Idempotency-Key": text}):
        if key is None:
            with pytest.raises(Malformed):
                idempotency({})
        else:
            found = idempotency({})
            assert found is not None
            assert found.key == key


def test_the_fingerprint_is_of_what_was_meant() -> None:
    def fingerprint(body: Any, path: str = "/x", **headers: str) -> str:
        sent = {"Idempotency-Key": "k", **{k.replace("_", "-"): v for k, v in headers.items()}}
        with app.test_request_context(path, method="POST", headers=sent):
            found = idempotency(body)
            assert found is not None
            return found.fingerprint

    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}, Prefer="wait=3", X_Request_Id="z")
    assert len({fingerprint({}), fingerprint({"a": 1}), fingerprint({}, "/y"), fingerprint({}, If_Match='"1"')}) == 4


@pytest.mark.parametrize(("text", "version"), [('"3"', 3), ("3", 3), ("*", None), ('W/"3"', ...), ('"x"', ...)])
def test_if_match_names_a_version(text: str, version: Any) -> None:
    with app.test_request_context("/x", headers={"If-Match": text}):
        if version is ...:
            with pytest.raises(PreconditionFailed):
                expected_version(required=True)
        else:
            assert expected_version(required=True) == version


@given(st.none() | st.integers(0, 2**53 - 1) | st.text(max_size=40).filter(lambda text: "\0" not in text))
def test_a_page_token_comes_back_as_what_it_stands_for(last: Any) -> None:
    kind = int if isinstance(last, int) else str
    assert paging.after(paging.token(last), kind) == last


@given(st.text(max_size=30))
def test_a_token_of_somebody_else_is_refused_and_never_fails(text: str) -> None:
    try:
        assert isinstance(paging.after(text, int), int | None)
    except InvalidInput as error:
        assert error.details["errors"][0]["pointer"] == "/page_token"


# --- merge patch


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        # RFC 7396, Appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}), ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}), ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}), (["a", "b"], ["c", "d"], ["c", "d"]), ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None), ({"a": "foo"}, "bar", "bar"), ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}), ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)  # fmt: skip
def test_merge_patch_does_what_its_rfc_says(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


def test_only_what_a_patch_names_is_changed() -> None:
    row = {"name": "n", "metadata": {"a": 1, "b": 2}, "description": "d"}

    assert merged(row, {"metadata": {"a": None, "c": 3}, "description": None}, {"description": ""}) == {
        "metadata": {"b": 2, "c": 3}, "description": "",
    }  # fmt: skip


# --- errors


def all_errors(kind: type[MetaQoreError] = MetaQoreError) -> Iterator[type[MetaQoreError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from all_errors(below)


def test_every_error_has_a_status_and_a_code_of_its_own_meaning() -> None:
    seen: dict[str, int] = {}
    for kind in all_errors():
        if not kind.__module__.startswith("metaqore."):
            continue
        status = errors.status_of(kind.__new__(kind))
        assert status == seen.setdefault(kind.code, status) or kind.code == "internal_error", kind
        assert inspect.cleandoc(kind.__doc__ or ""), kind


def test_what_failed_inside_is_not_told_outside() -> None:
    with app.test_request_context("/x"):
        problem = errors.as_document(MetaQoreError("password=hunter2 at /var/lib"))

    assert problem["status"] == 500
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("made", "kind"), [(2**63, int), (2**53, int), (-1, int), ("a\0", str), ([2**63, "a"], tuple[int, str])]
)
def test_a_page_token_that_no_list_gave_is_refused_before_the_database_sees_it(made: Any, kind: Any) -> None:
    with pytest.raises(InvalidInput, match="not a token of this list"):
        paging.after(paging.token(made), kind)
