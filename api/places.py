"""Places of one process that are never waited for, and of which nobody may hold more than a share.

A stream, a wait for a verdict, a body that comes slowly: each holds a thread of the serving process. Whoever could hold
all of them would lock everybody else out, with one key and no more than a few hundred connections.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from metaqore.errors import RateLimited, Unavailable
from metaqore.security.keys import Principal

_Key = TypeVar("_Key")

#: Seconds after which it is worth another try.
_RETRY_AFTER_S = 5


class NoPlace(Unavailable):
    """This process holds as much at once as it can: try again, or list what you wanted to follow."""


class ShareExceeded(RateLimited):
    """Somebody holds as much of this process at once as one may: end something of it first."""

    code = "share_exceeded"


class Shares(msgspec.Struct, frozen=True):
    """How many places there are, and how many of them one principal, and one organization, may hold."""

    places: int
    principal: int
    organization: int


class Places:
    """Places of one kind. What a delegated token holds counts for whoever handed it on.

    Args:
        name: what holds a place, in words for an error: "event streams".
    """

    def __init__(self, name: str, shares: Shares) -> None:
        self._name = name
        self._shares = shares
        self._guard = threading.Lock()
        self._held = 0
        self._by_principal: dict[tuple[str, str], int] = {}
        self._by_organization: dict[str, int] = {}

    def take(self, who: Principal) -> bool:
        """Take a place until ``give_back``; False where there is none for ``who``."""
        organization, principal = who.organization, (who.organization, who.delegator or who.name)
        shares = self._shares
        with self._guard:
            own, together = self._by_principal.get(principal, 0), self._by_organization.get(organization, 0)
            if self._held >= shares.places or own >= shares.principal or together >= shares.organization:
                return False
            self._held += 1
            self._by_principal[principal] = own + 1
            self._by_organization[organization] = together + 1
        return True

    def give_back(self, who: Principal) -> None:
        """Give a place back."""
        with self._guard:
            self._held -= 1
            _less(self._by_principal, (who.organization, who.delegator or who.name))
            _less(self._by_organization, who.organization)

    @contextlib.contextmanager
    def one(self, who: Principal) -> Iterator[bool]:
        """Hold a place inside the block; False where there was none."""
        got = self.take(who)
        try:
            yield got
        finally:
            if got:
                self.give_back(who)

    def refusal(self, who: Principal) -> NoPlace | ShareExceeded:
        """Return why there is no place for ``who``."""
        shares, name = self._shares, who.delegator or who.name
        with self._guard:
            own = self._by_principal.get((who.organization, name), 0)
            together = self._by_organization.get(who.organization, 0)
        if own >= shares.principal:
            whose, most = f"principal {name}", shares.principal
        elif together >= shares.organization:
            whose, most = f"organization {who.organization}", shares.organization
        else:
            return NoPlace(retry_after_s=_RETRY_AFTER_S)
        return ShareExceeded(
            f"{whose} holds {most} {self._name} of this process, and no more may be held at once: end some of them",
            retry_after_s=_RETRY_AFTER_S,
        )


def _less(counts: dict[_Key, int], key: _Key) -> None:
    left = counts[key] - 1
    if left:
        counts[key] = left
    else:
        del counts[key]
