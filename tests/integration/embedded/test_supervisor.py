"""The supervisor, with real child processes and the real broker."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from metaqore.embedded import identity, leftovers
from metaqore.embedded.broker import Broker

TERM_10 = [["SIGTERM", 10]]


class Stack:
    """A supervisor in a process of its own, seen from outside: its events, and the journal of its children."""

    def __init__(self, folder: Path, plan: dict[str, Any], wait_until: Callable[..., Any]) -> None:
        self.folder = folder
        self.wait_until = wait_until
        self._events = (folder / "events").open("wb")
        command = [sys.executable, str(Path(__file__).with_name("stack_run.py")), str(folder), json.dumps(plan)]
        self.process = subprocess.Popen(command, stdout=self._events, start_new_session=True)

    def events(self, kind: str = "", name: str = "") -> list[dict[str, str]]:
        lines = (self.folder / "events").read_text().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.endswith("\n")]
        return [e for e in found if kind in ("", e["kind"]) and name in ("", e["name"])]

    def journal(self, name: str = "") -> list[str]:
        path = self.folder / "journal"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if not name or line.startswith(f"{name} ")]

    def pids(self, name: str, what: str = "start") -> list[int]:
        return [int(line.split()[2]) for line in self.journal(name) if f" {what} " in line]

    def await_event(self, kind: str, name: str = "", count: int = 1) -> dict[str, str]:
        self.wait_until(lambda: len(self.events(kind, name)) >= count, what=f"{count} × {kind} {name}")
        return self.events(kind, name)[count - 1]

    def await_journal(self, line: str) -> None:
        self.wait_until(lambda: line in self.journal(), what=line)

    def send(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        return self.process.wait(timeout=30)

    def close(self) -> None:
        self._events.close()
        if self.process.poll() is None:
            self.send(signal.SIGINT)
            self.send(signal.SIGINT)
            self.end()
        leftovers.end_leftovers(self.folder / "run", patience_s=0.2)


@pytest.fixture
def run(tmp_path: Path, wait_until: Any, broker: Broker) -> Iterator[Callable[..., Stack]]:
    """Start a stack in the test's folder; whatever is left of it is ended afterwards."""
    stacks: list[Stack] = []

    def start(*children: list[object], **plan: object) -> Stack:
        stacks.append(Stack(tmp_path, {"children": children, **plan}, wait_until))
        return stacks[-1]

    yield start
    for stack in stacks:
        stack.close()
    if (tmp_path / "broker").exists():
        broker.start()  # takes over what a killed supervisor left; the fixture ends it


Run = Callable[..., Stack]


def test_the_broker_comes_first_and_the_web_last(run: Run) -> None:
    stack = run(["web", "WEB", "polite", TERM_10], ["psmp", "WORKERS", "polite", TERM_10], broker=True)
    stack.await_event("all ready")

    assert [event["name"] for event in stack.events("started")] == ["broker", "psmp", "web"]
    assert stack.events("ready")[0]["name"] == "broker"
    assert {event["name"] for event in stack.events("ready")} == {"broker", "psmp", "web"}


def test_stopping_goes_web_clock_workers_broker(run: Run, tmp_path: Path) -> None:
    """Each stage has ended before the next is asked, and the workers still have a broker while they stop."""
    stack = run(
        ["psmp", "WORKERS", "asks-broker", TERM_10],
        ["llm", "WORKERS", "asks-broker", TERM_10],
        ["beat", "CLOCK", "polite", TERM_10],
        ["web", "WEB", "polite", TERM_10],
        broker=True,
    )
    stack.await_event("all ready")
    before = len(stack.journal())
    stack.send()

    assert stack.end() == 0
    seen = stack.journal()[before:]
    assert seen[:4] == ["web SIGTERM", "web end", "beat SIGTERM", "beat end"]
    assert sorted(seen[4:]) == sorted(f"{n} {w}" for n in ("psmp", "llm") for w in ("SIGTERM", "PONG", "end"))
    stopped = [event["name"] for event in stack.events("stopped")]
    assert stopped[:2] == ["web", "beat"]
    assert stopped[-1] == "broker"
    assert not stack.events("killed")


def test_workers_of_a_stage_stop_at_the_same_time(run: Run, tmp_path: Path) -> None:
    stack = run(["psmp", "WORKERS", "busy", TERM_10], ["llm", "WORKERS", "busy", TERM_10])
    stack.await_event("all ready")
    stack.send()

    stack.await_journal("psmp SIGTERM")
    stack.await_journal("llm SIGTERM")
    (tmp_path / "release").touch()
    assert stack.end() == 0


def test_running_work_is_waited_for(run: Run, tmp_path: Path) -> None:
    stack = run(["psmp", "WORKERS", "busy", TERM_10], broker=True)
    stack.await_event("all ready")
    stack.send()
    stack.await_journal("psmp SIGTERM")

    assert stack.process.poll() is None
    (tmp_path / "release").touch()

    assert stack.end() == 0
    assert stack.journal("psmp")[-2:] == ["psmp finished", "psmp end"]


