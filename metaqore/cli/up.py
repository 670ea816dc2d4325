"""``metaqore up``: everything on this machine, in one command."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.text import Text

from metaqore import bootstrap, settings
from metaqore.embedded import leftovers, panel, processes
from metaqore.embedded.broker import Broker
from metaqore.embedded.child import Child
from metaqore.embedded.lock import DataFolderLock
from metaqore.embedded.preflight import refuse_silent_broker, refuse_taken_port, usable_folder
from metaqore.embedded.private_files import write_private
from metaqore.embedded.supervisor import Event, Supervisor
from metaqore.settings import Settings
from metaqore.store import migrate

_STYLES = {"ready": "green", "ended": "bold red", "killed": "bold red", "stopping": "yellow"}


@click.command("up")
@click.option("--host", help="Address of the API.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port of the API.  [default: 8000]")
@click.option("--flower-port", type=click.IntRange(1, 65535), help="Port of Flower.  [default: 5555]")
@click.option("--data", "data_dir", type=click.Path(file_okay=False), help="Data folder.  [default: .metaqore]")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True, help="Processes of the API.")
def command(host: str | None, port: int | None, flower_port: int | None, data_dir: str | None, workers: int) -> None:
    """Start the API, the workers, beat, Flower and, where none is given, a broker. Ctrl-C stops them.

    Uses the broker at METAQORE_REDIS_URL where that is set, otherwise an embedded Valkey that keeps its data in the
    data folder.
    """
    options = {"host": host, "port": port, "flower_port": flower_port, "data_dir": data_dir}
    given = {name: value for name, value in options.items() if value is not None}
    # Absolute, so that every process means the same folder.
    given["data_dir"] = str(settings.load(given).data_path)
    run(settings.load(given), workers, Console(highlight=False))


def run(loaded: Settings, web_workers: int, console: Console) -> None:
    """Run the whole stack until asked to stop.

    Raises:
        Conflict: the data folder is in use, or a port is taken.
        SettingsError: there is no broker to be had, or a policy file cannot be used.
        StartFailed: a process did not start; everything is stopped again.
    """
    data_folder = usable_folder(loaded.data_path)
    _refuse_bad_files(loaded)
    with DataFolderLock(data_folder):
        for name, pid in leftovers.end_leftovers(data_folder / "run"):
            console.print(f"{name:<16} ended pid {pid}, left by an earlier run", style="yellow")
        refuse_taken_port(loaded.host, loaded.port, "--port")
        refuse_taken_port("127.0.0.1", loaded.flower_port, "--flower-port")
        migrate.upgrade(loaded.dsn)
        key = bootstrap.development_key(loaded)
        if loaded.redis_url:
            refuse_silent_broker(loaded.redis_url)
            _supervise(loaded, key, web_workers, console, None)
            return
        broker = Broker(data_folder / "broker", data_folder / "logs" / "broker.log")
        try:
            broker.start()
            if broker.adopted:
                console.print(
                    f"{broker.name:<16} pid {broker.pid}, left by an earlier run, is taken over", style="yellow"
                )
            _supervise(msgspec.structs.replace(loaded, redis_url=broker.url), key, web_workers, console, broker)
        finally:
            broker.stop()


class _Silence:
    """Rings nothing."""

    def ring(self, queue: str, ids: object) -> None:
        """Do nothing."""


def _refuse_bad_files(loaded: Settings) -> None:
    """Raise SettingsError where a policy or provider file is such that no process could start.

    An engine is made and thrown away, which opens no connection: what it reads is what they will read.
    """
    anywhere = msgspec.structs.replace(loaded, redis_url=loaded.redis_url or "redis://127.0.0.1")
    bootstrap.build(anywhere, lambda _settings: _Silence()).database.close()


def _supervise(loaded: Settings, key: str, web_workers: int, console: Console, broker: Broker | None) -> None:
    login = _flower_login(loaded.data_path)
    stack = processes.Stack(
        data_folder=loaded.data_path,
        flower_conf=loaded.flower_path,
        environ=_environment(loaded, login, os.environ),
        host=loaded.host,
        port=loaded.port,
        flower_port=loaded.flower_port,
        web_workers=web_workers,
    )
    welcome = panel.Welcome(
        api=f"http://{_in_url(stack.near_host)}:{loaded.port}",
        flower=f"http://127.0.0.1:{loaded.flower_port}",
        flower_login=login,
        data_folder=loaded.data_path,
        key=key,
    )
    children = [Child(spec) for spec in processes.build(stack)]
    supervisor = Supervisor(
        [*children, broker] if broker else children,
        run_folder=stack.run_folder,
        on_event=lambda event: console.print(_line(event), soft_wrap=True),
    )
    supervisor.run(on_ready=lambda: panel.show(welcome, console))


def _environment(loaded: Settings, flower_login: str, own: Mapping[str, str]) -> dict[str, str]:
    """Return the children's environment: ours, with every setting as it was resolved here.

    The settings file is already read into ``loaded``; a child that read it again would undo the options given.
    """
    kept = {name for name in settings.NOT_SETTINGS if name != "CONFIG"}
    rest = {
        name: value
        for name, value in own.items()
        if not name.startswith(settings.PREFIX) or name.removeprefix(settings.PREFIX) in kept
    }
    return {**rest, **settings.to_environ(loaded), f"{settings.PREFIX}FLOWER_AUTH": flower_login}


def _flower_login(data_folder: Path) -> str:
    """Return Flower's ``user:password``: METAQORE_FLOWER_AUTH, else one made for this data folder and kept there."""
    given = os.environ.get(f"{settings.PREFIX}FLOWER_AUTH")
    if given:
        return given
    path = data_folder / "flower.login"
    if not path.exists():
        write_private(path, f"metaqore:{secrets.token_urlsafe(12)}")
    return path.read_text().strip()


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _line(event: Event) -> Text:
    return Text.assemble(
        (f"{event.name:<16} ", "bold"), (f"{event.kind:<9}", _STYLES.get(event.kind, "dim")), event.text
    )
