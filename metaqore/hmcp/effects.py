"""What discovery and training write."""

from __future__ import annotations

from metaqore.messages import Write


class SavePattern(Write, frozen=True):
    """Effect: a pattern is found, or found again. ``body`` is JSON text of ``model.Pattern``."""

    id: str
    organization: str
    signature: str
    state: str
    support: int
    body: str
    request_id: str
    at: int
    #: When the calls were read that it was found in.
    read_at: int


class MovePattern(Write, frozen=True):
    """Effect: a pattern moves along its states."""

    id: str
    organization: str
    state: str
    at: int


class NewSpecialist(Write, frozen=True):
    """Effect: a specialist is registered with its gate report; ``state`` says whether it passed.

    ``manifest`` and ``gate`` are JSON text, ``weights`` the bytes the manifest's hash is of.
    """

    id: str
    organization: str
    pattern: str
    version: int
    state: str
    manifest: str
    gate: str
    weights: bytes
    #: ``Artefact.digest``.
    digest: str
    request_id: str
    at: int
    #: When the calls were read that it was made from.
    read_at: int


class MoveSpecialist(Write, frozen=True):
    """Effect: a specialist begins to answer (``active``), or is asked no more (``retired``)."""

    id: str
    organization: str
    state: str