def test_work_that_takes_too_long_is_handed_back(run: Run) -> None:
    stack = run(["llm", "WORKERS", "hands-back", [["SIGTERM", 0.2], ["SIGQUIT", 10]]])
    stack.await_event("all ready")
    stack.send()

    assert stack.end() == 0
    assert stack.journal("llm")[1:] == ["llm SIGTERM", "llm SIGQUIT", "llm end"]


def test_what_does_not_stop_is_killed(run: Run) -> None:
    stack = run(["llm", "WORKERS", "stubborn", [["SIGTERM", 0.1], ["SIGQUIT", 0.1]]])
    stack.await_event("all ready")
    stack.send(signal.SIGTERM)

    assert stack.end() == 0
    assert stack.events("killed", "llm")
    assert identity.started(stack.pids("llm")[0]) is None


def test_a_second_ctrl_c_stops_at_once_and_loses_nothing(run: Run, broker: Broker) -> None:
    """A worker that would be waited for, a server with unsaved writes: killed, and the writes are there later."""
    stack = run(["psmp", "WORKERS", "stubborn", [["SIGTERM", 600]]], broker=True)
    url = stack.await_event("all ready")["text"]
    redis.Redis.from_url(url).rpush("queue", *range(100))
    stack.send()
    stack.await_journal("psmp SIGTERM")

    stack.send()

    assert stack.end() == 0
    assert [event["name"] for event in stack.events("killed")] == ["psmp", "broker"]
    assert identity.started(stack.pids("psmp")[0]) is None
    broker.start()
    assert not broker.adopted
    assert redis.Redis.from_url(broker.url).llen("queue") == 100


def test_a_process_that_dies_is_started_again_and_that_is_shown(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "polite", TERM_10])
    stack.await_event("all ready")

    for death in (1, 2, 3):
        os.kill(stack.pids("psmp")[-1], signal.SIGKILL)
        stack.await_event("ready", "psmp", count=death + 1)

    assert len(set(stack.pids("psmp"))) == 4
    shown = stack.events("ended", "psmp")
    assert all("signal SIGKILL" in event["text"] and "psmp.log" in event["text"] for event in shown)


def test_the_waits_between_restarts_grow(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "polite", TERM_10])
    stack.await_event("all ready")

    for death in range(1, 6):
        os.kill(stack.pids("psmp")[-1], signal.SIGKILL)
        stack.await_event("ready", "psmp", count=death + 1)

    waits = [float(e["text"].split("again in ")[1].split(" s")[0]) for e in stack.events("ended", "psmp")]
    assert waits[0] < waits[2] < waits[4], "from one to the one after next it at least doubles, whatever the jitter"


def test_a_record_that_cannot_be_written_stops_nothing(run: Run, tmp_path: Path) -> None:
    """A full disk, say: whatever runs goes on, and what died is started again."""
    in_the_way = tmp_path / "run" / "processes.json"
    in_the_way.mkdir(parents=True)
    stack = run(["psmp", "WORKERS", "polite", TERM_10])
    stack.await_event("all ready")

    os.kill(stack.pids("psmp")[0], signal.SIGKILL)
    stack.await_event("ready", "psmp", count=2)
    stack.send()

    assert stack.end() == 0
    in_the_way.rmdir()


def test_no_other_process_is_touched_by_a_restart(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "polite", TERM_10], ["llm", "WORKERS", "polite", TERM_10])
    stack.await_event("all ready")

    os.kill(stack.pids("psmp")[0], signal.SIGKILL)
    stack.await_event("ready", "psmp", count=2)

    assert len(stack.pids("llm")) == 1
    assert identity.started(stack.pids("llm")[0])


def test_the_children_of_a_process_that_died_go_with_it(run: Run, wait_until: Any) -> None:
    """An API server that is killed leaves workers that keep the port, if nobody ends them."""
    stack = run(["web", "WEB", "family", TERM_10])
    stack.await_event("all ready")
    grandchild = stack.pids("web", "child")[0]
    assert identity.started(grandchild)

    os.kill(stack.pids("web")[0], signal.SIGKILL)

    wait_until(lambda: identity.started(grandchild) is None)
    stack.await_event("ready", "web", count=2)


def test_a_dead_broker_comes_back_at_the_same_place_with_its_data(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "asks-broker", TERM_10], broker=True)
    url = stack.await_event("all ready")["text"]
    redis.Redis.from_url(url).set("key", "value")
    pid = int(stack.await_event("started", "broker")["text"].split()[1])

    os.kill(pid, signal.SIGKILL)
    stack.await_event("ready", "broker", count=2)

    assert redis.Redis.from_url(url).get("key") == b"value"
    stack.send()
    assert stack.end() == 0
    assert "psmp PONG" in stack.journal()


def test_one_early_death_is_forgiven(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "flaky", TERM_10])

    stack.await_event("all ready")

    assert len(stack.journal("psmp")) == 2


