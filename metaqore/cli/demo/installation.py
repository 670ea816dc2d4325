"""A MetaQore of the demonstration's own: a folder for a while, free ports, and the processes that ``metaqore up`` runs.

Nothing of the user's is touched: settings come from here alone, whatever METAQORE_* variables say.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import yaml

from metaqore import bootstrap, settings
from metaqore.embedded import processes
from metaqore.embedded.broker import Broker
from metaqore.embedded.child import Child
from metaqore.embedded.private_files import make_folder
from metaqore.embedded.supervisor import Event, Supervisor
from metaqore.settings import Settings

#: The cloud provider that is switched on, with an address on this machine where somebody listens.
CLOUD = "openrouter"


class Installation:
    """One installation in ``folder``.

    Args:
        folder: its data folder; made where it is missing.
        cloud_port: where the listener is that stands at the cloud provider's address.
    """

    def __init__(self, folder: Path, cloud_port: int) -> None:
        self.folder = make_folder(folder).resolve()
        chosen = {
            "data_dir": str(self.folder),
            "config_dir": str(_configuration(self.folder / "config", cloud_port)),
            "port": _free_port(),
            "flower_port": _free_port(),
            # The receiver of the webhooks is on this machine.
            "webhook_allow_private": True,
            "sweep_every_s": 1.0,
            "discover_every_s": 20.0,
            # A run is too short to prove a specialist on live traffic first.
            "specialist_routing": "on",
        }
        self._settings = settings.load(chosen, environ={})
        self.key = ""

    @property
    def settings(self) -> Settings:
        """The settings that its processes run with; the broker's URL only once it runs."""
        return self._settings

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self._settings.port}"

    def run(self, drive: Callable[[], None], ready: threading.Event, on_event: Callable[[Event], None]) -> None:
        """Start everything, run ``drive`` in a thread of its own, and stop everything when it ends or Ctrl-C comes.

        Args:
            ready: set when all processes are ready; ``drive`` waits for it.

        Raises:
            StartFailed: a process did not start; everything is stopped by then.
            KeyboardInterrupt: it was stopped before ``drive`` had ended; everything is stopped by then.
        """
        broker = Broker(self.folder / "broker", self.folder / "logs" / "broker.log")
        finished, interrupted = threading.Event(), threading.Event()

        def watch(event: Event) -> None:
            if event.kind == "stopping" and not finished.is_set():
                # What fails from here on fails because of that.
                interrupted.set()
            if not interrupted.is_set():
                on_event(event)

        try:
            bootstrap.migrated(self._settings)
            self.key = bootstrap.development_key(self._settings)
            broker.start()
            self._settings = msgspec.structs.replace(self._settings, redis_url=broker.url)
            stack = self._stack()
            supervisor = Supervisor(
                [*(Child(spec) for spec in processes.build(stack)), broker],
                run_folder=stack.run_folder, on_event=watch,
            )  # fmt: skip

            def driven() -> None:
                try:
                    drive()
                finally:
                    finished.set()
                    supervisor.request_stop()

            thread = threading.Thread(target=driven, name="demo", daemon=True)
            thread.start()
            supervisor.run(on_ready=ready.set)
            if interrupted.is_set() or not finished.is_set():
                raise KeyboardInterrupt
            thread.join()
        finally:
            broker.stop()

    def _stack(self) -> processes.Stack:
        rest = {name: value for name, value in os.environ.items() if not name.startswith(settings.PREFIX)}
        login = f"metaqore:{secrets.token_urlsafe(12)}"
        return processes.Stack(
            data_folder=self._settings.data_path,
            flower_conf=self._settings.config_path / "flower.py",
            environ={
                **rest,
                **settings.to_environ(self._settings),
                f"{settings.PREFIX}FLOWER_AUTH": login,
                # What a pool leaves behind goes with the folder.
                "TMPDIR": str(make_folder(self.folder / "tmp")),
            },
            host=self._settings.host,
            port=self._settings.port,
            flower_port=self._settings.flower_port,
            web_workers=1,
        )


@contextmanager
def folder_for_a_while(keep: bool) -> Iterator[Path]:
    """Make a data folder and remove it at the end, unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="metaqore-demo-"))
    try:
        yield folder
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def _configuration(folder: Path, cloud_port: int) -> Path:
    """Copy the shipped configuration, with the cloud provider switched on and its address on this machine."""
    shutil.copytree(Settings().config_path, folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "providers.yaml"
    providers = yaml.safe_load(path.read_text(encoding="utf-8"))
    cloud = providers["providers"][CLOUD]
    cloud.pop("api_key_env", None)
    cloud |= {"enabled": True, "base_url": f"http://127.0.0.1:{cloud_port}/v1"}
    path.write_text(yaml.safe_dump(providers, sort_keys=False), encoding="utf-8")
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
