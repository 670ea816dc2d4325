"""What the gateway's calls write: the ledger of outside calls."""

from __future__ import annotations

from typing import Literal

from metaqore.messages import Write


class NewCall(Write, frozen=True):
    """Effect: a call is about to be made, by leave of a decision. ``command`` is JSON text."""

    id: str
    organization: str
    project: str | None
    principal: str
    request_id: str
    decision_id: str
    provider: str
    model: str
    label: str
    prefix_hash: str
    command: str
    #: The label from which on findings were replaced by names; None where nothing was.
    redacted: str | None
    trainable: bool
    at: int


class SpecialistCall(Write, frozen=True):
    """Effect: a specialist was asked about a call, by leave of a decision.

    ``kind``: it answered (``served``); it left the call to its teacher (``abstained``); both answered, because the call
    was drawn for it (``audited``) or because it does not answer yet (``shadow``).
    """

    id: str
    organization: str
    project: str | None
    request_id: str
    decision_id: str
    specialist: str
    kind: Literal["served", "abstained", "audited", "shadow"]
    #: Whether both said the same; None where only one of them answered.
    agreed: bool | None
    #: In millionths.
    confidence: int
    #: Estimated tokens that did not have to be bought.
    saved_tokens: int
    at: int


class SettleCall(Write, frozen=True):
    """Effect: a call has ended. ``response`` is JSON text of the completion, ``error`` of what went wrong."""

    id: str
    state: Literal["settled", "failed"]
    batch_id: str
    response: str | None
    error: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    at: int
    #: It failed, yet the provider may have done (and charged) the work.
    may_have_run: bool = False


class RaiseCall(Write, frozen=True):
    """Effect: what was found in a call's answer gives the call another label."""

    id: str
    label: str
    #: Whether others may learn from it, as far as the answer is concerned.
    trainable: bool
