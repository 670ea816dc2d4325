"""Every kind of request, with who decides it: the one list that ``bootstrap`` makes the catalogue from."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import msgspec
import yaml

from metaqore.adapters.mock_provider import MockProvider
from metaqore.adapters.openai_provider import OpenAIProvider
from metaqore.adapters.secrets import from_environment
from metaqore.attack.adversary import SuiteAdversary
from metaqore.attack.suite_file import load_suite
from metaqore.audit import compliance, privacy
from metaqore.audit.compliance_file import load_frameworks
from metaqore.audit.compliance_reporting import Reporting
from metaqore.clock import now_ms
from metaqore.delivery.egress import EgressPolicy
from metaqore.delivery.handlers import Handlers as DeliveryHandlers
from metaqore.delivery.sinks import Handlers as SinkHandlers
from metaqore.delivery.sinks import remove as remove_sink
from metaqore.errors import InvalidInput, SettingsError
from metaqore.hmcp import policy as hmcp_policy
from metaqore.hmcp.handlers import Discover, Train
from metaqore.hmcp.review import Review, retire
from metaqore.hmcp.routing import Router
from metaqore.llm import budget_handlers
from metaqore.llm import config as llm_config
from metaqore.llm.budgeted import Budgeted
from metaqore.llm.handlers import Handlers as LlmHandlers
from metaqore.llm.ports import Provider
from metaqore.messages import Request
from metaqore.psmp import (
    aliases,
    approvals,
    checkpoints,
    control,
    declassification,
    deletion,
    handlers,
    intents,
    lifecycle,
    proposals,
    quarantine,
    registration,
    resolution,
    restore,
)
from metaqore.psmp.declaration import study as study_declaration
from metaqore.psmp.history import recorded
from metaqore.psmp.holdings import holding_states
from metaqore.psmp.policy import Policy, with_bounds
from metaqore.psmp.policy_file import load_policy
from metaqore.psmp.replay import Replays
from metaqore.psmp.replaying import Replaying
from metaqore.requests.cancel import cancel
from metaqore.requests.catalogue import Catalogue, Decide, Kind
from metaqore.security import key_handlers, policy_files, policy_handlers, token_handlers
from metaqore.security.gate import SecureGate
from metaqore.security.handlers import Handlers as SecurityHandlers
from metaqore.security.keys import SCOPES
from metaqore.security.look import look
from metaqore.security.model import ProviderStatus
from metaqore.security.policy_file import Policies
from metaqore.security.policy_handlers import PolicyHandlers
from metaqore.security.policy_source import PolicySource
from metaqore.security.ports import Stop
from metaqore.settings import Settings
from metaqore.store.engine import Database
from metaqore.store.past_world import PastWorld
from metaqore.store.recorded import Recorded
from metaqore.store.unit_of_work import SqlStore
from metaqore.store.views.compliance_reports import ReportLogViews
from metaqore.store.views.psmp_time import TimeViews

#: A policy file nests its brackets two deep.
_MAX_NESTING = 32


def egress(settings: Settings) -> EgressPolicy:
    """Return which addresses webhooks may go to."""
    return EgressPolicy(allow_private=settings.webhook_allow_private)


def control_kinds(settings: Settings) -> list[Kind]:
    """Return the kinds that are decided inside the API call."""
    webhooks = DeliveryHandlers(egress(settings))
    rows: list[tuple[str, str, str, Decide]] = [
        ("checkpoint.create", "psmp", "projects:write", checkpoints.create),
        ("checkpoint.delete", "psmp", "projects:write", checkpoints.delete),
        ("checkpoint.hold", "psmp", "artifacts:read", checkpoints.hold),
        ("request.cancel", "requests", "requests:cancel", cancel),
        ("subject.erase", "privacy", "privacy:manage", privacy.erase),
        ("erasure.cleaned", "privacy", "privacy:manage", privacy.note_cleaned),
        ("subject.export", "privacy", "privacy:manage", privacy.export),
        ("hold.place", "privacy", "privacy:manage", privacy.place_hold),
        ("hold.release", "privacy", "privacy:manage", privacy.release_hold),
        ("retention.save", "privacy", "privacy:manage", privacy.save_retention),
        ("retention.apply", "privacy", "privacy:manage", privacy.Retention(settings.retention_days).apply),
        ("signing_key.rotate", "privacy", "privacy:manage", privacy.rotate_signing_key),
        ("sink.add", "sinks", "privacy:manage", SinkHandlers(egress(settings)).add),
        ("sink.remove", "sinks", "privacy:manage", remove_sink),
        ("compliance.export", "audit", "audit:read", compliance.export),
        ("key.create", "security", "keys:manage", key_handlers.create_key),
        ("specialist.retire", "hmcp", "hmcp:train", retire),
        ("budget.set", "llm", "budgets:manage", budget_handlers.set_budget),
        ("budget.release", "llm", "budgets:manage", budget_handlers.release),
        ("key.rotate", "security", "keys:manage", key_handlers.rotate_key),
        ("token.create", "security", "tokens:delegate", token_handlers.create_token),
        ("token.revoke", "security", "tokens:delegate", token_handlers.revoke_token),
        ("key.revoke", "security", "keys:manage", key_handlers.revoke_key),
        ("endpoint.save", "delivery", "webhooks:manage", webhooks.save),
        ("endpoint.delete", "delivery", "webhooks:manage", webhooks.delete),
        ("endpoint.test", "delivery", "webhooks:manage", webhooks.test),
        ("delivery.replay", "delivery", "webhooks:manage", webhooks.replay),
    ]
    return saved_kinds(settings, psmp_policy(settings)) + [
        Kind(name=name, queue="control", feature=feature, scope=scope, decide=decide)
        for name, feature, scope, decide in rows
    ]


def saved_kinds(settings: Settings, policy: Policy) -> list[Kind]:
    """Return the kinds of PSMP that are decided inside the API call and are steps of a project's history."""
    save_project = partial(control.save_project, policy=policy, default_mode=settings.governance_mode)
    return [
        Kind(name="project.save", queue="control", feature="psmp", scope="projects:write",
             decide=recorded(save_project)),
        Kind(name="task.save", queue="control", feature="psmp", scope="tasks:write",
             decide=recorded(partial(control.save_task, policy=policy))),
    ]  # fmt: skip


