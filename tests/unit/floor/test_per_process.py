"""One for each process, whatever is forked and whoever asks at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from metaqore.per_process import PerProcess, thread


def test_it_is_made_once_however_many_threads_ask_at_once() -> None:
    made: list[object] = []
    together = threading.Barrier(8)

    def make() -> object:
        made.append(object())
        return made[-1]

    one = PerProcess(make)

    def ask(_: int) -> object:
        together.wait(30)
        return one()

    with ThreadPoolExecutor(8) as pool:
        assert {id(each) for each in pool.map(ask, range(8))} == {id(made[0])}
    assert len(made) == 1


def test_a_forked_process_gets_its_own_and_keeps_what_it_inherited_open() -> None:
    # In a process without other threads, where forking is safe.
    code = """
import os
from metaqore.per_process import PerProcess
class Connection:
    def __init__(self): self.pid = os.getpid()
    def __del__(self): print("closed", self.pid == first, flush=True)
one = PerProcess(Connection)
first = one().pid
child = os.fork()
if child == 0:
    print("own", one().pid == os.getpid() != first, one() is one(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print("same", one().pid == first, flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["own True True", "same True"]


def test_a_thread_is_started_by_the_first_call_alone() -> None:
    ran, pids = threading.Event(), list[int]()

    def run() -> None:
        pids.append(os.getpid())
        ran.set()

    start = thread("once", run)
    assert not ran.is_set()
    start()
    start()
    assert ran.wait(30)
    assert pids == [os.getpid()]
