"""What delivering needs from the outside: a network, a store, a journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeAlias

import msgspec

from metaqore.delivery.egress import Target
from metaqore.delivery.model import Attempted, Delivery, Endpoint
from metaqore.errors import MetaQoreError
from metaqore.messages import AuditNote, EventNote


class Unreachable(MetaQoreError):
    """No answer came. ``code`` says how far it got: dns, connect, tls, timeout or connection."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver answered. Its body is not kept: it would show to one what only another's network may see."""

    status: int
    #: The ``Retry-After`` header as received.
    retry_after: str | None = None


class Network(Protocol):
    """Name look-up and one HTTP exchange."""

    def resolve(self, host: str, port: int, timeout_s: float) -> list[str]:
        """Return all addresses of ``host``.

        Raises:
            Unreachable: ``dns``: there are none, or no answer came in time.
        """

    def post(
        self, target: Target, addresses: Sequence[str], headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Reply:
        """POST ``body`` to the first of ``addresses`` that takes a connection. Redirects are not followed.

        Args:
            timeout_s: for everything together, by the wall clock: connecting, TLS, sending and the answer.

        Raises:
            Unreachable: no answer came.
        """


class DeliveryReads(Protocol):
    """Look-ups of the control-plane handlers."""

    def endpoint_row(self, organization: str, endpoint: str) -> Mapping[str, Any] | None:
        """Return a whole endpoint."""

    def endpoint_count(self, organization: str) -> int:
        """Return how many endpoints there are."""

    def project_exists(self, organization: str, project: str) -> bool:
        """True where the project is one of the organization's."""

    def endpoint_of(self, organization: str, delivery: str) -> str | None:
        """Return the endpoint that a delivery is for, while both exist."""

    def replayable(
        self, endpoint: str, organization: str, states: Sequence[str], *, since: int, until: int, limit: int
    ) -> list[str]:
        """Return ids of an endpoint's deliveries made in [since, until), the oldest first."""


class DeliveryRows(DeliveryReads, Protocol):
    """Claiming and recording, inside a write transaction."""

    def due(self, now: int) -> int:
        """Return how many endpoints have something that could be sent now."""

    def claim(self, now: int, *, lease_ms: int, limit: int, per_endpoint: int, per_organization: int) -> list[Delivery]:
        """Claim deliveries that are due under a lease, with attempt and fence raised."""

    def record(self, attempts: Sequence[Attempted]) -> set[str]:
        """Record attempts whose fence is still the present one; return the ids of their deliveries."""

    def disable(self, endpoint: Endpoint, reason: str, now: int) -> bool:
        """Disable an endpoint; False where it was disabled or given another URL meanwhile."""

    def pause(self, endpoint: Endpoint, until: int) -> None:
        """Send nothing to an endpoint before ``until``."""


class Transaction(Protocol):
    """One transaction of the store."""

    def reads(self, feature: str) -> Any:
        """Return the look-ups of a feature; ``delivery`` gives ``DeliveryRows``."""


class Store(Protocol):
    """The database."""

    def read(self) -> AbstractContextManager[Transaction]:
        """Look-ups only."""

    def write(self) -> AbstractContextManager[Transaction]:
        """One write transaction."""


class Journal(Protocol):
    """Collects audit entries and events of one transaction, and writes them."""

    def note(
        self, organization: str, actor: str, note: AuditNote, *, project: str | None = None, request: str | None = None
    ) -> None:
        """Note an audit entry."""

    def announce(self, organization: str, event: EventNote, *, project: str | None, request: str) -> None:
        """Note an event."""

    def flush(self, tx: Any) -> None:
        """Write everything that was noted; the last thing before the commit."""


#: Time in milliseconds → the journal of one transaction.
NewJournal: TypeAlias = Callable[[int], Journal]
