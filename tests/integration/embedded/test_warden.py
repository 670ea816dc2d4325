"""What guards a process against outliving a keeper that was killed, with real processes."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metaqore.embedded import identity
from metaqore.embedded.lock import share_lock
from metaqore.embedded.warden import guard

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs pidfd_open(2)")

#: Has the process of its first argument guarded, says by whom, and is killed.
KEEPER = """
import os, signal, sys
from pathlib import Path
from metaqore.embedded.warden import guard
number = signal.Signals(int(sys.argv[2]))
warden = guard(int(sys.argv[1]), patience_s=0, number=number, lock=Path(sys.argv[3]))
print(warden.pid, flush=True)
input()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def guarded() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is told otherwise."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def be_kept(process: subprocess.Popen[bytes], lock: Path, number: int = signal.SIGTERM) -> int:
    """Let a keeper of ``process`` be killed; return the pid of the warden that it leaves."""
    command = [sys.executable, "-c", KEEPER, str(process.pid), str(int(number)), str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        warden = int(keeper.stdout.readline())
        keeper.stdin.write("\n")
        keeper.stdin.flush()
        assert keeper.wait(timeout=60) == -signal.SIGKILL
    return warden


def test_a_process_ends_after_its_keeper_was_killed(
    guarded: subprocess.Popen[bytes], tmp_path: Path, wait_until: Any
) -> None:
    warden = be_kept(guarded, tmp_path / "lock")

    assert guarded.wait(timeout=60) == -signal.SIGTERM
    wait_until(lambda: identity.started(warden) is None, seconds=60)


def test_it_is_asked_by_the_signal_that_was_named(guarded: subprocess.Popen[bytes], tmp_path: Path) -> None:
    be_kept(guarded, tmp_path / "lock", signal.SIGUSR1)

    assert guarded.wait(timeout=60) == -signal.SIGUSR1


def test_a_process_that_somebody_has_taken_over_is_left_alone(
    guarded: subprocess.Popen[bytes], tmp_path: Path, wait_until: Any
) -> None:
    held = share_lock(tmp_path / "lock")

    warden = be_kept(guarded, tmp_path / "lock")

    wait_until(lambda: identity.started(warden) is None, seconds=60)
    os.close(held)
    assert guarded.poll() is None


def test_a_process_whose_warden_was_dismissed_is_left_alone(guarded: subprocess.Popen[bytes], tmp_path: Path) -> None:
    warden = guard(guarded.pid, patience_s=0, lock=tmp_path / "lock")
    assert warden is not None

    warden.close()

    assert identity.started(warden.pid) is None
    assert guarded.poll() is None


def test_whoever_wants_to_take_a_process_over_waits_while_it_is_being_ended(tmp_path: Path) -> None:
    ending = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(ending, fcntl.LOCK_EX)
    code = (
        "import sys; from pathlib import Path; from metaqore.embedded.lock import share_lock; print('asks', flush=True)"
    )
    code += "; share_lock(Path(sys.argv[1])); print('has it', flush=True)"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"asks\n"
        assert other.poll() is None
        os.close(ending)
        assert other.stdout.readline() == b"has it\n"


def test_a_process_that_ends_with_its_parent_does_so_when_that_is_killed(wait_until: Any) -> None:
    child = (
        "from metaqore.embedded.parent import end_with_parent; end_with_parent(); print('here', flush=True); input()"
    )
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]], stdin=subprocess.PIPE, "
        "stdout=subprocess.PIPE); child.stdout.readline(); print(child.pid, flush=True); input()"
    )
    command = [sys.executable, "-c", code, child]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        start = identity.started(pid)
        assert start is not None
        parent.kill()

    wait_until(lambda: identity.started(pid) != start, seconds=60)
