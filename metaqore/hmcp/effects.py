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
    request_id: str
    at: int


class RetireSpecialists(Write, frozen=True):
    """Effect: the specialist that answered for a pattern until now answers no more."""

    organization: str
    pattern: str
    but: str
    state: str
    at: int
