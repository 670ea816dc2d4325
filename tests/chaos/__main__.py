"""``make chaos [MINUTES=10]``: the long form; prints a table and exits non-zero where anything is off."""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.chaos.run import run
from tests.conftest import Postgres


def _postgres(stack: contextlib.ExitStack) -> Postgres:
    folder = Path(tempfile.mkdtemp(prefix="mqpg"))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    server = Postgres(folder)
    stack.callback(server.close)
    return server


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--postgres", action="store_true", help="on an embedded PostgreSQL server, crashed as well")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        place = tempfile.mkdtemp(prefix="mq-chaos-")
        postgres = _postgres(stack) if options.postgres else None
        print(f"chaos for {options.minutes} minutes, {options.agents} agents, seed {options.seed}", flush=True)
        found, done = run(
            Path(place) / "run", seconds=options.minutes * 60, agents=options.agents, seed=options.seed,
            postgres=postgres,
        )  # fmt: skip
        for name, count in sorted(done.items()):
            print(f"  {name:24} {count:6}")
        for name, value in asdict(found).items():
            if name != "open_requests":
                print(f"{name:26} {value:10.2f}" if isinstance(value, float) else f"{name:26} {value:10}")
        control, _ = run(
            Path(place) / "control", seconds=5, agents=options.agents, seed=options.seed, postgres=postgres,
            control=True,
        )  # fmt: skip
        print(f"control run, sweep and drain off: lost {control.lost} of {control.acknowledged}")
        for line in found.open_requests:
            print(f"  open at the end: {line}")
    good = found.is_clean and found.deliveries_per_request > 1.0 and control.lost > 0
    if good:
        shutil.rmtree(place, ignore_errors=True)
    else:
        print(f"logs and database are kept in {place}")
    print("nothing lost, doubled or out of order" if good else "THE CHECK FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
