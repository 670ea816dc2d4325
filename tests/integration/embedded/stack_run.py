"""Run a supervisor over small children: ``stack_run.py FOLDER JSON``. Events go to standard output, one a line."""

import json
import os
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from metaqore.embedded.broker import Broker
from metaqore.embedded.child import MARKER, Child, ProcessSpec, Stage, StartFailed, Unit
from metaqore.embedded.readiness import marked
from metaqore.embedded.supervisor import Backoff, Event, Supervisor

folder, plan = Path(sys.argv[1]), json.loads(sys.argv[2])


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def tell(event: Event) -> None:
    say(**asdict(event))


def child(name: str, stage: str, mode: str, stop: list[tuple[str, float]]) -> Child:
    program = str(Path(__file__).with_name("stack_child.py"))
    return Child(
        ProcessSpec(
            name=name,
            argv=(sys.executable, "-S", program, str(folder), name, mode),
            stage=Stage[stage],
            env={**os.environ, "BROKER_URL": url, MARKER: str(folder / "run")},
            log=folder / "logs" / f"{name}.log",
            ready=marked(folder, name),
            stop=tuple((signal.Signals[number], patience) for number, patience in stop),
        )
    )


units: list[Unit] = []
url = ""
if plan.get("broker"):
    broker = Broker(folder / "broker", folder / "logs" / "broker.log")
    broker.start()
    url = broker.url
    units.append(broker)
units += [child(*line) for line in plan["children"]]
supervisor = Supervisor(
    units,
    run_folder=folder / "run",
    on_event=tell,
    backoff=Backoff(base_s=0.05, max_s=1.0),
    ready_timeout_s=plan.get("ready_timeout_s", 20.0),
)
try:
    supervisor.run(on_ready=lambda: say(kind="all ready", name="", text=url))
except StartFailed as error:
    say(kind="failed", name=str(error.details["name"]), text=error.message)
    sys.exit(1)
say(kind="over", name="", text="")
