"""Trying decisions on behalf of a caller; see ``metaqore.psmp.preview`` and ``metaqore.psmp.replay``."""

from __future__ import annotations

from typing import Any

import msgspec

from api.door import caller, door
from api.moments import place_of
from metaqore.kinds import candidate_policy
from metaqore.psmp.checkpoints import refuse
from metaqore.psmp.policy import Policy
from metaqore.psmp.replay import MAX_DECISIONS


def preview(body: dict[str, Any]) -> dict[str, Any]:
    """Return what would become of declarations.

    Raises:
        NotFound: there is no such project.
        InvalidInput: the candidate policy cannot be used.
    """
    place_of(body["project"], None, "project")
    tried = door().engine.preview.of(
        caller().organization, body["project"], caller().name, body["declarations"], mode=body["mode"],
        policy=_candidate(body),
    )  # fmt: skip
    return {"project": body["project"], **msgspec.structs.asdict(tried)}


def replay(body: dict[str, Any]) -> dict[str, Any]:
    """Return what would have become of a range of a project's history.

    Raises:
        NotFound: there is no such project.
        InvalidInput: no such range, too long a history, or the candidate policy cannot be used.
    """
    start = place_of(body["project"], body["from"], "from").position
    end = place_of(body["project"], body["to"], "to").position
    if start > end:
        refuse("from", f"position {start} comes after position {end}: give the earlier moment first")
    candidate, engine = _candidate(body), door().engine
    recorded = door().views.time.recorded(body["project"], end, MAX_DECISIONS + 1)
    done = engine.replays.of(recorded, start, mode=body["mode"], policy=candidate)
    return {
        "project": body["project"], "from": start, "to": end, "mode": body["mode"],
        "policy_digest": (candidate or engine.psmp).digest, **msgspec.to_builtins(done),
    }  # fmt: skip


def _candidate(body: dict[str, Any]) -> Policy | None:
    return None if body["policy"] is None else candidate_policy(door().settings, body["policy"])
