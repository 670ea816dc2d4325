"""The composition root: builds the engine of one process from its settings."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from metaqore.adapters import logging
from metaqore.adapters.authentic import Authentic
from metaqore.adapters.cleaning import Cleaner
from metaqore.adapters.egress_http import SocketNetwork
from metaqore.adapters.line_file import RotatedFile
from metaqore.adapters.redis_results import RedisResults
from metaqore.audit import sealer
from metaqore.audit.vault import Vault
from metaqore.delivery.dispatch import Dispatcher
from metaqore.delivery.streaming import Streamer
from metaqore.delivery.webhooks import Sender
from metaqore.errors import SettingsError
from metaqore.kinds import (
    compliance_kinds,
    control_kinds,
    egress,
    governing_kinds,
    policy_source,
    psmp_kinds,
    psmp_policy,
    queue_kinds,
    replays,
    secure_gate,
)
from metaqore.messages import Submission
from metaqore.psmp.policy import Policy
from metaqore.psmp.preview import Preview
from metaqore.psmp.replay import Replays
from metaqore.psmp.reports import ReportReads, Reports
from metaqore.requests.attempts import Limits
from metaqore.requests.catalogue import Catalogue
from metaqore.requests.executor import Executor
from metaqore.requests.intake import Intake
from metaqore.requests.policy_files import PolicyFiles
from metaqore.requests.ports import Bell
from metaqore.requests.recorder import Recorder
from metaqore.security import keys
from metaqore.security.gate import SecureGate
from metaqore.security.policy_files import Seen
from metaqore.security.policy_source import PolicySource
from metaqore.settings import Settings
from metaqore.store import migrate, views
from metaqore.store.engine import Database
from metaqore.store.unit_of_work import SqlStore

#: The name under which the embedded default's own key is known.
DEVELOPMENT_PRINCIPAL = "developer"


class Engine(msgspec.Struct, kw_only=True):
    """Everything a process needs to accept and decide."""

    settings: Settings
    database: Database
    store: SqlStore
    catalogue: Catalogue
    intake: Intake
    executor: Executor
    views: views.Views
    #: Checks a URL at the door, before an endpoint is saved.
    sender: Sender
    dispatcher: Dispatcher
    #: SecureGateway's policy file, as it is now.
    policies: PolicySource
    #: Tells the log of every organization which policy files hold.
    policy_files: PolicyFiles
    gate: SecureGate
    #: What blocks a proposal and what to do about it, worked out when it is read.
    reports: Reports
    #: What would be decided: now, and in the past.
    preview: Preview
    replays: Replays
    #: What PSMP decides by.
    psmp: Policy
    #: Knows which announcements are this installation's.
    authentic: Authentic


def build(settings: Settings, bell: Callable[[Settings], Bell]) -> Engine:
    """Return the engine of this process. Opens no connection yet, so it may be called before a fork.

    Args:
        bell: makes what rings the queues; API and workers have different ones.

    Raises:
        SettingsError: a setting or a policy file cannot be used.
    """
    if not settings.redis_url:
        raise SettingsError("METAQORE_REDIS_URL is not set. `metaqore up` starts a broker and sets it")
    database = open_database(settings)
    store, authentic = SqlStore(database), announced_by(settings)
    policies, policy = policy_source(settings), psmp_policy(settings)
    gate = secure_gate(settings, policies)
    catalogue = Catalogue([*control_kinds(settings), *queue_kinds(settings, store, gate, policies)])
    ringer = bell(settings)
    executor = Executor(
        store,
        catalogue,
        RedisResults(settings.redis_url, authentic, expires_s=settings.result_expires_s),
        ringer,
        limits=Limits(
            drain_batch=settings.drain_batch, lease_s=settings.lease_s, max_attempts=settings.max_attempts,
            backoff_base_s=settings.backoff_base_s, backoff_max_s=settings.backoff_max_s,
        ),
        owner=f"{socket.gethostname()}:{os.getpid()}",
        guard=gate,
    )  # fmt: skip
    intake = Intake(store, catalogue, ringer, batch=settings.commit_batch)
    sender = Sender(SocketNetwork(), egress(settings), timeout_s=settings.webhook_timeout_s)
    dispatcher = Dispatcher(
        store, sender, lambda now: Recorder(catalogue, now), lambda journal: executor.after_commit([], journal)
    )
    files = PolicyFiles(executor, partial(_policy_files, policies, policy), lambda: policies.current().digest)
    policies.record, executor.before = files.record, files.ahead
    return Engine(
        policies=policies, policy_files=files, gate=gate,
        reports=Reports(partial(_reading, store), catalogue.__getitem__, executor.clock),
        preview=Preview(partial(_snapshot, store), policy, executor.clock),
        replays=replays(settings, database, policy),
        settings=settings, database=database, store=store, catalogue=catalogue, intake=intake, executor=executor,
        views=views.build(database), sender=sender, dispatcher=dispatcher, psmp=policy, authentic=authentic,
    )  # fmt: skip


def _policy_files(policies: PolicySource, psmp: Policy) -> list[Seen]:
    """Return the policy files that this process decides by now. PSMP's is read when a process starts."""
    policies.look()
    return [policies.seen(), Seen(file="psmp.yaml", digest=psmp.digest)]


