"""Which providers a label may go to at all, before any rule is asked: worked out once, then looked up. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from metaqore.security.layers import Policy, Stack
from metaqore.security.model import Label, ProviderStatus


class Route(NamedTuple):
    """One provider, and what speaks against it: (rule, reason)."""

    name: str
    kind: str
    region: str
    objections: tuple[tuple[str, str], ...]


def routes(policy: Policy, layers: Stack, providers: Mapping[str, ProviderStatus], label: Label) -> Sequence[Route]:
    """Return every known provider: local first, then in the order of the policy file, then by name.

    What was worked out is kept with ``layers`` for as long as policy and providers are the same objects: whoever knows
    something new about a provider makes a new mapping.
    """
    known = layers.routes.get(label)
    if known is not None and known[0] is policy and known[1] is providers:
        found: Sequence[Route] = known[2]
        return found
    found = [_route(policy, layers, name, providers[name], label) for name in _ordered(policy, providers)]
    layers.routes[label] = (policy, providers, found)
    return found


def provider_class(policy: Policy, name: str, status: ProviderStatus) -> str:
    """Return the class of a provider: local only where the file does not say otherwise and it runs locally."""
    return "local" if status.local and policy.classes.get(name, "local") == "local" else "cloud"


def _route(policy: Policy, layers: Stack, name: str, status: ProviderStatus, label: Label) -> Route:
    kind = provider_class(policy, name, status)
    objections = []
    for each in (policy, *layers.narrowing):
        if not each.admits(label, kind, status.region):
            where = " or ".join(each.routing[label]) or "no provider"
            what = f"Provider {name!r} ({kind}) disallowed for {label.name} payloads by {each.name}: {where} only"
            objections.append((f"routing.{label.name.lower()}.{kind}", what))
    if status.stopped is not None:
        objections.append(("provider.stopped", f"Provider {name!r} is stopped: {status.stopped}"))
    elif not status.available:
        objections.append(("provider.unavailable", f"Provider {name!r} is unavailable"))
    return Route(name, kind, status.region, tuple(objections))


def _ordered(policy: Policy, providers: Mapping[str, ProviderStatus]) -> list[str]:
    preference = {name: place for place, name in enumerate(policy.classes)}
    last = len(preference)

    def rank(name: str) -> tuple[bool, int, str]:
        return provider_class(policy, name, providers[name]) != "local", preference.get(name, last), name

    return sorted(providers, key=rank)
