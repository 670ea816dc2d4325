"""Decisions of the gateway that need no I/O: how tokens are estimated, which provider takes a call."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import msgspec

from metaqore.errors import InvalidInput
from metaqore.llm.model import GenerateCommand, Message

#: Tokens that a chat format spends on role and separators of one message.
TOKENS_PER_MESSAGE = 4


class Offer(msgspec.Struct, frozen=True):
    """A provider as the routing rule sees it. The first of ``models`` is the one used when none is asked for."""

    name: str
    models: tuple[str, ...]


class Route(msgspec.Struct, frozen=True):
    """Where a call goes."""

    provider: str
    model: str


def estimate_tokens(text: str) -> int:
    """Return the estimated number of tokens: a quarter of the UTF-8 bytes, rounded up.

    Good to about a third for English and code with today's byte-pair vocabularies; used to size batches and where a
    provider does not count, and then marked ``estimated``.
    """
    return math.ceil(len(text.encode("utf-8", "surrogatepass")) / 4)


def estimate_messages(messages: Iterable[Message]) -> int:
    """Return the estimated prompt tokens of ``messages``, the chat format's own included."""
    return sum(estimate_tokens(message.content) + TOKENS_PER_MESSAGE for message in messages)


def route(command: GenerateCommand, offers: Sequence[Offer], allowed: Collection[str]) -> Route:
    """Return provider and model for a call.

    Only providers in ``allowed`` (SecureGateway's decision) are considered: the one named by the command, else the
    first in the order of ``offers`` that has the model. A name that is not allowed is never quietly replaced.

    Raises:
        InvalidInput: no such provider or model, or none that is allowed; with ``errors`` as JSON pointers.
    """
    known = {offer.name: offer for offer in offers}
    if command.provider is not None:
        if command.provider not in known:
            raise _refused("/provider", f"unknown provider; known: {_names(known)}")
        if command.provider not in allowed:
            raise _refused(
                "/provider",
                f"provider {command.provider!r} is not allowed for this call; allowed: {_names(allowed)}",
            )
        candidates = [known[command.provider]]
    else:
        candidates = [offer for offer in offers if offer.name in allowed]
    if not candidates:
        raise _refused("/provider", f"no configured provider is allowed for this call; allowed: {_names(allowed)}")
    for offer in candidates:
        if command.model is None:
            return Route(offer.name, offer.models[0])
        if command.model in offer.models:
            return Route(offer.name, command.model)
    offered = sorted({model for offer in candidates for model in offer.models})
    # Not what was asked for: whatever stands there may be anything, and errors are stored and cached.
    raise _refused("/model", f"no allowed provider has this model; offered: {_names(offered)}")


def routed(command: GenerateCommand, to: Route) -> GenerateCommand:
    """Return the command with provider and model filled in."""
    return msgspec.structs.replace(command, provider=to.provider, model=to.model)


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _refused(pointer: str, detail: str) -> InvalidInput:
    return InvalidInput(f"llm.generate at {pointer}: {detail}", errors=[{"pointer": pointer, "detail": detail}])
