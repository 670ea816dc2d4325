from __future__ import annotations

import io
import zipfile
from typing import Any

import msgspec
import numpy as np
import pytest

from metaqore.canonical import canonical_json, sha256_hex
from metaqore.errors import InvalidInput
from metaqore.hmcp.artefact import Artefact, load, pack
from metaqore.hmcp.train import Trained


def repacked(learnt: Trained, weights: bytes, **manifest: Any) -> Artefact:
    """An artefact whose hashes are right and whose content is not."""
    stored = {**msgspec.json.decode(learnt.artefact.manifest), "weights_hash": sha256_hex(weights), **manifest}
    return Artefact(canonical_json(stored), weights)


def arrays(learnt: Trained) -> dict[str, Any]:
    with np.load(io.BytesIO(learnt.artefact.weights)) as stored:
        return dict(stored)


def npz(**members: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


def test_a_loaded_specialist_answers_as_the_trained_one(learnt: Trained) -> None:
    loaded = load(learnt.artefact)
    assert loaded.specialist == learnt.specialist
    predictions = loaded.predict([example.prompt for example in learnt.gate])
    certificate = learnt.specialist.certificate
    assert certificate is not None
    assert [p.routed for p in predictions] == [p.confidence >= certificate.threshold for p in predictions]
    assert loaded.predict([]) == []


def test_the_manifest_is_canonical_and_small(learnt: Trained) -> None:
    manifest = learnt.artefact.manifest
    assert canonical_json(msgspec.json.decode(manifest)) == manifest
    assert len(manifest) < 5000
    assert len(learnt.artefact.weights) < 500_000


def test_a_specialist_without_certificate_never_answers(learnt: Trained) -> None:
    loaded = load(repacked(learnt, learnt.artefact.weights, certificate=None))
    assert not [p for p in loaded.predict([example.prompt for example in learnt.gate]) if p.routed]


def test_one_changed_byte_in_the_weights_is_refused(learnt: Trained) -> None:
    weights = bytearray(learnt.artefact.weights)
    weights[len(weights) // 2] ^= 1
    with pytest.raises(InvalidInput, match="hash"):
        load(Artefact(learnt.artefact.manifest, bytes(weights)))


def test_packing_other_weights_than_the_manifest_names_is_refused(learnt: Trained) -> None:
    with pytest.raises(InvalidInput, match="other weights"):
        pack(learnt.specialist, b"other")


def test_a_pickle_inside_the_weights_is_refused_and_never_run(learnt: Trained) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return pytest.fail, ("a pickle was run",)

    weights = npz(**{**arrays(learnt), "bias": np.array([Trap()], dtype=object)})
    with pytest.raises(InvalidInput, match="cannot be read"):
        load(repacked(learnt, weights))


def test_weights_that_unpack_to_more_than_they_may_are_refused(
    learnt: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("metaqore.hmcp.artefact.MAX_BYTES", 1000)
    with pytest.raises(InvalidInput, match="at most 1000 bytes"):
        load(learnt.artefact)


def test_arrays_that_do_not_fit_together_are_refused(learnt: Trained) -> None:
    good = arrays(learnt)
    bad = [
        {**good, "columns": good["columns"][::-1]},
        {**good, "columns": good["columns"][:-1]},
        {**good, "columns": good["columns"].astype("<i8")},
        {**good, "weights": good["weights"][:1]},
        {**good, "weights": np.full_like(good["weights"], np.nan)},
        {**good, "bias": good["bias"][:1]},
        {**good, "extra": good["bias"]},
        {"columns": good["columns"], "weights": good["weights"]},
    ]
    for members in bad:
        with pytest.raises(InvalidInput, match="weights"):
            load(repacked(learnt, npz(**members)))
    assert load(repacked(learnt, npz(**good))).specialist.labels == learnt.specialist.labels


@pytest.mark.parametrize("manifest", [b"", b"{}", b"[]", b"\xff", b'{"format": 2}', b'{"format": 1, "surprise": true}'])
def test_a_manifest_that_is_none_is_refused(manifest: bytes, learnt: Trained) -> None:
    with pytest.raises(InvalidInput, match="manifest"):
        load(Artefact(manifest, learnt.artefact.weights))


def test_weights_that_are_no_archive_are_refused(learnt: Trained) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("columns", "weights", "bias"):
            archive.writestr(f"{name}.npy", b"not an array")
    for weights in (b"", b"PK", buffer.getvalue()):
        with pytest.raises(InvalidInput, match="weights"):
            load(repacked(learnt, weights))