def secure_gate(settings: Settings, policies: PolicySource) -> SecureGate:
    """Return SecureGateway over the configured providers.

    Raises:
        SettingsError: the providers' file cannot be used.
    """
    statuses = configured_providers(settings)
    return SecureGate(policies.current, settings.secure_gateway_policy, lambda: statuses)


def configured_providers(settings: Settings) -> dict[str, ProviderStatus]:
    """Return what is configured: it is known, and what is enabled counts as available; any other provider is vetoed.

    Raises:
        SettingsError: the providers' file cannot be used.
    """
    return {
        name: ProviderStatus(local=spec.reach == "local", available=spec.enabled, region=spec.region)
        for name, spec in llm_config.load(settings.config_path / "providers.yaml").providers.items()
    }


def policy_source(settings: Settings) -> PolicySource:
    """Return SecureGateway's policy file, which is read again when it changes.

    Raises:
        SettingsError: it cannot be used.
    """
    file = settings.config_path / "policies" / "security.yaml"
    providers = configured_providers(settings)

    def accept(policies: Policies) -> None:
        policies.check(providers)
        policies[settings.secure_gateway_policy]

    return PolicySource(file, accept)


def queue_kinds(settings: Settings, store: SqlStore, gate: SecureGate, policies: PolicySource) -> list[Kind]:
    """Return the kinds that worker pools decide, and those of SecureGateway itself.

    Raises:
        SettingsError: a policy file cannot be used.
    """
    providers = llm_config.load(settings.config_path / "providers.yaml")
    return (
        psmp_kinds(psmp_policy(settings))
        + _security(gate, policies, providers.providers)
        + _llm(settings, store, gate, providers)
        + _hmcp(settings, store)
        + compliance_kinds(settings, store)
        + [_replay(settings, store)]
    )


def psmp_policy(settings: Settings) -> Policy:
    """Return what PSMP decides by.

    Raises:
        SettingsError: its policy file cannot be used.
    """
    return _bounded(settings, load_policy(settings.config_path / "policies" / "psmp.yaml", scopes=SCOPES))


def candidate_policy(settings: Settings, text: str) -> Policy:
    """Return a policy that somebody wants to try, from its text; bounds of this installation hold for it too.

    Raises:
        InvalidInput: it cannot be used; says line and key.
    """
    try:
        if _deepest(text) > _MAX_NESTING:
            raise SettingsError(f"policy: brackets are nested more than {_MAX_NESTING} deep")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise SettingsError("policy: aliases (*name) are not read")
        return _bounded(settings, load_policy(text, scopes=SCOPES))
    except (SettingsError, yaml.YAMLError, RecursionError) as error:
        detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InvalidInput(detail, errors=[{"pointer": "/policy", "detail": detail}]) from error


