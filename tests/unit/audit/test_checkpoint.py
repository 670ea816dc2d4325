import base64

import pytest

from metaqore.audit.checkpoint import (
    BadNote,
    BadSignature,
    Checkpoint,
    Signer,
    Untrusted,
    VerifierKey,
    cosign,
    open_checkpoint,
    origin_of,
    parse_checkpoint,
    parse_note,
    sign_checkpoint,
    verify_note,
)
from metaqore.errors import InvalidInput

LOG = Signer.from_seed("log.example/audit", b"\x01" * 32)
NEXT = Signer.from_seed("log.example/audit", b"\x02" * 32)
STRANGER = Signer.from_seed("log.example/audit", b"\x03" * 32)
WITNESS = Signer.from_seed("witness.example/w1", b"\x04" * 32, witness=True)
HEAD = Checkpoint("log.example/audit/acme", 300, bytes(range(32)))


def test_a_note_of_another_implementation_verifies():
    """The example in the documentation of Go's golang.org/x/mod/sumdb/note."""
    key = VerifierKey.parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
    note = parse_note(
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )

    assert [verified.key for verified in verify_note(note, [key])] == [key]
    assert str(key) == "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def test_a_checkpoint_is_three_lines_and_a_signature():
    note = sign_checkpoint(HEAD, [LOG])

    lines = note.split("\n")
    assert lines[:2] == ["log.example/audit/acme", "300"]
    assert base64.b64decode(lines[2]) == HEAD.root
    assert lines[3] == ""
    assert lines[4].startswith("— log.example/audit ")
    assert lines[5:] == [""]
    assert open_checkpoint(note, [LOG.vkey]) == HEAD == parse_checkpoint(note)


def test_a_vkey_is_read_back_and_its_id_is_checked():
    text = str(LOG.vkey)
    assert VerifierKey.parse(text) == LOG.vkey
    name, key_id, material = text.split("+", 2)
    for wrong in ("", name, f"{name}+00000000+{material}", f"other+{key_id}+{material}", f"{name}+{key_id}+!"):
        with pytest.raises(InvalidInput):
            VerifierKey.parse(wrong)
    with pytest.raises(InvalidInput, match="0x09"):
        VerifierKey("a", 9, b"\x00" * 32)
    with pytest.raises(InvalidInput, match="spaces"):
        VerifierKey("a b", 1, b"\x00" * 32)


def test_a_rotation_is_followed_by_key_id():
    both = sign_checkpoint(HEAD, [LOG, NEXT])

    assert open_checkpoint(both, [LOG.vkey]) == HEAD
    assert open_checkpoint(both, [NEXT.vkey]) == HEAD
    after = sign_checkpoint(HEAD, [NEXT])
    assert open_checkpoint(after, [LOG.vkey, NEXT.vkey]) == HEAD
    with pytest.raises(Untrusted, match=LOG.vkey.key_id.hex()):
        open_checkpoint(after, [LOG.vkey])


def test_a_changed_checkpoint_does_not_verify():
    note = sign_checkpoint(HEAD, [LOG])
    with pytest.raises(BadSignature, match="changed after"):
        open_checkpoint(note.replace("\n300\n", "\n301\n"), [LOG.vkey])
    with pytest.raises(Untrusted):
        open_checkpoint(sign_checkpoint(HEAD, [STRANGER]), [LOG.vkey])
    with pytest.raises(Untrusted):
        open_checkpoint(note, [])


def test_one_bad_signature_by_a_trusted_key_spoils_the_note():
    good = sign_checkpoint(HEAD, [LOG])
    other = sign_checkpoint(HEAD._replace(size=5), [NEXT]).rsplit("\n\n", 1)[1]
    with pytest.raises(BadSignature):
        open_checkpoint(good + other, [LOG.vkey, NEXT.vkey])


