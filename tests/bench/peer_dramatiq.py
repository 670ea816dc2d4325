"""The peer: dramatiq with an empty actor whose result is kept."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

broker = RedisBroker(url=os.environ["BENCH_REDIS"], namespace="bench-dramatiq")
backend = RedisBackend(url=os.environ["BENCH_REDIS"], namespace="bench-dramatiq-results")
broker.add_middleware(Results(backend=backend))
dramatiq.set_broker(broker)


@dramatiq.actor(store_results=True, queue_name="bench")
def noop(document: dict[str, object]) -> dict[str, object]:
    """Return what was sent."""
    return document
