"""The process lines of MetaQore: the one table behind ``metaqore up``, ``Procfile`` and ``docker-compose.yml``.

A test compares the three, so change a command here and there together.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from metaqore.embedded.child import MARKER, ProcessSpec, Stage
from metaqore.embedded.readiness import Probe, answers_http, marked, runs

#: (signal, seconds): how long each stop step is waited for before the next one.
_StopPlan = tuple[tuple[signal.Signals, float], ...]

#: Granian ends its own workers 10 s after SIGTERM where a stream is still open.
_STOP_WEB: _StopPlan = ((signal.SIGTERM, 15.0),)
_STOP_CLOCK: _StopPlan = ((signal.SIGTERM, 10.0),)
#: Warm: running work is finished. Then soft (10 s, ``worker_soft_shutdown_timeout``) and cold: it is handed back.
_STOP_WORKER: _StopPlan = ((signal.SIGTERM, 30.0), (signal.SIGQUIT, 15.0))


@dataclass(frozen=True)
class ProcessLine:
    """One line of the table.

    Attributes:
        command: the command, with the fields of ``Stack`` it needs in braces. ``{flower_conf}`` is
            ``config/flower.py`` in the files.
        service: its name in docker-compose.yml.
        probe: how readiness is seen: a URL path of its own server, ``marked`` (``readiness.mark_ready``), ``runs``.
    """

    name: str
    service: str
    stage: Stage
    stop: _StopPlan
    probe: str
    command: str

    def argv(self, **values: object) -> list[str]:
        """Return the command with ``values`` filled in."""
        return [part.format_map(values) for part in shlex.split(self.command)]


def _worker(queue: str, options: str) -> ProcessLine:
    # Gossip and mingle only serve clusters that talk among themselves; mingle costs a second at every start.
    command = f"celery -A workers.app worker -Q {queue} -n {queue}@%h {options} --without-gossip --without-mingle"
    return ProcessLine(f"worker-{queue}", f"worker-{queue}", Stage.WORKERS, _STOP_WORKER, "marked", command)


PROCESSES: Final = (
    # The hot queue: one process, no task events of its own accord (Flower asks for them while it runs).
    _worker("psmp", "-P solo --prefetch-multiplier 64"),
    _worker("security", "-P solo --prefetch-multiplier 64 -E"),
    _worker("llm", "-P threads -c 8 --prefetch-multiplier 1 -E"),
    _worker("hmcp", "-P prefork -c 1 --prefetch-multiplier 1 -E"),
    _worker("system", "-P threads -c 4 --prefetch-multiplier 1 -E"),
    ProcessLine(
        "beat", "beat", Stage.CLOCK, _STOP_CLOCK, "marked", "celery -A workers.app beat -S workers.timetable.Timetable"
    ),
    ProcessLine(
        "flower",
        "flower",
        Stage.CLOCK,
        _STOP_CLOCK,
        "/healthcheck",
        "celery -A workers.app flower --conf={flower_conf}",
    ),
    ProcessLine(
        "web",
        "api",
        Stage.WEB,
        _STOP_WEB,
        "/readyz",
        # A long-poll or an event stream holds a thread, hence so many. Backpressure counts connections, idle ones
        # too: were it as small as the threads, some thousand connections that ask nothing would shut out everybody.
        "granian --interface wsgi --host {host} --port {port} --workers {web_workers} --blocking-threads 2048 "
        "--blocking-threads-idle-timeout 30 --backlog 2048 --backpressure 16384 --no-ws "
        "--respawn-failed-workers --workers-kill-timeout 10 --log-level warning api.wsgi:app",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Where one running installation is.

    ``environ`` is the whole environment of its processes; ``host`` may be a wildcard address.
    """

    data_folder: Path
    flower_conf: Path
    environ: Mapping[str, str]
    host: str
    port: int
    flower_port: int
    web_workers: int

    @property
    def run_folder(self) -> Path:
        """The folder with the record of the running processes and their marks of readiness."""
        return self.data_folder / "run"

    @property
    def near_host(self) -> str:
        """The address at which this machine itself reaches ``host``."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)

    def log(self, name: str) -> Path:
        """Return the log file of the process ``name``."""
        return self.data_folder / "logs" / f"{name}.log"


def build(stack: Stack) -> list[ProcessSpec]:
    """Return the specs of all process lines for ``stack``, run by this Python."""
    return [_spec(line, stack) for line in PROCESSES]


def _spec(line: ProcessLine, stack: Stack) -> ProcessSpec:
    argv = line.argv(
        host=stack.host, port=stack.port, web_workers=stack.web_workers, flower_conf=str(stack.flower_conf)
    )
    return ProcessSpec(
        name=line.name,
        # As a module: the programs of this very installation, whatever PATH says.
        argv=(sys.executable, "-m", *argv),
        stage=line.stage,
        env={**stack.environ, "PYTHONUNBUFFERED": "1", MARKER: str(stack.run_folder)},
        log=stack.log(line.name),
        ready=_probe(line, stack),
        stop=line.stop,
    )


def _probe(line: ProcessLine, stack: Stack) -> Probe:
    if line.probe == "marked":
        return marked(stack.data_folder, line.name.removeprefix("worker-"))
    if line.probe == "runs":
        return runs
    if line.stage is Stage.WEB:
        return answers_http(stack.near_host, stack.port, line.probe)
    return answers_http("127.0.0.1", stack.flower_port, line.probe)
