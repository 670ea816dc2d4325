"""What is looked at before anything is started: the data folder, the ports, and a broker that is not ours."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from metaqore.embedded.private_files import make_folder
from metaqore.errors import Conflict, SettingsError

_NEAR = 20


def usable_folder(path: Path) -> Path:
    """Return the data folder ``path``, made where it is missing (mode 0700).

    Raises:
        SettingsError: it cannot be made, or nothing can be written there.
    """
    try:
        why = None if os.access(make_folder(path), os.W_OK | os.X_OK) else "nothing can be written there"
    except OSError as error:
        why = error.strerror
    if why is not None:
        raise SettingsError(f"the data folder {path} cannot be used: {why}; choose another with --data DIR")
    return path


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen on ``host`` and ``port`` now.

    Raises:
        SettingsError: ``host`` is no address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            # Only listening shows a clash with a socket that was bound with SO_REUSEADDR.
            probe.listen(1)
    except socket.gaierror as error:
        raise SettingsError(f"host {host!r} cannot be resolved: {error.strerror}") from error
    except PermissionError as error:
        raise SettingsError(f"port {port} on {host} may not be used by this user; choose one above 1023") from error
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            raise SettingsError(f"host {host!r} is no address of this machine; 127.0.0.1 always is") from error
        return False
    return True


def refuse_taken_port(host: str, port: int, option: str) -> None:
    """Raise Conflict where ``port`` is taken; the message names ``option`` and the next port that is free."""
    if is_free(host, port):
        return
    free = next((near for near in range(port + 1, min(port + _NEAR, 65536)) if is_free(host, near)), None)
    example = f", for example {option} {free}" if free else ""
    raise Conflict(f"port {port} on {host} is taken by another program; choose another with {option}{example}")


def refuse_silent_broker(url: str) -> None:
    """Raise SettingsError where the broker at ``url`` (METAQORE_REDIS_URL) does not answer or would lose messages."""
    try:
        with redis.Redis.from_url(
            url, socket_timeout=2.0, socket_connect_timeout=2.0, retry=Retry(NoBackoff(), 0), decode_responses=True
        ) as client:
            client.ping()
            policy = _eviction_policy(client)
    except (redis.RedisError, ValueError) as error:
        raise SettingsError(
            f"METAQORE_REDIS_URL ({_without_password(url)}) cannot be used: {str(error).rstrip('.')}. "
            "Start that server, or unset the variable to use the embedded one"
        ) from error
    if policy not in (None, "noeviction"):
        raise SettingsError(
            f"METAQORE_REDIS_URL ({_without_password(url)}): its maxmemory-policy is {policy}, which drops messages; "
            "set it to noeviction"
        )


def _eviction_policy(client: redis.Redis) -> str | None:
    try:
        return str(client.config_get("maxmemory-policy").get("maxmemory-policy", "")) or None
    except redis.ResponseError:
        return None  # managed services forbid CONFIG


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
