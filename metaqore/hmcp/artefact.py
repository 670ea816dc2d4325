"""A specialist as bytes: weights as ``.npz`` without pickle, and a manifest in canonical JSON that holds their hash.

Loading never runs code from the bytes and never allocates more than the manifest's shape allows.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from metaqore.canonical import canonical_json, sha256_hex
from metaqore.errors import InvalidInput
from metaqore.hmcp.classifier import Classifier, require_ml
from metaqore.hmcp.model import Prediction, Specialist

#: Of the unpacked arrays together.
MAX_BYTES = 512 * 1024 * 1024
_ARRAYS = {"columns": "<i4", "weights": "<f4", "bias": "<f4"}


class Artefact(msgspec.Struct, frozen=True):
    """What is stored of a specialist."""

    #: Canonical JSON of ``model.Specialist``.
    manifest: bytes
    #: ``.npz`` with ``columns``, ``weights`` and ``bias``.
    weights: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, and through it of the weights, ``sha256:<hex>``."""
        return sha256_hex(self.manifest)


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A specialist that can answer."""

    specialist: Specialist
    classifier: Classifier

    def predict(self, prompts: Sequence[str]) -> list[Prediction]:
        """Return the specialist's answer to each prompt, and whether it should be used (``routed``)."""
        certificate = self.specialist.certificate
        answers, confidences = self.classifier.decide(prompts)
        return [
            Prediction(answer, confidence, certificate is not None and 0 < confidence >= certificate.threshold)
            for answer, confidence in zip(answers, confidences, strict=True)
        ]


def pack_weights(classifier: Classifier) -> bytes:
    """Return the classifier's arrays as ``.npz``; the same arrays give the same bytes."""
    np = require_ml()
    buffer = io.BytesIO()
    np.savez(
        buffer,
        **{name: np.ascontiguousarray(getattr(classifier, name), dtype=kind) for name, kind in _ARRAYS.items()},
    )
    return buffer.getvalue()


def pack(specialist: Specialist, weights: bytes) -> Artefact:
    """Return the artefact of a specialist whose ``weights_hash`` is that of ``weights``.

    Raises:
        InvalidInput: it is not.
    """
    if specialist.weights_hash != sha256_hex(weights):
        raise InvalidInput("the manifest names other weights than these: pack them together after one training")
    return Artefact(canonical_json(msgspec.json.decode(msgspec.json.encode(specialist))), weights)


def load(artefact: Artefact) -> Loaded:
    """Return the specialist.

    Raises:
        InvalidInput: manifest and weights do not belong together, or either is not what ``pack`` wrote.
    """
    try:
        specialist = msgspec.json.decode(artefact.manifest, type=Specialist)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"the specialist's manifest cannot be read: {error}") from error
    if sha256_hex(artefact.weights) != specialist.weights_hash:
        raise InvalidInput("the specialist's weights do not have the hash that its manifest names: train it again")
    return Loaded(specialist, _classifier(specialist, artefact.weights))


def _classifier(specialist: Specialist, weights: bytes) -> Classifier:
    np = require_ml()
    try:
        with zipfile.ZipFile(io.BytesIO(weights)) as members:
            sizes = {member.filename: member.file_size for member in members.infolist()}
        if sorted(sizes) != sorted(f"{name}.npy" for name in _ARRAYS) or sum(sizes.values()) > MAX_BYTES:
            raise InvalidInput(f"the specialist's weights must hold {', '.join(_ARRAYS)}, at most {MAX_BYTES} bytes")
        with np.load(io.BytesIO(weights), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in _ARRAYS}
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"the specialist's weights cannot be read: {error}") from error
    labels = len(specialist.labels)
    rows = 1 if labels == 2 else labels
    columns = arrays["columns"]
    fits = (
        labels >= 2
        and all(getattr(arrays[name], "dtype", None) == np.dtype(kind) for name, kind in _ARRAYS.items())
        and columns.ndim == 1
        and arrays["weights"].shape == (rows, len(columns))
        and arrays["bias"].shape == (rows,)
        and len(columns) > 0
        and bool((np.diff(columns) > 0).all())
        and all(bool(np.isfinite(arrays[name]).all()) for name in ("weights", "bias"))
    )
    if not fits:
        raise InvalidInput("the specialist's weights do not have the shape that its manifest names")
    return Classifier(
        labels=specialist.labels,
        features=specialist.features,
        frame=specialist.frame,
        guard=specialist.guard,
        columns=columns,
        weights=arrays["weights"],
        bias=arrays["bias"],
    )
