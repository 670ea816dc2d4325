"""Who may do nothing any more: a principal, a project, a provider. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from metaqore.messages import Request
from metaqore.security.model import ProviderStatus
from metaqore.security.ports import Stop

KINDS = ("principal", "project", "provider")


def whose(principal: str) -> tuple[str, ...]:
    """Return the names under which a principal can be stopped: its own, and that of whom it acts for (``owner/…``)."""
    owner, delegated, _ = principal.partition("/")
    return (principal, owner) if delegated else (principal,)


def project_of(request: Request) -> str | None:
    """Return the project that a request is about; changes inside the API call name it in their payload."""
    named = request.payload.get("project")
    return request.project or (named if isinstance(named, str) else None)


def against(request: Request, stops: Sequence[Stop]) -> list[tuple[str, str]]:
    """Return (rule, reason) for each stop that holds a request up."""
    return [
        (f"stop.{stop.kind}", f"{stop.kind} {stop.subject} is stopped: {stop.reason}")
        for stop in stops
        if (stop.kind == "principal" and stop.subject in whose(request.principal))
        or (stop.kind == "project" and stop.subject == project_of(request))
    ]


def without_stopped(providers: Mapping[str, ProviderStatus], stops: Sequence[Stop]) -> Mapping[str, ProviderStatus]:
    """Return the providers, with those that are stopped marked so."""
    stopped = {stop.subject: stop.reason for stop in stops if stop.kind == "provider"}
    if not stopped:
        return providers
    return {
        name: replace(status, stopped=stopped[name]) if name in stopped else status
        for name, status in providers.items()
    }
