"""Data subjects of the caller's organization, for whoever manages privacy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.door import caller, door
from api.submit import run
from metaqore.errors import NotFound


def erase(body: Mapping[str, Any]) -> dict[str, Any]:
    """Erase a subject and return the erasure.

    Raises:
        NotFound: nothing is kept of it.
        Conflict: a legal hold is in force.
    """
    key = door().views.privacy.key_of(caller().organization, body["subject"], erased=True)
    made = run("subject.erase", {"key": key, "basis": body["basis"]}, body=body).result
    return {**erasure(made["id"]), "erased": made["erased"]}


def erasure(name: str) -> dict[str, Any]:
    """Return an erasure.

    Raises:
        NotFound: there is none.
    """
    found = door().views.privacy.erasure(caller().organization, name)
    if found is None:
        raise NotFound(f"there is no erasure {name}")
    return found


def export(subject: str) -> dict[str, Any]:
    """Record that somebody asked for everything that is kept of a subject, and return it.

    Raises:
        NotFound: nothing is kept of it.
    """
    organization, views = caller().organization, door().views.privacy
    run("subject.export", {"key": views.key_of(organization, subject)}, body={"subject": subject})
    kept = views.retention(organization, door().settings.retention_days)
    return {**views.everything(organization, subject), "kept_days": kept}


def hold(body: Mapping[str, Any]) -> dict[str, Any]:
    """Place a hold and return it.

    Raises:
        NotFound: nothing is kept of the subject.
    """
    organization, views, subject = caller().organization, door().views.privacy, body["subject"]
    key = None if subject is None else views.key_of(organization, subject)
    made = run("hold.place", {"key": key, "reason": body["reason"]}, body=body).result
    return next(row for row in views.holds(organization) if row["id"] == made["id"])


def retention() -> dict[str, Any]:
    """Return how long each class is kept."""
    kept = door().views.privacy.retention(caller().organization, door().settings.retention_days)
    return {"items": [{"data_class": name, "days": days} for name, days in kept.items()]}
