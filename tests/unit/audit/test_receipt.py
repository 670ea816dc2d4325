import dataclasses
import json

import pytest

from metaqore.audit.checkpoint import BadSignature, Signer, Untrusted
from metaqore.audit.entry import leaf_hash
from metaqore.audit.merkle import inclusion_proof
from metaqore.audit.receipt import BadReceipt, Receipt, check_receipt
from metaqore.audit.seal import Frontier, seal

SIGNER = Signer.from_seed("log.example", b"\x05" * 32)
BODIES = [b'{"n":%d}' % number for number in range(1, 11)]
SEALED = seal(Frontier(), [leaf_hash(body) for body in BODIES], origin="log.example/acme", signers=[SIGNER])
TILES = {(tile.level, tile.index): tile.hashes for tile in SEALED.tiles}


def receipt(seq):
    proof = inclusion_proof(seq - 1, 10, lambda level, index: TILES[level, index])
    return Receipt(seq, leaf_hash(BODIES[seq - 1]), tuple(proof), SEALED.note)


@pytest.mark.parametrize("seq", [1, 5, 9, 10])
def test_a_receipt_survives_both_forms_and_proves_its_entry(seq):
    made = receipt(seq)

    for text in (made.to_json(), made.to_tlog_proof()):
        read = Receipt.parse(text)
        assert read == made
        assert check_receipt(read, [SIGNER.vkey], body=BODIES[seq - 1]).size == 10
        assert check_receipt(read, None, origin="log.example/acme").root == SEALED.checkpoint.root


def test_a_receipt_with_anything_changed_is_refused():
    good = receipt(4)
    other = receipt(5)
    for bad in (
        dataclasses.replace(good, seq=5),
        dataclasses.replace(good, seq=0),
        dataclasses.replace(good, seq=11),
        dataclasses.replace(good, leaf_hash=other.leaf_hash),
        dataclasses.replace(good, leaf_hash=b""),
        dataclasses.replace(good, proof=other.proof),
        dataclasses.replace(good, proof=good.proof[:-1]),
        dataclasses.replace(good, proof=(*good.proof, good.leaf_hash)),
        dataclasses.replace(good, proof=good.proof * 30),
    ):
        with pytest.raises(BadReceipt):
            check_receipt(bad, [SIGNER.vkey])
    with pytest.raises(BadReceipt, match="not the entry 4"):
        check_receipt(good, [SIGNER.vkey], body=BODIES[4])
    with pytest.raises(BadReceipt, match="expected is"):
        check_receipt(good, None, origin="log.example/globex")
    with pytest.raises(Untrusted):
        check_receipt(good, [SIGNER.vkey], origin="log.example/globex")
    with pytest.raises(BadSignature):
        check_receipt(dataclasses.replace(good, checkpoint=good.checkpoint.replace("\n10\n", "\n9\n")), [SIGNER.vkey])
    with pytest.raises(Untrusted):
        check_receipt(good, [Signer.from_seed("log.example", b"\x06" * 32).vkey])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        json.dumps({**json.loads(receipt(1).to_json()), "format": "x"}),
        json.dumps({**json.loads(receipt(1).to_json()), "seq": "1"}),
        json.dumps({**json.loads(receipt(1).to_json()), "leaf_hash": "zz"}),
        json.dumps({**json.loads(receipt(1).to_json()), "proof": ["*"]}),
        json.dumps({**json.loads(receipt(1).to_json()), "proof": 5}),
        "c2sp.org/tlog-proof@v1\nindex 3\n\n",
        "c2sp.org/tlog-proof@v1\nextra !\nindex 3\n\n",
        "[" * 100_000,
    ],
)
def test_what_is_no_receipt_is_refused(text):
    with pytest.raises(BadReceipt):
        Receipt.parse(text)
