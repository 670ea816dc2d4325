"""The embedded broker, with the real server binary."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from metaqore.embedded import broker as broker_module
from metaqore.embedded import identity
from metaqore.embedded.broker import Broker
from metaqore.embedded.child import StartFailed
from metaqore.errors import Conflict

START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from metaqore.embedded.broker import Broker
broker = Broker(Path(sys.argv[1]), Path(sys.argv[2]))
broker.start()
print(broker.pid, broker.url, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def client(broker: Broker) -> redis.Redis:
    return redis.Redis.from_url(broker.url, decode_responses=True)


def port_of(broker: Broker) -> int:
    return int(broker.url.rsplit(":", 1)[1].split("/")[0])


def orphan(folder: Path) -> tuple[int, str]:
    """Let a process start a broker in ``folder`` and die; return the pid and URL of what it leaves."""
    parent = subprocess.run(
        [sys.executable, "-c", START_AND_DIE, str(folder / "broker"), str(folder / "logs" / "broker.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    pid, url = parent.stdout.split()
    return int(pid), url


def state_file(folder: Path) -> Path:
    return folder / "broker" / "state.json"


def test_it_starts_with_the_settings_a_queue_needs(broker: Broker) -> None:
    broker.start()

    settings = client(broker).config_get("*")

    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["bind"] == "127.0.0.1"
    assert settings["unixsocket"] == ""
    assert broker.ready()
    assert broker.ended() is None


def test_it_needs_the_password(broker: Broker) -> None:
    broker.start()

    for password in (None, "wrong"):
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port_of(broker), password=password, retry=Retry(NoBackoff(), 0)).ping()


def test_it_listens_on_loopback_alone(broker: Broker) -> None:
    """127.0.0.2 is this machine too, and what is bound to every address would answer there."""
    broker.start()

    socket.create_connection(("127.0.0.1", port_of(broker))).close()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port_of(broker)), timeout=2)


def test_its_files_are_for_their_owner_only(broker: Broker, tmp_path: Path) -> None:
    broker.start()
    client(broker).set("key", "value")

    files = [path for path in tmp_path.rglob("*") if path.is_file()]

    assert {"valkey.conf", "state.json", "server.lock", "broker.log"} <= {path.name for path in files}
    assert any("aof" in path.name for path in files)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == {path.name: 0o600 for path in files}
    assert stat.S_IMODE((tmp_path / "broker").stat().st_mode) == 0o700


def test_the_password_is_not_in_the_list_of_processes(broker: Broker) -> None:
    broker.start()

    shown = Path(f"/proc/{broker.pid}/cmdline").read_bytes().decode()

    assert "valkey" in shown or "redis" in shown
    assert broker_module._password(broker.url) not in shown


def test_what_was_stored_survives_kill_9_and_the_url_stays(broker: Broker, wait_until: Any) -> None:
    broker.start()
    url, pid = broker.url, broker.pid
    client(broker).rpush("queue", *range(1000))

    broker.kill()
    assert wait_until(broker.ended) == "signal SIGKILL"
    broker.start()

    assert broker.pid != pid
    assert broker.url == url
    assert client(broker).llen("queue") == 1000


def test_stopping_ends_the_server_and_keeps_the_data(broker: Broker, tmp_path: Path) -> None:
    broker.start()
    pid = broker.pid
    assert pid
    client(broker).set("key", "value")

    broker.stop()

    assert broker.ended() == "exit code 0"
    assert identity.started(pid) is None
    assert not state_file(tmp_path).exists()
    broker.start()
    assert client(broker).get("key") == "value"


def test_starting_what_runs_changes_nothing(broker: Broker) -> None:
    broker.start()
    pid = broker.pid

    broker.start()

    assert broker.pid == pid


def test_the_orphan_of_a_killed_parent_is_taken_over(broker: Broker, tmp_path: Path) -> None:
    pid, url = orphan(tmp_path)

    broker.start()

    assert broker.adopted
    assert (broker.pid, broker.url) == (pid, url)
    assert client(broker).ping()
    broker.stop()
    assert broker.ended() is not None
    assert identity.started(pid) is None


def test_an_orphan_that_hangs_is_ended_and_its_data_kept(broker: Broker, tmp_path: Path) -> None:
    pid, url = orphan(tmp_path)
    redis.Redis.from_url(url).set("key", "value")
    os.kill(pid, signal.SIGSTOP)

    broker.start()

    assert not broker.adopted
    assert broker.pid != pid
    assert identity.started(pid) is None
    assert client(broker).get("key") == "value"


def test_a_dead_orphan_that_was_taken_over_is_noticed_and_replaced(
    broker: Broker, tmp_path: Path, wait_until: Any
) -> None:
    pid, url = orphan(tmp_path)
    broker.start()

    os.kill(pid, signal.SIGKILL)
    wait_until(broker.ended)
    broker.start()

    assert broker.pid != pid
    assert broker.url == url


def test_a_stale_state_file_with_the_pid_of_another_process_harms_nobody(
    broker: Broker, tmp_path: Path, wait_until: Any
) -> None:
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    broker.start()
    broker.kill()
    wait_until(broker.ended)
    state = json.loads(state_file(tmp_path).read_text())
    state_file(tmp_path).write_text(json.dumps({**state, "pid": stranger.pid}))

    later = Broker(tmp_path / "broker", tmp_path / "logs" / "broker.log")
    later.start()

    assert later.pid != stranger.pid
    assert not later.adopted
    later.stop()
    assert stranger.poll() is None
    stranger.communicate(b"\n")


@pytest.mark.parametrize("text", ["not json", None])
def test_a_living_server_that_cannot_be_recognised_is_refused(broker: Broker, tmp_path: Path, text: str | None) -> None:
    """Two servers on one append-only file would spoil it, so guessing is not an option."""
    pid, _ = orphan(tmp_path)
    try:
        if text is None:
            state_file(tmp_path).unlink()
        else:
            state_file(tmp_path).write_text(text)

        with pytest.raises(Conflict, match="state file does not name it"):
            broker.start()
        assert identity.started(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_living_server_whose_state_file_names_a_stranger_is_refused_and_the_stranger_left_alone(
    broker: Broker, tmp_path: Path
) -> None:
    pid, _ = orphan(tmp_path)
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        state = json.loads(state_file(tmp_path).read_text())
        changed = {**state, "pid": stranger.pid, "started": identity.started(stranger.pid)}
        state_file(tmp_path).write_text(json.dumps(changed))

        with pytest.raises(Conflict, match="state file does not name it"):
            broker.start()
        assert stranger.poll() is None
    finally:
        os.kill(pid, signal.SIGKILL)
        stranger.communicate(b"\n")


def test_a_port_that_was_taken_in_between_is_given_up_for_another(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = broker_module._free_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], taken.getsockname()[1]])
        monkeypatch.setattr(broker_module, "_free_port", lambda: next(ports, None) or free())

        broker.start()

        assert port_of(broker) != taken.getsockname()[1]
        assert client(broker).ping()


def test_a_server_that_does_not_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    server = tmp_path / "server"
    server.write_text("#!/bin/sh\necho cannot allocate anything\nexit 3\n")
    server.chmod(0o700)

    with pytest.raises(StartFailed, match=r"(?s)exit code 3.*cannot allocate anything"):
        Broker(tmp_path / "broker", tmp_path / "broker.log", server).start()


def test_a_start_script_may_become_the_server(tmp_path: Path, wait_until: Any) -> None:
    script = tmp_path / "server"
    script.write_text(f'#!/bin/sh\nexec "{broker_module.find_server()}" "$@"\n')
    script.chmod(0o700)
    first = Broker(tmp_path / "broker", tmp_path / "broker.log", script)
    first.start()

    second = Broker(tmp_path / "broker", tmp_path / "broker.log", script)
    second.start()

    assert second.adopted
    assert second.pid == first.pid
    second.stop()
    wait_until(first.ended)


def test_ctrl_c_in_the_terminal_does_not_reach_it(broker: Broker) -> None:
    """A terminal sends SIGINT to its foreground process group; the server is in a session of its own."""
    broker.start()
    assert broker.pid

    assert os.getsid(broker.pid) == broker.pid != os.getsid(0)
    assert os.getpgid(broker.pid) != os.getpgid(0)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open(2)")
def test_an_orphan_that_nobody_takes_over_ends(tmp_path: Path, wait_until: Any) -> None:
    impatient = "import metaqore.embedded.broker as module; module._ORPHAN_S = 0.0\n" + START_AND_DIE
    arguments = [str(tmp_path / "broker"), str(tmp_path / "broker.log")]
    parent = subprocess.run([sys.executable, "-c", impatient, *arguments], capture_output=True, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL, parent.stderr

    wait_until(lambda: identity.started(int(parent.stdout.split()[0])) is None, seconds=60)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open(2)")
def test_one_that_was_taken_over_has_a_warden_again(broker: Broker, tmp_path: Path) -> None:
    orphan(tmp_path)

    broker.start()

    assert broker.adopted
    assert broker._warden is not None
    assert identity.started(broker._warden.pid) is not None
