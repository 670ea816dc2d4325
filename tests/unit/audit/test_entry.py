import hashlib
import hmac
import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from metaqore.audit.entry import MAX_BODY_BYTES, commit_to, leaf_hash, make_entry
from metaqore.audit.tags import Tag
from metaqore.canonical import canonical_json
from metaqore.errors import InvalidInput

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
SCALARS = TEXT | st.integers(-(2**53) + 1, 2**53 - 1) | st.booleans() | st.none()
NAMES = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=8)


@given(
    actor=TEXT,
    project=st.none() | TEXT,
    request=st.none() | TEXT,
    subject=st.none() | TEXT,
    outcome=st.none() | TEXT,
    commitment=st.none() | TEXT,
    events=st.none() | TEXT,
    policy=st.none() | TEXT,
    details=st.dictionaries(NAMES, SCALARS, max_size=6),
    seq=st.integers(1, 2**53 - 1),
)
def test_the_bytes_of_an_entry_are_the_canonical_json_of_its_fields(
    actor, project, request, subject, outcome, commitment, events, policy, details, seq
):
    entry = make_entry(
        organization="org_1",
        seq=seq,
        tag=Tag.ARTIFACT_ADMITTED,
        actor=actor,
        ts_ms=1_760_000_000_000,
        project=project,
        request=request,
        subject=subject,
        outcome=outcome,
        policy_digest=policy,
        details=details,
        commitment=commitment,
        events=events,
    )

    about = {
        "commitment": commitment,
        "details": details or None,
        "events": events,
        "outcome": outcome,
        "policy": policy,
        "subject": subject,
    }
    expected = {
        "about": {name: value for name, value in about.items() if value is not None},
        "actor": actor,
        "organization": "org_1",
        "project": project,
        "request": request,
        "seq": seq,
        "tag": "psmp:artifact:admitted",
        "ts": 1_760_000_000_000,
        "v": 1,
    }
    assert rfc8785.dumps(expected) == entry.body == canonical_json(expected)
    assert json.loads(entry.body) == expected
    assert hashlib.sha256(b"\x00" + entry.body).digest() == entry.leaf_hash == leaf_hash(entry.body)
    assert (entry.seq, entry.tag) == (seq, "psmp:artifact:admitted")


def _entry(**more):
    return make_entry(organization="o", seq=1, tag=Tag.REQUEST_ACCEPTED, actor="a", ts_ms=1, **more)


@pytest.mark.parametrize(
    "details",
    [{"a": 1.5}, {"a": [1]}, {"a": {"b": 1}}, {"a": 2**53}, {"a": -(2**53)}, {"é": 1}, {"a": b"x"}],
)
def test_a_detail_that_has_no_place_in_hashed_bytes_is_refused(details):
    with pytest.raises(InvalidInput):
        _entry(details=details)


def test_text_that_is_not_unicode_is_refused():
    with pytest.raises(InvalidInput, match="not Unicode"):
        _entry(subject="\ud800")


def test_an_entry_that_carries_content_instead_of_a_digest_is_refused():
    with pytest.raises(InvalidInput, match="65535"):
        _entry(details={"text": "x" * MAX_BODY_BYTES})


def test_every_tag_has_three_lower_case_parts_and_is_unique():
    assert len(Tag) == len({tag.value for tag in Tag})
    for tag in Tag:
        feature, subject, action = tag.value.split(":")
        assert all(part.replace("_", "").isalpha() and part.islower() for part in (feature, subject, action))


def test_a_commitment_depends_on_payload_and_salt_and_shows_neither():
    known = commit_to(b'{"a":1}', b"\x01" * 32)

    assert known == commit_to(b'{"a":1}', b"\x01" * 32)
    assert known != commit_to(b'{"a":2}', b"\x01" * 32)
    assert known != commit_to(b'{"a":1}', b"\x02" * 32)
    assert known.startswith("hmac-sha256:")
    assert len(known) == len("hmac-sha256:") + 64


@given(payload=st.binary(max_size=200), salt=st.binary(max_size=64))
def test_the_commitment_is_the_hmac_of_rfc_2104(payload, salt):
    assert commit_to(payload, salt) == "hmac-sha256:" + hmac.digest(salt, payload, "sha256").hex()
