"""The peers' numbers: empty tasks of Celery and dramatiq, and a bare flask-smorest endpoint."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: What each empty task carries, about 500 bytes.
DOCUMENT: dict[str, Any] = {"type": "doc", "name": "bench", "content": {"text": "x" * 440}}


def start(arguments: list[str], redis_url: str, log: Path, **environ: str) -> subprocess.Popen[bytes]:
    """Start a peer's process in the project's root."""
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=ROOT, env={**os.environ, "BENCH_REDIS": redis_url, **environ}, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


def celery_worker(redis_url: str, log: Path) -> subprocess.Popen[bytes]:
    """Start Celery's default prefork pool with two children."""
    return start(["celery", "-A", "tests.bench.peer_celery", "worker", "-c", "2", "-l", "warning"], redis_url, log)


def dramatiq_worker(redis_url: str, log: Path) -> subprocess.Popen[bytes]:
    """Start dramatiq with two processes of eight threads."""
    return start(["dramatiq", "tests.bench.peer_dramatiq", "-p", "2", "-t", "8"], redis_url, log)


def smorest_server(redis_url: str, port: int, log: Path) -> subprocess.Popen[bytes]:
    """Start the bare endpoint on the same server as MetaQore's API, with as many processes."""
    arguments = ["granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "2",
                 "--blocking-threads", "64", "--log-level", "warning", "tests.bench.peer_smorest:app"]  # fmt: skip
    return start(arguments, redis_url, log)


def celery_throughput(redis_url: str, total: int) -> float:
    """Return empty tasks a second: sent one after another, all results awaited."""
    noop = _celery(redis_url)
    began = time.perf_counter()
    results = [noop.delay(DOCUMENT) for _ in range(total)]
    for result in results:
        result.get(timeout=120)
    return total / (time.perf_counter() - began)


def celery_latencies(redis_url: str, total: int) -> list[float]:
    """Return the milliseconds from sending an empty task to having its result, one at a time."""
    noop = _celery(redis_url)
    latencies = []
    for _ in range(total):
        began = time.perf_counter()
        noop.delay(DOCUMENT).get(timeout=30)
        latencies.append((time.perf_counter() - began) * 1000)
    return latencies


def dramatiq_throughput(redis_url: str, total: int) -> float:
    """Return empty tasks a second: sent one after another, all results awaited."""
    os.environ["BENCH_REDIS"] = redis_url
    from tests.bench.peer_dramatiq import noop

    began = time.perf_counter()
    messages = [noop.send(DOCUMENT) for _ in range(total)]
    # The last to be taken is usually the last to be done; all are awaited, with a short poll.
    from tests.bench.peer_dramatiq import backend

    pending = messages
    while pending:
        left = []
        for message in pending:
            try:
                backend.get_result(message)
            except Exception:
                left.append(message)
        pending = left
        if pending:
            time.sleep(0.002)
    return total / (time.perf_counter() - began)


def _celery(redis_url: str) -> Any:
    os.environ["BENCH_REDIS"] = redis_url
    from tests.bench.peer_celery import noop

    return noop
