"""Trying a policy on the latest decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.door import caller, door
from metaqore.errors import InvalidInput, SettingsError
from metaqore.security.policy_replay import Preview


def preview(body: Mapping[str, Any]) -> Preview:
    """Return what a policy would change.

    Raises:
        InvalidInput: the policy cannot be used; says where.
    """
    here, organization, project = door(), caller().organization, body.get("project")
    recorded = here.views.security.latest_decisions(organization, project, body["decisions"])
    try:
        with here.views.security.gate() as reads:
            return here.engine.gate.preview(organization, project, body["document"], recorded, reads)
    except SettingsError as error:
        place = {"pointer": error.details.get("pointer", ""), "detail": error.details.get("why", error.message)}
        raise InvalidInput(error.message, errors=[place]) from error