@contextlib.contextmanager
def _reading(store: SqlStore) -> Iterator[ReportReads]:
    """Give PSMP's look-ups on one state of the database, outside of any write transaction."""
    with store.snapshot() as tx:
        yield tx.reads("psmp")


@contextlib.contextmanager
def _snapshot(store: SqlStore) -> Iterator[Any]:
    """Give PSMP's look-ups on one state of the database."""
    with store.snapshot() as tx:
        yield tx.reads("psmp")


def announced_by(settings: Settings) -> Authentic:
    """Return what stamps this installation's announcements; its key comes of the master key, as all processes have."""
    return Authentic(lambda: Vault(settings.privacy_key_path).derived("announcements"))


def open_database(settings: Settings) -> Database:
    """Return the database of the settings; request payloads in it are sealed for their data subjects."""
    if not structlog.is_configured():
        # A command of one-off work, whose output may be read by a program: structlog's default prints among it.
        logging.configure("warning", settings.log_format)
    database = Database(settings.dsn)
    database.vault = Vault(settings.privacy_key_path)
    return database


class _NoBell:
    """Rings nothing: for one-off commands that only run control-plane requests."""

    def ring(self, queue: str, ids: object) -> None:
        """Do nothing."""


class _NoResults:
    """Announces nothing: nobody can be waiting for a one-off command."""

    def publish(self, finished: object, organizations: object) -> None:
        """Do nothing."""


def create_key(
    settings: Settings,
    *,
    principal: str,
    name: str,
    scopes: list[str],
    environment: str = "live",
    kind: str | None = None,
    expires_at: int | None = None,
) -> str:
    """Create an API key in ``settings.organization`` and return its text, which is shown this once."""
    text, key = keys.mint(environment)
    payload = {"id": key.id, "secret_hash": keys.hash_secret(key.secret), "principal": principal, "kind": kind,
               "name": name, "scopes": scopes, "expires_at": expires_at, "environment": environment}  # fmt: skip
    run_control(settings, "key.create", payload)
    return text


def run_control(settings: Settings, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Run a control-plane request of whoever looks after this installation; return its result.

    Raises:
        MetaQoreError: it was refused; nothing is stored then.
    """
    database = open_database(settings)
    try:
        migrate.check(database)
        executor = Executor(SqlStore(database), Catalogue(control_kinds(settings)), _NoResults(), _NoBell())
        asked = Submission(
            organization=settings.organization, project=None, principal="metaqore", kind=kind, payload=payload
        )
        return executor.run_now(asked).result
    finally:
        database.close()


@contextlib.contextmanager
def one_off(settings: Settings) -> Iterator[tuple[SqlStore, Intake, Executor]]:
    """Give the two doors to a command that needs no broker: what it submits (to PSMP, or for a report on controls), it
    may decide by draining the queue.

    Raises:
        SettingsError: a policy file cannot be used, or the schema is not this release's.
    """
    database = open_database(settings)
    try:
        migrate.check(database)
        store = SqlStore(database)
        policies, psmp = policy_source(settings), psmp_policy(settings)
        catalogue = Catalogue(
            [*control_kinds(settings), *psmp_kinds(psmp), *compliance_kinds(settings, store), *governing_kinds()]
        )
        executor = Executor(store, catalogue, _NoResults(), _NoBell(), guard=secure_gate(settings, policies))
        executor.before = PolicyFiles(executor, partial(_policy_files, policies, psmp)).ahead
        yield store, Intake(store, catalogue, _NoBell()), executor
    finally:
        database.close()


def development_key(settings: Settings) -> str:
    """Return the embedded default's development key; make it, and its file (mode 0600), where there is none.

    The file is for people who try MetaQore on their own machine; it is only made by ``metaqore up`` and the demo.
    """
    path = Path(settings.data_path) / "development.key"
    database = open_database(settings)
    try:
        if path.exists():
            text = path.read_text(encoding="ascii").strip()
            key = keys.parse(text)
            with SqlStore(database).read() as tx:
                found = tx.reads("security").principal(key.id) if key is not None else None
            if (
                found is not None
                and key is not None
                and keys.matches(key, found.secret_hash)
                and found.revoked_at is None
            ):
                return text
    finally:
        database.close()
    text = create_key(
        settings, principal=DEVELOPMENT_PRINCIPAL, name="development", scopes=[keys.ALL], environment="test"
    )
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(text + "\n")
    return text


def migrated(settings: Settings) -> str:
    """Migrate the database of ``settings`` and return its revision."""
    return migrate.upgrade(settings.dsn)


def cleaner(engine: Engine) -> Cleaner:
    """Return what cleans broker and files after erasures; it begins nothing by itself."""
    return Cleaner(engine.executor, engine.database, lambda: engine.settings.redis_url)


def streamer(settings: Settings, store: SqlStore) -> Streamer:
    """Return what streams audit entries to sinks; it begins nothing by itself."""
    return Streamer(store, SocketNetwork(), egress(settings), RotatedFile(), log_name=settings.audit_log_name,
                    timeout_s=settings.webhook_timeout_s)  # fmt: skip


def seal_now(settings: Settings) -> int:
    """Seal what is not sealed yet, where no worker does it; return how many entries."""
    database = open_database(settings)
    try:
        return sealer.build(settings, SqlStore(database), f"{socket.gethostname()}:{os.getpid()}").run()
    finally:
        database.close()
