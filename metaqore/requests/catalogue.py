"""Every kind of request there is: its queue, its scope, its order and who decides it.

Adding a kind is one line in the ``kinds()`` of its feature's handlers; see the recipe in ``metaqore/README.md``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from metaqore.errors import MetaQoreError
from metaqore.messages import Outcome, Prepared, Request

#: (batch, look-ups, now in ms) → one outcome for each request, in the same order.
Decide = Callable[[Sequence[Request], Any, int], list[Outcome]]


class LongWork(Protocol):
    """Work outside the database: prepare (commit), perform (no transaction open), settle (commit)."""

    def prepare(self, batch: Sequence[Request], reads: Any, now: int) -> list[Outcome | Prepared]:
        """Decide whether each may run; an ``Outcome`` finishes it at once."""

    def perform(self, batch: Sequence[tuple[Request, Any]]) -> list[Outcome]:
        """Do the work. No transaction is open; leases are extended meanwhile."""


class Kind(msgspec.Struct, kw_only=True, frozen=True):
    """One kind of request."""

    name: str
    #: A queue of ``queues.QUEUES``, or ``control`` for what is decided inside the API call.
    queue: str
    feature: str
    #: The scope an API key needs.
    scope: str
    decide: Decide | None = None
    long: LongWork | None = None
    #: Pure work on the payload alone, done before the transaction begins.
    study: Callable[[Request], Any] | None = None
    #: Looks at studied requests together before the transaction begins, and may add to ``Request.studied``; must not
    #: raise. Only for long work.
    survey: Callable[[Sequence[Request]], None] | None = None
    #: ``project``: requests of one project are decided in the order they were accepted.
    ordered_by_project: bool = False
    #: Requests of this kind may be decided in one call: each sees what the ones before it in the call will do. Where
    #: that is not so, each is decided on its own, after the effects of the ones before it were written.
    together: bool = False
    lease_s: int = 30
    #: How many are claimed at once; only for long work.
    batch: int = 16


class UnknownKind(MetaQoreError):
    """No such kind of request: it is denied, not guessed."""

    code = "unknown_kind"


class Catalogue:
    """The kinds by name and by queue."""

    def __init__(self, kinds: Iterable[Kind]) -> None:
        self._kinds: dict[str, Kind] = {}
        for kind in kinds:
            if kind.name in self._kinds or (kind.decide is None) == (kind.long is None):
                raise ValueError(f"kind {kind.name!r} is declared twice, or not exactly one of decide and long is set")
            if kind.long is not None and kind.ordered_by_project:
                raise ValueError(f"kind {kind.name!r}: long work is performed in batches and keeps no order")
            self._kinds[kind.name] = kind

    def __getitem__(self, name: str) -> Kind:
        try:
            return self._kinds[name]
        except KeyError:
            raise UnknownKind(f"unknown kind of request {name!r}. Known: {', '.join(sorted(self._kinds))}") from None

    def all(self) -> Mapping[str, Kind]:
        """Return every kind by name."""
        return self._kinds

    def together(self, name: str) -> bool:
        """Return whether requests of this kind may be decided in one call."""
        return self[name].together

    def pure(self, queue: str) -> list[str]:
        """Return the names of the kinds of ``queue`` that are decided inside the transaction."""
        return [k.name for k in self._kinds.values() if k.queue == queue and k.decide is not None]

    def long(self, queue: str) -> list[Kind]:
        """Return the kinds of ``queue`` that work outside the transaction."""
        return [k for k in self._kinds.values() if k.queue == queue and k.long is not None]
