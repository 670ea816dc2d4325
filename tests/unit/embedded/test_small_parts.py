from __future__ import annotations

import io
import os
import random
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from metaqore.embedded import identity, leftovers, panel
from metaqore.embedded.broker import find_server
from metaqore.embedded.lock import DataFolderLock, try_lock
from metaqore.embedded.preflight import is_free, refuse_silent_broker, refuse_taken_port
from metaqore.embedded.private_files import open_log, tail, trim_log, write_private
from metaqore.embedded.readiness import mark_ready, marked
from metaqore.embedded.supervisor import Backoff
from metaqore.errors import Conflict, SettingsError


def test_back_off_doubles_up_to_its_limit_with_at_most_half_of_it_random() -> None:
    backoff = Backoff(base_s=1.0, max_s=8.0)

    assert [backoff.delay_s(n, 0.0) for n in range(1, 7)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    draw = random.Random(1)
    for n in range(1, 10_000):
        assert backoff.delay_s(n, 0.0) <= backoff.delay_s(n, draw.random()) < 2 * backoff.delay_s(n, 0.0)


def test_a_process_is_told_from_a_later_one_with_its_pid() -> None:
    """Two processes, started at different times, have different marks; a zombie has none."""
    first = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    assert identity.started(first.pid) == identity.started(first.pid) is not None
    assert identity.started(first.pid) != identity.started(os.getpid())

    first.kill()
    os.waitid(os.P_PID, first.pid, os.WEXITED | os.WNOWAIT)

    assert identity.started(first.pid) is None
    first.communicate()


def test_without_proc_the_answer_comes_from_ps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_HAS_PROC", False)
    child = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)

    assert identity.started(child.pid)
    assert "python" in (identity.executable(child.pid) or "")

    child.communicate(b"\n")
    assert identity.started(child.pid) is None
    assert identity.executable(child.pid) is None


def test_the_executable_is_the_binary_itself() -> None:
    assert identity.executable(os.getpid()) == os.path.realpath(sys.executable)


def test_the_session_of_a_process_is_found_by_its_mark(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"],
        stdin=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "MARK": "here"},
    )

    assert identity.session_members(child.pid, "MARK=here") == [child.pid]
    assert identity.session_members(child.pid, "MARK=there") == []
    assert identity.session_members(os.getsid(0), "MARK=here") == []
    child.communicate(b"\n")


def test_a_recorded_pid_that_is_another_process_by_now_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE)
    write_private(
        tmp_path / "processes.json", f'[{{"name": "web", "pid": {stranger.pid}, "started": "an earlier boot:1"}}]'
    )

    assert leftovers.end_leftovers(tmp_path) == []
    assert stranger.poll() is None
    stranger.communicate(b"\n")


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"name": "web"}]', '{"a": 1}'])
def test_a_record_that_cannot_be_read_ends_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "processes.json").write_text(text)

    assert leftovers.end_leftovers(tmp_path) == []


def test_private_files_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "state", "secret")
        os.close(open_log(tmp_path / "logs" / "web.log"))
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "logs" / "web.log").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700


def test_a_large_log_is_moved_aside_and_its_writer_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    descriptor = open_log(log)
    os.write(descriptor, b"old\n" * 100)

    assert not trim_log(log, limit_bytes=400)
    os.write(descriptor, b"last\n")
    assert trim_log(log, limit_bytes=400)
    os.write(descriptor, b"new\n")
    os.close(descriptor)

    assert log.read_text() == "new\n"
    assert (tmp_path / "web.log.1").read_text().endswith("old\nlast\n")
    assert tail(tmp_path / "web.log.1", lines=2) == "old\nlast"
    assert tail(tmp_path / "none") == ""


def test_a_second_holder_of_a_data_folder_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with DataFolderLock(tmp_path):
        with pytest.raises(Conflict) as refused, DataFolderLock(tmp_path):
            pass
        assert refused.value.details["pid"] == os.getpid()
        assert f"process {os.getpid()}" in refused.value.message
        assert "--data" in refused.value.message

    with DataFolderLock(tmp_path):
        pass


def test_a_lock_is_kept_by_a_child_that_has_its_descriptor(tmp_path: Path) -> None:
    """The broker's lock: it falls when the server ends, whoever started it."""
    descriptor = try_lock(tmp_path / "lock")
    assert descriptor is not None
    holder = subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(descriptor,))
    os.close(descriptor)

    assert try_lock(tmp_path / "lock") is None
    holder.communicate(b"\n")
    again = try_lock(tmp_path / "lock")
    assert again is not None
    os.close(again)


def test_only_the_process_itself_can_be_marked_ready(tmp_path: Path) -> None:
    probe = marked(tmp_path, "psmp")
    assert not probe(os.getpid())

    mark_ready(tmp_path, "psmp")

    assert probe(os.getpid())
    assert not probe(os.getpid() + 1)


def test_a_server_that_is_named_but_not_there_is_refused() -> None:
    with pytest.raises(SettingsError, match="METAQORE_REDIS_SERVER='/no/such/server'"):
        find_server({"METAQORE_REDIS_SERVER": "/no/such/server"})


def test_a_named_server_wins_over_the_path_and_the_path_over_the_package(tmp_path: Path) -> None:
    for name in ("redis-server", "mine"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o700)

    assert find_server({"METAQORE_REDIS_SERVER": str(tmp_path / "mine"), "PATH": str(tmp_path)}).name == "mine"
    assert find_server({"PATH": str(tmp_path)}).name == "redis-server"
    assert find_server({"PATH": "/nowhere"}).name == "valkey-server"


def test_a_taken_port_is_refused_with_one_that_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(Conflict) as refused:
            refuse_taken_port("127.0.0.1", port, "--port")

    assert f"port {port}" in refused.value.message
    assert "--port" in refused.value.message
    free = int(refused.value.message.rsplit(" ", 1)[1])
    assert is_free("127.0.0.1", free)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_a_host_that_is_not_this_machine_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=host):
        is_free(host, 8000)


def test_a_given_broker_that_does_not_answer_is_refused_without_its_password() -> None:
    with pytest.raises(SettingsError) as refused:
        refuse_silent_broker("redis://:very-secret@127.0.0.1:1/0")

    assert "redis://127.0.0.1:1/0" in refused.value.message
    assert "very-secret" not in refused.value.message


def test_the_panel_says_all_that_is_needed_and_can_be_copied_from_a_narrow_terminal() -> None:
    welcome = panel.Welcome(
        api="http://127.0.0.1:8000",
        flower="http://127.0.0.1:5555",
        flower_login="metaqore:pw",
        data_folder=Path("/srv/data"),
        key="mq_" + "k" * 55,
    )
    screen = io.StringIO()
    panel.show(welcome, Console(width=80, file=screen))
    text = screen.getvalue()

    for wanted in ("http://127.0.0.1:8000/docs", "http://127.0.0.1:5555", "metaqore:pw", "/srv/data", welcome.key):
        assert wanted in text
    assert panel.first_command(welcome) in text.splitlines()