def test_what_cannot_start_stops_all_and_shows_the_end_of_its_log(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "polite", TERM_10], ["web", "WEB", "failing", TERM_10], broker=True)

    assert stack.end() == 1
    failed = stack.events("failed")[0]
    assert failed["name"] == "web"
    assert "web ended 3 times" in failed["text"]
    assert failed["text"].endswith("bad luck")
    assert stack.journal("psmp")[-1] == "psmp end"
    assert stack.events("stopped", "broker")


def test_what_never_gets_ready_is_reported(run: Run) -> None:
    stack = run(["web", "WEB", "never-ready", TERM_10], ready_timeout_s=0.5)

    assert stack.end() == 1
    assert "web was not ready within" in stack.events("failed")[0]["text"]
    assert identity.started(stack.pids("web")[0]) is None


def test_ctrl_c_during_the_start_stops_what_was_started(run: Run) -> None:
    stack = run(["psmp", "WORKERS", "polite", TERM_10], ["web", "WEB", "never-ready", TERM_10], broker=True)
    stack.await_event("ready", "psmp")
    stack.send()

    assert stack.end() == 0
    assert not stack.events("all ready")
    assert stack.journal("psmp")[-1] == "psmp end"
    assert stack.events("stopped", "broker")


def test_children_are_told_when_the_supervisor_is_killed(run: Run, wait_until: Any, broker: Broker) -> None:
    """They end by themselves (SIGTERM from the kernel); the broker stays for them and is taken over later."""
    stack = run(["web", "WEB", "polite", TERM_10], ["psmp", "WORKERS", "asks-broker", TERM_10], broker=True)
    url = stack.await_event("all ready")["text"]

    stack.send(signal.SIGKILL)
    stack.end()

    for name in ("web", "psmp"):
        stack.await_journal(f"{name} end")
    assert "psmp PONG" in stack.journal()
    wait_until(lambda: all(identity.started(stack.pids(name)[0]) is None for name in ("web", "psmp")))
    broker.start()
    assert broker.adopted
    assert broker.url == url


def test_what_outlived_a_killed_supervisor_is_ended_by_the_next(run: Run, tmp_path: Path) -> None:
    """One that ignores SIGTERM, and the child of one that was killed together with the supervisor."""
    stack = run(["psmp", "WORKERS", "stubborn", TERM_10], ["web", "WEB", "family", TERM_10])
    stack.await_event("all ready")
    stubborn, web, grandchild = stack.pids("psmp")[0], stack.pids("web")[0], stack.pids("web", "child")[0]
    stack.send(signal.SIGKILL)
    os.kill(web, signal.SIGKILL)
    stack.end()
    stack.await_journal("psmp SIGTERM")
    assert identity.started(stubborn)
    assert identity.started(grandchild)

    ended = leftovers.end_leftovers(tmp_path / "run", patience_s=0.3)

    assert sorted(ended) == sorted([("psmp", stubborn), ("web", grandchild)])
    assert identity.started(stubborn) is None
    assert identity.started(grandchild) is None
    assert leftovers.end_leftovers(tmp_path / "run") == []


def test_a_child_whose_parent_died_before_it_could_ask_does_not_run(tmp_path: Path) -> None:
    """The wrapper compares its parent with the one it was told; the kernel would never send the signal."""
    wrapper = Path(leftovers.__file__).with_name("exec_child.py")
    dead = subprocess.run(
        [sys.executable, "-S", "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )

    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(wrapper), dead.stdout.decode().strip(), "15", "touch", str(tmp_path / "ran")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "the parent is gone" in ran.stderr
    assert not (tmp_path / "ran").exists()


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    wrapper = Path(leftovers.__file__).with_name("exec_child.py")

    ran = subprocess.run(
        [sys.executable, "-I", "-S", str(wrapper), str(os.getpid()), "15", "/no/such/program"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "cannot run /no/such/program: No such file or directory" in ran.stderr


def test_a_second_ctrl_c_reaches_the_supervisor_alone(run: Run) -> None:
    """Every child is in a session of its own, so a terminal's Ctrl-C goes to the supervisor and to nobody else."""
    stack = run(["psmp", "WORKERS", "polite", TERM_10])
    stack.await_event("all ready")
    pid = stack.pids("psmp")[0]

    assert os.getsid(pid) == pid

    os.killpg(stack.process.pid, signal.SIGINT)
    assert stack.end() == 0
    assert stack.journal("psmp")[1:] == ["psmp SIGTERM", "psmp end"]


def test_a_process_may_open_many_files_where_the_system_allows_it(tmp_path: Path) -> None:
    wrapper = Path(leftovers.__file__).with_name("exec_child.py")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 256 if hard == resource.RLIM_INFINITY else min(hard, 256)
    show = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    begin = (
        "import os, resource, sys; "
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({few}, {hard})); "
        f"os.execv(sys.executable, [sys.executable, '-I', '-S', {str(wrapper)!r}, {str(os.getpid())!r}, '15', "
        f"sys.executable, '-S', '-c', {show!r}])"
    )

    ran = subprocess.run([sys.executable, "-I", "-S", "-c", begin], capture_output=True, text=True, check=False)

    most = 32_768 if hard == resource.RLIM_INFINITY else min(hard, 32_768)
    assert (ran.stdout.strip(), ran.stderr) == (str(most), "")
