"""A MetaQore of the command's own: started for an attack, with its guards or without them, and stopped again."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml

from metaqore import bootstrap
from metaqore.cli.attack.people import Api, People
from metaqore.cli.attack.told import Told
from metaqore.cli.demo.installation import CLOUD, Installation, folder_for_a_while
from metaqore.cli.demo.receiver import Listener
from metaqore.embedded.supervisor import Event
from metaqore.errors import MetaQoreError
from metaqore.security.keys import ALL
from metaqore.settings import Settings, load

T = TypeVar("T")


def with_own(attack: Callable[[People], T], *, unguarded: bool = False) -> T:
    """Start a MetaQore, have it attacked, stop it; return what ``attack`` returned.

    Args:
        unguarded: take away every guard that a setting, a policy or the scope of a key can take away.

    Raises:
        MetaQoreError: it did not start, or ended before the attack did.
    """
    found: list[T] = []
    failures: list[BaseException] = []
    with folder_for_a_while(keep=False) as folder, Listener() as cloud, Told() as told:
        installation = Installation(folder, cloud.port)
        told.join(installation.settings.config_path / "providers.yaml")
        if unguarded:
            take_guards_away(installation.settings.config_path, told.port)
        ready = threading.Event()

        def run() -> None:
            ready.wait()
            try:
                found.append(attack(_people(installation, told, unguarded=unguarded)))
            except BaseException as error:
                failures.append(error)

        installation.run(run, ready, _ignore)
    if failures:
        raise failures[0]
    if not found:
        raise MetaQoreError("the attack was interrupted before it ended")
    return found[0]


def take_guards_away(config: Path, port: int) -> None:
    """Change a configuration so that it lets through what it can be told to let through.

    Threats are flagged and not vetoed, no rule redacts, and the provider outside is said to be on the premises.

    Args:
        port: of this machine, where somebody answers for that provider.
    """
    path = config / "policies" / "security.yaml"
    policies = yaml.safe_load(path.read_text(encoding="utf-8"))
    policies["providers"]["cloud"].remove(CLOUD)
    policies["providers"]["local"].append(CLOUD)
    policies["rules"] = []
    for policy in policies["policies"].values():
        policy["threats"] = "flag"
    path.write_text(yaml.safe_dump(policies, sort_keys=False), encoding="utf-8")
    path = config / "providers.yaml"
    providers = yaml.safe_load(path.read_text(encoding="utf-8"))
    providers["providers"][CLOUD] |= {
        "enabled": True, "class": "local", "region": "local", "base_url": f"http://127.0.0.1:{port}/v1",
    }  # fmt: skip
    providers["providers"][CLOUD].pop("api_key_env", None)
    path.write_text(yaml.safe_dump(providers, sort_keys=False), encoding="utf-8")


def _people(installation: Installation, told: Told, *, unguarded: bool) -> People:
    """Return everybody, a stranger of another organization among them."""
    settings = installation.settings
    elsewhere = load(
        {"storage_dsn": settings.dsn, "data_dir": settings.data_dir, "organization": "elsewhere"}, environ={}
    )
    api = Api(installation.url)
    if unguarded:
        return all_powerful(api, installation.key, told, lambda name: _key(settings, name))
    return People(api, installation.key, _key(elsewhere, "stranger"), told)


def all_powerful(api: Api, admin: str, told: Told, key: Callable[[str], str]) -> People:
    """Return people of whom each may do everything, the stranger as one of the house.

    Args:
        key: makes a key with every scope for a principal.
    """
    keys = {name: key(name) for name in ("attack-agent", "attack-other", "stranger")}
    return People(api, admin, keys["stranger"], told, {"agent": keys["attack-agent"], "other": keys["attack-other"]})


def _key(settings: Settings, principal: str) -> str:
    return bootstrap.create_key(settings, principal=principal, name=secrets.token_hex(4), scopes=[ALL])


def _ignore(event: Event) -> None:
    """Say nothing about processes: the report is about attacks."""
