"""Every kind of request, with who decides it: the one list that ``bootstrap`` makes the catalogue from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from metaqore.adapters.mock_provider import MockProvider
from metaqore.adapters.openai_provider import OpenAIProvider
from metaqore.adapters.secrets import from_environment
from metaqore.clock import now_ms
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.handlers import Handlers as DeliveryHandlers
from metaqore.hmcp import policy as hmcp_policy
from metaqore.hmcp.artefact import Artefact
from metaqore.hmcp.handlers import Discover, Train
from metaqore.hmcp.model import TaskEvent
from metaqore.llm import config as llm_config
from metaqore.llm.handlers import Handlers as LlmHandlers
from metaqore.llm.ports import Provider
from metaqore.psmp import control, handlers, lifecycle, resolution
from metaqore.psmp.declaration import study as study_declaration
from metaqore.requests.cancel import cancel
from metaqore.requests.catalogue import Decide, Kind
from metaqore.security import key_handlers
from metaqore.security.gate import SecureGate
from metaqore.security.handlers import Handlers as SecurityHandlers
from metaqore.security.model import ProviderStatus
from metaqore.security.policy import load_policies
from metaqore.settings import Settings
from metaqore.store.unit_of_work import SqlStore


def egress(settings: Settings) -> EgressPolicy:
    """Return which addresses webhooks may go to."""
    return EgressPolicy(allow_private=settings.webhook_allow_private)


def control_kinds(settings: Settings) -> list[Kind]:
    """Return the kinds that are decided inside the API call."""
    webhooks = DeliveryHandlers(egress(settings))
    save_project = partial(control.save_project, default_mode=settings.governance_mode)
    rows: list[tuple[str, str, str, Decide]] = [
        ("project.save", "psmp", "projects:write", save_project),
        ("task.save", "psmp", "tasks:write", control.save_task),
        ("request.cancel", "requests", "requests:cancel", cancel),
        ("key.create", "security", "keys:manage", key_handlers.create_key),
        ("key.revoke", "security", "keys:manage", key_handlers.revoke_key),
        ("endpoint.save", "delivery", "webhooks:manage", webhooks.save),
        ("endpoint.delete", "delivery", "webhooks:manage", webhooks.delete),
        ("endpoint.test", "delivery", "webhooks:manage", webhooks.test),
        ("delivery.replay", "delivery", "webhooks:manage", webhooks.replay),
    ]
    return [
        Kind(name=name, queue="control", feature=feature, scope=scope, decide=decide)
        for name, feature, scope, decide in rows
    ]


def queue_kinds(settings: Settings, store: SqlStore) -> list[Kind]:
    """Return the kinds that worker pools decide.

    Raises:
        SettingsError: a policy file cannot be used.
    """
    providers = llm_config.load(settings.config_path / "providers.yaml")
    gate = SecureGate(
        load_policies(settings.config_path / "policies" / "security.yaml"),
        settings.secure_gateway_policy,
        lambda: _statuses(providers),
    )
    return _psmp() + _security(gate) + _llm(settings, gate, providers) + _hmcp(settings, store)


def _psmp() -> list[Kind]:
    return [
        Kind(name="artifact.declare", queue="psmp", feature="psmp", scope="artifacts:write",
             decide=handlers.declare, study=study_declaration, ordered_by_project=True, together=True),
        Kind(name="artifact.transition", queue="psmp", feature="psmp", scope="artifacts:write",
             decide=lifecycle.transition, ordered_by_project=True, together=True),
        Kind(name="conflict.resolve", queue="psmp", feature="psmp", scope="conflicts:resolve",
             decide=resolution.resolve, study=resolution.study, ordered_by_project=True),
    ]  # fmt: skip


def _security(gate: SecureGate) -> list[Kind]:
    security = SecurityHandlers(gate)
    return [
        Kind(name="payload.assess", queue="security", feature="security", scope="security:assess",
             decide=security.assess, study=security.study, together=True),
    ]  # fmt: skip


def _llm(settings: Settings, gate: SecureGate, providers: llm_config.ProvidersFile) -> list[Kind]:
    gateway = LlmHandlers(gate, _providers(providers), providers.offers(), providers.batch, now_ms)
    return [
        Kind(name="llm.generate", queue="llm", feature="llm", scope="llm:generate", long=gateway,
             study=gateway.study, lease_s=settings.llm_lease_s, batch=settings.llm_batch),
    ]  # fmt: skip


def _hmcp(settings: Settings, store: SqlStore) -> list[Kind]:
    policy = hmcp_policy.load(settings.config_path / "hmcp.yaml")
    source = _Recorded(store)
    lease_s = settings.train_lease_s
    return [
        Kind(name="patterns.discover", queue="hmcp", feature="hmcp", scope="hmcp:train",
             long=Discover(source, policy, now_ms), lease_s=lease_s, batch=4),
        Kind(name="specialist.train", queue="hmcp", feature="hmcp", scope="hmcp:train",
             long=Train(source, policy, now_ms), lease_s=lease_s, batch=1),
    ]  # fmt: skip


class _Recorded:
    """What was recorded, each look-up on a connection of its own. See ``metaqore.hmcp.handlers.Source``."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    def events(self, organization: str, since: int, limit: int) -> list[TaskEvent]:
        """Return the latest recorded calls, oldest first."""
        with self._store.read() as tx:
            found: list[TaskEvent] = tx.reads("hmcp").events(organization, since, limit)
        return found

    def patterns(self, organization: str) -> Mapping[str, Mapping[str, Any]]:
        """Return signature key → row."""
        with self._store.read() as tx:
            found: Mapping[str, Mapping[str, Any]] = tx.reads("hmcp").patterns(organization)
        return found

    def champion(self, pattern: str) -> tuple[int, Artefact | None]:
        """Return the highest version and the active specialist."""
        with self._store.read() as tx:
            found: tuple[int, Artefact | None] = tx.reads("hmcp").champion(pattern)
        return found


def _statuses(providers: llm_config.ProvidersFile) -> dict[str, ProviderStatus]:
    """What is configured is known, what is enabled counts as available; every other provider is vetoed."""
    return {
        name: ProviderStatus(local=spec.reach == "local", available=spec.enabled)
        for name, spec in providers.providers.items()
    }


def _providers(file: llm_config.ProvidersFile) -> dict[str, Provider]:
    made: dict[str, Provider] = {}
    for name, spec in file.enabled().items():
        if spec.kind == "mock":
            made[name] = MockProvider(name, spec)
        else:
            key = from_environment(spec.api_key_env) if spec.api_key_env else None
            made[name] = OpenAIProvider(name, spec, key)
    return made
