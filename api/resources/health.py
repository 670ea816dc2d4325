"""Probes and metrics. The probes answer without a key and say nothing about what is stored."""

from __future__ import annotations

from flask import Blueprint, Response

from api import answers
from api.access import SCOPE
from api.door import caller, door
from api.metrics import exposition
from metaqore.errors import Forbidden

blp = Blueprint("health", __name__)


@blp.get("/healthz")
def live() -> Response:
    """Say that this process answers."""
    return answers.body({"status": "alive"})


@blp.get("/readyz")
def ready() -> tuple[Response, int]:
    """Say whether requests can be accepted (database) and rung at once (broker)."""
    report = door().readiness.report()
    return answers.body(report), 503 if report["status"] == "unavailable" else 200


@blp.get("/metrics")
def metrics() -> Response:
    """Say in Prometheus' text format how much is queued and how much there is, in all organizations.

    Raises:
        Forbidden: the key is of another organization than the installation's own: names of others are in it.
    """
    if caller().organization != door().settings.organization:
        raise Forbidden("metrics are of the whole installation: use a key of the organization that runs it")
    text, content_type = exposition(door().views.health, door().engine.policies)
    return Response(text, content_type=content_type)


setattr(metrics, SCOPE, "metrics:read")
