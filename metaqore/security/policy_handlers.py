"""Decides ``policy.save``, ``stop.set`` and ``stop.lift``, inside the API call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from metaqore.audit.tags import Tag
from metaqore.canonical import canonical_json
from metaqore.errors import Conflict, InvalidInput, NotFound, PreconditionFailed, SettingsError
from metaqore.messages import AuditNote, EventNote, Outcome, Request, Submission, Verdict
from metaqore.queues import STOPS
from metaqore.security import stops
from metaqore.security.effects import LiftStop, SavePolicy, SetStop
from metaqore.security.layers import Layer
from metaqore.security.places import Place
from metaqore.security.policy_file import Policies, read_layer
from metaqore.security.ports import GateReads, Stop
from metaqore.security.rule_file import check_here, check_providers


class PolicyHandlers:
    """The handlers of custom policies.

    Args:
        policies: returns the policies of the engine's own file.
        providers: names of the providers that are configured.
    """

    def __init__(self, policies: Callable[[], Policies], providers: Collection[str] = ()) -> None:
        self._policies = policies
        self._providers = providers

    def study(self, request: Request) -> Layer:
        """Read and lint the document; payload: project (id or None), document, reason, version (or None).

        Raises:
            InvalidInput: it cannot be used; ``errors`` has a JSON pointer.
        """
        payload = request.payload
        project = payload.get("project")
        scope, name = ("project", project) if project else ("organization", request.organization)
        try:
            policies = self._policies()
            layer = read_layer(scope, name, 0, payload.get("document"), policies, below=("document",))
            at = Place(f"policy of {scope} {name}", steps=("document", "rules"))
            check_here(at, layer.rules.rules, f"request.{scope}", name)
            check_providers(at, layer.rules.rules, {*policies.providers, *self._providers})
            return layer
        except SettingsError as error:
            place = {"pointer": error.details.get("pointer", ""), "detail": error.details.get("why", error.message)}
            raise InvalidInput(error.message, errors=[place]) from error

    def save(self, batch: Sequence[Request], reads: GateReads, now: int) -> list[Outcome]:
        """Save policies, each as a new version; the same content again changes nothing."""
        return [self._save(request, request.studied, reads, now) for request in batch]

    def _save(self, request: Request, layer: Layer, reads: GateReads, now: int) -> Outcome:
        project = request.payload.get("project") or ""
        present = next((row for row in reads.policies(request.organization, project) if row.project == project), None)
        version = present.version if present is not None else 0
        expected = request.payload.get("version")
        if expected is not None and expected != version:
            raise PreconditionFailed(f"the policy of {layer.scope} {layer.name} is at version {version}: read it again")
        shown = {"scope": layer.scope, "name": layer.name, "digest": layer.digest, "rules": len(layer.rules.rules)}
        if present is not None and present.digest == layer.digest:
            return Outcome(verdict=Verdict.APPROVED, result={**shown, "version": version, "changed": False})
        document = canonical_json(request.payload["document"]).decode()
        write = SavePolicy(
            request.organization, project, version + 1, layer.digest, document, request.payload.get("reason") or "",
            request.principal, request.id, now,
        )  # fmt: skip
        details = {"version": version + 1, "before": present.digest if present is not None else ""}
        return Outcome(
            verdict=Verdict.APPROVED,
            result={**shown, "version": version + 1, "changed": True},
            writes=[write],
            audit=[AuditNote(tag=Tag.POLICY_CHANGED, subject=project or request.organization, outcome="approved",
                             policy_digest=layer.digest, details=details)],
            events=[EventNote("policy.changed", project or request.organization, {"version": version + 1,
                                                                                 "digest": layer.digest})],
        )  # fmt: skip


def study_stop(request: Request) -> Stop:
    """Read ``stop.set`` or ``stop.lift``; payload: kind, subject and, to set, reason and quarantine_since (or None).

    Raises:
        InvalidInput: not a kind of subject, or the caller would stop itself.
    """
    payload = request.payload
    if payload.get("kind") not in stops.KINDS:
        raise InvalidInput(f"kind {payload.get('kind')!r}: one of {', '.join(stops.KINDS)}")
    itself = payload["kind"] == "principal" and payload["subject"] in stops.whose(request.principal)
    if request.kind == "stop.set" and itself:
        raise InvalidInput(f"{request.principal} would stop itself and could not lift it: let somebody else do it")
    return Stop(
        request.organization, payload["kind"], payload["subject"], payload.get("reason") or "", request.principal, 0
    )


def set_stop(batch: Sequence[Request], reads: GateReads, now: int) -> list[Outcome]:
    """Stop principals, projects and providers; what they made lately can be put into quarantine with them."""
    return [_set_stop(request, request.studied, reads, now) for request in batch]


def _set_stop(request: Request, stop: Stop, reads: GateReads, now: int) -> Outcome:
    known = _find(stop, reads)
    if known is not None:
        raise Conflict(f"{stop.kind} {stop.subject} is stopped already, by {known.set_by}: {known.reason}")
    since = request.payload.get("quarantine_since")
    follow_ups = []
    if since is not None:
        payload = {stop.kind: stop.subject, "since": since, "reason": stop.reason}
        follow_ups = [
            Submission(organization=request.organization, project=None, principal=request.principal,
                       kind="artifact.quarantine", payload=payload)
        ]  # fmt: skip
    return Outcome(
        verdict=Verdict.APPROVED,
        result={**_shown(stop), "set_by": request.principal, "set_at": now},
        writes=[SetStop(stop.organization, stop.kind, stop.subject, stop.reason, request.principal, request.id, now)],
        audit=[_note(Tag.STOP_SET, stop)],
        events=[EventNote("governance.stopped", stop.subject, {"kind": stop.kind})],
        follow_ups=follow_ups,
        rings=(STOPS,),
    )


def lift_stop(batch: Sequence[Request], reads: GateReads, now: int) -> list[Outcome]:
    """Let principals, projects and providers go on."""
    outcomes = []
    for request in batch:
        stop: Stop = request.studied
        if _find(stop, reads) is None:
            raise NotFound(f"{stop.kind} {stop.subject} is not stopped")
        outcomes.append(
            Outcome(
                verdict=Verdict.APPROVED,
                result={"kind": stop.kind, "subject": stop.subject},
                writes=[LiftStop(stop.organization, stop.kind, stop.subject)],
                audit=[_note(Tag.STOP_LIFTED, stop)],
                events=[EventNote("governance.resumed", stop.subject, {"kind": stop.kind})],
                rings=(STOPS,),
            )
        )
    return outcomes


def _find(stop: Stop, reads: GateReads) -> Stop | None:
    return next(
        (s for s in reads.stops(stop.organization, None) if (s.kind, s.subject) == (stop.kind, stop.subject)), None
    )


def _shown(stop: Stop) -> dict[str, str]:
    return {"kind": stop.kind, "subject": stop.subject, "reason": stop.reason}


def _note(tag: Tag, stop: Stop) -> AuditNote:
    # Not the reason: it is free text, and what stands in the log can never be taken out of it.
    return AuditNote(tag=tag, subject=stop.subject, outcome="approved", details={"kind": stop.kind})
