"""Settings: one line per variable, refused loudly where they cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaqore.errors import SettingsError
from metaqore.settings import Settings, load, to_environ

EXAMPLE = Path(__file__).parents[3] / "config" / "settings.example.env"


def _example() -> dict[str, str]:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_the_example_names_every_setting_with_its_default() -> None:
    assert {f"METAQORE_{name.upper()}" for name in Settings.__struct_fields__} == _example().keys()
    assert Settings() == load(environ=_example())


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("METAQORE_GOVERNANCE_MODE", "lax", "strict, adaptive, playground"),
        ("METAQORE_SECURE_GATEWAY_POLICY", "open", "compliance_local_only"),
        ("METAQORE_PORT", "70000", "le 65535"),
        ("METAQORE_PORT", "x", "int"),
        ("METAQORE_WEBHOOK_ALLOW_PRIVATE", "perhaps", "true or false"),
        ("METAQORE_ORGANIZATION", "A B", "pattern"),
        ("METAQORE_STORAGE_DNS", "sqlite:///x", "storage_dsn"),
    ],
)
def test_a_bad_setting_is_refused_with_key_value_and_what_is_allowed(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load(environ={name: value})

    assert name in refused.value.message
    assert allowed in refused.value.message


@pytest.mark.parametrize("text", ["enterprise", "Enterprise-Residency", " residency "])
def test_a_policy_is_known_by_its_aliases(text: str) -> None:
    assert load(environ={"METAQORE_SECURE_GATEWAY_POLICY": text}).secure_gateway_policy == "enterprise_residency"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "metaqore.yaml"
    file.write_text("port: 81\norganization: acme\n")

    settings = load(environ={"METAQORE_CONFIG": str(file), "METAQORE_PORT": "82"})

    assert (settings.port, settings.organization) == (82, "acme")


def test_an_unknown_key_in_the_file_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "metaqore.yaml"
    file.write_text("prot: 81\n")

    with pytest.raises(SettingsError, match=r"prot.*Did you mean 'port'"):
        load(environ={"METAQORE_CONFIG": str(file)})


def test_a_child_process_loads_the_same_settings() -> None:
    settings = load({"port": 81, "webhook_allow_private": True, "backoff_base_s": 0.5}, environ={})

    assert settings == load(environ=to_environ(settings))


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().port = 1  # type: ignore[misc]