def test_another_logs_checkpoint_is_not_taken():
    note = sign_checkpoint(HEAD, [LOG])
    with pytest.raises(Untrusted, match="expected is log"):
        open_checkpoint(note, [LOG.vkey], origin_of("log.example/audit", "globex"))
    elsewhere = sign_checkpoint(HEAD._replace(origin="other.example/acme"), [LOG])
    with pytest.raises(Untrusted, match=r"other\.example"):
        open_checkpoint(elsewhere, [LOG.vkey])
    sibling = sign_checkpoint(HEAD._replace(origin="log.example/audit2/acme"), [LOG])
    with pytest.raises(Untrusted):
        open_checkpoint(sibling, [LOG.vkey])


def test_a_witness_cosigns_with_the_time_but_does_not_vouch_for_the_log():
    note = cosign(sign_checkpoint(HEAD, [LOG]), WITNESS, 1_760_000_000)

    assert open_checkpoint(note, [LOG.vkey, WITNESS.vkey]) == HEAD
    found = verify_note(parse_note(note), [LOG.vkey, WITNESS.vkey])
    assert [(verified.key.name, verified.time_s) for verified in found] == [
        ("log.example/audit", None),
        ("witness.example/w1", 1_760_000_000),
    ]
    with pytest.raises(Untrusted):
        open_checkpoint(note, [WITNESS.vkey])
    later = note.replace(WITNESS.sign(HEAD.text, 1_760_000_000), WITNESS.sign("other\n", 1_760_000_000))
    with pytest.raises(BadSignature):
        verify_note(parse_note(later), [WITNESS.vkey])
    with pytest.raises(InvalidInput, match="with the time"):
        WITNESS.sign(HEAD.text)
    with pytest.raises(InvalidInput, match="without"):
        LOG.sign(HEAD.text, 5)


def test_the_cosigned_message_is_the_one_of_the_specification():
    line = WITNESS.sign(HEAD.text, 1_679_315_147)
    value = base64.b64decode(line.split(" ")[2])

    assert value[:4] == WITNESS.vkey.key_id
    assert int.from_bytes(value[4:12], "big") == 1_679_315_147
    plain = Signer.from_seed("witness.example/w1", b"\x04" * 32)
    message = "cosignature/v1\ntime 1679315147\n" + HEAD.text
    assert base64.b64decode(plain.sign(message).split(" ")[2])[4:] == value[12:]


SIGNATURE = sign_checkpoint(HEAD, [LOG]).rsplit("\n\n", 1)[1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no signatures\n",
        HEAD.text,
        HEAD.text + "\n",
        HEAD.text + "\n" + SIGNATURE[:-1],
        HEAD.text + "\n" + SIGNATURE.replace("—", "-"),
        HEAD.text + "\n" + SIGNATURE.replace("=", ""),
        HEAD.text + "\n— a+b AAAAAAAA\n",
        HEAD.text + "\n— a AAAA\n",
        HEAD.text.replace("300", "3\t00") + "\n" + SIGNATURE,
        HEAD.text + "\n" + SIGNATURE * 65,
        "x" * 200_000,
        HEAD.text.replace("300", "0300") + "\n" + SIGNATURE,
        HEAD.text.replace("300", "-3") + "\n" + SIGNATURE,
        HEAD.text.replace("300", "9" * 30) + "\n" + SIGNATURE,
        HEAD.text.replace("300", "٣") + "\n" + SIGNATURE,
        HEAD.text.replace("=", "") + "\n" + SIGNATURE,
        "\n" + HEAD.text + "\n" + SIGNATURE,
        "log\n5\n\n" + SIGNATURE,
    ],
)
def test_what_is_not_a_signed_checkpoint_is_refused(text):
    with pytest.raises(BadNote):
        parse_checkpoint(text)


def test_a_non_canonical_spelling_of_the_same_root_is_refused():
    """The last character of the base64 of 32 bytes has two spare bits: only zeroes are accepted."""
    encoded = base64.b64encode(HEAD.root).decode()
    other = encoded[:-2] + chr(ord(encoded[-2]) + 1) + "="
    assert base64.b64decode(other) == HEAD.root
    with pytest.raises(BadNote, match="base64"):
        parse_checkpoint(HEAD.text.replace(encoded, other) + "\n" + SIGNATURE)


def test_an_organization_with_any_name_makes_one_origin_line():
    assert origin_of("log", "a/b\nc d") == "log/a%2Fb%0Ac%20d"
