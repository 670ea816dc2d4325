"""Settings: one line per variable, from a YAML file and the environment (the environment wins).

Every field ``name`` is the key ``name`` in the YAML file and ``METAQORE_<NAME>`` in the environment. The file is
named by ``METAQORE_CONFIG``. Unknown keys and bad values are refused. Read settings nowhere else.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import yaml

from metaqore.errors import SettingsError

PREFIX = "METAQORE_"
#: Variables with our prefix that are not settings: where the settings are, and switches for fault injection.
NOT_SETTINGS = frozenset(
    {"CONFIG", "FAILPOINT", "REDIS_SERVER", "TEST_DATA", "TEST_LONG", "TEST_WITHOUT_SERVICES", "FLOWER_AUTH"}
)

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
Mode = Literal["strict", "adaptive", "playground"]

POLICY_ALIASES: Mapping[str, str] = {
    "default": "default_local_first",
    "local_first": "default_local_first",
    "default_local_first": "default_local_first",
    "enterprise": "enterprise_residency",
    "residency": "enterprise_residency",
    "enterprise_residency": "enterprise_residency",
    "compliance": "compliance_local_only",
    "local_only": "compliance_local_only",
    "compliance_local_only": "compliance_local_only",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one installation. Durations carry their unit in the name."""

    organization: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = "default"
    governance_mode: Mode = "strict"
    secure_gateway_policy: str = "default_local_first"
    storage_dsn: str = ""
    redis_url: str = ""
    data_dir: str = ".metaqore"
    config_dir: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    host: str = "127.0.0.1"
    port: Port = 8000
    flower_port: Port = 5555
    max_body_bytes: Positive = 1_048_576
    max_batch_items: Annotated[int, msgspec.Meta(ge=1, le=500)] = 500
    max_wait_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 60
    commit_batch: Annotated[int, msgspec.Meta(ge=1, le=256)] = 64
    ring_linger_ms: Annotated[float, msgspec.Meta(ge=0, le=2)] = 1.0
    drain_batch: Annotated[int, msgspec.Meta(ge=1, le=256)] = 256
    lease_s: Annotated[int, msgspec.Meta(ge=1, le=600)] = 30
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    backoff_base_s: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    backoff_max_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    sweep_every_s: Annotated[float, msgspec.Meta(ge=0.2)] = 5.0
    idempotency_days: Positive = 7
    idempotency_required: Literal["nobody", "agents", "everybody"] = "nobody"
    result_expires_s: Positive = 3600
    llm_batch: Annotated[int, msgspec.Meta(ge=1, le=64)] = 16
    llm_lease_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 120
    train_lease_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 300
    specialist_routing: Literal["off", "shadow", "proven", "on"] = "proven"
    discover_every_s: Annotated[float, msgspec.Meta(ge=1)] = 300.0
    webhook_timeout_s: Annotated[float, msgspec.Meta(gt=0, le=30)] = 15.0
    webhook_allow_private: bool = False
    token_secret: Annotated[str, msgspec.Meta(pattern=r"^$|^[0-9a-f]{64,}$")] = ""
    oidc_issuer: str = ""
    oidc_audience: str = "metaqore"
    oidc_jwks_url: str = ""
    oidc_algorithms: str = "RS256,PS256,ES256,EdDSA"
    oidc_leeway_s: Annotated[int, msgspec.Meta(ge=0, le=300)] = 30
    oidc_principal_claim: str = "sub"
    oidc_principal_prefix: str = "oidc:"
    oidc_organization_claim: str = ""
    oidc_scopes_claim: str = "scope"
    oidc_kind_claim: str = ""
    rate_limit_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 600_000
    rate_limit_organization_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 1_200_000
    rate_limit_failures_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 6_000
    trusted_proxies: str = ""
    cors_origins: str = ""
    quota_open_per_organization: Annotated[int, msgspec.Meta(ge=0)] = 200_000
    quota_open_per_project: Annotated[int, msgspec.Meta(ge=0)] = 100_000
    audit_log_name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")] = "metaqore"
    audit_key_file: str = ""
    audit_witness_file: str = ""
    privacy_key_file: str = ""
    retention_days: Annotated[int, msgspec.Meta(ge=183)] = 400
    compliance_frameworks: Annotated[str, msgspec.Meta(pattern=r"^$|^[a-z][a-z0-9_]*(,[a-z][a-z0-9_]*)*$")] = ""
    compliance_period: Literal["day", "week", "month", "quarter"] = "month"
    max_graph_depth: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_parallel_branches: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_conversation_turns: Annotated[int, msgspec.Meta(ge=0)] = 0
    max_conversation_participants: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def data_path(self) -> Path:
        """The data folder as an absolute path."""
        return Path(self.data_dir).expanduser().resolve()

    @property
    def dsn(self) -> str:
        """The SQLAlchemy URL: ``storage_dsn``, or SQLite in the data folder."""
        return self.storage_dsn or f"sqlite:///{self.data_path / 'metaqore.db'}"

    @property
    def audit_key_path(self) -> Path:
        """The file with the keys that sign the audit log."""
        return Path(self.audit_key_file or self.data_path / "audit" / "signing.key").expanduser().resolve()

    @property
    def audit_witness_path(self) -> Path:
        """The file that remembers checkpoints outside of the database."""
        return Path(self.audit_witness_file or self.data_path / "audit" / "witness.jsonl").expanduser().resolve()

    @property
    def privacy_key_path(self) -> Path:
        """The file with the key that wraps the keys of data subjects."""
        return Path(self.privacy_key_file or self.data_path / "privacy.key").expanduser().resolve()

    @property
    def config_path(self) -> Path:
        """The folder with the policy files: ``config_dir``, else the one shipped with MetaQore."""
        return Path(self.config_dir) if self.config_dir else _shipped()

    @property
    def flower_path(self) -> Path:
        """Flower's configuration: in ``config_dir`` where it has one, else the shipped."""
        own = self.config_path / "flower.py"
        return own if own.is_file() else _shipped() / "flower.py"

    @property
    def compliance_path(self) -> Path:
        """The folder with the frameworks that are reported on: in ``config_dir`` where it has one, else the shipped."""
        own = self.config_path / "compliance"
        return own if own.is_dir() else _shipped() / "compliance"


