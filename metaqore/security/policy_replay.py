"""What a policy would have decided of what was decided already. Pure: nothing is written, no payload is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from metaqore.security.facts import Asked
from metaqore.security.layers import Layer, Policy, Stack
from metaqore.security.model import Assessment, Finding, Label, Position, ProviderStatus, Threat
from metaqore.security.policy import decide, decide_answer


class Recorded(msgspec.Struct, frozen=True):
    """A decision as it was recorded: who asked for what, what was found, what became of it."""

    id: str
    request_id: str
    project: str | None
    verdict: str
    body: Mapping[str, Any]


class Changed(msgspec.Struct, frozen=True):
    """One decision that would be another one."""

    decision: str
    request: str
    kind: str
    principal: str
    before: dict[str, Any]
    after: dict[str, Any]


class Preview(msgspec.Struct, frozen=True):
    """What a policy would change."""

    digest: str
    rules: int
    looked_at: int
    #: Decisions that cannot be made again: recorded before they said enough, or for what a request was.
    left_out: int
    changed: list[Changed]


def replay(
    recorded: Sequence[Recorded],
    layers_for: Callable[[str | None], Stack],
    policy: Policy,
    providers: Mapping[str, ProviderStatus],
    candidate: Layer,
) -> Preview:
    """Return what ``candidate`` would change.

    Approvals that were given are not looked at: what needs one now is shown as vetoed.

    Args:
        layers_for: project → the layers that would hold there.
    """
    changed, left_out = [], 0
    for row in recorded:
        if "asked" not in row.body or row.body.get("label") not in Label.__members__:
            left_out += 1
            continue
        asked = msgspec.convert(row.body["asked"], Asked)
        # Where the candidate is a project's, it says nothing of other projects.
        if candidate.scope == "project" and row.project != candidate.name:
            left_out += 1
            continue
        assessment, layers = _assessment(row.body), layers_for(row.project)
        if asked.kind != "payload.assess" and asked.position == Position.ANSWER:
            found = decide_answer(assessment, policy=policy, provider=asked.provider, asked=asked, layers=layers)
        else:
            found = decide(
                assessment, policy=policy, providers=providers, requested=asked.provider or None, asked=asked,
                layers=layers,
            )  # fmt: skip
        before, after = _seen(row.body), _seen(found.to_dict())
        if before != after:
            changed.append(Changed(row.id, row.request_id, asked.kind, asked.principal, before, after))
    return Preview(candidate.digest, len(candidate.rules.rules), len(recorded), left_out, changed)


def _seen(decision: Mapping[str, Any]) -> dict[str, Any]:
    return {name: decision[name] for name in ("verdict", "label", "rules", "providers_allowed", "obligations")}


def _assessment(body: Mapping[str, Any]) -> Assessment:
    assessed = body["assessed"]
    label = Label[assessed["label"]]
    findings = tuple(Finding(**{**item, "label": Label[item["label"]]}) for item in body["findings"])
    threats = tuple(Threat(**item) for item in body["threats"])
    return Assessment(
        label=label, declared=label, content=label, inherited=Label.PUBLIC, findings=findings, threats=threats,
        reasons=(), size=assessed["size"], engine=body["engine"],
    )  # fmt: skip