def _deepest(text: str) -> int:
    """Return how deep brackets are nested at most; reading YAML takes a time that grows with the square of it."""
    deepest = depth = 0
    for bracket in re.findall(r"[\[{\]}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def history_kinds(settings: Settings, policy: Policy) -> Catalogue:
    """Return every kind of which a project's history is made, decided by ``policy``."""
    return Catalogue([*saved_kinds(settings, policy), *psmp_kinds(policy)])


def replays(settings: Settings, database: Database, policy: Policy) -> Replays:
    """Return what decides a project's past again."""
    return Replays(partial(PastWorld, database, holding_states(policy)),
                   lambda chosen: history_kinds(settings, chosen).__getitem__, policy)  # fmt: skip


def _replay(settings: Settings, store: SqlStore) -> Kind:
    """Return the kind that replays what takes longer than an answer may.

    It takes minutes, as training does, and must hold up neither decisions nor calls; so it waits where training waits.
    """
    policy = psmp_policy(settings)
    replaying = Replaying(
        replays(settings, store.database, policy), TimeViews(store.database).recorded,
        partial(candidate_policy, settings), policy,
    )  # fmt: skip
    return Kind(name="history.replay", queue="hmcp", feature="psmp", scope="artifacts:read", long=replaying,
                study=replaying.study, lease_s=120, batch=1)  # fmt: skip


def _bounded(settings: Settings, policy: Policy) -> Policy:
    bounded = with_bounds(
        policy, dependency_depth=settings.max_graph_depth, parallel_branches=settings.max_parallel_branches,
        conversation_turns=settings.max_conversation_turns,
        conversation_participants=settings.max_conversation_participants,
    )  # fmt: skip
    return msgspec.structs.replace(bounded, look=look)


def psmp_kinds(policy: Policy) -> list[Kind]:
    """Return the kinds of PSMP, decided by its policy."""
    rows: list[tuple[str, str, Decide, Callable[[Request], Any]]] = [
        ("artifact.declare", "artifacts:write", partial(handlers.declare, policy=policy),
         partial(study_declaration, policy=policy)),
        ("artifact.register", "artifacts:write", partial(handlers.declare, policy=policy),
         partial(registration.study, policy=policy)),
        ("artifact.transition", "artifacts:write", partial(lifecycle.transition, policy=policy), lifecycle.study),
        ("artifact.set_aside", "security:stop", partial(lifecycle.transition, policy=policy), lifecycle.study),
        ("artifact.delete", "artifacts:write", partial(deletion.delete, policy=policy), deletion.study),
        ("artifact.alias", "artifacts:write", partial(aliases.alias, policy=policy), aliases.study),
        ("artifact.declassify", "labels:declassify", partial(declassification.declassify, policy=policy),
         declassification.study),
        ("conflict.resolve", "conflicts:resolve", partial(resolution.resolve, policy=policy), resolution.study),
        ("intent.announce", "artifacts:write", partial(intents.announce, policy=policy), intents.study),
        ("intent.withdraw", "artifacts:write", intents.withdraw, intents.study_withdrawal),
        ("project.restore", "projects:restore", partial(restore.restore, policy=policy), restore.study),
        ("proposal.withdraw", "artifacts:write", proposals.withdraw, proposals.study_withdraw),
        ("approval.open", "approvals:answer", approvals.open_approval, approvals.study_ask),
        ("approval.answer", "approvals:answer", partial(approvals.answer, policy=policy), approvals.study_answer),
        ("approval.expire", "approvals:answer", approvals.expire, approvals.study_expire),
    ]  # fmt: skip
    aside = Kind(name="artifact.quarantine", queue="psmp", feature="psmp", scope="security:stop",
                 decide=partial(quarantine.quarantine, policy=policy), study=quarantine.study)  # fmt: skip
    provide = Kind(name="project.provide", queue="psmp", feature="psmp", scope="projects:write",
                   decide=recorded(partial(registration.provide, policy=policy)), ordered_by_project=True)  # fmt: skip
    # What expires in every project of an organization at once is no step of any project's history.
    prune = Kind(name="checkpoint.prune", queue="psmp", feature="psmp", scope="projects:write",
                 decide=checkpoints.prune)  # fmt: skip
    return [
        aside,
        prune,
        provide,
        *(Kind(name=name, queue="psmp", feature="psmp", scope=scope, decide=recorded(decide), study=study,
             ordered_by_project=True, together=name == "artifact.declare")
        for name, scope, decide, study in rows),
    ]  # fmt: skip


def _security(gate: SecureGate, policies: PolicySource, providers: Collection[str]) -> list[Kind]:
    security, custom = SecurityHandlers(gate), PolicyHandlers(policies.current, providers)
    return [
        Kind(name="payload.assess", queue="security", feature="security", scope="security:assess",
             decide=security.assess, study=security.study, together=True),
        Kind(name="policy.save", queue="control", feature="security", scope="policies:manage",
             decide=custom.save, study=custom.study),
        *governing_kinds(),
    ]  # fmt: skip


def governing_kinds() -> list[Kind]:
    """Return the kinds that tell a log which policy file holds, and that stop and let go on."""
    return [
        Kind(name=policy_files.KIND, queue="control", feature="security", scope="policies:manage",
             decide=policy_files.reload, study=policy_files.study_reload),
        Kind(name="stop.set", queue="control", feature="security", scope="security:stop",
             decide=policy_handlers.set_stop, study=policy_handlers.study_stop),
        Kind(name="stop.lift", queue="control", feature="security", scope="security:stop",
             decide=policy_handlers.lift_stop, study=policy_handlers.study_stop),
    ]  # fmt: skip


def _llm(settings: Settings, store: SqlStore, gate: SecureGate, providers: llm_config.ProvidersFile) -> list[Kind]:
    policy = hmcp_policy.load(settings.config_path / "hmcp.yaml")
    router = Router(Recorded(store), policy, settings.specialist_routing, now_ms)
    states = psmp_policy(settings).artifact.states
    calls = LlmHandlers(
        gate, _providers(providers), providers.offers(), providers.batch, now_ms, partial(_stops, store), router,
        [name for name, state in states.items() if state.as_dependency == "blocked"],
    )  # fmt: skip
    gateway = Budgeted(calls, providers.price_list())
    return [
        Kind(name="llm.generate", queue="llm", feature="llm", scope="llm:generate", long=gateway,
             study=gateway.study, survey=calls.survey, lease_s=settings.llm_lease_s, batch=settings.llm_batch),
    ]  # fmt: skip


def compliance_kinds(settings: Settings, store: SqlStore) -> list[Kind]:
    """Return the kind that reports on controls.

    Raises:
        SettingsError: a file of frameworks cannot be used.
    """
    frameworks = partial(load_frameworks, settings.compliance_path)
    known = frameworks()
    for name in filter(None, settings.compliance_frameworks.split(",")):
        if name not in known:
            raise SettingsError(f"METAQORE_COMPLIANCE_FRAMEWORKS: {name!r} is no framework: one of {', '.join(known)}")
    reporting = Reporting(ReportLogViews(store.database), frameworks, now_ms)
    return [
        Kind(name="compliance.report", queue="security", feature="compliance", scope="audit:read", long=reporting,
             study=reporting.study, lease_s=120, batch=1),
    ]  # fmt: skip


def _hmcp(settings: Settings, store: SqlStore) -> list[Kind]:
    policy = hmcp_policy.load(settings.config_path / "hmcp.yaml")
    source = Recorded(store)
    lease_s, routing = settings.train_lease_s, settings.specialist_routing
    review = Review(policy, promotes=routing in ("proven", "on"))
    return [
        Kind(name="patterns.discover", queue="hmcp", feature="hmcp", scope="hmcp:train",
             long=Discover(source, policy, now_ms), lease_s=lease_s, batch=4),
        Kind(name="specialist.train", queue="hmcp", feature="hmcp", scope="hmcp:train",
             long=Train(source, policy, _adversary, now_ms, at_once=routing == "on"), lease_s=lease_s, batch=1),
        # Beside the calls: one that has drifted must not wait until another is trained.
        Kind(name="specialist.review", queue="llm", feature="hmcp", scope="hmcp:train", decide=review.review),
    ]  # fmt: skip


def _adversary() -> SuiteAdversary:
    """Return who attacks a specialist before it may answer: the scenarios that are shipped."""
    return SuiteAdversary(load_suite())


def _stops(store: SqlStore, organization: str) -> list[Stop]:
    """Return what is stopped in an organization now."""
    with store.read() as tx:
        found: list[Stop] = tx.reads("security").stops(organization, None)
    return found


def _providers(file: llm_config.ProvidersFile) -> dict[str, Provider]:
    made: dict[str, Provider] = {}
    for name, spec in file.enabled().items():
        if spec.kind == "mock":
            made[name] = MockProvider(name, spec)
        else:
            key = from_environment(spec.api_key_env) if spec.api_key_env else None
            made[name] = OpenAIProvider(name, spec, key)
    return made