def _shipped() -> Path:
    """Return the configuration that came with MetaQore: beside the package in a checkout, inside it in a wheel."""
    beside = Path(__file__).resolve().parent.parent / "config"
    return beside if beside.is_dir() else Path(__file__).resolve().parent / "_config"


def load(overrides: Mapping[str, Any] | None = None, *, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings from file, environment and ``overrides`` (later wins).

    Args:
        overrides: field name → value, e.g. from the command line.
        environ: for tests; the process environment otherwise.

    Raises:
        SettingsError: unknown key or bad value; the message names the key, the value and what is allowed.
    """
    env = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    file = env.get(f"{PREFIX}CONFIG")
    if file:
        values.update(_read_file(Path(file)))
    for name, text in env.items():
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in NOT_SETTINGS:
            values[_known(name[len(PREFIX) :].lower(), name)] = text
    for name, value in (overrides or {}).items():
        values[_known(name, name)] = value
    return _convert(values)


def to_environ(settings: Settings) -> dict[str, str]:
    """Return the environment that makes a child process load the same settings."""
    default = Settings()
    return {
        PREFIX + name.upper(): _as_text(getattr(settings, name))
        for name in Settings.__struct_fields__
        if getattr(settings, name) != getattr(default, name)
    }


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{PREFIX}CONFIG={path}: the file cannot be read: {error}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"{PREFIX}CONFIG={path}: expected a mapping of setting → value")
    return {_known(str(key), f"{path}: {key}"): value for key, value in loaded.items()}


def _known(field: str, shown: str) -> str:
    if field in Settings.__struct_fields__:
        return field
    near = difflib.get_close_matches(field, Settings.__struct_fields__, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise SettingsError(f"{shown}: unknown setting.{hint} Known: {', '.join(sorted(Settings.__struct_fields__))}")


def _convert(values: dict[str, Any]) -> Settings:
    checked: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name not in values:
            continue
        value = values[field.name]
        if isinstance(value, str) and field.name in ("governance_mode", "log_level", "log_format"):
            value = value.strip().lower()
        try:
            checked[field.name] = msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"{PREFIX}{field.name.upper()}={value!r}: not allowed ({error}). Allowed: {_allowed(field.type)}"
            ) from error
    policy = checked.get("secure_gateway_policy")
    if policy is not None:
        checked["secure_gateway_policy"] = _policy(policy)
    return Settings(**checked)


def _policy(text: str) -> str:
    """Return the policy's canonical name."""
    name = text.strip().lower().replace("-", "_")
    if name not in POLICY_ALIASES:
        raise SettingsError(
            f"{PREFIX}SECURE_GATEWAY_POLICY={text!r}: unknown policy. Allowed: {', '.join(sorted(POLICY_ALIASES))}"
        )
    return POLICY_ALIASES[name]


def _allowed(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is Annotated:
        base, meta = get_args(kind)
        bounds = [
            f"{n} {getattr(meta, n)}" for n in ("ge", "gt", "le", "lt", "pattern") if getattr(meta, n, None) is not None
        ]
        return f"{base.__name__} ({', '.join(bounds)})"
    return {"bool": "true or false", "str": "text"}.get(kind.__name__, str(kind.__name__))
